"""Generated clips as picture layers: conformed to the film's size, rate and colours.

A clip comes as an engine made it, in any size, rate and colour.  It fills the frame (cropped,
never stretched), starts where its segment is first seen, and goes on at its own speed: at a frame
of the film that lies between two of its pictures both are mixed.  A clip that ends too early holds
its last picture.

Pictures are decoded in order from the first one on, whatever frame is asked for: what a decoder
gives after a seek depends on how the clip was encoded.  So frame n is the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from assembler import hdr
from assembler.encode import BT709, rows_of
from assembler.planes import Frame, Plane

if TYPE_CHECKING:
    from av.container import InputContainer

FULL_RANGE = 2
UNSPECIFIED = 2
SD_WIDTH_MAX, SD_HEIGHT_MAX = 1279, 576
"""Untagged pictures up to this size are taken for BT.601, larger ones for BT.709: players do."""
SNAP = Fraction(1, 20)
"""Nearer than this to a picture (in pictures) the film shows it alone: clips round their times."""
EXACTLY = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
"""The same on every processor."""
ROOM_PX = 4
"""What is kept around the visible part of a picture while it is scaled."""


FORMATS = "mov,matroska,avi"
"""MP4 and WebM are of the first two."""


class ClipError(RuntimeError):
    """A clip cannot be read or decoded; have it made again."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture fills a frame: a part of it, scaled, then cut (luma pixels, all even).

    ``x0, y0, x1, y1`` is the part, ``width`` and ``height`` its size when scaled, ``left`` and
    ``top`` where the frame begins in that.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    width: int
    height: int
    left: int
    top: int


def fitted(width: int, height: int, aspect: Fraction, into: tuple[int, int]) -> Fit:
    """How a picture of ``width``×``height`` pixels of that shape fills a frame ``into``."""
    wide, high = width & ~1, height & ~1
    scale = max(Fraction(into[0]) / (wide * aspect), Fraction(into[1], high))
    x0, x1, scaled_x, left = _along(wide, scale * aspect, into[0])
    y0, y1, scaled_y, top = _along(high, scale, into[1])
    return Fit(x0, y0, x1, y1, scaled_x, scaled_y, left, top)


def _along(length: int, scale: Fraction, into: int) -> tuple[int, int, int, int]:
    """First and last pixel, scaled length and first visible pixel along one edge."""
    start = (length - into / scale) / 2
    first = max(0, int(start) - ROOM_PX) & ~1
    last = min(length, -int(-(length - start)) + ROOM_PX + 1) & ~1
    scaled = max(into, 2 * round((last - first) * scale / 2))
    left = min(2 * round((start - first) * scale / 2), scaled - into)
    return first, last, scaled, max(0, left)


def opened(path: Path) -> InputContainer:
    """Open a clip; raises ``av.FFmpegError`` or OSError.

    Only as one of the formats that clips come in: a playlist in a clip's clothes would have the
    library open other files, or connections.
    """
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    return av.open(str(path), container_options=options)


def pictures(path: Path) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Decode a clip: each picture with its time in seconds, from 0 on.  Raises ``ClipError``."""
    try:
        with opened(path) as container:
            if not container.streams.video:
                raise ClipError("the clip has no picture")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            first: Fraction | None = None
            for count, picture in enumerate(container.decode(stream)):
                if picture.is_corrupt:
                    raise ClipError(f"picture {count} of the clip is corrupt")
                if picture.pts is None or picture.time_base is None:
                    raise ClipError(f"picture {count} of the clip has no time")
                at = picture.pts * picture.time_base
                first = at if first is None else first
                yield at - first, picture
    except (av.FFmpegError, OSError) as error:
        raise ClipError(f"the clip cannot be decoded: {error}") from error


def aspect_of(path: Path) -> Fraction:
    """The shape of a clip's pixels: 1 if they are square or it does not say.

    Raises ``ClipError``.
    """
    try:
        with opened(path) as container:
            told = container.streams.video[0].sample_aspect_ratio
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ClipError(f"the clip cannot be read: {error}") from error
    return Fraction(told) if told else Fraction(1)


class Conformer:
    """Makes frames of a film's size and colours of a clip's pictures."""

    def __init__(self, aspect: Fraction, width: int, height: int) -> None:
        """Take the shape of the clip's pixels and the film's size."""
        self._aspect, self._size = aspect, (width, height)
        self._reformatter = VideoReformatter()

    def frame(self, picture: av.VideoFrame) -> Frame:
        """Return a picture as a frame of the film."""
        planes = self._planes(picture)
        turns, rest = divmod(picture.rotation, 90)
        aspect = self._aspect
        if rest == 0 and turns % 4:
            # In H.264 and MP4 a turn is a wish to the player, against the clock.
            planes = tuple(np.rot90(plane, turns) for plane in planes)
            aspect = 1 / aspect if turns % 2 else aspect
        high, wide = planes[0].shape
        fit = fitted(wide, high, aspect, self._size)
        y, u, v = planes
        return Frame(
            _scaled(y, fit, self._size, 1),
            _scaled(u, fit, self._size, 2),
            _scaled(v, fit, self._size, 2),
        )

    def _planes(self, picture: av.VideoFrame) -> tuple[Plane, ...]:
        """Y, U and V as the film has them, in the picture's own size."""
        if hdr.is_wide(picture):
            frame = hdr.to_sdr(picture, self._reformatter)
            return frame.y, frame.u, frame.v
        full = picture.color_range == FULL_RANGE or picture.format.name.startswith("yuvj")
        matrix = _matrix(picture)
        if picture.format.name != "yuv420p" or full or matrix != BT709:
            rgb = picture.format.is_rgb
            picture = self._reformatter.reformat(
                picture,
                format="yuv420p",
                src_colorspace=None if rgb else Colorspace(matrix),
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG if full or rgb else ColorRange.MPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=EXACTLY,
                threads=1,
            )
        return tuple(rows_of(plane) for plane in picture.planes)


class ClipLayer:
    """A clip that fills the frame."""

    def __init__(self, path: Path, start: int, fps: int, width: int, height: int) -> None:
        """Show ``path`` from film frame ``start`` on.  Nothing is opened before it is drawn."""
        self._path, self._start, self._fps = path, start, fps
        self._size = (width, height)
        self._conformer: Conformer | None = None
        self._coming: Iterator[tuple[Fraction, av.VideoFrame]] = iter(())
        self._shown: _Taken | None = None
        self._next: _Taken | None = None

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame`` with film frame ``n``; raises ``ClipError``."""
        at = Fraction(max(0, n - self._start), self._fps)
        if self._shown is None or at < self._shown.at:
            self._rewind()
        while self._next is not None and self._next.at <= at:
            self._shown, self._next = self._next, self._taken()
        assert self._shown is not None
        share = Fraction(0)
        if self._next is not None:
            share = (at - self._shown.at) / (self._next.at - self._shown.at)
        if self._next is None or share < SNAP:
            _copy(self._conformed(self._shown), frame)
        elif share > 1 - SNAP:
            _copy(self._conformed(self._next), frame)
        else:
            _mix(self._conformed(self._shown), self._conformed(self._next), float(share), frame)

    def _rewind(self) -> None:
        if self._conformer is None:
            self._conformer = Conformer(aspect_of(self._path), *self._size)
        self._coming = pictures(self._path)
        self._shown = self._taken()
        if self._shown is None:
            raise ClipError("the clip has no picture")
        self._next = self._taken()

    def _taken(self) -> _Taken | None:
        found = next(self._coming, None)
        return None if found is None else _Taken(*found)

    def _conformed(self, taken: _Taken) -> Frame:
        assert self._conformer is not None
        if taken.frame is None:
            taken.frame = self._conformer.frame(taken.picture)
        return taken.frame


@dataclass(slots=True)
class _Taken:
    """A decoded picture, and its frame once one was asked for."""

    at: Fraction
    picture: av.VideoFrame
    frame: Frame | None = None


def _matrix(picture: av.VideoFrame) -> int:
    """The matrix of a picture's colours, as FFmpeg's scaler numbers them."""
    told = int(picture.colorspace)
    if told in {4, 7}:
        return told
    if told in {5, 6}:
        return int(Colorspace.ITU601)
    small = picture.width <= SD_WIDTH_MAX and picture.height <= SD_HEIGHT_MAX
    return int(Colorspace.ITU601) if told != BT709 and small else BT709


def _scaled(plane: Plane, fit: Fit, into: tuple[int, int], share: int) -> Plane:
    """A plane as ``fit`` has it; ``share`` 2 for planes of half size."""
    part = plane[fit.y0 // share : fit.y1 // share, fit.x0 // share : fit.x1 // share]
    size = (fit.width // share, fit.height // share)
    if part.shape != (size[1], size[0]):
        smaller = size[0] < part.shape[1] or size[1] < part.shape[0]
        way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        part = cv2.resize(part, size, interpolation=way).astype(np.uint8, copy=False)
    left, top = fit.left // share, fit.top // share
    return part[top : top + into[1] // share, left : left + into[0] // share]


def _copy(made: Frame, frame: Frame) -> None:
    np.copyto(frame.y, made.y)
    np.copyto(frame.u, made.u)
    np.copyto(frame.v, made.v)


def _mix(one: Frame, other: Frame, share: float, frame: Frame) -> None:
    for a, b, into in zip(_planes_of(one), _planes_of(other), _planes_of(frame), strict=True):
        into[:] = cv2.addWeighted(a, 1 - share, b, share, 0)


def _planes_of(frame: Frame) -> tuple[Plane, Plane, Plane]:
    return frame.y, frame.u, frame.v


__all__ = [
    "ClipError",
    "ClipLayer",
    "Conformer",
    "Fit",
    "aspect_of",
    "fitted",
    "opened",
    "pictures",
]
