"""Prints and cards: the picture whole, a rim around it, round corners."""

from __future__ import annotations

import numpy as np

from assembler.cards import RIM_PX, plain_card, print_card
from assembler.colour import Tone
from tests.assembler.pictures import textured

PAPER = Tone(0.975, 0.006, 60.0)


def photo(width: int, height: int) -> np.ndarray:
    """An opaque photograph (RGBA)."""
    return np.dstack([textured(width, height), np.full((height, width), 255, np.uint8)])


def test_a_print_shows_its_picture_whole() -> None:
    """Not a pixel of it is cut or changed; the rim is as broad in the frame at any scale."""
    pixels = photo(400, 300)
    for scale in (0.5, 1.0, 2.0):
        card = print_card(pixels, scale, 1.0, PAPER)
        rim = round(RIM_PX / scale)
        assert (300 + 2 * rim, 400 + 2 * rim) == card.shape[:2]
        inside = card[rim:-rim, rim:-rim]
        assert (pixels[..., :3] == inside[..., :3]).all()
        assert inside[..., 3].min() == 255


def test_corners_are_round_and_the_rim_is_paper() -> None:
    """The outermost corner is transparent, the middle of a side is light."""
    card = print_card(photo(400, 300), 1.0, 1.0, PAPER)
    assert card[0, 0, 3] == 0
    assert card[4, 200, 3] == 255
    assert card[4, 200, :3].min() > 235


def test_a_plain_ground_becomes_the_card() -> None:
    """The rim is of the ground's colour: there is no seam."""
    pixels = np.full((300, 200, 4), (228, 232, 226, 255), np.uint8)
    pixels[80:220, 60:140, :3] = (120, 40, 10)
    card = plain_card(pixels)
    rim = (card.shape[0] - 300) // 2
    assert rim > 10
    assert card[0, 0, 3] == 0
    assert np.abs(card[rim // 2, :, :3].astype(int) - (228, 232, 226)).max() <= 1
    assert (
        pixels[40:260, 30:170, :3] == card[rim + 40 : rim + 260, rim + 30 : rim + 170, :3]
    ).all()
