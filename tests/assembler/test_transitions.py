"""Each transition leads from one picture to the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assembler.planes import Frame, frame_from_rgb
from assembler.transitions import blend
from events.spec import TransitionKind

DARK = frame_from_rgb(np.full((64, 36, 3), 40, np.uint8))
LIGHT = frame_from_rgb(np.full((64, 36, 3), 200, np.uint8))
SHARES = [k / 5 for k in range(1, 5)]
MOVING = [kind for kind in TransitionKind if kind is not TransitionKind.CUT]


def blended(kind: TransitionKind, share: float) -> Frame:
    """A frame of a transition from dark to light."""
    out = Frame.empty(36, 64)
    blend(kind, DARK, LIGHT, share, out)
    return out


@pytest.mark.parametrize("share", SHARES)
def test_a_crossfade_weighs_both(share: float) -> None:
    """Each code is the weighted mean, rounded."""
    expected = DARK.y * (1 - share) + LIGHT.y * share
    assert np.abs(expected - blended(TransitionKind.CROSSFADE, share).y).max() <= 0.5


@pytest.mark.parametrize(
    "kind", [kind for kind in MOVING if kind is not TransitionKind.FADE_BLACK]
)
def test_the_later_picture_gains_all_the_time(kind: TransitionKind) -> None:
    """The mean goes from the earlier towards the later picture."""
    means = [blended(kind, share).y.mean() for share in SHARES]
    row = [DARK.y.mean(), *means, LIGHT.y.mean()]
    assert all(earlier <= later for earlier, later in itertools.pairwise(row))
    assert means[0] < means[-1]


def test_fade_black_goes_through_black() -> None:
    """In the middle there is black; before it the earlier, after it the later picture."""
    middle = blended(TransitionKind.FADE_BLACK, 0.5)
    assert (16, 128) == (middle.y.max(), middle.u.max())
    assert blended(TransitionKind.FADE_BLACK, 0.2).y.max() < DARK.y.max()
    assert blended(TransitionKind.FADE_BLACK, 0.8).y.max() > DARK.y.max()


@pytest.mark.parametrize("kind", MOVING)
def test_two_equal_pictures_stay_what_they_are(kind: TransitionKind) -> None:
    """A transition between equal flat pictures shows them, black apart."""
    if kind is TransitionKind.FADE_BLACK:
        pytest.skip("it shows black by its name")
    out = Frame.empty(36, 64)
    blend(kind, LIGHT, LIGHT, 0.4, out)
    assert (LIGHT.y == out.y).all()
    assert (LIGHT.u == out.u).all()


def test_a_slide_moves_the_earlier_picture_out() -> None:
    """What was at the left leaves, and the later picture's left edge follows."""
    ramp = np.repeat(np.arange(36, dtype=np.uint8)[None, :, None] * 5, 64, axis=0)
    earlier = frame_from_rgb(np.repeat(ramp, 3, axis=2))
    out = Frame.empty(36, 64)
    blend(TransitionKind.SLIDE, earlier, LIGHT, 0.5, out)
    assert (earlier.y[:, 18:] == out.y[:, :18]).all()
    assert (LIGHT.y[:, :18] == out.y[:, 18:]).all()
