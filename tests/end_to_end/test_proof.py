"""The product's proof in whole films: it holds for real products, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from assembler.planes import Frame, Plane
from assembler.verdict import Refused
from config import load
from events.types import (
    AssemblyFailed,
    Reason,
    RenderCompleted,
    RenderFailed,
    RungDescended,
    SegmentRequested,
)
from tests.end_to_end.films import Ended, ask, ended
from tests.end_to_end.making import Altered, Planned, planned
from tests.end_to_end.products import bottle, photograph, raised, saved

SAFE = tuple(key for key, preset in load(environ={}).presets.items() if preset.brand_safe)
GRAIN = 10.0
"""Codes: as fine and as strong as encoders like it least."""
ENCODER = "PYTOON_DEFAULTS__ENCODER__CRF"
Tampering = Callable[[Plane, NDArray[np.bool_]], Plane]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def smooth(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """A film of a smooth bottle."""
    folder = tmp_path_factory.mktemp("smooth")
    picture = saved(bottle(), folder / "bottle.png")
    return planned(folder, "overlay_classic", picture, target_duration_seconds=1)


def _on_luma(film: Planned, tampering: Tampering) -> Altered:
    """Alter the product's luma, and nothing around it."""
    drawing = film.film()

    def alter(number: int, frame: Frame) -> Frame:
        mask = drawing.product_mask(number) > 0
        luma = np.where(mask, tampering(frame.y, mask), frame.y)
        return Frame(luma.astype(np.uint8), frame.u, frame.v)

    return alter


def _moved(by_px: float) -> Tampering:
    def tampering(luma: Plane, _mask: NDArray[np.bool_]) -> Plane:
        matrix = np.array([[1, 0, by_px], [0, 1, 0]], np.float32)
        return np.asarray(cv2.warpAffine(luma, matrix, luma.shape[::-1]), np.uint8)

    return tampering


def _without_a_letter(luma: Plane, mask: NDArray[np.bool_]) -> Plane:
    """Paper over the dark letter that is nearest to the product's middle."""
    rows, columns = np.nonzero(mask)
    y, x = int(rows.mean()), int(columns.mean())
    around = luma[y - 160 : y + 160, x - 160 : x + 160]
    dark = ((around < 90) & mask[y - 160 : y + 160, x - 160 : x + 160]).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(dark)
    letter = max(range(1, count), key=lambda each: boxes[each][cv2.CC_STAT_AREA])
    out = luma.copy()
    grown = cv2.dilate((labels == letter).astype(np.uint8), np.ones((7, 7))) > 0
    out[y - 160 : y + 160, x - 160 : x + 160][grown] = np.quantile(around, 0.9)
    return out


TAMPERED: dict[str, Tampering] = {
    "blurred by 1 px": lambda y, _: np.asarray(cv2.GaussianBlur(y, (0, 0), 1.0), np.uint8),
    "moved by 0.5 px": _moved(0.5),
    "moved by 2 px": _moved(2),
    "8 codes brighter": lambda y, _: raised(y, 8),
    "less contrast": lambda y, _: np.asarray(cv2.addWeighted(y, 0.9, y, 0, 12.6), np.uint8),
    "a letter removed": _without_a_letter,
}
QUICK = "a letter removed"


def _refused(film: Planned, alter: Altered, folder: Path) -> Refused:
    """What is said of a film whose only body was tampered with."""
    body = film.body(0, "tampered", alter=alter)
    with pytest.raises(Refused, match="not shown as it is: SSIM") as caught:
        film.assembled({0: body}, str(folder / "out"))
    return caught.value


def test_a_product_is_proven(smooth: Planned) -> None:
    """A smooth product's figures are in the verdict, and far from their bounds."""
    proof = smooth.assembled(smooth.bodies()).verdict.product
    assert proof is not None
    assert proof.ssim_min > 0.995
    assert proof.difference_max is not None
    assert proof.difference_max < 2.5


@pytest.mark.parametrize(
    "how", [QUICK, *(pytest.param(h, marks=pytest.mark.slow) for h in TAMPERED if h != QUICK)]
)
def test_a_product_that_was_tampered_with_is_refused(
    smooth: Planned, tmp_path: Path, how: str
) -> None:
    """Even where most of the picture is as it was, and softly; the figure is told."""
    refused = _refused(smooth, _on_luma(smooth, TAMPERED[how]), tmp_path)
    assert (refused.reason, refused.segments) == (Reason.CORRUPT_OUTPUT, (0,))
    assert "codes off in frame 4" in refused.detail


@pytest.mark.slow
def test_another_hue_is_refused(smooth: Planned, tmp_path: Path) -> None:
    """Colours alone, luma being as it was: a brand's green is not any green.  (2 s)"""

    def alter(_number: int, frame: Frame) -> Frame:
        return Frame(frame.y, raised(frame.u, 8), frame.v)

    assert "SSIM 0.99" in _refused(smooth, alter, tmp_path).detail


def _asks(picture: Path, seconds: float, *presets: str) -> dict[str, dict[str, object]]:
    return {
        preset: ask(preset, picture, target_duration_seconds=seconds, cta="Buy")
        for preset in presets
    }


def _check_proven(end: Ended) -> None:
    """It was completed on the rung that was planned, and every body was looked at."""
    assert isinstance(end.job.end, RenderCompleted), end.job.end
    assert end.job.spec is not None
    assert end.job.downgrades == ()
    proof = end.job.end.verdict.product
    assert proof is not None
    assert proof.frames_sampled == len(end.job.spec.segments)
    assert proof.ssim_min >= 0.96
    assert proof.ssim_mean >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("grain", [0.0, GRAIN])
@pytest.mark.parametrize("product", [bottle, photograph])
def test_every_brand_safe_preset_proves_its_product(
    tmp_path: Path, product: Callable[[float], NDArray[np.uint8]], grain: float
) -> None:
    """Smooth or grainy, cut out or a photograph, two segments.  (20 to 40 s each)"""
    picture = saved(product(grain), tmp_path / "product.png")
    ends = ended(tmp_path, _asks(picture, 5, *SAFE))
    assert set(ends) == set(SAFE)
    for end in ends.values():
        _check_proven(end)


@pytest.mark.slow
def test_every_segment_of_a_grainy_product_is_rendered_better_at_once(tmp_path: Path) -> None:
    """A film of five segments, all a little below the mean, is not given up after three tries:
    all five are named, come once more at a lower crf, and pass.  (30 s)
    """
    picture = saved(bottle(GRAIN), tmp_path / "bottle.png")
    end = ended(tmp_path, _asks(picture, 15, "overlay_glow"))["overlay_glow"]
    _check_proven(end)
    (failed,) = (event for event in end.events if isinstance(event, AssemblyFailed))
    assert {failed.segment, *failed.others} == {0, 1, 2, 3, 4}
    asks = [event for event in end.events if isinstance(event, SegmentRequested)]
    assert [(a.attempt, a.quality) for a in asks] == [(1, 0)] * 5 + [(2, 1)] * 5


def _steps(end: Ended) -> list[str]:
    """The steps of a job that has but one segment, in words."""
    told = []
    for event in end.events:
        if isinstance(event, SegmentRequested):
            told.append(f"{'still ' * event.rung.still}{event.rung.archetype} {event.quality}")
        elif isinstance(event, AssemblyFailed | RungDescended | RenderFailed | RenderCompleted):
            told.append(type(event).__name__)
    return told


@pytest.mark.slow
def test_a_product_that_moves_too_much_for_its_bits_stands_still(tmp_path: Path) -> None:
    """With few bits a grainy product cannot be proven while it moves: once more at a lower crf,
    then it stands still, where it can; the downgrade is told.  (6 s)
    """
    picture = saved(bottle(GRAIN), tmp_path / "bottle.png")
    end = ended(tmp_path, _asks(picture, 1, "overlay_glow"), {ENCODER: "23"})["overlay_glow"]
    assert _steps(end) == [
        *("OVERLAY 0", "AssemblyFailed", "OVERLAY 1", "AssemblyFailed"),
        *("RungDescended", "still OVERLAY 1", "RenderCompleted"),
    ]
    (downgrade,) = end.job.downgrades
    assert "not shown as it is" in downgrade.detail
    assert isinstance(end.job.end, RenderCompleted)
    assert end.job.end.verdict.product is not None


@pytest.mark.slow
def test_a_product_that_can_never_be_proven_fails_with_the_figure(tmp_path: Path) -> None:
    """Neither a lower crf nor standing still helps: no film is shipped, and it says why.  (6 s)"""
    picture = saved(bottle(20), tmp_path / "bottle.png")
    end = ended(tmp_path, _asks(picture, 1, "overlay_glow"), {ENCODER: "45"})["overlay_glow"]
    assert _steps(end) == [
        *("OVERLAY 0", "AssemblyFailed", "OVERLAY 1", "AssemblyFailed"),
        *("RungDescended", "still OVERLAY 1", "AssemblyFailed", "RenderFailed"),
    ]
    assert isinstance(end.job.end, RenderFailed)
    assert "SSIM 0." in end.job.end.detail
    assert end.path is None
