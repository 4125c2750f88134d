"""The one truth about a job: what its events have made of it.

``evolve`` is total over everything a log can hold.  What is stored out of place (a second
request, a result nobody waits for, a forged event, a message that is none of ours) counts in
sequence, ordinal and digest, and changes nothing else; ``accepts`` is that rule, in one table,
and deciders use it to see whether the outcome of their work is still wanted.

Left out: what is to be done next; each service's ``core`` decides that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

import msgspec

from events.link import ENDS, advanced, in_place, is_tombstone
from events.log import Recorded, Tail
from events.state import (
    COST_DIGITS,
    AssemblyStatus,
    End,
    Generation,
    Job,
    JobStatus,
    SegmentState,
    SegmentStatus,
)
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Downgrade,
    Foreign,
    GenerationIntended,
    GenerationSettled,
    GenerationSubmitted,
    Reason,
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
    recorded = in_place(job.tail, recorded)
    if isinstance(recorded.event, ENDS) and is_tombstone(job.tail, recorded):
        job = msgspec.structs.replace(
            job, end=recorded.event, ended_s=recorded.time_s, pruned=True
        )
    else:
        job = apply(job, recorded.event, recorded.time_s)
    tail = advanced(job.tail, recorded)
    if job.requested is recorded.event:
        return msgspec.structs.replace(job, tail=tail, traceparent=recorded.traceparent)
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
            return job.requested is None and job.end is None
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
            segment = _segment(job, event.segment)
            return segment is not None and _accepts_of_create(segment, event)
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


def _accepts_of_create(
    segment: SegmentState, event: GenerationIntended | GenerationSubmitted | GenerationSettled
) -> bool:
    """The rule for a segment's create: one at a time, and none once it was paid for."""
    generation = segment.generation
    match event:
        case GenerationIntended():
            return (
                segment.status is SegmentStatus.REQUESTED
                and segment.attempt == event.attempt
                and generation is None
                and not segment.paid
            )
        case GenerationSubmitted():
            return (
                generation is not None
                and generation.attempt == event.attempt
                and generation.handle is None
                and not generation.settled
            )
        case GenerationSettled():
            return segment.in_doubt


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
            return _on_segment_rendered(job, event, time_s)
        case SegmentFailed() | SegmentTimedOut():
            return _on_segment_failed(job, event, time_s)
        case RungDescended():
            return _on_rung_descended(job, event)
        case GenerationIntended():
            return _on_generation_intended(job, event, time_s)
        case GenerationSubmitted() | GenerationSettled():
            generation = job.segments[event.segment].generation
            assert generation is not None
            settled = isinstance(event, GenerationSettled)
            generation = change(generation, handle=event.handle, settled=settled)
            return _with_segment(job, event.segment, generation=generation)
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


def _on_segment_rendered(job: Job, event: SegmentRendered, time_s: float) -> Job:
    generation = job.segments[event.segment].generation
    job = _with_cost(job, event.cost)
    if generation is not None and generation.engine == event.rung.engine:
        job = _with_cost(job, 0.0, released=generation.cost_reserved)
        generation = None
    return _with_segment(
        job,
        event.segment,
        status=SegmentStatus.RENDERED,
        rendered=event,
        rendered_s=time_s,
        generation=generation,
        paid=job.segments[event.segment].paid or event.cost > 0,
    )


def _on_segment_failed(job: Job, event: SegmentFailed | SegmentTimedOut, time_s: float) -> Job:
    segment = job.segments[event.segment]
    crashed = isinstance(event, SegmentFailed) and event.reason is Reason.CRASHED
    job = _with_generation_after(job, segment, event)
    return _with_segment(
        job,
        event.segment,
        status=SegmentStatus.FAILED,
        tries=segment.tries + (not crashed),
        crashes=segment.crashes + crashed,
        failed_s=time_s,
        failure=event,
    )


def _with_generation_after(
    job: Job, segment: SegmentState, event: SegmentFailed | SegmentTimedOut
) -> Job:
    """What a failed attempt leaves of the segment's create.

    One that costs nothing is forgotten, so that the engine may be asked anew; one that was paid
    for only when its cost is known.  Until then no other is made; and if nobody knows where to
    look for it, or what became of it, only a person can say.
    """
    generation, cost = segment.generation, getattr(event, "cost", None)
    in_doubt = getattr(event, "reason", None) is Reason.OUTCOME_UNKNOWN
    assert job.spec is not None
    engine = job.spec.ladder[segment.rung_index].engine
    others = generation is not None and generation.engine != engine
    if cost is not None:
        released = 0.0 if others or generation is None else generation.cost_reserved
        job = _with_cost(job, cost, released=released)
        job = _with_segment(job, segment.index, paid=segment.paid or cost > 0)
    if others:
        return job
    if in_doubt and generation is None:
        generation = Generation(attempt=event.attempt, engine=engine, key="")
    if generation is None:
        return job
    if cost is not None:
        generation = msgspec.structs.replace(generation, cost_reserved=0.0)
    if generation.settled and cost:
        # What a person accepted is paid for now, and must not be counted as another create.
        return _with_segment(job, segment.index, generation=None)
    if not generation.settled:
        if not in_doubt and not generation.cost_reserved:
            return _with_segment(job, segment.index, generation=None)
        unknown = in_doubt or generation.handle is None or isinstance(event, SegmentTimedOut)
        attempt = event.attempt if unknown else generation.attempt
        generation = msgspec.structs.replace(generation, unknown=unknown, attempt=attempt)
    return _with_segment(job, segment.index, generation=generation)


def _on_generation_intended(job: Job, event: GenerationIntended, time_s: float) -> Job:
    generation = Generation(
        attempt=event.attempt,
        engine=event.engine,
        key=event.idempotency_key,
        cost_reserved=event.cost_reserved,
        budget_date=event.budget_date,
        since_s=time_s,
    )
    job = _with_cost(job, 0.0, released=-event.cost_reserved)
    job = msgspec.structs.replace(job, currency=event.currency or job.currency)
    return _with_segment(job, event.segment, generation=generation)


def _with_cost(job: Job, cost: float, *, released: float = 0.0) -> Job:
    """The job with a known cost more, and so much less reserved; rounded to what money is."""
    return msgspec.structs.replace(
        job,
        cost=round(job.cost + cost, COST_DIGITS),
        cost_unsettled=round(job.cost_unsettled - released, COST_DIGITS),
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
    for index in at_fault(job, event):
        job = _with_segment(
            job,
            index,
            status=SegmentStatus.FAILED,
            failed_s=time_s,
            failure=event,
            rendered=None,
        )
    return job


def at_fault(job: Job, event: AssemblyFailed) -> tuple[int, ...]:
    """The job's segments that a failed assembly names, the worst first."""
    named = () if event.segment is None else (event.segment, *event.others)
    return tuple(index for index in dict.fromkeys(named) if _segment(job, index) is not None)


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
        case RenderRequested() if job.pruned:
            return "a request came for a job that was pruned: its id is used (use another job id)"
        case RenderRequested() if job.requested is not None and event != job.requested:
            return (
                "a second request with this job id has another body; the first one stands "
                "(use another job id)"
            )
        case GenerationSettled() if job.alive:
            return f"a word on segment {event.segment + 1} came when it waited for none"
        case RenderCancelRequested() if isinstance(job.end, RenderCompleted):
            return "a cancel came when the film was already complete"
        case _:
            return None


__all__ = [
    "AssemblyStatus",
    "End",
    "Generation",
    "Job",
    "JobStatus",
    "SegmentState",
    "SegmentStatus",
    "accepts",
    "apply",
    "at_fault",
    "evolve",
    "fold",
    "initial_state",
]
