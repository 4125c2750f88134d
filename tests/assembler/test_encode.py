"""Pieces: what the encoder makes of frames, and that it makes it again."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest

from assembler import encode
from assembler.planes import Frame
from assembler.timeline import pieces, segment_frames, transition_frames
from tests.assembler.reels import FPS, HEIGHT, PROFILE, WIDTH, film_spec, moving


def piece(path: Path, frames: list[Frame], count: int | None = None, **options: object) -> object:
    """Encode frames at the tests' size."""
    return encode.encode_piece(
        frames,
        len(frames) if count is None else count,
        path,
        PROFILE,
        fps=FPS,
        width=WIDTH,
        height=HEIGHT,
        **options,  # type: ignore[arg-type]
    )


def test_piece_is_as_every_film_has_it(tmp_path: Path) -> None:
    """H.264 High, 4:2:0, BT.709 limited range, 30/1, square pixels, chroma left, no B-frames."""
    piece(tmp_path / "a.mp4", moving(70))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert stream.average_rate == FPS
        assert context.sample_aspect_ratio == 1
        tags = (context.color_primaries, context.color_trc, context.colorspace)
        assert tags == (1, 1, 1)
        assert context.color_range == 1
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
    assert len(packets) == 70
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    assert keys[0] == 0
    assert max(np.diff([*keys, 70])) <= 2 * FPS


def test_pictures_come_out_as_they_went_in(tmp_path: Path) -> None:
    """Each frame is decoded in its place and looks like what was given."""
    frames = moving(20)
    piece(tmp_path / "a.mp4", frames)
    with av.open(str(tmp_path / "a.mp4")) as container:
        decoded = [picture.to_ndarray()[:HEIGHT] for picture in container.decode(video=0)]
    assert len(decoded) == 20
    for given, seen in zip(frames, decoded, strict=True):
        assert np.abs(given.y.astype(int) - seen).mean() < 2


@pytest.mark.parametrize("height", [22, 24])
def test_a_picture_is_the_frame_wherever_its_planes_lie(height: int) -> None:
    """In memory of their own or one after the other; half of the height may be odd."""
    width, rng = 18, np.random.default_rng(1)
    one = Frame.empty(width, height)
    assert one.whole is not None
    one.whole[:] = rng.integers(0, 256, one.whole.shape)
    apart = one.copy()
    assert apart.whole is None
    for frame in (one, apart):
        picture = encode.picture_of(frame, width, height)
        for plane, source in zip(picture.planes, (one.y, one.u, one.v), strict=True):
            found = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
            assert np.array_equal(found[:, : plane.width], source)


def test_same_frames_make_the_same_bytes(tmp_path: Path) -> None:
    """Nothing but the frames gets into a piece: no time, no name."""
    piece(tmp_path / "a.mp4", moving(40))
    piece(tmp_path / "b.mp4", moving(40))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_may_be_drawn_into_one_buffer(tmp_path: Path) -> None:
    """A frame's planes can be drawn over as soon as the next one is asked for."""
    shared = moving(1)[0]
    frames = moving(30)

    def overdrawn() -> object:
        for frame in frames:
            shared.y[:] = frame.y
            yield shared

    piece(tmp_path / "a.mp4", frames)
    piece(tmp_path / "b.mp4", overdrawn(), 30)  # type: ignore[arg-type]
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_profile_tells_what_pieces_will_have(tmp_path: Path) -> None:
    """The profile's fingerprint is that of every piece, whatever its frames and quality."""
    fine = piece(tmp_path / "a.mp4", moving(10))
    finer = piece(tmp_path / "b.mp4", moving(12, seed=2), quality=1)
    assert fine == encode.PieceInfo(10, PROFILE.fingerprint)
    assert finer == encode.PieceInfo(12, PROFILE.fingerprint)
    assert encode.fingerprint_here(PROFILE, fps=FPS, width=WIDTH, height=HEIGHT) == (
        PROFILE.fingerprint
    )
    assert "x264 core" in PROFILE.library


def test_other_encoder_has_another_fingerprint() -> None:
    """A preset with other parameter sets is told apart."""
    other = encode.default_profile(preset="medium", fps=FPS, width=WIDTH, height=HEIGHT)
    assert other.fingerprint != PROFILE.fingerprint


def test_quality_costs_bytes(tmp_path: Path) -> None:
    """Each step of quality lowers the crf by 4."""
    piece(tmp_path / "a.mp4", moving(30))
    piece(tmp_path / "b.mp4", moving(30), quality=1)
    assert (tmp_path / "b.mp4").stat().st_size > 1.2 * (tmp_path / "a.mp4").stat().st_size


def _noise(count: int) -> list[Frame]:
    """Frames that cannot be compressed and have nothing in common."""
    rng = np.random.default_rng(0)
    planes = [(HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2)]
    return [
        Frame(*(rng.integers(16, 235, size, np.uint8) for size in planes)) for _ in range(count)
    ]


@pytest.mark.parametrize("row", [(30,), (58, 4, 58), (88, 4, 86, 4, 88), (50, 20, 50), (60, 60)])
def test_no_film_has_more_bits_than_it_may(tmp_path: Path, row: tuple[int, ...]) -> None:
    """Noise without end, in bodies and transitions of any length, keeps to the profile's rate."""
    profile = encode.default_profile(bitrate_max_kbps=600, fps=FPS, width=WIDTH, height=HEIGHT)
    total = 0
    for number, count in enumerate(row):
        path = tmp_path / f"{number}.mp4"
        encode.encode_piece(
            _noise(count), count, path, profile, fps=FPS, width=WIDTH, height=HEIGHT
        )
        with av.open(str(path)) as container:
            total += sum(packet.size for packet in container.demux(video=0))
    assert 450_000 < total * 8 / (sum(row) / FPS) <= 600_000


@pytest.mark.parametrize("transition_ms", [0, 34, 150, 500, 2000])
def test_what_pieces_may_spend_adds_up_to_what_the_film_may(transition_ms: float) -> None:
    """For every length from one second to a minute, whatever its transitions."""
    for frames in range(FPS, 60 * FPS + 1, 7):
        shortest = min(segment_frames(frames, FPS, 3.0))
        between = transition_frames(transition_ms, FPS, shortest)[0] if transition_ms else 0
        spec = film_spec(frames, transition=between)
        spent_s = sum(
            encode.VBV_RATE * piece.frames / FPS
            + encode.BUFFER_BEGUN * encode.buffer_s(piece.frames, FPS)
            for piece in pieces(spec)
        )
        assert spent_s <= encode.PICTURE_SHARE * frames / FPS + 1e-9, (frames, between)


def test_progress_is_told_frame_by_frame(tmp_path: Path) -> None:
    """The callback hears how many frames are done."""
    told: list[int] = []
    piece(tmp_path / "a.mp4", moving(5), on_frame=told.append)
    assert told == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [4, 6])
def test_wrong_number_of_frames_is_an_error(tmp_path: Path, count: int) -> None:
    """A piece that would not fit its place is not made."""
    with pytest.raises(encode.EncodeError, match=f"planned {count}|where {count}"):
        piece(tmp_path / "a.mp4", moving(5), count)


def test_wrong_size_is_an_error(tmp_path: Path) -> None:
    """A frame of another size is named with both sizes."""
    with pytest.raises(encode.EncodeError, match="10x20 was given where the film has 144x256"):
        piece(tmp_path / "a.mp4", [Frame(*(np.zeros((20, 10), np.uint8),) * 3)])


def test_unusable_profile_is_an_error(tmp_path: Path) -> None:
    """An encoder that this build does not have is an EncodeError, not a crash."""
    import msgspec

    broken = msgspec.structs.replace(PROFILE, preset="no such preset")
    with pytest.raises(encode.EncodeError, match="libx264"):
        encode.encode_piece(
            moving(2), 2, tmp_path / "a.mp4", broken, fps=FPS, width=WIDTH, height=HEIGHT
        )


def test_a_setting_that_the_encoder_does_not_take_is_told() -> None:
    """At planning, before anything is drawn."""
    with pytest.raises(encode.EncodeError, match="libx264"):
        encode.default_profile(preset="no such preset", width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize(
    ("preset", "more", "mixed", "found"),
    [
        ("superfast", "", False, ("-6:-6", "0x3:0", "1")),
        ("superfast", "", True, ("-6:-6", "0x3:0", "0")),
        ("superfast", "subme=4:analyse=all:deblock=1,1", True, ("1:1", "0x3:0x133", "4")),
        ("veryfast", "", False, ("0:0", "0x3:0x113", "2")),
        ("veryfast", "", True, ("0:0", "0x3:0x113", "2")),
    ],
)
def test_only_the_quick_preset_looks_for_less(
    tmp_path: Path, preset: str, more: str, mixed: bool, found: tuple[str, str, str]
) -> None:
    """What a slower preset or the operator's own options look for is left as it is."""
    profile = encode.default_profile(preset=preset, more=more, fps=FPS, width=WIDTH, height=HEIGHT)
    path = tmp_path / "piece.mp4"
    encode.encode_piece(
        moving(2), 2, path, profile, fps=FPS, width=WIDTH, height=HEIGHT, mixed=mixed
    )
    told = path.read_bytes()
    told_of = re.search(rb" deblock=1:(\S+) analyse=(\S+) .* subme=(\d+) ", told)
    assert told_of
    assert found == tuple(value.decode() for value in told_of.groups())


def test_more_options_reach_the_encoder() -> None:
    """What the configuration adds is part of the profile."""
    profile = encode.default_profile(width=WIDTH, height=HEIGHT, more="aq-mode=0")
    assert profile.params.endswith(":aq-mode=0")
