"""The film as whole frames: segments, transitions and the pieces that tile it.

Pure arithmetic: no picture, no clock, no file.  A film of ``frames`` frames is cut into segments;
a transition lies *across* each boundary, inside the film's length, so that no transition ever
makes a film shorter.  What lies between the transitions are the segments' bodies.  Bodies and
transitions, the *pieces*, cover each frame exactly once: each frame is drawn and encoded once.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from events.spec import RenderSpec, SegmentPlan, Warned

SEGMENT_S_MIN = 2
SEGMENT_S_MAX = 4
SEED_BITS = 31
"""Seeds fit a signed 32-bit integer, which is the least that any engine takes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of frames ``[start, start + frames)`` that is encoded by itself.

    ``index`` is the segment of a body; the transition ``index`` leads from segment ``index`` to
    segment ``index + 1``.
    """

    kind: Literal["body", "transition"]
    index: int
    start: int
    frames: int


def target_frames(target_s: float, fps: int) -> int:
    """Length of a film of ``target_s`` seconds in whole frames, at least 1."""
    return max(1, round(_exact(target_s) * fps))


def segment_frames(frames: int, fps: int, segment_s: float) -> tuple[int, ...]:
    """Lengths of the segments in frames: equal within one, each between 2 and 4 s long.

    ``segment_s`` is the wished length in seconds, held to those limits.  A film under 2 s is one
    segment.
    """
    assert frames > 0
    assert fps > 0
    fewest = math.ceil(Fraction(frames, SEGMENT_S_MAX * fps))
    most = max(1, frames // (SEGMENT_S_MIN * fps))
    wished = round(Fraction(frames) / (_exact(segment_s) * fps))
    count = min(max(wished, fewest), most)
    edges = [index * frames // count for index in range(count + 1)]
    return tuple(end - start for start, end in pairwise(edges))


def transition_frames(duration_ms: float, fps: int, shortest: int) -> tuple[int, Warned | None]:
    """Length of a transition in frames, and a warning where it had to be shortened.

    Halves are rounded down (150 ms at 30 fps are 4 frames).  At least one frame; at most a third
    of the ``shortest`` segment.  A cut has no length and never comes here.
    """
    asked = max(1, math.ceil(_exact(duration_ms) * fps / 1000 - Fraction(1, 2)))
    most = max(1, shortest // 3)
    if asked <= most:
        return asked, None
    return most, Warned(
        code="transition_shortened",
        message=(
            f"a transition of {duration_ms:g} ms ({asked} frames) is longer than a third of the "
            f"shortest segment ({shortest} frames): shortened to {most} frames"
        ),
    )


def segment_plans(  # noqa: PLR0917  (a film's six degrees of freedom)
    frames: int, fps: int, segment_s: float, transition_frames: int, seed: int, assets: int
) -> tuple[SegmentPlan, ...]:
    """Cut a film into segments with their bodies, seeds and pictures.

    ``transition_frames`` is 0 for cuts and at most a third of the shortest segment else;
    ``assets`` is the number of pictures, which are shown in turn.
    """
    lengths = segment_frames(frames, fps, segment_s)
    assert 0 <= transition_frames < min(lengths) or len(lengths) == 1
    before = transition_frames // 2
    after = transition_frames - before
    plans: list[SegmentPlan] = []
    start = 0
    for index, length in enumerate(lengths):
        body_start = start + (after if index > 0 else 0)
        body_end = start + length - (before if index < len(lengths) - 1 else 0)
        plans.append(
            SegmentPlan(
                index=index,
                start=start,
                frames=length,
                body_start=body_start,
                body_frames=body_end - body_start,
                seed=segment_seed(seed, index),
                asset=index % assets if assets else None,
            )
        )
        start += length
    return tuple(plans)


def segment_seed(seed: int, index: int) -> int:
    """Seed of a segment: from the film's seed and the index, never from an attempt."""
    digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def pieces(spec: RenderSpec) -> tuple[Piece, ...]:
    """All pieces of the film in order; together they cover ``[0, spec.frames)`` exactly."""
    row: list[Piece] = []
    end = 0
    for plan in spec.segments:
        if plan.body_start > end:
            row.append(Piece("transition", plan.index - 1, end, plan.body_start - end))
        row.append(Piece("body", plan.index, plan.body_start, plan.body_frames))
        end = plan.body_start + plan.body_frames
    assert end == spec.frames
    return tuple(row)


def shown(spec: RenderSpec, plan: SegmentPlan) -> tuple[int, int]:
    """The first frame and the number of frames at which any of a segment is seen."""
    row = spec.segments
    at = next(place for place, each in enumerate(row) if each.index == plan.index)
    start, end = plan.body_start, plan.body_start + plan.body_frames
    if at > 0:
        start = row[at - 1].body_start + row[at - 1].body_frames
    if at + 1 < len(row):
        end = row[at + 1].body_start
    return start, end - start


def weight(k: int, transition_frames: int) -> float:
    """Share of the later segment in frame ``k`` of a transition; never 0 and never 1."""
    return (k + 1) / (transition_frames + 1)


def _exact(value: float) -> Fraction:
    """Return the decimal number that a person wrote, free of binary rounding."""
    return Fraction(value).limit_denominator(1_000_000)


__all__ = [
    "Piece",
    "pieces",
    "segment_frames",
    "segment_plans",
    "segment_seed",
    "shown",
    "target_frames",
    "transition_frames",
    "weight",
]
