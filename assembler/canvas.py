"""Pictures made to fill a frame of another shape: continued over their edges, never barred.

A photograph goes on as its own mirrored and blurred self, as if out of the lens's depth; a
product's plain ground goes on as itself.  A camera may then move over the whole as over one
picture.  Which part of it the frame shows is decided here too, from shapes and sizes alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from assembler.planes import Floats, rounded, shrunk_to
from assembler.stills import Pixels

COVER_SCALE_MAX = 2.6
"""A picture that would have to grow more than this to fill the frame's width is set smaller."""
GROWTH_WISHED = 2.0
"""More of a picture is shown rather than growing it more than this."""
SEEN_ACROSS_MIN = 0.7
"""How much of a picture's width is seen at once, as long as the picture stays tall enough."""
TALL_MAX = 0.8
"""Width over height of what is seen of a wide picture: 4:5, the rest of the frame is continued."""
PANORAMA_SEEN_MIN = 0.42
"""How much of a wide picture's width is seen at once at least."""
SHAPE_MIN, SHAPE_MAX = 0.17, 6.0
"""Width over height: pictures beyond are slips of paper, and are shown as such."""
SET_AT = 0.45
"""Where the middle of a continued picture is: a share of the frame's height."""
COARSE = 8
"""What is blurred is blurred at this fraction of the size."""
FADE_SHARE = 0.11
BLUR_SHARE = 0.055
"""Of the width that is seen at once."""
DIM = 0.6
PLAIN_FADE_SHARE = PLAIN_BLUR_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Margins:
    """By how many px a picture is continued on each side."""

    left: int
    top: int
    right: int
    bottom: int


def seen_width(width: int, height: int, aspect: float, frame_width: float) -> float | None:
    """Return how many px of a picture's width a full frame shows; None if it must be set smaller.

    ``aspect`` is the frame's width over its height, ``frame_width`` its width at a 1080 px frame.
    """
    shape = width / height
    if not SHAPE_MIN <= shape <= SHAPE_MAX:
        return None
    tall = min(max(SEEN_ACROSS_MIN * shape, aspect), TALL_MAX)
    seen = max(tall * height, frame_width / GROWTH_WISHED)
    if shape > 1:
        seen = max(seen, PANORAMA_SEEN_MIN * width)
    seen = min(seen, width)
    return None if frame_width / seen > COVER_SCALE_MAX else seen


def margins_above(height: int, window_height: float) -> Margins:
    """Return by how much a picture is continued above and below to fill a window's height."""
    lack = math.ceil(window_height) - height
    if lack <= 0:
        return Margins(0, 0, 0, 0)
    top = min(max(round(SET_AT * window_height - height / 2), 0), lack)
    return Margins(0, top, 0, lack - top)


def continued(pixels: Pixels, margins: Margins, *, plain: bool, blur: float) -> Pixels:
    """Return an opaque picture (h×w×4) continued by margins.

    With ``plain`` its ground goes on; else its mirrored self does, darkened outwards.  What goes
    on is blurred by ``blur`` px, and more further out.
    """
    if margins == Margins(0, 0, 0, 0):
        return pixels
    around = (margins.top, margins.bottom, margins.left, margins.right)
    way = cv2.BORDER_REPLICATE if plain else cv2.BORDER_REFLECT_101
    whole = cv2.copyMakeBorder(pixels, *around, way).astype(np.uint8, copy=False)
    height, width = whole.shape[:2]
    shorter = min(pixels.shape[:2])
    size = (max(1, width // COARSE), max(1, height // COARSE))
    coarse = shrunk_to(whole[: size[1] * COARSE, : size[0] * COARSE], size).astype(np.float32)
    soft = _blurred(coarse, blur / COARSE)
    if not plain:
        # What is far is blurred four times as much: the ground loses itself.
        outwards = _outwards(size, margins, 0.5, 0.0, shorter)
        small = (max(1, size[0] // 4), max(1, size[1] // 4))
        wide = _blurred(cv2.resize(soft, small, interpolation=cv2.INTER_AREA), blur / COARSE)
        soft = _mixed(soft, cv2.resize(wide, size, interpolation=cv2.INTER_CUBIC), outwards)
        soft *= (1 - (1 - DIM) * outwards)[..., None]
    fade = PLAIN_FADE_SHARE if plain else FADE_SHARE
    share = _outwards(size, margins, 0.0, fade, shorter)
    for edge in _bands(margins, whole.shape, round(fade * shorter) + COARSE):
        _lay(whole, soft, share, edge)
    whole[..., 3] = 255
    return whole


def _outwards(
    size: tuple[int, int], margins: Margins, far: float, near: float, shorter: int
) -> Floats:
    """Return 0 well inside the picture, 1 outside, on a coarse grid.

    It rises from ``near`` inside the picture's edge to ``far`` outside: shares of ``shorter``.
    """
    width, height = size

    def along(count: int, first: int, last: int) -> Floats:
        at = (np.arange(count, dtype=np.float32) + 0.5) * COARSE
        end = count * COARSE - last
        outside = np.full(count, -1e9, np.float32)
        if first:
            outside = np.maximum(outside, first - at)
        if last:
            outside = np.maximum(outside, at - end)
        t = np.clip((outside + near * shorter) / max((near + far) * shorter, 1.0), 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    across = along(width, margins.left, margins.right)
    down = along(height, margins.top, margins.bottom)
    return np.asarray(1 - (1 - down[:, None]) * (1 - across[None, :]), np.float32)


def _blurred(picture: NDArray[Any], sigma: float) -> Floats:
    soft = cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.6), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft, np.float32)


def _mixed(under: Floats, over: NDArray[Any], share: Floats) -> Floats:
    return np.asarray(under + (over - under) * share[..., None], np.float32)


def _bands(margins: Margins, shape: tuple[int, ...], inside: int) -> list[tuple[slice, slice]]:
    """Return the parts of a continued picture that are not just the picture."""
    height, width = shape[:2]
    rows = slice(margins.top, height - margins.bottom)
    bands = []
    if margins.top:
        bands.append((slice(0, min(margins.top + inside, height)), slice(0, width)))
    if margins.bottom:
        bands.append((slice(max(height - margins.bottom - inside, 0), height), slice(0, width)))
    if margins.left:
        bands.append((rows, slice(0, min(margins.left + inside, width))))
    if margins.right:
        bands.append((rows, slice(max(width - margins.right - inside, 0), width)))
    return bands


def _lay(whole: Pixels, soft: Floats, share: Floats, part: tuple[slice, slice]) -> None:
    """Mix what is soft into a part of the whole, from their coarse grids."""
    rows, columns = part
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if height <= 0 or width <= 0:
        return
    matrix = np.array(
        [
            [1 / COARSE, 0, (columns.start + 0.5) / COARSE - 0.5],
            [0, 1 / COARSE, (rows.start + 0.5) / COARSE - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grown, over = (
        cv2.warpAffine(each, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for each in (rounded(soft), share)
    )
    whole[part] = cv2.blendLinear(
        np.ascontiguousarray(whole[part]), grown, np.asarray(1 - over, np.float32), over
    )


__all__ = [
    "BLUR_SHARE",
    "COVER_SCALE_MAX",
    "PANORAMA_SEEN_MIN",
    "PLAIN_BLUR_SHARE",
    "Margins",
    "continued",
    "margins_above",
    "seen_width",
]
