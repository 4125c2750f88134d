"""Pictures as prints and cards: what has corners gets a rim, so that it reads as an object.

The picture itself is whole and untouched; the rim lies around it.
"""

from __future__ import annotations

import cv2
import numpy as np

from assembler.canvas import PLAIN_BLUR_SHARE, Margins, continued
from assembler.colour import Tone
from assembler.product import rounded_mask
from assembler.stills import Pixels

RIM_PX = 14
"""Of a photograph's rim, at a frame 1080 px wide."""
CORNER_PX = 18
PLAIN_RIM_SHARE = 0.07
"""Of the rim around what stands before a plain ground, in shares of its longer edge: the ground
goes on into it."""
PLAIN_CORNER_SHARE = 0.06


def print_card(pixels: Pixels, scale: float, unit: float, tone: Tone) -> Pixels:
    """Return a photograph (h×w×4, opaque) with a rim of paper, straight RGBA.

    ``scale`` is how many frame pixels a pixel of it becomes; ``unit`` the frame's width over 1080.
    """
    rim = max(1, round(RIM_PX * unit / scale))
    radius = min(CORNER_PX * unit / scale, rim * 1.3)
    red, green, blue = (float(code) for code in np.rint(tone.rgb()))
    whole = cv2.copyMakeBorder(
        pixels, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=(red, green, blue, 255)
    ).astype(np.uint8, copy=False)
    return _cornered(whole, radius)


def plain_card(pixels: Pixels) -> Pixels:
    """Return what stands before a plain ground on a card of that ground, straight RGBA."""
    longer = max(pixels.shape[:2])
    rim = max(2, round(PLAIN_RIM_SHARE * longer))
    whole = continued(
        pixels, Margins(rim, rim, rim, rim), plain=True, blur=PLAIN_BLUR_SHARE * longer
    )
    return _cornered(whole, PLAIN_CORNER_SHARE * longer)


def _cornered(whole: Pixels, radius: float) -> Pixels:
    whole[..., 3] = rounded_mask(whole.shape[1], whole.shape[0], radius)
    return whole


__all__ = ["plain_card", "print_card"]
