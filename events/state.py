"""What a job and its segments are: the state that ``events.job`` folds a job's events into."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from events.log import Tail
from events.spec import RenderSpec, Rung, Struct, Warned
from events.types import (
    AssemblyFailed,
    Downgrade,
    RenderCancelled,
    RenderCancelRequested,
    RenderCompleted,
    RenderFailed,
    RenderRejected,
    RenderRequested,
    SegmentFailed,
    SegmentRendered,
    SegmentTimedOut,
    SoundtrackMixed,
)

COST_DIGITS = 6
"""Decimals that costs are kept to: sums of prices stay what a person would write."""

End = RenderRejected | RenderCompleted | RenderCancelled | RenderFailed


class SegmentStatus(StrEnum):
    """Where a segment stands."""

    PENDING = "pending"
    REQUESTED = "requested"
    FAILED = "failed"
    RENDERED = "rendered"


class AssemblyStatus(StrEnum):
    """Where the assembly stands."""

    IDLE = "idle"
    REQUESTED = "requested"
    FAILED = "failed"


class JobStatus(StrEnum):
    """What a person is told of a job."""

    UNKNOWN = "unknown"
    REQUESTED = "requested"
    RENDERING = "rendering"
    ASSEMBLING = "assembling"
    CANCELLING = "cancelling"
    REJECTED = "rejected"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Generation(Struct, frozen=True, kw_only=True):
    """A create at a remote engine, as far as the log knows of it.

    ``key`` names it for us; ``handle`` is what the engine answered (None: not known).  ``unknown``
    says that nobody can tell what became of it.  ``settled`` says that a person decided about
    that: with a handle it was accepted, without one given up.
    """

    attempt: int
    engine: str
    key: str
    cost_reserved: float = 0.0
    budget_date: str = ""
    since_s: float = 0.0
    handle: str | None = None
    unknown: bool = False
    settled: bool = False


class SegmentState(Struct, frozen=True, kw_only=True):
    """A segment's part of the job.

    ``floor``: outcomes of attempts up to this one no longer count, because the whole film has
    left their rung.  ``tries`` and ``crashes`` count failed attempts on the present rung.

    ``generation`` is a create whose outcome, or whose cost, is not known: under way, in doubt, or
    accepted by a person.  As long as there is one, no other is made for the segment; nor is one
    once the segment was ``paid`` for.
    """

    index: int
    status: SegmentStatus = SegmentStatus.PENDING
    attempt: int = 0
    floor: int = 0
    rung_index: int = 0
    quality: int = 0
    tries: int = 0
    crashes: int = 0
    requested_s: float = 0.0
    failed_s: float = 0.0
    failure: SegmentFailed | SegmentTimedOut | AssemblyFailed | None = None
    rendered: SegmentRendered | None = None
    rendered_s: float = 0.0
    generation: Generation | None = None
    paid: bool = False

    @property
    def in_doubt(self) -> bool:
        """Whether it waits for a person to say what became of its create."""
        return (
            self.status is SegmentStatus.FAILED
            and self.generation is not None
            and self.generation.unknown
            and not self.generation.settled
        )


class Job(Struct, frozen=True, kw_only=True):
    """A job as its log tells it; times are the server's, in seconds since the epoch."""

    job_id: str
    tail: Tail
    requested: RenderRequested | None = None
    requested_s: float = 0.0
    traceparent: str = ""
    """With which it was asked for, unread."""
    spec: RenderSpec | None = None
    planned_s: float = 0.0
    segments: tuple[SegmentState, ...] = ()
    film_rung: int = 0
    soundtrack: SoundtrackMixed | None = None
    assembly: AssemblyStatus = AssemblyStatus.IDLE
    assembly_attempt: int = 0
    assembly_failure: AssemblyFailed | None = None
    cancel: RenderCancelRequested | None = None
    end: End | None = None
    ended_s: float = 0.0
    pruned: bool = False
    """Only its end is still in the log."""
    downgrades: tuple[Downgrade, ...] = ()
    cost: float = 0.0
    """What all attempts are known to have cost."""
    cost_unsettled: float = 0.0
    """What is reserved for creates of which that is not known."""
    currency: str = ""
    problems: tuple[str, ...] = ()
    oddities: int = 0

    @property
    def alive(self) -> bool:
        """Whether work on it is still wanted."""
        return self.requested is not None and self.end is None and self.cancel is None

    @property
    def all_rendered(self) -> bool:
        """Whether every segment's body is in the store."""
        return bool(self.segments) and all(
            segment.status is SegmentStatus.RENDERED for segment in self.segments
        )

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rung of each segment: of its body where it is rendered, else the one to ask."""
        assert self.spec is not None
        return tuple(
            segment.rendered.rung if segment.rendered else self.spec.ladder[segment.rung_index]
            for segment in self.segments
        )

    @property
    def status(self) -> JobStatus:
        """What a person is told."""
        match self.end:
            case RenderRejected():
                return JobStatus.REJECTED
            case RenderCompleted():
                return JobStatus.COMPLETED
            case RenderCancelled():
                return JobStatus.CANCELLED
            case RenderFailed():
                return JobStatus.FAILED
            case None:
                pass
        if self.requested is None:
            return JobStatus.UNKNOWN
        if self.cancel is not None:
            return JobStatus.CANCELLING
        if self.spec is None:
            return JobStatus.REQUESTED
        if self.assembly is AssemblyStatus.REQUESTED:
            return JobStatus.ASSEMBLING
        return JobStatus.RENDERING

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """Every warning told so far, in the order of the work, each once."""
        found: list[Warned] = []
        if self.spec:
            found += self.spec.warnings
        for segment in self.segments:
            if segment.rendered:
                found += segment.rendered.warnings
        if self.soundtrack:
            found += self.soundtrack.warnings
        if isinstance(self.end, RenderCompleted):
            found += (*self.end.warnings, *self.end.verdict.warnings)
        return tuple(dict.fromkeys((*found, *self.unsettled)))

    @property
    def unsettled(self) -> tuple[Warned, ...]:
        """A warning for each create of which nobody has said what became of it."""
        return tuple(
            _unsettled(segment.index, segment.generation, self.currency)
            for segment in self.segments
            if segment.generation and segment.generation.unknown and not segment.generation.settled
        )


def create_name(generation: Generation) -> str:
    """What a person finds a create by: the id in its handle, else the key that we sent."""
    if not generation.handle:
        return f"the create {generation.key!r}"
    try:
        known = msgspec.json.decode(generation.handle, type=dict[str, Any])
    except msgspec.DecodeError:
        known = {}
    return repr(known.get("id", generation.handle))


def _unsettled(segment: int, generation: Generation, currency: str) -> Warned:
    what = create_name(generation)
    reserved = f" ({generation.cost_reserved:g} {currency} reserved)"
    message = (
        f"segment {segment + 1}: what became of {what} at {generation.engine} is not known"
        f"{reserved.rstrip() if generation.cost_reserved else ''}; it may have been billed"
    )
    return Warned(code="unsettled_generation", message=message)
