"""What a finished film is, told by the file itself.

Every packet is read: count, times, keyframes, sizes.  Pictures are decoded only where they are
asked for, from the keyframe before; a whole decode would cost a fifth of the film's encoding and
find nothing more in packets that were copied from where the encoder put them.

Left out: what is right and what is wrong about it (``verdict``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from assembler.encode import open_packets, rows_of
from assembler.planes import Frame

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.stream import VideoStream

BOXES_MAX = 64
"""Top-level boxes of an MP4 that are looked at before it is called strange."""
HEADER_BYTES = 8
LARGE_HEADER_BYTES = 16


class ProbeError(Exception):
    """The file is no film that can be read or decoded; render it again."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture track; ``even`` if frame n is shown at n/fps exactly and for 1/fps.

    ``tags`` are primaries, transfer, matrix and range as H.273 and FFmpeg number them;
    ``keyframes`` are numbers of frames, ``sizes`` the bytes of each frame.
    """

    codec: str
    profile: str
    width: int
    height: int
    fps: Fraction
    frames: int
    even: bool
    keyframes: tuple[int, ...]
    sizes: tuple[int, ...]
    tags: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Track:
    """The sound track; ``gapless`` if each packet begins where the last one ended, from 0 on."""

    codec: str
    rate: int
    channels: int
    duration_s: Fraction
    gapless: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A film file; ``sound`` is None where it has none."""

    bytes: int
    index_in_front: bool
    picture: Picture
    sound: Track | None


def probe(path: Path) -> Probe:
    """Read all packets of a film; raises ``ProbeError``."""
    try:
        with open_packets(path, streams=2) as container:
            if not container.streams.video:
                raise ProbeError("the file has no picture")
            video = container.streams.video[0]
            audio = container.streams.audio[0] if container.streams.audio else None
            shown: list[tuple[Fraction, Fraction, bool, int]] = []
            heard: list[tuple[Fraction, Fraction]] = []
            for packet in container.demux():
                if packet.size == 0:
                    continue
                start = Fraction(packet.pts or 0) * packet.time_base
                length = Fraction(packet.duration or 0) * packet.time_base
                if packet.is_corrupt:
                    raise ProbeError(f"the packet at {float(start):.2f} s is corrupt")
                if packet.stream is video:
                    shown.append((start, length, packet.is_keyframe, packet.size))
                else:
                    heard.append((start, length))
            return Probe(
                bytes=path.stat().st_size,
                index_in_front=_index_in_front(path),
                picture=_picture(video, shown),
                sound=None if audio is None else _track(audio, heard),
            )
    except (av.FFmpegError, OSError) as error:
        raise ProbeError(f"the film cannot be read: {error}") from error


def pictures(path: Path, runs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Frame]]:
    """Decode runs of frames: each (keyframe, number of frames), in order and apart.

    Yields frame number and picture.  Raises ``ProbeError``.
    """
    wanted = {first + step for first, count in runs for step in range(count)}
    try:
        with open_packets(path, streams=2) as container:
            stream = container.streams.video[0]
            decoder = av.CodecContext.create(stream.codec_context.name, "r")
            decoder.extradata = stream.codec_context.extradata
            decoder.thread_count = 1
            yield from _decoded(container.demux(stream), decoder, wanted)
    except av.FFmpegError as error:
        raise ProbeError(f"the film cannot be decoded: {error}") from error


def _decoded(
    packets: Iterator[Packet[VideoStream]], decoder: Any, wanted: set[int]
) -> Iterator[tuple[int, Frame]]:
    """Feed the wanted packets alone; with neither B-frames nor threads each gives its frame."""
    for number, packet in enumerate(packet for packet in packets if packet.size):
        if number not in wanted:
            continue
        decoded = decoder.decode(packet)
        if len(decoded) != 1 or decoded[0].is_corrupt:
            raise ProbeError(f"frame {number} cannot be decoded")
        if decoded[0].format.name != "yuv420p":
            raise ProbeError(f"frame {number} is {decoded[0].format.name}, not yuv420p")
        yield number, Frame(*(rows_of(plane) for plane in decoded[0].planes))


def _picture(video: VideoStream, shown: Sequence[tuple[Fraction, Fraction, bool, int]]) -> Picture:
    """Describe the picture track by its header and its packets."""
    context = video.codec_context
    fps = video.average_rate or Fraction(0)
    return Picture(
        codec=context.name,
        profile=context.profile or "",
        width=video.width,
        height=video.height,
        fps=fps,
        frames=len(shown),
        even=bool(fps)
        and all(
            start == number / fps and length == 1 / fps
            for number, (start, length, *_) in enumerate(shown)
        ),
        keyframes=tuple(number for number, (_, _, key, _) in enumerate(shown) if key),
        sizes=tuple(size for *_, size in shown),
        tags=(
            int(context.color_primaries),
            int(context.color_trc),
            int(context.colorspace),
            int(context.color_range),
        ),
    )


def _track(audio: AudioStream, heard: Sequence[tuple[Fraction, Fraction]]) -> Track:
    """Describe the sound track by its header and its packets."""
    at = Fraction(0)
    gapless = True
    for start, length in heard:
        gapless = gapless and start == at
        at = start + length
    context = audio.codec_context
    return Track(context.name, context.rate or 0, context.channels, at, gapless and bool(heard))


def _index_in_front(path: Path) -> bool:
    """Whether ``moov`` lies before ``mdat``."""
    with path.open("rb") as file:
        for _ in range(BOXES_MAX):
            header = file.read(HEADER_BYTES)
            if len(header) < HEADER_BYTES:
                break
            size, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind in {b"moov", b"mdat"}:
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(file.read(LARGE_HEADER_BYTES - HEADER_BYTES), "big")
                file.seek(size - LARGE_HEADER_BYTES, 1)
            elif size < HEADER_BYTES:
                break
            else:
                file.seek(size - HEADER_BYTES, 1)
    return False


__all__ = ["Picture", "Probe", "ProbeError", "Track", "pictures", "probe"]
