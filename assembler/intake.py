"""Taking in a generated clip: is it a clip at all, does it fit, what was it worth?

Every picture that the film will show is decoded once, here, in the worker: what comes through can
be drawn by any process afterwards.  What is kept is the picture track alone, its packets as they
came: no sound, and none of the metadata that services write into their files (a ComfyUI server
the whole prompt).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray

from assembler.clips import UNSPECIFIED, ClipError, aspect_of, opened, pictures
from events.spec import Struct, Warned

if TYPE_CHECKING:
    from av.video.stream import VideoStream

EDGE_PX_MIN, EDGE_PX_MAX = 64, 8192
"""Outside of this an answer is no picture that was meant for a film."""
GROWN_MAX = 3.0
"""A picture that is enlarged more than this is told."""
SEEN_SHARE_MIN = 0.7
"""A picture of which less than this share is seen, because its shape is another one, is told."""
LENGTH_SHARE_MIN = 0.5
"""A clip that is shorter than this share of what was asked is no answer to it."""
SAMPLE_S = Fraction(1, 5)
APART = 5
"""A picture that stands still is told by samples a second apart."""
BLOCK_PX = 16
BLACK_MEAN_MAX, BLACK_SPREAD_MAX = 6.0, 4.0
"""Full-range codes: a dark picture with something in it is not black."""
FROZEN_DIFFERENCE_MAX = 1.5
FROZEN_SHARE = 0.99
"""A picture stands still if so many of its blocks differ by less than this, each on average: the
coding's noise is gone in a block, and a wisp of steam still fills some."""
THROUGHOUT = 0.95
STRETCH_S = 1.0
TAGGING = {"h264": "h264_metadata", "hevc": "hevc_metadata"}
"""By codec, what can write tags into packets without coding them anew."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a clip is to be: the film's size (pixels), rate and frames; ``moving`` if it should.

    ``untagged_matrix`` is the matrix of its colours, as H.273 numbers it, if the file does not
    tell (0: what players take it for).
    """

    width: int
    height: int
    fps: int
    frames: int
    moving: bool = True
    untagged_matrix: int = 0


class Taken(Struct, frozen=True, kw_only=True):
    """A clip that was taken in."""

    media_type: str
    warnings: tuple[Warned, ...] = ()


class Unfit(Exception):
    """The clip cannot be used; ``again`` if the same service may do better at once."""

    def __init__(self, why: str, *, again: bool) -> None:
        """Keep why, in words with figures."""
        super().__init__(why)
        self.again = again


@dataclass(slots=True)
class _Looks:
    """What was seen of a clip: the last picture's end, size, and coarse samples of its luma."""

    seconds: Fraction = Fraction(0)
    width: int = 0
    height: int = 0
    samples: list[NDArray[np.float32]] = field(default_factory=list)


def take_in(path: Path, out: Path, wanted: Wanted) -> Taken:
    """Judge the clip ``path`` and write its picture track to ``out``.  Raises ``Unfit``."""
    try:
        looks = _look(path, wanted)
        shape = aspect_of(path)
    except (ClipError, av.FFmpegError, OSError, ValueError) as error:
        raise Unfit(str(error), again=True) from error
    _judge(looks, wanted)
    return Taken(
        media_type=_stripped(path, out, wanted.untagged_matrix),
        warnings=(
            *_length(looks, wanted),
            *_size(looks, shape, wanted),
            *_stretches(looks, moving=wanted.moving),
        ),
    )


def _look(path: Path, wanted: Wanted) -> _Looks:
    looks = _Looks()
    needed = Fraction(wanted.frames, wanted.fps)
    due = Fraction(0)
    before = Fraction(0)
    for at, picture in pictures(path):
        if looks.seconds and at <= before:
            raise ClipError("the pictures of the clip are not in order of their times")
        if not looks.width:
            # Told before anything of it is converted.
            looks.width, looks.height = picture.width, picture.height
            if picture.rotation % 180:
                looks.width, looks.height = picture.height, picture.width
            _check_size(looks)
        length = at - before or Fraction(1, wanted.fps)
        looks.seconds, before = at + length, at
        if at >= due:
            grey = picture.reformat(format="gray", dst_color_range=2, threads=1).to_ndarray()
            looks.samples.append(_coarse(grey))
            due += SAMPLE_S
        if at >= needed:
            break
    if not looks.width:
        raise ClipError("the clip has no picture")
    return looks


def _coarse(grey: NDArray[Any]) -> NDArray[np.float32]:
    """The mean of each block."""
    height, width = grey.shape
    size = (max(4, width // BLOCK_PX), max(4, height // BLOCK_PX))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _check_size(looks: _Looks) -> None:
    edges = (looks.width, looks.height)
    if min(edges) < EDGE_PX_MIN or max(edges) > EDGE_PX_MAX:
        limits = f"{EDGE_PX_MIN} to {EDGE_PX_MAX}"
        raise Unfit(f"the clip is {edges[0]}×{edges[1]} px; edges of {limits} fit", again=False)


def _judge(looks: _Looks, wanted: Wanted) -> None:
    needed = wanted.frames / wanted.fps
    if looks.seconds < LENGTH_SHARE_MIN * needed:
        raise Unfit(
            f"the clip is {float(looks.seconds):.2f} s long; {needed:.2f} s were asked", again=True
        )
    if _share(_black(looks)) >= THROUGHOUT:
        raise Unfit("the clip is black throughout", again=False)
    if wanted.moving and (still := _still(looks)) and _share(still) >= THROUGHOUT:
        raise Unfit("the picture of the clip stands still throughout", again=False)


def _black(looks: _Looks) -> list[bool]:
    return [
        float(luma.mean()) <= BLACK_MEAN_MAX and float(luma.std()) <= BLACK_SPREAD_MAX
        for luma in looks.samples
    ]


def _still(looks: _Looks) -> list[bool]:
    """For each sample but the last ones whether the one a second later is the same."""
    samples = looks.samples
    apart = max(1, min(APART, len(samples) - 1))
    return [
        float(np.quantile(np.abs(later - earlier), FROZEN_SHARE)) <= FROZEN_DIFFERENCE_MAX
        for earlier, later in zip(samples, samples[apart:], strict=False)
    ]


def _share(told: list[bool]) -> float:
    return sum(told) / len(told) if told else 0.0


def _length(looks: _Looks, wanted: Wanted) -> tuple[Warned, ...]:
    missing = wanted.frames - int(looks.seconds * wanted.fps + Fraction(1, 2))
    if missing <= 0:
        return ()
    message = f"a generated clip ended {missing} frames early: its last picture is held"
    return (Warned(code="clip_held", message=message),)


def _size(looks: _Looks, shape: Fraction, wanted: Wanted) -> tuple[Warned, ...]:
    wide, high = looks.width * float(shape), float(looks.height)
    grown = max(wanted.width / wide, wanted.height / high)
    seen = wanted.width * wanted.height / (grown * wide * grown * high)
    told: list[Warned] = []
    if grown > GROWN_MAX:
        message = f"a generated clip of {looks.width}×{looks.height} px was enlarged {grown:.1f}×"
        told.append(Warned(code="clip_enlarged", message=message))
    if seen < SEEN_SHARE_MIN:
        message = (
            f"a generated clip of {looks.width}×{looks.height} px has another shape than the "
            f"film: {round(100 * (1 - seen))} % of it is cut off"
        )
        told.append(Warned(code="clip_cropped", message=message))
    return tuple(told)


def _stretches(looks: _Looks, *, moving: bool) -> tuple[Warned, ...]:
    told: list[Warned] = []
    if (black := _longest(_black(looks)) * SAMPLE_S) >= STRETCH_S:
        message = f"a generated clip is black for {float(black):.1f} s"
        told.append(Warned(code="clip_black", message=message))
    still = _longest(_still(looks)) * SAMPLE_S
    if moving and still >= STRETCH_S:
        message = f"the picture of a generated clip stands still for {float(still) + 1:.1f} s"
        told.append(Warned(code="clip_frozen", message=message))
    return tuple(told)


def _longest(told: list[bool]) -> int:
    """The longest run of what is true."""
    longest = run = 0
    for each in told:
        run = run + 1 if each else 0
        longest = max(longest, run)
    return longest


def _stripped(path: Path, out: Path, matrix: int) -> str:
    """Copy the picture track's packets; the media type of what was written."""
    why = ""
    for kind, media_type in (("mp4", "video/mp4"), ("matroska", "video/x-matroska")):
        try:
            _copy_track(path, out, kind, matrix)
        except (av.FFmpegError, ValueError) as error:
            why = str(error)
            continue
        return media_type
    raise Unfit(f"the clip cannot be copied: {why}", again=True)


def _copy_track(path: Path, out: Path, kind: str, matrix: int) -> None:
    options = {"fflags": "+bitexact", "movflags": "+faststart"} if kind == "mp4" else {}
    order = _decoding_times(path)
    with opened(path) as source, av.open(str(out), "w", kind, options=options) as target:
        given = source.streams.video[0]
        track = target.add_stream_from_template(given, opaque=True)
        track.metadata.clear()
        tagging = _tagging(given, track, matrix)
        packets = (packet for packet in source.demux(given) if packet.size)
        for packet, at in zip(packets, order, strict=True):
            packet.dts = at
            for each in tagging.filter(packet) if tagging else (packet,):
                each.stream = track
                target.mux(each)


def _tagging(given: VideoStream, track: VideoStream, matrix: int) -> BitStreamFilterContext | None:
    """What writes the matrix into a track that does not say it; None where there is no need."""
    name = TAGGING.get(given.codec_context.name)
    if not matrix or name is None or given.codec_context.colorspace != UNSPECIFIED:
        return None
    return BitStreamFilterContext(f"{name}=matrix_coefficients={matrix}", given, track)


def _decoding_times(path: Path) -> list[int]:
    """When each packet is to be decoded, in the track's units.

    Matroska does not say; then it is as late as the order of showing allows.
    """
    with opened(path) as source:
        packets = [
            (packet.pts, packet.dts)
            for packet in source.demux(source.streams.video[0])
            if packet.size
        ]
    told = [dts for _, dts in packets if dts is not None]
    if len(told) == len(packets):
        return told
    shown = [pts for pts, _ in packets if pts is not None]
    if len(shown) != len(packets):
        raise ValueError("its pictures have no times")
    row = sorted(shown)
    late = max((at - pts for at, pts in zip(row, shown, strict=True)), default=0)
    return [at - late for at in row]


__all__ = ["Taken", "Unfit", "Wanted", "take_in"]
