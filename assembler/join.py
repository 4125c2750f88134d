"""Pieces and sound become one MP4 by copying packets: nothing is encoded a second time.

All pieces of a film carry the same parameter sets, begin with an IDR and have no B-frames, so a
packet's time is the number of its frame.  A piece for which that does not hold (another build, a
foreign tool) is decoded and encoded again with the film's profile, and the report names it.

The sound begins at its first packet: its priming was left out when it was encoded (``sound``),
so that it is in time also for a player that ignores edit lists.  Its last packet is cut short to
end with the picture.  The index (``moov``) lies in front, and no time of day gets into the file.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from assembler.encode import (
    EncodeError,
    encode_piece,
    fingerprint_here,
    open_output,
    open_packets,
    rows_of,
)
from assembler.planes import Frame
from events.spec import EncoderProfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.audio.stream import AudioStream
    from av.packet import Packet as AnyPacket
    from av.video.frame import VideoFrame

    Packet = AnyPacket[Any]

NAL_SEQUENCE_PARAMETERS = 7
NAL_PICTURE_PARAMETERS = 8
MOVIE_TIMESCALE = 48_000
"""Ticks a second of the movie header: divisible by the usual frame rates and sample rates."""


class JoinError(RuntimeError):
    """A part does not fit the film; ``piece`` is its index in the row, or None for the sound.

    What to do next: render that piece again.
    """

    def __init__(self, detail: str, piece: int | None = None) -> None:
        """Keep what is wrong with which part."""
        super().__init__(detail)
        self.piece = piece


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What was joined; ``audio_samples`` is the length of the sound track.

    ``encoded_again`` are indices of pieces that did not fit the others: worth a warning.
    """

    frames: int
    audio_samples: int
    encoded_again: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a piece is, as told by its packets: ``copyable`` if they are in order and self-made."""

    fingerprint: str
    frames: int
    copyable: bool


def join(
    pieces: Sequence[Path],
    counts: Sequence[int],
    soundtrack: Path,
    out: Path,
    *,
    profile: EncoderProfile,
    fps: int,
    width: int,
    height: int,
) -> JoinReport:
    """Join ``pieces`` of ``counts`` frames each, and the sound, into the MP4 file ``out``.

    The same parts make the same bytes.  Raises ``JoinError``.
    """
    surveys = [_survey(path, index) for index, path in enumerate(pieces)]
    for index, (survey, count) in enumerate(zip(surveys, counts, strict=True)):
        if survey.frames != count:
            raise JoinError(f"has {survey.frames} frames where {count} are planned", index)
    size = width, height, fps
    misfits = _misfits(surveys, profile, size)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".join-") as scratch:
        row = list(pieces)
        for index in misfits:
            row[index] = Path(scratch) / f"{index}.mp4"
            _encode_again(
                pieces[index],
                row[index],
                index=index,
                count=counts[index],
                profile=profile,
                size=size,
            )
        samples = _copy(row, soundtrack, out, Fraction(sum(counts), fps), fps)
    return JoinReport(sum(counts), samples, tuple(misfits))


def _survey(path: Path, index: int) -> Survey:
    """Read all packets of a piece without decoding any."""
    frames = 0
    copyable = True
    last: int | None = None
    try:
        with open_packets(path) as container:
            stream = container.streams.video[0]
            extradata = stream.codec_context.extradata or b""
            copyable = stream.codec_context.name == "h264" and extradata[:1] == b"\x01"
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                frames += 1
                ordered = packet.pts == packet.dts and (last is None or (packet.pts or 0) > last)
                copyable = copyable and ordered and (frames > 1 or packet.is_keyframe)
                if copyable and packet.is_keyframe:
                    copyable = _same_parameters(bytes(packet), extradata)
                last = packet.pts
            return Survey(hashlib.sha256(extradata).hexdigest(), frames, copyable)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise JoinError(f"cannot be read: {error}", index) from error


def _same_parameters(packet: bytes, extradata: bytes) -> bool:
    """Whether each parameter set inside a length-prefixed packet is one of avcC's."""
    size = (extradata[4] & 3) + 1
    at = 0
    while at + size < len(packet):
        length = int.from_bytes(packet[at : at + size], "big")
        unit = packet[at + size : at + size + length]
        kind = unit[0] & 0x1F if unit else 0
        if kind in {NAL_SEQUENCE_PARAMETERS, NAL_PICTURE_PARAMETERS} and unit not in extradata:
            return False
        at += size + length
    return True


def _misfits(
    surveys: Sequence[Survey], profile: EncoderProfile, size: tuple[int, int, int]
) -> list[int]:
    """Tell which pieces must be encoded again so that all parameter sets are equal."""
    prints = {survey.fingerprint for survey in surveys}
    if len(prints) == 1 and all(survey.copyable for survey in surveys):
        return []
    width, height, fps = size
    ours = fingerprint_here(profile, fps=fps, width=width, height=height)
    return [
        index
        for index, survey in enumerate(surveys)
        if survey.fingerprint != ours or not survey.copyable
    ]


def _encode_again(
    source: Path,
    path: Path,
    *,
    index: int,
    count: int,
    profile: EncoderProfile,
    size: tuple[int, int, int],
) -> None:
    """Decode a piece and encode it with the film's profile, at the film's size."""
    width, height, fps = size
    try:
        with av.open(str(source)) as container:
            encode_piece(
                (planes_of(picture, width, height) for picture in container.decode(video=0)),
                count,
                path,
                profile,
                fps=fps,
                width=width,
                height=height,
            )
    except (av.FFmpegError, EncodeError) as error:
        raise JoinError(f"cannot be encoded again: {error}", index) from error


def planes_of(picture: VideoFrame, width: int, height: int) -> Frame:
    """Copy a decoded picture of any size and pixel format into a frame's planes."""
    if (picture.format.name, picture.width, picture.height) != ("yuv420p", width, height):
        picture = picture.reformat(width, height, "yuv420p")
    return Frame(*(np.ascontiguousarray(rows_of(plane)) for plane in picture.planes))


def _copy(
    pieces: Sequence[Path], soundtrack: Path, out: Path, length_s: Fraction, fps: int
) -> int:
    """Copy all packets in the order of their times; return the sound's length in samples."""
    try:
        with (
            open_packets(pieces[0]) as first,
            open_packets(soundtrack) as sound,
            open_output(
                str(out), movflags="+faststart", movie_timescale=str(MOVIE_TIMESCALE)
            ) as film,
        ):
            heard = sound.streams.audio[0]
            video = film.add_stream_from_template(first.streams.video[0])
            audio = film.add_stream_from_template(heard)
            # The header alone, which is read of the first piece, does not lend it to the copy.
            video.codec_context.sample_aspect_ratio = Fraction(1)
            video.time_base = Fraction(1, fps)
            audio.time_base = Fraction(1, heard.rate)
            samples = round(length_s * heard.rate)
            tones = _audio_packets(heard, sound.demux(heard), samples)
            tone = next(tones, None)
            for packet in _video_packets(pieces, fps):
                now = (packet.pts or 0) * heard.rate
                while tone is not None and (tone.pts or 0) * fps <= now:
                    tone.stream = audio
                    film.mux_one(tone)
                    tone = next(tones, None)
                packet.stream = video
                film.mux_one(packet)
            while tone is not None:
                tone.stream = audio
                film.mux_one(tone)
                tone = next(tones, None)
    except (av.FFmpegError, IndexError) as error:
        raise JoinError(f"cannot be joined: {error}") from error
    return samples


def _video_packets(pieces: Sequence[Path], fps: int) -> Iterator[Packet]:
    """All packets of the row of pieces; a packet's time is the number of its frame."""
    number = 0
    time_base = Fraction(1, fps)
    for path in pieces:
        with open_packets(path) as container:
            for packet in container.demux(video=0):
                if packet.size == 0:
                    continue
                packet.pts = packet.dts = number
                packet.duration = 1
                packet.time_base = time_base
                number += 1
                yield packet


def _audio_packets(
    stream: AudioStream, packets: Iterator[Packet], samples: int
) -> Iterator[Packet]:
    """Take the sound's packets up to ``samples``; the last one lasts only as long as is left."""
    at = 0
    time_base = Fraction(1, stream.rate)
    step_samples = (stream.time_base or time_base) * stream.rate
    for packet in packets:
        if packet.size == 0 or at >= samples:
            continue
        step = round((packet.duration or 0) * step_samples)
        packet.pts = packet.dts = at
        packet.duration = min(step, samples - at)
        packet.time_base = time_base
        at += step
        yield packet
    if at < samples:
        raise JoinError(f"the sound ends at sample {at} of {samples}")


__all__ = ["JoinError", "JoinReport", "Survey", "join", "planes_of"]
