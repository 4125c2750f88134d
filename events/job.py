"""The one truth about a job: what its events have made of it.

``evolve`` is total over everything a log can hold.  What is stored out of place (a second
request, a result nobody waits for, a forged event, a message that is none of ours) counts in
sequence, ordinal and digest, and changes nothing else; ``accepts`` is that rule, in one table,
and deciders use it to see whether the outcome of their work is still wanted.

Left out: what is to be done next; each service's ``core`` decides that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import assert_never

import msgspec

from events.link import advanced
from events.log import Recorded, Tail
from events.spec import RenderSpec, Rung, Struct, Warned
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Downgrade,
    Foreign,
    GenerationIntended,
    GenerationSettled,
    GenerationSubmitted,
    RenderCancelled,
    RenderCancelRequested,
    RenderCompleted,
    RenderFailed,
    RenderPlanned,
    RenderRejected,
    RenderRequested,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    SegmentRequested,
    SegmentTimedOut,
    SoundtrackMixed,
    Stored,
)

PROBLEMS_KEPT_MAX = 10
"""How many oddities of a job's log are kept in words; more are only counted."""

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


class SegmentState(Struct, frozen=True, kw_only=True):
    """A segment's part of the job.

    ``floor``: outcomes of attempts up to this one no longer count, because the whole film has
    left their rung.  ``tries`` and ``crashes`` count failed attempts on the present rung.
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


class Job(Struct, frozen=True, kw_only=True):
    """A job as its log tells it; times are the server's, in seconds since the epoch."""

    job_id: str
    tail: Tail
    requested: RenderRequested | None = None
    requested_s: float = 0.0
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
    downgrades: tuple[Downgrade, ...] = ()
    generations: tuple[GenerationIntended | GenerationSubmitted | GenerationSettled, ...] = ()
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
        return tuple(dict.fromkeys(found))


def initial_state(job_id: str) -> Job:
    """A job of which nothing is stored."""
    return Job(job_id=job_id, tail=Tail(job_id=job_id))


def fold(job_id: str, history: Iterable[Recorded]) -> Job:
    """The job after its history."""
    job = initial_state(job_id)
    for recorded in history:
        job = evolve(job, recorded)
    return job


def evolve(job: Job, recorded: Recorded) -> Job:
    """The job after one more stored message; messages at or before its tail are ignored."""
    if recorded.seq <= job.tail.seq:
        return job
    job = apply(job, recorded.event, recorded.time_s)
    tail = advanced(job.tail, recorded)
    return msgspec.structs.replace(job, tail=tail)


def apply(job: Job, event: Stored, time_s: float) -> Job:
    """The job's state, its tail aside, after an event; deciders look ahead with it."""
    if not accepts(job, event):
        return _odd(job, event)
    return _apply(job, event, time_s)


def accepts(job: Job, event: Stored) -> bool:
    """Whether the event has its place now; else it changes nothing."""
    match event:
        case Foreign():
            return False
        case RenderRequested():
            return job.requested is None
        case RenderCancelRequested():
            return job.alive
        case RenderCancelled():
            return job.cancel is not None and job.end is None
        case RenderRejected() | RenderPlanned():
            return job.alive and job.spec is None
        case RenderFailed():
            return job.alive
        case _ if not job.alive or job.spec is None:
            return False
        case SegmentRequested():
            segment = _segment(job, event.segment)
            return (
                segment is not None
                and segment.status in {SegmentStatus.PENDING, SegmentStatus.FAILED}
                and event.attempt == segment.attempt + 1
                and segment.rung_index == event.rung_index < len(job.spec.ladder)
            )
        case SegmentRendered():
            segment = _segment(job, event.segment)
            return (
                segment is not None
                and segment.status is not SegmentStatus.RENDERED
                and segment.floor < event.attempt <= segment.attempt
                and (
                    event.attempt == segment.attempt
                    or event.rung == job.spec.ladder[segment.rung_index]
                )
            )
        case SegmentFailed() | SegmentTimedOut():
            segment = _segment(job, event.segment)
            return (
                segment is not None
                and segment.status is SegmentStatus.REQUESTED
                and event.attempt == segment.attempt
            )
        case RungDescended():
            if event.segment is None:
                return job.film_rung < event.rung_index < len(job.spec.ladder)
            segment = _segment(job, event.segment)
            return segment is not None and segment.rung_index < event.rung_index < len(
                job.spec.ladder
            )
        case GenerationIntended() | GenerationSubmitted() | GenerationSettled():
            return _segment(job, event.segment) is not None
        case SoundtrackMixed():
            return job.soundtrack is None
        case AssemblyRequested():
            return (
                job.all_rendered
                and job.soundtrack is not None
                and job.assembly is not AssemblyStatus.REQUESTED
                and event.attempt == job.assembly_attempt + 1
            )
        case AssemblyFailed() if event.attempt == 0:
            return job.soundtrack is None and job.assembly is AssemblyStatus.IDLE
        case RenderCompleted() | AssemblyFailed():
            return (
                job.assembly is AssemblyStatus.REQUESTED and event.attempt == job.assembly_attempt
            )
        case _:
            assert_never(event)


def _segment(job: Job, index: int) -> SegmentState | None:
    return job.segments[index] if 0 <= index < len(job.segments) else None


def _apply(job: Job, event: Stored, time_s: float) -> Job:
    change = msgspec.structs.replace
    match event:
        case RenderRequested():
            return change(job, requested=event, requested_s=time_s)
        case RenderPlanned():
            segments = tuple(SegmentState(index=plan.index) for plan in event.spec.segments)
            return change(job, spec=event.spec, planned_s=time_s, segments=segments)
        case SegmentRequested():
            return _on_segment_requested(job, event, time_s)
        case SegmentRendered():
            return _with_segment(job, event.segment, status=SegmentStatus.RENDERED, rendered=event)
        case SegmentFailed() | SegmentTimedOut():
            return _on_segment_failed(job, event, time_s)
        case RungDescended():
            return _on_rung_descended(job, event)
        case GenerationIntended() | GenerationSubmitted() | GenerationSettled():
            return change(job, generations=(*job.generations, event))
        case SoundtrackMixed():
            return change(job, soundtrack=event)
        case AssemblyRequested():
            return change(job, assembly=AssemblyStatus.REQUESTED, assembly_attempt=event.attempt)
        case AssemblyFailed():
            return _on_assembly_failed(job, event, time_s)
        case RenderCancelRequested():
            return change(job, cancel=event)
        case RenderRejected() | RenderCompleted() | RenderCancelled() | RenderFailed():
            return change(job, end=event, ended_s=time_s)
        case Foreign():
            return job
        case _:
            assert_never(event)


def _with_segment(job: Job, index: int, **changes: object) -> Job:
    segment = msgspec.structs.replace(job.segments[index], **changes)
    segments = (*job.segments[:index], segment, *job.segments[index + 1 :])
    return msgspec.structs.replace(job, segments=segments)


def _on_segment_requested(job: Job, event: SegmentRequested, time_s: float) -> Job:
    job = _with_segment(
        job,
        event.segment,
        status=SegmentStatus.REQUESTED,
        attempt=event.attempt,
        rung_index=event.rung_index,
        quality=event.quality,
        requested_s=time_s,
        rendered=None,
    )
    # A segment that is rendered anew makes the assembly that failed for it a thing of the past.
    return msgspec.structs.replace(job, assembly=AssemblyStatus.IDLE)


def _on_segment_failed(job: Job, event: SegmentFailed | SegmentTimedOut, time_s: float) -> Job:
    segment = job.segments[event.segment]
    crashed = isinstance(event, SegmentFailed) and event.reason == "crashed"
    return _with_segment(
        job,
        event.segment,
        status=SegmentStatus.FAILED,
        tries=segment.tries + (not crashed),
        crashes=segment.crashes + crashed,
        failed_s=time_s,
        failure=event,
    )


def _on_rung_descended(job: Job, event: RungDescended) -> Job:
    told = Downgrade(
        segment=event.segment,
        from_rung=event.from_rung,
        to_rung=event.to_rung,
        reason=event.reason,
        detail=event.detail,
    )
    job = msgspec.structs.replace(
        job, downgrades=(*job.downgrades, told), assembly=AssemblyStatus.IDLE
    )
    fresh: Callable[[SegmentState], SegmentState] = lambda segment: msgspec.structs.replace(  # noqa: E731
        segment,
        status=SegmentStatus.PENDING,
        floor=segment.attempt,
        rung_index=event.rung_index,
        tries=0,
        crashes=0,
        rendered=None,
    )
    if event.segment is not None:
        segments = tuple(
            fresh(segment) if segment.index == event.segment else segment
            for segment in job.segments
        )
        return msgspec.structs.replace(job, segments=segments)
    return msgspec.structs.replace(
        job, film_rung=event.rung_index, segments=tuple(map(fresh, job.segments))
    )


def _on_assembly_failed(job: Job, event: AssemblyFailed, time_s: float) -> Job:
    job = msgspec.structs.replace(job, assembly=AssemblyStatus.FAILED, assembly_failure=event)
    if event.segment is None or _segment(job, event.segment) is None:
        return job
    return _with_segment(
        job,
        event.segment,
        status=SegmentStatus.FAILED,
        failed_s=time_s,
        failure=event,
        rendered=None,
    )


def _odd(job: Job, event: Stored) -> Job:
    problem = _problem(job, event)
    if problem is None:
        return job
    kept = job.problems
    if problem not in kept and len(kept) < PROBLEMS_KEPT_MAX:
        kept = (*kept, problem)
    return msgspec.structs.replace(job, problems=kept, oddities=job.oddities + 1)


def _problem(job: Job, event: Stored) -> str | None:
    """What a person should know of a message that changed nothing; None for normal life."""
    match event:
        case Foreign():
            return f"message {event.seq} on {event.subject} is not ours: {event.why}"
        case RenderRequested() if job.requested is not None and event != job.requested:
            return (
                "a second request with this job id has another body; the first one stands "
                "(use another job id)"
            )
        case RenderCancelRequested() if isinstance(job.end, RenderCompleted):
            return "a cancel came when the film was already complete"
        case _:
            return None
