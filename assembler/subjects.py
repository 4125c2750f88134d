"""Where the product is in a picture without alpha: what stands out from a plain ground.

Product photographs mostly have one: a sheet of paper, a swept backdrop.  The ground is what the
picture's border shows; where that is not plain, nothing is claimed, and the picture is looked at
in its middle, a little up.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from events.spec import Box

Floats = NDArray[np.float32]

EDGE_PX = 240
"""The longer edge of the copy that is looked at."""
BORDER_SHARE = 0.025
"""How broad the border is, in shares of the shorter edge."""
PLAIN_CODES = 9.0
"""How far (RGB codes) a border's pixel may be off a plain ground, light falling off included."""
PLAIN_SHARE = 0.93
"""How much of the border has to be plain: a shadow or a foot may touch it."""
SIDE_SHARE = 0.72
"""How much of each side has to be."""
TILT_CODES = 60.0
"""More than this from one end of the border to the other is no plain ground, but a scene."""
STANDS_OUT = 20.0
"""From how far off (RGB codes) something is not the ground."""
SPECK_SHARE = 0.0008
"""Islands smaller than this share of the picture are dust."""
FILLED_MIN = 0.22
"""How much of its box a subject fills at least: what is scattered is no subject."""
AREA_MIN, AREA_MAX = 0.012, 0.92
"""How much of the picture a subject's box takes."""


def plain_subject(rgb: NDArray[np.uint8]) -> Box | None:
    """Return the box (fractions) of what stands before a plain ground; None without one.

    ``rgb`` is h×w×3 or ×4, alpha ignored.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, EDGE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if min(size) < 12:  # noqa: PLR2004 - there is no border to speak of
        return None
    # Of a large picture every few pixels tell as much, and cost less than all of them.
    few = every_nth(rgb, max(1, min(height, width) // (4 * EDGE_PX)))
    small = cv2.resize(few, size, interpolation=cv2.INTER_AREA)[..., :3].astype(np.float32)
    ground = plain_ground(small)
    if ground is None:
        return None
    apart = (np.abs(small - ground).max(axis=2) > STANDS_OUT).astype(np.uint8)
    count, _, islands, _ = cv2.connectedComponentsWithStats(apart, connectivity=8)
    large = islands[1:count]
    large = large[large[:, cv2.CC_STAT_AREA] >= max(4, SPECK_SHARE * apart.size)]
    if large.shape[0] == 0:
        return None
    left, top = large[:, cv2.CC_STAT_LEFT].min(), large[:, cv2.CC_STAT_TOP].min()
    right = (large[:, cv2.CC_STAT_LEFT] + large[:, cv2.CC_STAT_WIDTH]).max()
    bottom = (large[:, cv2.CC_STAT_TOP] + large[:, cv2.CC_STAT_HEIGHT]).max()
    area = float((right - left) * (bottom - top))
    filled = float(large[:, cv2.CC_STAT_AREA].sum()) / area
    if filled < FILLED_MIN or not AREA_MIN <= area / apart.size <= AREA_MAX:
        return None
    return Box(
        x=float(left / size[0]),
        y=float(top / size[1]),
        width=float((right - left) / size[0]),
        height=float((bottom - top) / size[1]),
    )


def every_nth(picture: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Return every ``n``-th pixel of every ``n``-th row of a picture (h×w×channels, w at least n).

    Columns that are left over at the right are left out.
    """
    columns = picture.shape[1] // n
    lines = picture[::n, : columns * n]
    size = (columns, lines.shape[0])
    # Numpy would copy them one by one.
    return np.asarray(cv2.resize(lines, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def plain_ground(picture: Floats) -> Floats | None:
    """Return the ground (h×w×3) that the border of a picture (h×w×3) tells; None if not plain.

    A ground is one colour, or one that goes evenly over into another: light falls off.
    """
    height, width = picture.shape[:2]
    wide = max(2, round(BORDER_SHARE * min(height, width)))
    border = np.ones((height, width), bool)
    border[wide:-wide, wide:-wide] = False
    rows, columns = np.nonzero(border)
    places = np.stack([np.ones_like(rows), columns / width, rows / height], axis=1)
    seen = picture[border].astype(np.float64)
    kept = np.ones(len(seen), bool)
    for _ in range(3):
        fit = np.linalg.lstsq(places[kept], seen[kept], rcond=None)[0]
        away = np.abs(seen - places @ fit).max(axis=1)
        # What is far off the first fit is a foot or a shadow that touches the border.
        kept = away <= max(PLAIN_CODES, float(np.quantile(away, 0.6)))
    plain = away <= PLAIN_CODES
    sides = (rows < wide, rows >= height - wide, columns < wide, columns >= width - wide)
    if plain.mean() < PLAIN_SHARE or min(plain[side].mean() for side in sides) < SIDE_SHARE:
        return None
    if np.abs(fit[1:]).sum(axis=0).max() > TILT_CODES:
        return None
    x, y = np.arange(width) / width, np.arange(height) / height
    ground = fit[0] + x[None, :, None] * fit[1] + y[:, None, None] * fit[2]
    return np.asarray(ground, np.float32)


__all__ = ["every_nth", "plain_ground", "plain_subject"]
