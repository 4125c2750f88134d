"""Pictures continued over their edges: no bar, no seam, the picture itself untouched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembler.canvas import (
    COVER_SCALE_MAX,
    FADE_SHARE,
    Margins,
    continued,
    margins_above,
    seen_width,
)
from tests.assembler.pictures import textured

ASPECT = 9 / 16


def photo(width: int, height: int) -> np.ndarray:
    """An opaque photograph (RGBA)."""
    return np.dstack([textured(width, height), np.full((height, width), 255, np.uint8)])


@pytest.mark.parametrize(
    ("width", "height", "seen"),
    [
        (1080, 1920, 1080),
        (600, 2400, 600),
        (1500, 1500, 1050),
        (3000, 2000, 1600),
        (4096, 2304, 0.8 * 2304),
        (600, 400, 540),
        (2400, 600, 1008),
    ],
)
def test_how_much_is_seen_at_once(width: int, height: int, seen: float) -> None:
    """Tall pictures as wide as they are, wide ones 4:5, small ones no larger than twofold."""
    assert seen_width(width, height, ASPECT, 1080) == pytest.approx(seen)


@pytest.mark.parametrize(("width", "height"), [(300, 300), (64, 64), (3000, 300), (100, 2000)])
def test_what_is_too_small_or_a_slip_does_not_fill(width: int, height: int) -> None:
    """It is set smaller."""
    assert seen_width(width, height, ASPECT, 1080) is None


@given(width=st.integers(64, 4096), shape=st.floats(0.25, 4.0))
def test_the_rule_has_no_jumps_and_keeps_its_bounds(width: int, shape: float) -> None:
    """Never more than there is, never blown up, nearly the same for nearly the same picture."""
    height = max(1, round(width / shape))
    seen = seen_width(width, height, ASPECT, 1080)
    if seen is None:
        assert 1080 / width > 0.9 * COVER_SCALE_MAX
        return
    assert seen <= width
    assert 1080 / seen <= COVER_SCALE_MAX
    near = seen_width(width + 1, height + 1, ASPECT, 1080)
    assert near is not None
    assert abs(near - seen) <= 4


@given(height=st.integers(1, 3000), window=st.floats(1, 6000))
def test_margins_fill_the_window(height: int, window: float) -> None:
    """Picture and margins are as high as the window, and the picture is a little up."""
    margins = margins_above(height, window)
    assert margins.top >= 0
    assert margins.bottom >= 0
    if window > height:
        assert margins.top + height + margins.bottom >= window
        assert margins.top <= margins.bottom + 1
    else:
        assert Margins(0, 0, 0, 0) == margins


@pytest.mark.parametrize("plain", [False, True])
def test_the_picture_itself_is_untouched(plain: bool) -> None:
    """Inside its fading edge not a code changes, and everything is opaque."""
    pixels = photo(600, 400)
    whole = continued(pixels, Margins(0, 200, 0, 260), plain=plain, blur=20)
    assert (860, 600, 4) == whole.shape
    edge = round(FADE_SHARE * 400) + 10
    assert (pixels[edge:-edge] == whole[200 + edge : 600 - edge]).all()
    assert whole[..., 3].min() == 255


def test_a_continued_photograph_has_no_edge() -> None:
    """No row stands out where the picture ends, and the far ground is calm and darker."""
    pixels = photo(600, 400)
    whole = continued(pixels, Margins(0, 300, 0, 300), plain=False, blur=24)
    luma = whole[..., :3].astype(float).mean(axis=2)
    steps = np.abs(np.diff(luma, axis=0)).mean(axis=1)
    inside = steps[360:640].mean()
    assert steps[280:330].max() < 1.5 * inside
    assert steps[:200].max() < 0.35 * inside
    assert luma[:60].mean() < 0.75 * luma[300:700].mean()


def test_a_plain_ground_goes_on_as_it_is() -> None:
    """Paper with grain becomes a wider sheet of the same colour."""
    grain = np.random.default_rng(1).normal(236, 2, (300, 300, 3))
    pixels = np.dstack([grain.round(), np.full((300, 300), 255)]).astype(np.uint8)
    whole = continued(pixels, Margins(150, 80, 40, 500), plain=True, blur=6)
    assert (880, 490, 4) == whole.shape
    assert np.abs(whole[..., :3].astype(int) - 236).max() < 14
    assert whole[..., :3].astype(float)[500:].std(axis=(0, 1)).max() < 1.5


def test_nothing_is_copied_where_nothing_is_lacking() -> None:
    """A picture that fills the window is used as it is."""
    pixels = photo(90, 160)
    assert continued(pixels, Margins(0, 0, 0, 0), plain=False, blur=4) is pixels


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (700, 2), (9, 16)])
def test_any_shape_can_be_continued(shape: tuple[int, int]) -> None:
    """Margins may be many times as large as the picture."""
    pixels = np.full((*shape, 4), 180, np.uint8)
    whole = continued(pixels, Margins(30, 90, 30, 90), plain=True, blur=2)
    assert (shape[0] + 180, shape[1] + 60) == whole.shape[:2]
    assert np.abs(whole[..., :3].astype(int) - 180).max() <= 1
