"""The product's proof: what it sees, what it lets pass, and which segments it names."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from assembler import proof
from assembler.planes import Frame, Plane, frame_from_rgb
from assembler.proof import DIFFERENCE_MAX, Sight, at_fault, difference, ssim, told
from tests.end_to_end.products import grained, label, raised

SIZE = (360, 520)
"""Width and height of the label in these tests."""


def shown(grain: float = 0.0) -> Frame:
    """A label as a frame."""
    return frame_from_rgb(grained(label(*SIZE), grain))


def everywhere() -> np.ndarray:
    """The whole of it."""
    return np.ones((SIZE[1], SIZE[0]), bool)


def test_ssim_of_equal_and_of_unlike_pictures() -> None:
    """Equal pictures score 1, unrelated ones about 0; what lies outside the mask is ignored."""
    one, other = (np.random.default_rng(s).integers(0, 255, (90, 70), np.uint8) for s in (1, 2))
    mask = np.zeros((90, 70), bool)
    mask[20:70, 10:50] = True
    assert ssim(one, one, mask) == pytest.approx(1.0)
    assert abs(ssim(one, other, mask)) < 0.1
    mixed = np.where(cv2.dilate(mask.astype(np.uint8), np.ones((7, 7))) > 0, one, other)
    assert ssim(one, mixed.astype(np.uint8), mask) == pytest.approx(1.0)


def test_ssim_does_not_depend_on_the_bands() -> None:
    """Cutting the picture into bands changes nothing at their edges."""
    one, other = (np.random.default_rng(s).integers(90, 110, (150, 40), np.uint8) for s in (1, 2))
    mask = np.ones((150, 40), bool)
    banded = ssim(one, other, mask)
    before, proof.SSIM_BAND = proof.SSIM_BAND, 1000
    try:
        assert ssim(one, other, mask) == pytest.approx(banded, abs=1e-6)
    finally:
        proof.SSIM_BAND = before


def _without_a_letter(y: Plane) -> Plane:
    out = y.copy()
    out[100:140, 60:100] = np.median(y[90:100, 60:100])
    return out


TAMPERED: dict[str, Callable[[Frame], Frame]] = {
    "brighter": lambda f: Frame(raised(f.y, 8), f.u, f.v),
    "another hue": lambda f: Frame(f.y, raised(f.u, 8), f.v),
    "warmer": lambda f: Frame(f.y, f.u, raised(f.v, 7)),
    "moved": lambda f: Frame(np.roll(f.y, 1, axis=1), f.u, f.v),
    "a letter gone": lambda f: Frame(_without_a_letter(f.y), f.u, f.v),
}


@pytest.mark.parametrize("grain", [0, 20])
@pytest.mark.parametrize("how", TAMPERED)
def test_what_similarity_does_not_hear_a_patch_tells(how: str, grain: float) -> None:
    """A tint, a lost letter or one pixel's shift is far over what any encoder does."""
    frame = shown(grain)
    assert difference(TAMPERED[how](frame), frame, everywhere()) > 1.3 * DIFFERENCE_MAX


def test_grain_that_an_encoder_takes_is_no_difference() -> None:
    """Noise without its finest detail has the same patches; nothing differs from itself."""
    frame = shown(20)
    soft = cv2.addWeighted(frame.y, 0.5, cv2.GaussianBlur(frame.y, (3, 3), 0.6), 0.5, 0)
    assert (
        difference(Frame(soft.astype(np.uint8), frame.u, frame.v), frame, everywhere())
        < DIFFERENCE_MAX
    )
    assert difference(frame, frame, everywhere()) == 0.0


def test_only_patches_that_are_product_as_a_whole_count() -> None:
    """What lies outside is not looked at, and a product too small for a patch is no error."""
    frame = shown()
    other = Frame(255 - frame.y, frame.u, frame.v)
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[100:300, 100:200] = True
    mixed = Frame(np.where(mask, frame.y, other.y).astype(np.uint8), frame.u, frame.v)
    assert difference(mixed, frame, mask) == 0.0
    mask[:] = False
    mask[100:110, 100:110] = True
    assert difference(other, frame, mask) == 0.0


@pytest.mark.parametrize(
    ("sights", "faults"),
    [
        ([(4, 0.99, 1.0), (94, 0.985, 2.0)], ()),
        ([(4, 0.99, 1.0), (94, 0.95, 2.0)], (94,)),
        ([(4, 0.99, 1.0), (94, 0.99, 6.0)], (94,)),
        ([(4, 0.975, 1.0), (94, 0.999, 1.0)], ()),
        ([(4, 0.975, 1.0), (94, 0.97, 1.0), (184, 0.985, 1.0)], (94, 4)),
        ([(4, 0.97, 1.0), (94, 0.972, 9.0), (184, 0.95, 1.0)], (184, 94, 4)),
    ],
)
def test_all_that_keep_a_film_from_being_shipped_are_named(
    sights: list[tuple[int, float, float]], faults: tuple[int, ...]
) -> None:
    """Each bad frame, and where the mean is too low every frame below it; the worst first."""
    assert at_fault([Sight(*each) for each in sights]) == faults


def test_figures_are_told_with_their_limits() -> None:
    """Whoever reads it knows how far off it is, and where."""
    said = told([Sight(4, 0.97, 7.0), Sight(94, 0.95, 1.0)])
    assert "SSIM 0.9500 in frame 94 (at least 0.96), mean 0.9600 (at least 0.98)" in said
    assert "7.0 codes off in frame 4 (at most 5)" in said
