"""One encoder for all pieces of a film, so that they can be joined by copying packets.

Each piece is encoded by itself, from its first frame on (an IDR), with closed GOPs and without
B-frames, hence with dts = pts and nothing to renumber.  ``stitchable`` keeps the parameter sets
free of what differs between pieces.  One thread an encoder: parallelism comes from the pieces,
and the bytes do not depend on the number of cores.

Left out: what is drawn (``film``), and how pieces become a file (``join``).
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, cast

import av
import msgspec
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.frame import PictureType

from assembler.planes import Frame, Plane
from events.spec import EncoderProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from av.container import InputContainer, OutputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream

KEYFRAME_S_MAX = 2
"""Players seek to keyframes: there is one at least every two seconds."""
CRF_STEP = 4
"""How much lower the crf is for each further ask for quality."""
CRF_MIN = 1
WRAPPED_ROWS = 4
"""PyAV takes memory for a picture whose height is a multiple of this; of others it cuts rows."""
BT709 = 1
"""Primaries, transfer and matrix of BT.709 in H.273 (and FFmpeg's enumerations)."""
LIMITED_RANGE = 1

VBV_RATE = 0.75
VBV_BUFFER = 0.85
"""What the encoder may use, as shares of the film's highest bit rate: steadily, and in a buffer
that is large enough for a detailed first frame; other pictures do not feel it."""
PICTURE_SHARE = 0.97
LOAN_S = 0.2
"""The whole picture's share of that rate; the rest is the sound's.  Each piece has a buffer that
makes its own sum right, however short it is: so is, therefore, the film's.  A transition has a
first frame like any piece and no time to make up for it: each body lends one this much."""
BUFFER_BEGUN = 0.9
"""How full x264 takes a buffer to be at first.  A large one that is half empty would do for the
sum, too, but x264 saves at the first frames then, which is where a product is looked at."""

X264_PARAMS = "bframes=0:open-gop=0:stitchable=1:aq-strength=0.7"
"""Adaptive quantisation at full strength spends an overlay's bits on the dither of its soft
ground; with none of it that dither is lost and the ground shows bands."""

QUICK_PARAMS = {"superfast": ":analyse=none:deblock=-6,-6"}
"""By preset.  Small blocks predicted from their own surroundings are not looked for between
keyframes: that takes 3 to 10 % of superfast's time, and shows in less than 0.1 of VMAF.  Blocks'
edges are smoothed only where blocks are coarse, above a quantiser of 27 (15 less the offset of
2 × -6, H.264 8.7.2.2): below, it takes away detail and 5 % of the time for a photograph, whose
VMAF is 0.1 higher without."""

MIXED_PARAMS = "ipratio=1:"
"""A keyframe is made better than others because they are made from it; not so where all are."""
QUICK_MIXED_PARAMS = {"superfast": "subme=0:"}
"""By preset.  Nothing is looked for between the pixels of a keyframe if all are; to be ready for
it is a twentieth of the work, and superfast writes the same pictures without."""

HEADER_ALONE = {"probesize": "32", "analyzeduration": "1"}
"""Bytes and microseconds that FFmpeg may read of a file to guess what its header leaves out; 0
would be its own choice, five seconds."""
SOFTWARE = "libx264"
NVENC_PARAMS = "rc=vbr:b=0:bf=0:forced-idr=1:strict_gop=1:no-scenecut=1"
"""Constant quality with a cap, closed GOPs without B-frames, an IDR at each piece's start."""
STAND_IN_PRESET, STAND_IN_CRF = "superfast", 21
"""x264's setting where a film's own encoder does not work on a machine."""


class EncodeError(RuntimeError):
    """A piece could not be encoded; the frames given do not fit the plan, or the encoder broke."""


@dataclass(frozen=True, slots=True)
class PieceInfo:
    """What was encoded; ``fingerprint`` is the sha256 of the file's avcC in hex."""

    frames: int
    fingerprint: str


@functools.lru_cache(maxsize=16)
def default_profile(
    *,
    codec: str = "libx264",
    preset: str = "superfast",
    crf: int = 20,
    bitrate_max_kbps: int = 12_000,
    fps: int = 30,
    width: int = 1080,
    height: int = 1920,
    more: str = "",
) -> EncoderProfile:
    """Build the profile of a film, with library and fingerprint.

    ``more`` holds the encoder's options besides ours, as ``key=value:key=value``; they win.
    One grey frame is encoded at the real size to learn both (about 30 ms, once a process).
    Raises EncodeError for a setting that the encoder does not take, and for an encoder that does
    not work here.
    """
    rate, buffer = round(VBV_RATE * bitrate_max_kbps), round(VBV_BUFFER * bitrate_max_kbps)
    keyint = KEYFRAME_S_MAX * fps
    params = (
        f"{X264_PARAMS}:keyint={keyint}:vbv-maxrate={rate}:vbv-bufsize={buffer}"
        f"{QUICK_PARAMS.get(preset, '')}"
        if codec == SOFTWARE
        else f"{NVENC_PARAMS}:g={keyint}:maxrate={rate}k:bufsize={buffer}k"
    ) + (f":{more}" if more else "")
    profile = EncoderProfile(
        codec=codec, preset=preset, crf=crf, params=params, bitrate_max_kbps=bitrate_max_kbps
    )
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said:
            library, fingerprint = _identify(profile, (width, height, fps))
    except (av.FFmpegError, UnknownCodecError) as error:
        # What the encoder says of itself tells more than the error that it leads to.
        told = "; ".join(message.strip() for _, _, message in said) or str(error)
        if isinstance(error, UnknownCodecError):
            told = "FFmpeg's libraries were built without it"
        why = "does not take its setting" if codec == SOFTWARE else "does not work here"
        raise EncodeError(f"{codec} {why}: {told}") from error
    finally:
        av.logging.set_level(level)
    return msgspec.structs.replace(profile, library=library, fingerprint=fingerprint)


def stand_in(profile: EncoderProfile, *, fps: int, width: int, height: int) -> EncoderProfile:
    """Return the libx264 profile that stands in for ``profile`` where that does not work.

    A profile of libx264 is its own.
    """
    if profile.codec == SOFTWARE:
        return profile
    return default_profile(
        preset=STAND_IN_PRESET,
        crf=STAND_IN_CRF,
        bitrate_max_kbps=profile.bitrate_max_kbps,
        fps=fps,
        width=width,
        height=height,
    )


def fingerprint_here(profile: EncoderProfile, *, fps: int, width: int, height: int) -> str:
    """Fingerprint that ``profile`` makes in this process, whatever build made the plan."""
    return _identify(profile, (width, height, fps))[1]


def encode_piece(
    frames: Iterable[Frame],
    count: int,
    path: Path,
    profile: EncoderProfile,
    *,
    fps: int,
    width: int,
    height: int,
    quality: int = 0,
    mixed: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> PieceInfo:
    """Encode exactly ``count`` frames of width by height into the MP4 file ``path``.

    ``quality`` lowers the crf by 4 for each step.  ``mixed`` codes each frame by itself, for
    frames that are each another mixture of two pictures: of those the last one tells little that
    helps with the next one.  All are as good as each other then, whatever they take: whether
    that is more than the piece's part of the rate (``room_bytes``) is for the caller to see.
    ``on_frame`` is told how many frames are done after each of them.
    The same frames make the same bytes.  Raises ``EncodeError``.
    """
    crf = max(CRF_MIN, profile.crf - CRF_STEP * quality)
    size = width, height, fps
    used = msgspec.structs.replace(profile, crf=crf)
    if profile.codec == SOFTWARE and mixed:
        # Before the profile's own, which may say otherwise and win.
        first = f"{MIXED_PARAMS}{QUICK_MIXED_PARAMS.get(profile.preset, '')}"
        used = msgspec.structs.replace(used, params=f"{first}{profile.params}")
    elif profile.codec == SOFTWARE and "vbv-bufsize" in profile.params:
        buffer = round(buffer_s(count, fps) * profile.bitrate_max_kbps)
        used = msgspec.structs.replace(used, params=f"{profile.params}:vbv-bufsize={buffer}")
    try:
        _encode(frames, count, str(path), used, size=size, keys=mixed, on_frame=on_frame)
        with open_packets(path) as container:
            fingerprint = fingerprint_of(container.streams.video[0])
    except (av.FFmpegError, UnknownCodecError) as error:
        raise EncodeError(f"the encoder {profile.codec} failed: {error}") from error
    return PieceInfo(count, fingerprint)


def buffer_s(count: int, fps: int) -> float:
    """Buffer of a piece of ``count`` frames, in seconds of the film's highest bit rate.

    With these no film has more bits than its profile allows, whatever it shows.
    """
    length_s = count / fps
    loan_s = LOAN_S if count < fps else -LOAN_S if count > fps else 0.0
    begun_s = (PICTURE_SHARE - VBV_RATE) * length_s + loan_s
    return min(max(begun_s, 0.05) / BUFFER_BEGUN, VBV_BUFFER)


def room_bytes(count: int, fps: int, profile: EncoderProfile) -> float:
    """What a piece of ``count`` frames may take at most, by its rate and its buffer."""
    most_s = VBV_RATE * count / fps + BUFFER_BEGUN * buffer_s(count, fps)
    return most_s * profile.bitrate_max_kbps * 1000 / 8


def first_bytes(path: Path) -> int:
    """The size of the first frame, a keyframe, of a piece.  Raises ``EncodeError``."""
    try:
        with open_packets(path) as container:
            return next(container.demux(video=0)).size
    except av.FFmpegError as error:
        raise EncodeError(str(error)) from error


def fingerprint_of(stream: VideoStream) -> str:
    """Sha256 of a demuxed stream's parameter sets (avcC), in hex."""
    return hashlib.sha256(stream.codec_context.extradata or b"").hexdigest()


def libraries() -> dict[str, str]:
    """Versions of FFmpeg's libraries that this process uses, by name."""
    return {
        name: ".".join(str(part) for part in version)
        for name, version in sorted(av.library_versions.items())
    }


def open_packets(source: Path | IO[bytes], streams: int = 1) -> InputContainer:
    """Open a film or a piece to read its packets.

    Our files say all of themselves in their header.  Without the options FFmpeg reads five
    seconds of each to learn no more (5 ms), and decodes a picture of it (30 ms).
    """
    options: Any = [{"skip_frame": "all"}] * streams
    return av.open(source, "r", options=HEADER_ALONE, stream_options=options)


def open_output(target: Any, **options: str) -> OutputContainer:
    """Open an MP4 (a path or a file object) for writing; no time and no version gets into it.

    ``options`` are those of FFmpeg's MP4 muxer.
    """
    container: OutputContainer = av.open(
        target, "w", format="mp4", options={"fflags": "+bitexact", **options}
    )
    return container


def _identify(profile: EncoderProfile, size: tuple[int, int, int]) -> tuple[str, str]:
    """Library and fingerprint of a profile at a size: by encoding one grey frame."""
    width, height, _fps = size
    luma = np.full((height, width), 128, np.uint8)
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    target = io.BytesIO()
    _encode([Frame(luma, chroma, chroma)], 1, target, profile, size=size)
    target.seek(0)
    with open_packets(target) as container:
        fingerprint = fingerprint_of(container.streams.video[0])
    return _library(target.getvalue()), fingerprint


def _encode(
    frames: Iterable[Frame],
    count: int,
    target: Any,  # a path or a file object, as PyAV has it
    profile: EncoderProfile,
    *,
    size: tuple[int, int, int],
    keys: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Encode and multiplex; ``size`` is width, height and frames a second.

    With ``keys`` each frame is a keyframe.
    """
    width, height, fps = size
    with open_output(target) as container:
        stream = cast("VideoStream", container.add_stream(profile.codec, rate=fps))
        _configure(stream.codec_context, profile, size)
        done = 0
        for frame in frames:
            if done == count:
                raise EncodeError(f"more than the planned {count} frames were given")
            picture = picture_of(frame, width, height)
            picture.color_range, picture.colorspace = LIMITED_RANGE, BT709
            picture.pict_type = PictureType.I if keys else PictureType.NONE
            picture.pts = done
            picture.time_base = stream.codec_context.time_base
            container.mux(stream.encode(picture))
            done += 1
            if on_frame is not None:
                on_frame(done)
        if done != count:
            raise EncodeError(f"{done} frames were given where {count} are planned")
        container.mux(stream.encode(None))


def _configure(
    context: VideoCodecContext, profile: EncoderProfile, size: tuple[int, int, int]
) -> None:
    """Set what the profile says and what every film has: High, 4:2:0, BT.709, square pixels."""
    context.width, context.height, fps = size
    context.pix_fmt = "yuv420p"
    context.framerate = Fraction(fps)
    context.time_base = Fraction(1, fps)
    context.sample_aspect_ratio = Fraction(1)
    context.color_primaries = BT709
    context.color_trc = BT709
    context.colorspace = BT709
    context.color_range = LIMITED_RANGE
    context.thread_count = 1
    context.max_b_frames = 0
    context.options = {"preset": profile.preset, "profile": "high"}
    if profile.codec == SOFTWARE:
        context.options |= {
            "crf": str(profile.crf),
            "forced-idr": "1",
            "x264-params": profile.params,
        }
    else:
        options = (option.partition("=") for option in profile.params.split(":"))
        context.options |= {name: value for name, _, value in options}
        context.options |= {"cq": str(profile.crf)}


def picture_of(frame: Frame, width: int, height: int) -> av.VideoFrame:
    """A frame of ``width``×``height`` px as FFmpeg has it: the same memory where that can be.

    Raises ``EncodeError`` for a frame of another size.
    """
    half = (height // 2, width // 2)
    for source, shape in ((frame.y, (height, width)), (frame.u, half), (frame.v, half)):
        if source.shape != shape:
            raise EncodeError(
                f"a plane of {source.shape[1]}x{source.shape[0]} was given "
                f"where the film has {shape[1]}x{shape[0]}"
            )
    if frame.whole is not None and height % WRAPPED_ROWS == 0:
        return av.VideoFrame.from_numpy_buffer(frame.whole, format="yuv420p")
    picture = av.VideoFrame(width, height, "yuv420p")
    for plane, source in zip(picture.planes, (frame.y, frame.u, frame.v), strict=True):
        rows_of(plane)[:] = source
    return picture


def rows_of(plane: VideoPlane) -> Plane:
    """The pixels (h×w, 8 bits) of one of FFmpeg's planes, without what lies between its rows.

    It is the plane's own memory, which can be written to where the plane can.
    """
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _library(encoded: bytes) -> str:
    """Name the build that encoded, as x264 tells it in its first packet."""
    found = re.search(rb"x264 - core (\d+)(?: r(\d+))?", encoded)
    build = f", x264 core {found[1].decode()}" if found else ""
    return f"libavcodec {libraries()['libavcodec']}{build}"


__all__ = [
    "SOFTWARE",
    "EncodeError",
    "PieceInfo",
    "default_profile",
    "encode_piece",
    "fingerprint_here",
    "fingerprint_of",
    "first_bytes",
    "libraries",
    "open_output",
    "open_packets",
    "picture_of",
    "room_bytes",
    "rows_of",
    "stand_in",
]
