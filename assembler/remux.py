"""A clip of somebody else's making: read whole, and written again without a word about it.

Packets are copied, so nothing of the picture changes.  Tags are left behind: a generator writes
the prompt and all of its settings into the file, and what is uploaded later should not tell them.

Left out: whether the clip is what was asked for; whoever asked knows that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from assembler.clips import opened
from assembler.encode import open_output

TAG_CHARS_MAX = 2_000_000
"""Longer tags are cut: nobody reads them, and they travel between processes."""


class ClipError(Exception):
    """The file is no clip that can be read whole: it has to be made again."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What a clip is: pixels, frames that could be decoded, frames a second, and its tags."""

    width: int
    height: int
    frames: int
    fps: Fraction
    tags: dict[str, str]


def remux(source: Path, out: Path, report: Callable[[int], None]) -> ClipFacts:
    """Decode every frame of a clip's picture and copy its packets to the MP4 ``out``.

    Sound is left behind, too.  ``report`` is told how many frames are decoded so far.  Raises
    ``ClipError``.
    """
    try:
        with opened(source) as given, open_output(out, movflags="faststart") as made:
            if not given.streams.video:
                raise ClipError("the file has no picture")
            stream = given.streams.video[0]
            copy = made.add_stream_from_template(stream)
            frames = 0
            for packet in given.demux(stream):
                if packet.is_corrupt:
                    raise ClipError(f"it is broken after {frames} frames")
                pictures = packet.decode()
                if any(picture.is_corrupt for picture in pictures):
                    raise ClipError(f"it is broken after {frames} frames")
                frames += len(pictures)
                report(frames)
                if packet.size:
                    packet.stream = copy
                    made.mux(packet)
            facts = ClipFacts(
                width=stream.width,
                height=stream.height,
                frames=frames,
                fps=stream.average_rate or Fraction(0),
                tags={key: text[:TAG_CHARS_MAX] for key, text in given.metadata.items()},
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ClipError(f"it cannot be read: {error}") from error
    if facts.frames == 0:
        raise ClipError("the file has no picture that can be decoded")
    return facts


__all__ = ["ClipError", "ClipFacts", "remux"]
