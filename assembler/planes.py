"""Pictures as planes: the one pixel format that frames are drawn and encoded in.

Planar YUV 4:2:0, 8 bits, BT.709, limited range, chroma sited left (as H.264 is tagged).
Conversions from and to RGB happen once a source or for a look at a frame, in float; everything
that happens once a frame is integer work inside the rectangle of the patch that is laid over it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Floats = NDArray[np.float32]

_KR, _KB = 0.2126, 0.0722
_KG = 1.0 - _KR - _KB
RGB_TO_YUV = np.array(
    [
        [219 / 255 * _KR, 219 / 255 * _KG, 219 / 255 * _KB],
        [112 / 255 * -_KR / (1 - _KB), 112 / 255 * -_KG / (1 - _KB), 112 / 255],
        [112 / 255, 112 / 255 * -_KG / (1 - _KR), 112 / 255 * -_KB / (1 - _KR)],
    ],
    np.float32,
)
"""Full-range RGB codes to limited-range Y′CbCr codes, the offsets (16, 128, 128) apart."""
YUV_TO_RGB = np.linalg.inv(RGB_TO_YUV.astype(np.float64)).astype(np.float32)

BLACK_Y, WHITE_Y, NEUTRAL = 16, 235, 128
RGBA_TO_YUV = np.hstack(
    [RGB_TO_YUV, np.array([[BLACK_Y], [NEUTRAL], [NEUTRAL]], np.float32) / 255]
).astype(np.float32)
"""Premultiplied RGBA codes to premultiplied Y′CbCr codes: the offsets come with the alpha."""

NEARLY = 0.75
"""From this share of a size on, shrinking by interpolation skips no pixel."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A finished frame: ``y`` is H×W, ``u`` and ``v`` H/2×W/2; all C-contiguous uint8.

    ``whole`` is the memory that they share (3·H/2×W), where they lie in it one after the other:
    an encoder can read such a frame without copying it.
    """

    y: Plane
    u: Plane
    v: Plane
    whole: Plane | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def empty(width: int, height: int) -> Frame:
        """Return a frame of even ``width``×``height`` px whose content is not defined."""
        assert width % 2 == 0
        assert height % 2 == 0
        whole = np.empty((height + height // 2, width), np.uint8)
        u, v = whole[height:].reshape(2, height // 2, width // 2)
        return Frame(whole[:height], u, v, whole)

    def copy(self) -> Frame:
        """Return a frame of the same content in memory of its own."""
        return Frame(self.y.copy(), self.u.copy(), self.v.copy())


@dataclass(frozen=True, slots=True)
class Patch:
    """A picture to lay over a frame at even coordinates ``x, y`` (it may reach over the edges).

    ``luma`` and ``alpha`` are h×w (h and w even, maybe 0), ``u``, ``v`` and ``alpha_uv``
    h/2×w/2.  Colours are multiplied by alpha, offsets included: ``luma`` is ``Y·alpha/255`` with
    Y in 16..235, so a transparent pixel is 0 in every plane.
    """

    x: int
    y: int
    luma: Plane
    alpha: Plane
    u: Plane
    v: Plane
    alpha_uv: Plane

    @property
    def width(self) -> int:
        """Width in luma pixels."""
        return int(self.luma.shape[1])

    @property
    def height(self) -> int:
        """Height in luma pixels."""
        return int(self.luma.shape[0])


def yuv_floats(rgb: NDArray[np.generic], alpha: Floats | None = None) -> tuple[Floats, ...]:
    """Return full-size Y, U and V (h×w float32, not rounded) of an h×w×3 or ×4 picture.

    With ``alpha`` (h×w, 0..255) the colours are taken as premultiplied and so are the results,
    offsets included.
    """
    colours = np.ascontiguousarray(rgb[..., :3], dtype=np.float32)
    mixed = cv2.transform(colours, RGB_TO_YUV)
    share = np.float32(1.0) if alpha is None else alpha * np.float32(1 / 255)
    offsets = (BLACK_Y, NEUTRAL, NEUTRAL)
    return tuple(
        np.asarray(mixed[..., index] + np.float32(offset) * share, np.float32)
        for index, offset in enumerate(offsets)
    )


def rounded(values: NDArray[np.floating[Any]]) -> Plane:
    """Round to the nearest code value, held to 0..255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def shrunk_to(picture: Plane, size: tuple[int, int]) -> Plane:
    """Return a picture or a plane at a smaller size (width, height), averaged by area.

    By exact halves as far as they go, which take a tenth of the time; what is left of nearly the
    size is interpolated, which there is as good as the mean.
    """
    while (
        picture.shape[1] % 2 == picture.shape[0] % 2 == 0
        and picture.shape[1] >= 2 * size[0]
        and picture.shape[0] >= 2 * size[1]
    ):
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    near = NEARLY * picture.shape[1] <= size[0] and NEARLY * picture.shape[0] <= size[1]
    way = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def halved_left(plane: Floats) -> Floats:
    """Return a plane (h×w, both even) at half size, sited left: 1-2-1 on even columns."""
    rows = plane[0::2] + plane[1::2]
    even, odd = rows[:, 0::2], rows[:, 1::2]
    before = np.concatenate([even[:, :1], odd[:, :-1]], axis=1)
    halved: Floats = (even * 2 + odd + before) * np.float32(1 / 8)
    return halved


def halved_centre(plane: Floats) -> Floats:
    """Return a plane (h×w, both even) at half size, sited in the centre: the mean of 2×2."""
    rows = plane[0::2] + plane[1::2]
    halved: Floats = (rows[:, 0::2] + rows[:, 1::2]) * np.float32(1 / 4)
    return halved


def frame_from_rgb(rgb: NDArray[np.generic]) -> Frame:
    """Convert an h×w×3 (or ×4, alpha ignored) RGB picture, 0..255, of even size."""
    y, u, v = yuv_floats(rgb)
    return Frame(rounded(y), rounded(halved_left(u)), rounded(halved_left(v)))


def frame_to_rgb(frame: Frame) -> Plane:
    """Convert a frame to H×W×3 RGB, chroma interpolated from where it is sited."""
    height, width = frame.y.shape
    shift = np.array([[0.5, 0, 0], [0, 0.5, -0.25]], np.float32)
    mixed = np.empty((height, width, 3), np.float32)
    mixed[..., 0] = frame.y.astype(np.float32) - BLACK_Y
    for index, plane in ((1, frame.u), (2, frame.v)):
        mixed[..., index] = cv2.warpAffine(
            plane.astype(np.float32) - NEUTRAL,
            shift,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return rounded(np.asarray(cv2.transform(mixed, YUV_TO_RGB), np.float32))


def patch_from_rgba(rgba: Plane, x: int, y: int) -> Patch:
    """Convert a premultiplied h×w×4 RGBA picture that lies with its corner at ``x, y``.

    Size and position may be odd, the position negative: the picture is padded with transparent
    pixels to even ones, and its wholly transparent margins are cut away.
    """
    ink = _ink(rgba[..., 3])
    if ink[0] == ink[1]:
        return _nothing(x, y)
    x, y, whole = _evenly(rgba, ink, x, y)
    alpha = np.ascontiguousarray(whole[..., 3])
    luma, u, v = yuv_floats(whole, alpha)
    return Patch(
        x=x,
        y=y,
        luma=rounded(luma),
        alpha=rounded(alpha),
        u=rounded(halved_left(u)),
        v=rounded(halved_left(v)),
        alpha_uv=rounded(halved_left(alpha)),
    )


def patch_of_colour(alpha: Plane, rgb: Floats, x: int, y: int) -> Patch:
    """Return a patch of one colour (3 codes, 0..255) that is as opaque as ``alpha`` (h×w) says.

    Its corner lies at ``x, y``, as ``patch_from_rgba`` has it.
    """
    ink = _ink(alpha)
    if ink[0] == ink[1]:
        return _nothing(x, y)
    x, y, whole = _evenly(alpha, ink, x, y)
    opaque, opaque_uv = rounded(whole), rounded(halved_left(whole))
    luma, u, v = (float(value[0, 0]) for value in yuv_floats(rgb.reshape(1, 1, 3)))
    shares = np.arange(256, dtype=np.float32) / 255

    def tinted(shape: Plane, value: float) -> Plane:
        return np.asarray(cv2.LUT(shape, rounded(shares * value)), np.uint8)

    return Patch(
        x=x,
        y=y,
        luma=tinted(opaque, luma),
        alpha=opaque,
        u=tinted(opaque_uv, u),
        v=tinted(opaque_uv, v),
        alpha_uv=opaque_uv,
    )


def _evenly(
    picture: Plane, ink: tuple[int, int, int, int], x: int, y: int
) -> tuple[int, int, Floats]:
    """Return the part of a picture that has ink at an even place and of even size, and where."""
    top, bottom, left, right = ink
    picture = picture[top:bottom, left:right]
    x, y = x + left, y + top
    even_x, even_y = x & ~1, y & ~1
    # One column more on the right of an even width: the chroma filter reaches one to the left,
    # so the ink of the last odd column also tints the chroma sample after it.
    pad_x, pad_y = x - even_x, y - even_y
    height = (pad_y + picture.shape[0] + 1) & ~1
    width = (pad_x + picture.shape[1] + 2) & ~1
    whole = np.zeros((height, width, *picture.shape[2:]), np.float32)
    whole[pad_y : pad_y + picture.shape[0], pad_x : pad_x + picture.shape[1]] = picture
    return even_x, even_y, whole


def _nothing(x: int, y: int) -> Patch:
    """Return a patch without any pixel."""
    empty = np.zeros((0, 0), np.uint8)
    return Patch(x & ~1, y & ~1, empty, empty, empty, empty, empty)


def _ink(alpha: Plane) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right (ends open) of what is not transparent; 0s if none."""
    rows = np.flatnonzero(alpha.any(axis=1))
    if rows.size == 0:
        return 0, 0, 0, 0
    columns = np.flatnonzero(alpha.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def blend_patch(frame: Frame, patch: Patch, opacity: float = 1.0) -> None:
    """Lay a patch over a frame in place; ``opacity`` 0..1 fades it; what lies outside is cut."""
    height, width = frame.y.shape
    left, top = max(patch.x, 0), max(patch.y, 0)
    right, bottom = min(patch.x + patch.width, width), min(patch.y + patch.height, height)
    if left >= right or top >= bottom or opacity <= 0:
        return
    full = (slice(top, bottom), slice(left, right))
    half = (slice(top // 2, bottom // 2), slice(left // 2, right // 2))
    from_full = _moved(full, patch.y, patch.x)
    from_half = _moved(half, patch.y // 2, patch.x // 2)
    blend_plane(frame.y[full], patch.luma[from_full], patch.alpha[from_full], opacity)
    keep = _kept(patch.alpha_uv[from_half], opacity)
    _lay(frame.u[half], patch.u[from_half], keep, opacity)
    _lay(frame.v[half], patch.v[from_half], keep, opacity)


def rows(patch: Patch, top: int, bottom: int) -> Patch:
    """Return the part of a patch between two even rows of the frame (maybe nothing of it)."""
    first = min(max(top - patch.y, 0), patch.height)
    last = max(min(bottom - patch.y, patch.height), first)
    full, half = slice(first, last), slice(first // 2, last // 2)
    return Patch(
        x=patch.x,
        y=patch.y + first,
        luma=patch.luma[full],
        alpha=patch.alpha[full],
        u=patch.u[half],
        v=patch.v[half],
        alpha_uv=patch.alpha_uv[half],
    )


def blend_plane(under: Plane, over: Plane, alpha: Plane, opacity: float = 1.0) -> None:
    """Lay a premultiplied plane over another of the same shape, in place."""
    _lay(under, over, _kept(alpha, opacity), opacity)


def _moved(area: tuple[slice, slice], y: int, x: int) -> tuple[slice, slice]:
    rows, columns = area
    return (
        slice(rows.start - y, rows.stop - y),
        slice(columns.start - x, columns.stop - x),
    )


def _kept(alpha: Plane, opacity: float) -> Plane:
    """Return the share of what lies below, 0..255."""
    if opacity < 1:
        alpha = np.asarray(cv2.convertScaleAbs(alpha, alpha=opacity), np.uint8)
    return np.asarray(cv2.bitwise_not(alpha), np.uint8)


def _lay(under: Plane, over: Plane, keep: Plane, opacity: float) -> None:
    if opacity < 1:
        over = np.asarray(cv2.convertScaleAbs(over, alpha=opacity), np.uint8)
    dimmed = cv2.multiply(under, keep, scale=1 / 255)
    cv2.add(dimmed, over, dst=under)


def crop(frame: Frame, x: int, y: int, width: int, height: int) -> Frame:
    """Return a view of a rectangle at even coordinates inside the frame."""
    full = (slice(y, y + height), slice(x, x + width))
    half = (slice(y // 2, (y + height) // 2), slice(x // 2, (x + width) // 2))
    return Frame(frame.y[full], frame.u[half], frame.v[half])


__all__ = [
    "BLACK_Y",
    "NEUTRAL",
    "RGBA_TO_YUV",
    "WHITE_Y",
    "Floats",
    "Frame",
    "Patch",
    "Plane",
    "blend_patch",
    "blend_plane",
    "crop",
    "frame_from_rgb",
    "frame_to_rgb",
    "halved_centre",
    "halved_left",
    "patch_from_rgba",
    "patch_of_colour",
    "rounded",
    "rows",
    "shrunk_to",
    "yuv_floats",
]
