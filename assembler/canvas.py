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
SIGMA_CELLS = 3.0
"""What is blurred by more cells is blurred smaller yet."""
FADE_SHARE = 0.11
BLUR_SHARE = 0.055
"""Of the width that is seen at once."""
DIM = 0.6
PLAIN_FADE_SHARE = PLAIN_BLUR_SHARE = 0.02
Part = tuple[slice, slice]
"""Rows and columns of a picture."""


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
    grid = _Grid.over(pixels.shape[1], pixels.shape[0], margins)
    soft = _blurred(grid.of(pixels, plain=plain), blur / COARSE)
    shorter = min(pixels.shape[:2])
    if not plain:
        # What is far is blurred four times as much: the ground loses itself.
        outwards = grid.outwards(0.5 * shorter, 0.0)
        soft = _mixed(soft, _blurred(soft, 4 * blur / COARSE), outwards)
        soft *= (1 - (1 - DIM) * outwards)[..., None]
    inside = (PLAIN_FADE_SHARE if plain else FADE_SHARE) * shorter
    share, ground = grid.outwards(0.0, inside), rounded(soft)
    whole = np.empty((grid.height, grid.width, 4), np.uint8)
    whole[grid.rows, grid.columns] = pixels
    for part in _frame(grid, 0):
        whole[part] = grid.grown(ground, part)
    for part in _frame(grid, round(inside) + COARSE):
        over = grid.grown(share, part)
        own = np.ascontiguousarray(whole[part])
        whole[part] = cv2.blendLinear(own, grid.grown(ground, part), 1 - over, over)
    whole[..., 3] = 255
    return whole


@dataclass(frozen=True, slots=True)
class _Grid:
    """A continued picture in coarse: cells of 8×8 px from the picture's own corner on.

    ``before`` and ``after`` are how many cells (across, down) lie outside of the picture's own.
    """

    width: int
    height: int
    rows: slice
    columns: slice
    before: tuple[int, int]
    own: tuple[int, int]
    after: tuple[int, int]

    @staticmethod
    def over(width: int, height: int, margins: Margins) -> _Grid:
        own = (max(1, width // COARSE), max(1, height // COARSE))
        rest = (width - own[0] * COARSE, height - own[1] * COARSE)
        return _Grid(
            width=margins.left + width + margins.right,
            height=margins.top + height + margins.bottom,
            rows=slice(margins.top, margins.top + height),
            columns=slice(margins.left, margins.left + width),
            before=(_cells(margins.left), _cells(margins.top)),
            own=own,
            after=(_cells(margins.right + rest[0]), _cells(margins.bottom + rest[1])),
        )

    def of(self, pixels: Pixels, *, plain: bool) -> Floats:
        """Return the means of the picture's cells, continued by themselves."""
        across, down = self.own
        means = shrunk_to(pixels[: down * COARSE, : across * COARSE], self.own)
        way = cv2.BORDER_REPLICATE if plain else cv2.BORDER_REFLECT
        around = (self.before[1], self.after[1], self.before[0], self.after[0])
        return np.asarray(cv2.copyMakeBorder(means, *around, way), np.float32)

    def outwards(self, far: float, near: float) -> Floats:
        """Return 0 well inside the picture, 1 outside.

        It rises from ``near`` px inside of the picture's edge to ``far`` px outside.
        """

        def along(axis: int, picture: slice, end: int) -> Floats:
            cells = np.arange(self.before[axis] + self.own[axis] + self.after[axis])
            at = picture.start + (cells - self.before[axis] + np.float32(0.5)) * COARSE
            outside = np.full(len(cells), -1e9, np.float32)
            if picture.start:
                outside = np.maximum(outside, picture.start - at)
            if picture.stop < end:
                outside = np.maximum(outside, at - picture.stop)
            t = np.clip((outside + near) / max(near + far, 1.0), 0, 1)
            return np.asarray(t * t * (3 - 2 * t), np.float32)

        across, down = along(0, self.columns, self.width), along(1, self.rows, self.height)
        return np.asarray(1 - (1 - down[:, None]) * (1 - across[None, :]), np.float32)

    def grown(self, coarse: NDArray[Any], part: Part) -> NDArray[Any]:
        """Return a part of the whole from the cells, interpolated."""
        begin = (
            self.columns.start - self.before[0] * COARSE,
            self.rows.start - self.before[1] * COARSE,
        )
        cut, inner = [], []
        for span, first in zip(part, reversed(begin), strict=True):
            cell = max(0, (span.start - first) // COARSE - 1)
            cut.append(slice(cell, (span.stop - first) // COARSE + 2))
            within = span.start - first - cell * COARSE
            inner.append(slice(within, within + span.stop - span.start))
        cells = coarse[cut[0], cut[1]]
        large = cv2.resize(cells, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_LINEAR)
        return large[inner[0], inner[1]]


def _cells(pixels: int) -> int:
    return -(-pixels // COARSE)


def _frame(grid: _Grid, inside: int) -> list[Part]:
    """Return what lies around the picture or, along the sides that go on, ``inside`` px in it."""
    top, bottom, left, right = (
        grid.rows.start,
        grid.rows.stop,
        grid.columns.start,
        grid.columns.stop,
    )
    if not inside:
        rows, columns = (0, top, bottom, grid.height), (0, left, right, grid.width)
    else:
        inner_top = min(top + inside, bottom) if top else top
        inner_bottom = max(bottom - inside, inner_top) if bottom < grid.height else bottom
        inner_left = min(left + inside, right) if left else left
        inner_right = max(right - inside, inner_left) if right < grid.width else right
        rows, columns = (
            (top, inner_top, inner_bottom, bottom),
            (left, inner_left, inner_right, right),
        )
    across, middle = slice(columns[0], columns[3]), slice(rows[1], rows[2])
    parts = [
        (slice(rows[0], rows[1]), across),
        (slice(rows[2], rows[3]), across),
        (middle, slice(columns[0], columns[1])),
        (middle, slice(columns[2], columns[3])),
    ]
    return [part for part in parts if all(span.start < span.stop for span in part)]


def _blurred(picture: Floats, sigma: float) -> Floats:
    """Blur; by much at a fraction of the size, where it costs little and looks the same."""
    height, width = picture.shape[:2]
    step = max(1.0, sigma / SIGMA_CELLS)
    size = (max(1, round(width / step)), max(1, round(height / step)))
    small = picture if step == 1.0 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(sigma / step, 0.6), borderType=cv2.BORDER_REPLICATE)
    if step > 1.0:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(soft, np.float32)


def _mixed(under: Floats, over: Floats, share: Floats) -> Floats:
    return np.asarray(under + (over - under) * share[..., None], np.float32)


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
