"""Pictures prepared for motion: a window of them is drawn at any sub-pixel place and size.

A *level* is a crisp picture, stored denser than it is shown, mostly 1.7 to 2.5 times: sampling it
linearly keeps its sharpness even while it moves, and an axis-parallel window is cut out by a
resize, which costs less than a warp.  The place of the window is met within a fraction of a level
pixel by choosing how many columns and rows to draw before it and throw away.
A *wash* is a soft picture, stored small with 16 bits and dithered as it is drawn: no banding.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from assembler.planes import (
    BLACK_Y,
    NEUTRAL,
    RGB_TO_YUV,
    RGBA_TO_YUV,
    WHITE_Y,
    Floats,
    Frame,
    Patch,
    Plane,
    shrunk_to,
    yuv_floats,
)

Plane16 = NDArray[np.uint16]

STEPS = ((1.765, 1.935), (1.69, 1.935), (2.07, 2.49))
"""Level pixels per shown pixel between which some leading column begins near any part of a level
pixel: within 0.075 of a shown one.  Near 5/3, 2 and 5/2 all of them begin at the same few parts,
and what moves trembles; near 7/4 so little that only what hardly moves shows it.  The first that
holds all widths is taken, else the last."""
DETAIL = 1.33
"""Pixels per shown pixel of the picture that a level is grown from: detail that the screen cannot
show is averaged away in it, and growing it is what makes sampling smooth."""
LEAD_PX_MAX = 12
"""Most columns (rows) that are drawn before the window and thrown away."""
OPAQUE_TO_YUV = np.hstack([RGB_TO_YUV, np.array([[BLACK_Y], [NEUTRAL], [NEUTRAL]], np.float32)])
KEPT_MAX = 1.18
"""How much more detail than wanted is kept rather than averaged away: what is a little larger
loses, made smaller, here more of it and there less."""
HALVED_MIN = 0.8
"""The least width of a halved picture, in shares of the chroma's level that is grown from it."""
STRIP_ROWS = 64
"""Of a picture that is converted; even."""
WASH_STEP = 4
WHOLE, PART = cv2.INTER_LINEAR_EXACT, cv2.INTER_LINEAR
"""OpenCV's two ways to sample linearly, at most one code apart: the first takes a tenth less time
for an opaque level, which fills frames and does not stay in the processor's cache, the second for
one with alpha, of which less is shown."""


@dataclass(frozen=True, slots=True)
class Window:
    """What of a picture is shown: its corner and width in that picture's pixels.

    The height follows from the shape of what it is drawn into.
    """

    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Level:
    """A picture or a part of it, from ``x, y`` on, ``scale`` (across, down) times as dense.

    Chroma and its alpha are half as dense, sited in the centre.  ``alpha`` and ``alpha_uv`` are
    None for a picture without; with it, colours are premultiplied.  All planes are padded to the
    left and the top by ``pad`` (chroma by half of it), which ``x, y`` do not count.
    """

    x: float
    y: float
    scale: tuple[float, float]
    pad: int
    luma: Plane
    u: Plane
    v: Plane
    alpha: Plane | None = None
    alpha_uv: Plane | None = None

    @property
    def nbytes(self) -> int:
        """Memory of all planes in bytes."""
        planes = (self.luma, self.u, self.v, self.alpha, self.alpha_uv)
        return sum(plane.nbytes for plane in planes if plane is not None)


def level_for(
    rgba: Plane, x: float, y: float, closest: float, spread: float, *, alpha: bool
) -> Level:
    """Make a level for windows that move over an h×w×4 part of a picture at ``x, y``.

    ``closest`` is how many pixels are shown per pixel of the part in the smallest window,
    ``spread`` how many times as wide the widest one is.
    """
    fitting = (low for low, high in STEPS if low * spread <= high)
    density = next(fitting, STEPS[-1][0])
    return make_level(rgba, x, y, density * closest, alpha=alpha, base=DETAIL / density)


def make_level(
    rgba: Plane, x: float, y: float, scale: float, *, alpha: bool, base: float
) -> Level:
    """Make a level from an h×w×4 (premultiplied if ``alpha``) part of a picture at ``x, y``.

    ``scale`` is the wanted density in level pixels per pixel of the part; ``base`` that of the
    picture that it is grown from, in shares of it: finer detail is averaged away first.
    """
    height, width = rgba.shape[:2]
    half = (max(1, round(width * scale / 2)), max(1, round(height * scale / 2)))
    full = (half[0] * 2, half[1] * 2)
    size = (max(1, round(full[0] * base)), max(1, round(full[1] * base)))
    pad = 2 * math.ceil(LEAD_PX_MAX * STEPS[-1][0] * 0.75)
    planes = _premultiplied(rgba, half) if alpha else _opaque(rgba, half)
    luma = _grown(_limited(planes[0], size), full, pad, alpha=alpha)
    u, v = (
        _grown(plane if base == 1.0 else _calmed(plane), half, pad // 2, alpha=alpha)
        for plane in planes[1:3]
    )
    exact = (full[0] / width, full[1] / height)
    if not alpha:
        return Level(x, y, exact, pad, luma, u, v)
    cut = _grown(_limited(np.ascontiguousarray(rgba[..., 3]), size), full, pad, alpha=True)
    cut_uv = _grown(planes[3] if base == 1.0 else _calmed(planes[3]), half, pad // 2, alpha=True)
    # Interpolation overshoots: a luma may not leave the limits that its alpha allows.
    lightest = cv2.convertScaleAbs(cut, alpha=WHITE_Y / 255)
    darkest = cv2.convertScaleAbs(cut, alpha=BLACK_Y / 255)
    held = np.asarray(cv2.max(cv2.min(luma, lightest), darkest), np.uint8)
    return Level(x, y, exact, pad, held, u, v, cut, cut_uv)


def _opaque(rgba: Plane, half: tuple[int, int]) -> list[Plane]:
    """Return luma, and U and V about as large as ``half``, of a picture without alpha.

    Some rows at a time: they stay in the processor's cache, and what is between takes no memory.
    """
    height, width = rgba.shape[:2]
    # An exact half costs a tenth of another share, and growing it little.
    halved = width % 2 == 0 and height % 2 == 0 and width // 2 >= HALVED_MIN * half[0]
    share = 2 if halved else 1
    luma = np.empty((height, width), np.uint8)
    u, v = np.empty((2, height // share, width // share), np.uint8)
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top, min(top + STRIP_ROWS, height))
        coarse_rows = slice(rows.start // share, rows.stop // share)
        # Three channels into three are ten times as quick as four into one.
        yuv = cv2.transform(cv2.cvtColor(rgba[rows], cv2.COLOR_RGBA2RGB), OPAQUE_TO_YUV)
        cv2.extractChannel(yuv, 0, dst=luma[rows])
        if halved:
            yuv = shrunk_to(np.asarray(yuv, np.uint8), (width // 2, yuv.shape[0] // 2))
        cv2.extractChannel(yuv, 1, dst=u[coarse_rows])
        cv2.extractChannel(yuv, 2, dst=v[coarse_rows])
    return [luma, u, v]


def _premultiplied(rgba: Plane, half: tuple[int, int]) -> list[Plane]:
    """Return luma, and U, V and their alpha as large as ``half``, of a premultiplied picture."""
    coarse = _limited(rgba, half)
    matrices = [RGBA_TO_YUV[index : index + 1] for index in range(3)]
    return [
        *(
            np.asarray(cv2.transform(each, matrix), np.uint8)
            for each, matrix in zip((rgba, coarse, coarse), matrices, strict=True)
        ),
        np.asarray(cv2.extractChannel(coarse, 3), np.uint8),
    ]


def _calmed(plane: Plane) -> Plane:
    """Return a plane without the detail that chroma, at half the size, would show as steps."""
    return np.asarray(
        cv2.GaussianBlur(plane, (3, 3), 0, borderType=cv2.BORDER_REPLICATE), np.uint8
    )


def _limited(picture: Plane, size: tuple[int, int]) -> Plane:
    """Return a picture or plane with little more detail than one of ``size`` has."""
    return picture if picture.shape[1] <= KEPT_MAX * size[0] else shrunk_to(picture, size)


def _grown(plane: Plane, size: tuple[int, int], pad: int, *, alpha: bool) -> Plane:
    """Return a plane at ``size`` (width, height) with ``pad`` more pixels on each side.

    These are transparent with ``alpha``, else as the nearest ones of the plane.
    """
    width, height = size
    padded = np.empty((height + 2 * pad, width + 2 * pad), np.uint8)
    middle = padded[pad : pad + height, pad : pad + width]
    if (plane.shape[1], plane.shape[0]) != size and plane.shape[1] <= width:
        cv2.resize(plane, size, dst=middle, interpolation=cv2.INTER_CUBIC)
    else:
        np.copyto(middle, shrunk_to(plane, size))
    padded[pad : pad + height, :pad] = 0 if alpha else middle[:, :1]
    padded[pad : pad + height, pad + width :] = 0 if alpha else middle[:, -1:]
    padded[:pad] = 0 if alpha else padded[pad]
    padded[pad + height :] = 0 if alpha else padded[pad + height - 1]
    return padded


def draw_level(level: Level, window: Window, frame: Frame) -> None:
    """Fill a frame with a window of an opaque level."""
    planes = (level.luma, level.u, level.v)
    for index, (plane, out) in enumerate(zip(planes, (frame.y, frame.u, frame.v), strict=True)):
        _cut(level, plane, window, frame.y.shape[1], out, halved=index > 0)


def level_patch(level: Level, window: Window, area: tuple[int, int, int, int]) -> Patch:
    """Return a window of a level with alpha as a patch over ``area`` (x, y, width, height; even).

    The window may reach over the level's padding by less than it: there it is transparent.
    """
    x, y, width, height = area
    assert level.alpha is not None
    assert level.alpha_uv is not None
    planes = (level.luma, level.alpha, level.u, level.v, level.alpha_uv)
    outs = []
    for index, plane in enumerate(planes):
        halved = index > 1
        shape = (height // 2, width // 2) if halved else (height, width)
        out = np.empty(shape, np.uint8)
        _cut(level, plane, window, width, out, halved=halved)
        outs.append(out)
    return Patch(x, y, *outs)


def _cut(
    level: Level, plane: Plane, window: Window, width: int, out: Plane, *, halved: bool
) -> None:
    """Sample one plane; ``width`` is the window's in luma pixels of what is drawn."""
    step_x, step_y = (window.width * scale / width for scale in level.scale)
    at_x, at_y = (window.x - level.x) * level.scale[0], (window.y - level.y) * level.scale[1]
    pad = level.pad
    assert at_x + pad >= 0, "the window reaches too far out of the picture"
    assert at_y + pad >= 0, "the window reaches too far out of the picture"
    if halved:
        # A chroma sample is sited on its even luma column: a quarter of a sample to the left.
        at_x, at_y, pad = at_x / 2 - 0.25 * step_x, at_y / 2, pad // 2
    lead_x, from_x = _lead(at_x + pad, step_x)
    lead_y, from_y = _lead(at_y + pad, step_y)
    rows, columns = out.shape[0] + lead_y, out.shape[1] + lead_x
    to_x = min(from_x + round(columns * step_x), plane.shape[1])
    to_y = min(from_y + round(rows * step_y), plane.shape[0])
    part = plane[from_y:to_y, from_x:to_x]
    how = WHOLE if level.alpha is None else PART
    drawn = cv2.resize(part, None, fx=1 / step_x, fy=1 / step_y, interpolation=how)
    short_y, short_x = max(0, rows - drawn.shape[0]), max(0, columns - drawn.shape[1])
    if short_y or short_x:
        drawn = cv2.copyMakeBorder(drawn, 0, short_y, 0, short_x, cv2.BORDER_REPLICATE)
    np.copyto(out, drawn[lead_y:rows, lead_x:columns])


def _lead(at: float, step: float) -> tuple[int, int]:
    """Return how many pixels to draw first, and from which whole one, to begin nearest ``at``."""
    best = (1.0, 0, max(0, round(at)))
    for lead in range(LEAD_PX_MAX + 1):
        begin = at - lead * step
        whole = round(begin)
        if whole < 0:
            break
        best = min(best, (abs(begin - whole), lead, whole))
    return best[1], best[2]


@dataclass(frozen=True, slots=True)
class Wash:
    """A soft opaque picture: 16-bit planes of one size (code value × 256), chroma included."""

    luma: Plane16
    u: Plane16
    v: Plane16

    @property
    def nbytes(self) -> int:
        """Memory of all planes in bytes."""
        return self.luma.nbytes + self.u.nbytes + self.v.nbytes


def make_wash(rgb: Floats) -> Wash:
    """Make a wash from an h×w×3 float RGB picture (0..255, not rounded)."""
    luma, u, v = (
        np.clip(np.rint(plane * 256), 0, 65023).astype(np.uint16) for plane in yuv_floats(rgb)
    )
    return Wash(luma, u, v)


def ordered(height: int, width: int) -> Plane16:
    """Return an ordered dither (Bayer, 8×8): h×w values that are spread evenly over 0..255.

    Noise would do the same for the eye, and cost the encoder twice the bits.
    """
    tile = np.zeros((1, 1), np.uint16)
    for _ in range(3):
        tile = np.block([[4 * tile, 4 * tile + 2], [4 * tile + 3, 4 * tile + 1]])
    tile = tile * 4 + 2
    across, down = -(-width // 8), -(-height // 8)
    return np.ascontiguousarray(np.tile(tile, (down, across))[:height, :width], np.uint16)


@functools.lru_cache(maxsize=2)
def _below(height: int, width: int) -> tuple[Plane16, Plane16]:
    """Return what frames of a size are dithered with: luma, and either chroma plane."""
    # Turned upside down: chroma does not step where luma does.
    halved = np.ascontiguousarray(ordered(height // 2, width // 2)[::-1])
    return ordered(height, width), halved


class Dither:
    """What is added below one code value, the same in every frame, and the room to add it in."""

    def __init__(self, width: int, height: int) -> None:
        """Prepare for frames of ``width``×``height`` px; what takes time waits for the first."""
        self._room = np.empty((height, width), np.uint16)
        self._room_uv = np.empty((height // 2, width // 2), np.uint16)

    def draw(self, wash: Wash, window: Window, frame: Frame) -> None:
        """Fill a frame, or the upper part of one, with a window of a wash."""
        height, width = frame.y.shape
        deep = window.width * height / width
        below, below_uv = _below(*self._room.shape)
        self._plane(wash.luma, window, deep, (self._room, below), frame.y)
        self._plane(wash.u, window, deep, (self._room_uv, below_uv), frame.u)
        self._plane(wash.v, window, deep, (self._room_uv, below_uv), frame.v)

    def _plane(
        self,
        plane: Plane16,
        window: Window,
        deep: float,
        buffers: tuple[Plane16, Plane16],
        out: Plane,
    ) -> None:
        rows, columns = out.shape
        room, below = (each[:rows] for each in buffers)
        step_x, step_y = window.width / columns, deep / rows
        matrix = np.array(
            [
                [step_x, 0, window.x + step_x / 2 - 0.5],
                [0, step_y, window.y + step_y / 2 - 0.5],
            ]
        )
        # Warped at a quarter of the size, which a soft picture does not show, then grown.
        matrix[:, 2] += (WASH_STEP - 1) / 2 * np.array([step_x, step_y])
        matrix[:, :2] *= WASH_STEP
        small = cv2.warpAffine(
            plane,
            matrix,
            (columns // WASH_STEP, rows // WASH_STEP),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        cv2.resize(small, (columns, rows), dst=room, interpolation=cv2.INTER_LINEAR)
        cv2.add(room, below, dst=room)
        np.right_shift(room, 8, out=out, casting="unsafe")


__all__ = [
    "Dither",
    "Level",
    "Wash",
    "Window",
    "draw_level",
    "level_for",
    "level_patch",
    "make_level",
    "make_wash",
    "ordered",
]
