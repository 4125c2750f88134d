"""The join: one file of copied packets, evenly timed, in time with its sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from assembler.join import JoinError, join
from assembler.loudness import RATE
from assembler.sound import decode, write_aac
from tests.assembler.reels import (
    FPS,
    HEIGHT,
    PROFILE,
    WIDTH,
    encoded,
    flat,
    joined,
    length_s,
    moving,
    tone,
)

COUNTS = [40, 4, 37]
SAMPLES = sum(COUNTS) * RATE // FPS


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Three pieces, and a sound as long as they are."""
    paths = [tmp_path / f"{index}.mp4" for index in range(len(COUNTS))]
    for index, (path, count) in enumerate(zip(paths, COUNTS, strict=True)):
        encoded(path, moving(count, seed=index))
    write_aac(tone(SAMPLES), tmp_path / "sound.mp4", bitrate_kbps=192)
    return [*paths, tmp_path / "sound.mp4"]


def film_of(parts: list[Path], name: str = "film.mp4") -> Path:
    """Join the parts of the fixture."""
    out = parts[-1].with_name(name)
    joined(parts[:-1], COUNTS, parts[-1], out)
    return out


def lumas(path: Path) -> list[np.ndarray]:
    """Decode all luma planes."""
    with av.open(str(path)) as container:
        return [picture.to_ndarray()[:HEIGHT] for picture in container.decode(video=0)]


def test_count_times_and_lengths_are_exact(parts: list[Path]) -> None:
    """Frame n is shown at n/30, for 1/30, and the sound is as long as the picture."""
    with av.open(str(film_of(parts))) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == FPS
        assert video.frames == sum(COUNTS)
        assert length_s(video) == Fraction(sum(COUNTS), FPS)
        assert length_s(audio) == Fraction(SAMPLES, RATE)
        packets = [packet for packet in container.demux(video) if packet.size]
    ticks = 1 / (FPS * packets[0].time_base)
    assert [packet.pts for packet in packets] == [n * ticks for n in range(sum(COUNTS))]
    assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
    assert {packet.duration for packet in packets} == {ticks}


def test_packets_are_copied(parts: list[Path]) -> None:
    """Decoded, the film is its pieces one after the other, to the last bit."""
    apart = [luma for path in parts[:-1] for luma in lumas(path)]
    together = lumas(film_of(parts))
    assert len(together) == len(apart)
    assert all(np.array_equal(one, other) for one, other in zip(apart, together, strict=True))


def test_index_is_in_front_and_times_of_day_are_absent(parts: list[Path]) -> None:
    """The index lies before mdat; the same parts make the same bytes."""
    film = film_of(parts).read_bytes()
    assert 0 < film.index(b"moov") < film.index(b"mdat")
    assert film_of(parts, "again.mp4").read_bytes() == film


def test_sound_is_in_time_with_and_without_edit_lists(tmp_path: Path) -> None:
    """A beep at 0 s and at 0.5 s is heard within 20 ms of its time, edit lists read or not."""
    frames = [flat(235) if number in {0, 15} else flat(16) for number in range(30)]
    encoded(tmp_path / "p.mp4", frames)
    sound = np.zeros((2, RATE), np.float32)
    for at in (0, RATE // 2):
        sound[:, at : at + 2400] = tone(2400, 1000, 0.5)
    write_aac(sound, tmp_path / "s.mp4", bitrate_kbps=192)
    film = tmp_path / "film.mp4"
    joined([tmp_path / "p.mp4"], [30], tmp_path / "s.mp4", film)
    flashes = [number / FPS for number, luma in enumerate(lumas(film)) if luma.mean() > 100]
    assert flashes == [0.0, 0.5]
    for options in ({}, {"ignore_editlist": "1"}):
        with av.open(str(film), options=options) as container:
            pictures = container.streams.video[0]
            assert pictures.start_time == 0
            heard = np.concatenate(
                [frame.to_ndarray() for frame in container.decode(audio=0)], axis=1
            )
        loud = np.flatnonzero(np.abs(heard[0]) > 0.25)
        late = loud[loud > RATE // 4]
        assert loud[0] / RATE == pytest.approx(0.0, abs=0.02)
        assert late[0] / RATE == pytest.approx(0.5, abs=0.002)


def test_foreign_piece_is_encoded_again_and_told(parts: list[Path]) -> None:
    """A piece of another preset, size and pixel format becomes a part of the film like any."""
    with av.open(str(parts[1]), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = WIDTH * 2, HEIGHT * 2, "yuv444p"
        for frame in moving(COUNTS[1], seed=1):
            large = np.kron(frame.y, np.ones((2, 2), np.uint8))
            picture = av.VideoFrame.from_ndarray(large, format="gray").reformat(format="yuv444p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    out = parts[0].with_name("film.mp4")
    report = joined(parts[:-1], COUNTS, parts[-1], out)
    assert report.encoded_again == (1,)
    seen = lumas(out)
    assert len(seen) == sum(COUNTS)
    assert np.abs(moving(1, seed=1)[0].y.astype(int) - seen[COUNTS[0]]).mean() < 8
    assert seen[-1].shape == (HEIGHT, WIDTH)


def test_pieces_that_agree_are_copied_whatever_the_plan_says(parts: list[Path]) -> None:
    """Nothing is encoded again as long as the pieces have one set of parameters."""
    planned = msgspec.structs.replace(PROFILE, fingerprint="another build's")
    out = parts[0].with_name("film.mp4")
    report = join(
        parts[:-1],
        COUNTS,
        parts[-1],
        out,
        profile=planned,
        fps=FPS,
        width=WIDTH,
        height=HEIGHT,
    )
    assert report.encoded_again == ()
    assert report.frames == sum(COUNTS)
    assert report.audio_samples == SAMPLES


@pytest.mark.parametrize("damage", ["missing", "text", "short"])
def test_bad_piece_is_named(parts: list[Path], damage: str) -> None:
    """A piece that is missing, no film, or too short is named by its place in the row."""
    if damage == "missing":
        parts[1].unlink()
    elif damage == "text":
        parts[1].write_text("no film")
    else:
        encoded(parts[1], moving(3))
    with pytest.raises(JoinError) as caught:
        film_of(parts)
    assert caught.value.piece == 1


def test_short_sound_is_an_error(parts: list[Path]) -> None:
    """A sound that ends before the picture is no sound of this film."""
    write_aac(tone(SAMPLES - 5000), parts[-1], bitrate_kbps=192)
    with pytest.raises(JoinError, match="the sound ends") as caught:
        film_of(parts)
    assert caught.value.piece is None


def test_decoded_sound_is_what_was_mixed(parts: list[Path]) -> None:
    """Through encoding and joining, samples keep their places and their level."""
    heard = decode(film_of(parts), SAMPLES)
    given = tone(SAMPLES)
    assert heard.shape == given.shape
    assert np.abs(heard[:, 2048:-2048] - given[:, 2048:-2048]).max() < 0.02
