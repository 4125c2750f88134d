"""The verdict: what is refused, what is only told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from assembler import encode
from assembler.loudness import RATE, integrated_lufs, true_peak_db
from assembler.planes import Frame, Plane
from assembler.sound import Mixed, decode, write_aac
from assembler.timeline import pieces
from assembler.verdict import Refused, judge, segment_of
from events.spec import Motion, RenderSpec, Warned
from events.types import Reason
from tests.assembler.reels import (
    FPS,
    HEIGHT,
    PROFILE,
    WIDTH,
    encoded,
    film_spec,
    flat,
    joined,
    moving,
    tone,
)
from tests.assembler.test_probe import remuxed


def film(folder: Path, spec: RenderSpec, frames: Sequence[Frame]) -> Path:
    """Make a film of the frames, in the plan's pieces."""
    row = pieces(spec)
    paths = [folder / f"piece-{piece.start}.mp4" for piece in row]
    for piece, path in zip(row, paths, strict=True):
        encoded(path, frames[piece.start : piece.start + piece.frames])
    write_aac(tone(spec.frames * RATE // FPS), folder / "sound.mp4", bitrate_kbps=192)
    out = folder / "film.mp4"
    counts = [piece.frames for piece in row]
    joined(paths, counts, folder / "sound.mp4", out)
    return out


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 6 s that has nothing wrong."""
    return film(tmp_path_factory.mktemp("good"), film_spec(180), moving(180))


def codes(path: Path, spec: RenderSpec, *, still: bool = False) -> list[str]:
    """The codes of the verdict's warnings."""
    return [warned.code for warned in judge(path, spec, still=still).warnings]


def test_good_film_is_described(good: Path) -> None:
    """The verdict has the finished file's figures, measured in the file itself."""
    verdict = judge(good, film_spec(180))
    assert (verdict.width, verdict.height, verdict.fps) == (WIDTH, HEIGHT, "30/1")
    assert (verdict.frames, verdict.duration_s, verdict.audio_duration_s) == (180, 6.0, 6.0)
    assert (verdict.video_codec, verdict.pixel_format) == ("h264", "yuv420p")
    assert verdict.audio_codec == "aac"
    assert verdict.bytes == good.stat().st_size
    assert verdict.bitrate_kbps == round(verdict.bytes * 8 / 6000)
    heard = decode(good, 6 * RATE)
    assert verdict.lufs == integrated_lufs(heard)
    assert verdict.true_peak_db == true_peak_db(heard)
    assert verdict.warnings == ()
    assert verdict.product is None


def test_a_draft_and_another_encoder_are_told_again(good: Path) -> None:
    """Whoever has only the verdict knows what the plan said of the whole film."""
    told = [Warned(code=code, message=code) for code in ("draft", "font_replaced")]
    told.append(Warned(code="encoder_downgraded", message="x264 instead"))
    spec = msgspec.structs.replace(film_spec(180), warnings=tuple(told))
    assert ["draft", "encoder_downgraded"] == codes(good, spec)


def test_measures_of_the_mix_are_taken_over(good: Path) -> None:
    """What was measured when mixing is not measured again."""
    verdict = judge(good, film_spec(180), sound=Mixed(-14.2, -1.3))
    assert (verdict.lufs, verdict.true_peak_db) == (-14.2, -1.3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frames": 181}, "180 frames, not 181"),
        ({"fps": 25}, "30 frames a second, not 25"),
        ({"width": 1080}, "144×256, not 1080×256"),
    ],
)
def test_what_differs_from_the_plan_is_refused(
    good: Path, change: dict[str, int], told: str
) -> None:
    """Size, rate and number of frames are as planned, or the film is not shipped."""
    with pytest.raises(Refused, match=told) as caught:
        judge(good, msgspec.structs.replace(film_spec(180), **change))
    assert caught.value.reason is Reason.CORRUPT_OUTPUT
    assert caught.value.segments == ()


@pytest.mark.parametrize(
    ("late", "sound", "told"),
    [(9, True, "not evenly timed"), (0, False, "no sound track"), (0, True, r"index \(moov\)")],
)
def test_careless_copies_are_refused(
    good: Path, tmp_path: Path, late: int, sound: bool, told: str
) -> None:
    """Uneven times, no sound and an index behind the picture are fatal."""
    with pytest.raises(Refused, match=told):
        judge(remuxed(good, tmp_path / "copy.mp4", late=late, sound=sound), film_spec(180))


def test_untagged_colours_are_refused(good: Path, tmp_path: Path) -> None:
    """A film that does not say that it is BT.709 looks different on each screen."""
    import av

    out = tmp_path / "untagged.mp4"
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "superfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in moving(180):
            container.mux(stream.encode(encode.picture_of(frame, WIDTH, HEIGHT)))
        container.mux(stream.encode(None))
    with pytest.raises(Refused, match="colours are tagged"):
        judge(out, film_spec(180))


def test_undecodable_film_is_refused(good: Path, tmp_path: Path) -> None:
    """Neither words nor a damaged keyframe get through."""
    whole = bytearray(good.read_bytes())
    start = whole.index(b"mdat") + 4
    whole[start + 1000 : start + 5000] = bytes(4000)
    for name, content in (("bad.mp4", whole), ("text.mp4", b"words")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused) as caught:
            judge(tmp_path / name, film_spec(180))
        assert caught.value.reason is Reason.CORRUPT_OUTPUT


def test_black_stretch_is_told_with_its_times(tmp_path: Path) -> None:
    """A black stretch is a warning that says from when to when."""
    frames = moving(180)
    frames[60:130] = [flat(16)] * 70
    verdict = judge(film(tmp_path, film_spec(180), frames), film_spec(180))
    assert [warned.code for warned in verdict.warnings] == ["black_stretch"]
    assert "is black from" in verdict.warnings[0].message


def test_frozen_stretch_is_told_unless_it_is_meant(tmp_path: Path) -> None:
    """A picture that stands still is a warning, except in still and minimal films."""
    spec = film_spec(180)
    path = film(tmp_path, spec, moving(1) * 180)
    assert codes(path, spec) == ["frozen_stretch"]
    assert codes(path, spec, still=True) == []
    assert codes(path, film_spec(180, motion=Motion.MINIMAL)) == []


def test_slow_motion_and_repeated_motion_are_not_frozen(tmp_path: Path) -> None:
    """Neither a pan of a quarter pixel a frame nor one that begins anew stands still."""
    spec = film_spec(180)
    picture = moving(1)[0]

    def shifted(by_px: float) -> Frame:
        shift = np.array([[1, 0, by_px], [0, 1, 0]], np.float32)
        moved = cv2.warpAffine(picture.y, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        return Frame(moved.astype(np.uint8), picture.u, picture.v)

    (tmp_path / "slow").mkdir()
    assert codes(film(tmp_path / "slow", spec, [shifted(n / 4) for n in range(180)]), spec) == []
    again = [frame for piece in pieces(spec) for frame in moving(piece.frames)]
    assert codes(film(tmp_path, spec, again), spec) == []


def test_high_bitrate_is_told(good: Path) -> None:
    """More than the profile's rate is a warning with both figures."""
    profile = msgspec.structs.replace(PROFILE, bitrate_max_kbps=100)
    verdict = judge(good, msgspec.structs.replace(film_spec(180), encoder=profile))
    assert [warned.code for warned in verdict.warnings] == ["bitrate_high"]
    assert str(verdict.bitrate_kbps) in verdict.warnings[0].message


class Shown:
    """A product that fills the middle of known frames."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        """Keep the frames as they were drawn."""
        self.frames = frames

    def lossless_product(self, n: int) -> Frame:
        """The frame that was drawn."""
        return self.frames[n]

    def product_mask(self, n: int) -> Plane:
        """The middle."""
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[60:200, 30:120] = 255
        return mask


def test_product_is_proven(good: Path) -> None:
    """The film shows the product as it was drawn: the proof's figures are in the verdict."""
    proof = judge(good, film_spec(180), product=Shown(moving(180))).product
    assert proof is not None
    assert proof.frames_sampled == 2
    assert 0.96 <= proof.ssim_min <= proof.ssim_mean <= 1


def test_tampered_product_is_refused_by_segment(tmp_path: Path) -> None:
    """A product that was softened in the second segment is refused, naming that segment."""
    frames = moving(180)
    tampered = list(frames)
    for number in range(92, 180):
        blurred = cv2.GaussianBlur(frames[number].y, (0, 0), 2).astype(np.uint8)
        tampered[number] = Frame(blurred, frames[number].u, frames[number].v)
    path = film(tmp_path, film_spec(180), tampered)
    with pytest.raises(Refused, match="not shown as it is: SSIM 0") as caught:
        judge(path, film_spec(180), product=Shown(frames))
    assert caught.value.segments == (1,)


def test_frames_belong_to_segments() -> None:
    """The boundary between two segments divides their transition."""
    spec = film_spec(180)
    assert [segment_of(spec, frame) for frame in (0, 89, 90, 179)] == [0, 0, 1, 1]
