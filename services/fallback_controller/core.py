"""The fallback-controller's decider: retries, the ladder, deadlines, cancels and last words.

A failed attempt is tried again on its rung (after a backoff) as long as that may help, else the
segment, or the whole film, goes one rung down, and the log says so.  Engine rungs fall for one
segment; archetype rungs and the static template fall for the whole film, so that a film never
mixes looks.

A create in doubt is never made again: its segment waits for a person's word, and then, or when
the wait is over, goes down to composition, never to another engine that may cost money.
"""

from __future__ import annotations

import hashlib

from events.job import AssemblyStatus, Job, SegmentState, SegmentStatus, at_fault
from events.log import Recorded
from events.notices import CircuitState
from events.spec import Artifact, Rung
from events.state import create_name
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Event,
    GenerationSettled,
    Reason,
    RenderCancelled,
    RenderFailed,
    RenderPlanned,
    RungDescended,
    SegmentFailed,
    SegmentRequested,
    SegmentTimedOut,
)
from services.actor import Context, Decision, Wait, engines_until_s
from services.fallback_controller.circuits import countable, counted
from services.fallback_controller.deadlines import next_deadline, settle_wait_s, wait

TEMPLATE = "template"
"""The engine of the ladder's last rung: one look for the whole film."""

QUALITY_STEPS_MAX = 1
"""How often a segment at fault is rendered again at a lower crf before its rung falls."""


def decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    """What the job still lacks of the controller, and what its failures say of engines."""
    return (*_decide(job, cause, context), *_count(job, cause, context))


def _count(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    failure = countable(cause)
    if failure is None or _late(job, context):
        # That a film has no more time for an engine says nothing against the engine.
        return ()
    circuit = context.circuits.get(failure.engine, CircuitState())
    told = counted(circuit, failure, context.now_s, context.limits)
    return () if told is None else (failure,)


def _decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    if job.requested is None or job.end is not None:
        return ()
    if job.cancel is not None:
        return (RenderCancelled(job_id=job.job_id, why=job.cancel.why, kept=_kept(job)),)
    if job.spec is None:
        return ()
    if context.exhausted:
        detail = f"{cause.subject} was handed out {context.deliveries} times without an outcome"
        return (_failed(job, Reason.INTERNAL, detail),)
    match cause.event:
        case RenderPlanned():
            return _on_deadline(job, context)
        case SegmentRequested() as ask:
            return _on_segment_timer(job, ask, context)
        case SegmentFailed() | SegmentTimedOut() as event:
            return _on_segment_failed(job, event.segment, event.attempt, context)
        case GenerationSettled(segment=index) if (segment := _segment(job, index)) is not None:
            return _on_segment_failed(job, index, segment.attempt, context)
        case AssemblyFailed() as event:
            return _on_assembly_failed(job, event, context)
        case _:
            return ()


def backoff_s(job_id: str, segment: int, tries: int, context: Context) -> float:
    """Exponential backoff with full determinism: the jitter (±25 %) comes from the job's id."""
    base = min(
        context.limits.backoff_max_s, context.limits.backoff_base_s * 2.0 ** max(0, tries - 1)
    )
    seed = hashlib.sha256(f"{job_id}/{segment}/{tries}".encode()).digest()
    return base * (0.75 + 0.5 * seed[0] / 255)


def _on_deadline(job: Job, context: Context) -> tuple[Decision, ...]:
    assert job.spec is not None
    due_s = job.requested_s + job.spec.deadline_s
    if context.now_s < due_s:
        return (wait(job.planned_s, due_s, context),)
    detail = f"the film was not done within its deadline of {job.spec.deadline_s:g} s"
    return (_failed(job, Reason.TIMEOUT, detail),)


def _on_segment_timer(job: Job, ask: SegmentRequested, context: Context) -> tuple[Decision, ...]:
    segment = _segment(job, ask.segment)
    if (
        segment is None
        or segment.status is not SegmentStatus.REQUESTED
        or segment.attempt != ask.attempt
    ):
        return ()
    deadline, due_s = next_deadline(job, segment, ask.rung, context)
    if not due_s:
        return ()
    if context.now_s < due_s:
        return (wait(segment.requested_s, due_s, context),)
    timed_out = SegmentTimedOut(
        job_id=job.job_id,
        segment=ask.segment,
        attempt=ask.attempt,
        deadline=deadline,
        rung=ask.rung,
    )
    return (timed_out,)


def _on_segment_failed(
    job: Job, index: int, attempt: int, context: Context
) -> tuple[Decision, ...]:
    segment = _segment(job, index)
    if segment is None or segment.status is not SegmentStatus.FAILED or segment.attempt != attempt:
        return ()
    generation = segment.generation
    if segment.in_doubt:
        return _on_doubt(job, segment, context)
    if generation is not None and generation.settled and generation.attempt == segment.attempt:
        if generation.handle is not None:
            return (_ask_again(job, segment),)
        detail = f"what became of a create at {generation.engine} is not known: given up"
        return _descend(job, segment, Reason.OUTCOME_UNKNOWN, detail, context)
    reason, detail, retryable = _why(segment)
    retryable &= generation is None or not generation.settled
    retryable &= not _left_alone(job, segment, context)
    if reason is Reason.CRASHED:
        if segment.crashes < context.limits.crashes_max:
            return (_ask_again(job, segment),)
        reason = Reason.CRASH_LOOP
    elif retryable and segment.tries <= context.limits.retries_max:
        due_s = segment.failed_s + backoff_s(job.job_id, index, segment.tries, context)
        if context.now_s < due_s:
            return (Wait(until_s=due_s),)
        return (_ask_again(job, segment),)
    if isinstance(segment.failure, SegmentTimedOut) and _late(job, context):
        detail += "; what is left of the film's time is kept for composing it"
    return _descend(job, segment, reason, detail, context)


def _left_alone(job: Job, segment: SegmentState, context: Context) -> bool:
    """Whether the rung's engine is not to be asked for anything new."""
    assert job.spec is not None
    rung = job.spec.ladder[segment.rung_index]
    if rung.generates and _late(job, context):
        return True
    circuit = context.circuits.get(rung.engine)
    return circuit is not None and circuit.holds(context.now_s) and segment.generation is None


def _late(job: Job, context: Context) -> bool:
    """Whether what is left of the film's time is for composing it."""
    return job.spec is not None and context.now_s >= engines_until_s(job, context.limits)


def _on_doubt(job: Job, segment: SegmentState, context: Context) -> tuple[Decision, ...]:
    """Wait for a person's word on a create; then let it be."""
    assert segment.generation is not None
    wait_s = settle_wait_s(job, segment, context.limits)
    due_s = segment.failed_s + wait_s
    if context.now_s < due_s:
        return (wait(segment.failed_s, due_s, context),)
    generation = segment.generation
    detail = (
        f"nobody said within {wait_s:g} s what became of {create_name(generation)} at "
        f"{generation.engine}: "
        f"{_why(segment)[1]}"
    )
    return _descend(job, segment, Reason.OUTCOME_UNKNOWN, detail, context)


def _why(segment: SegmentState) -> tuple[Reason, str, bool]:
    match segment.failure:
        case SegmentFailed() as failed:
            return failed.reason, failed.detail, failed.retryable
        case SegmentTimedOut() as timed_out:
            return Reason.TIMEOUT, f"deadline passed: {timed_out.deadline}", False
        case AssemblyFailed() as failed:
            return failed.reason, failed.detail, False
        case None:
            return Reason.INTERNAL, "", False


def _ask_again(job: Job, segment: SegmentState, *, better: int = 0) -> SegmentRequested:
    assert job.spec is not None
    return SegmentRequested(
        job_id=job.job_id,
        segment=segment.index,
        attempt=segment.attempt + 1,
        rung_index=segment.rung_index,
        rung=job.spec.ladder[segment.rung_index],
        quality=segment.quality + better,
    )


def _descend(
    job: Job, segment: SegmentState, reason: Reason, detail: str, context: Context
) -> tuple[Event, ...]:
    assert job.spec is not None
    ladder = job.spec.ladder
    index = segment.rung_index + 1
    # What may have been paid for already is paid for at no other engine, and none is asked when
    # it is late.  To stand still helps a product that cannot be proven, and nothing else.
    composed = segment.paid or segment.generation is not None or _late(job, context)
    while index < len(ladder) and ((ladder[index].generates and composed) or ladder[index].still):
        index += 1
    return _descend_to(job, segment, index, reason, detail)


def _descend_to(
    job: Job, segment: SegmentState, index: int, reason: Reason, detail: str
) -> tuple[Event, ...]:
    assert job.spec is not None
    ladder = job.spec.ladder
    if index >= len(ladder):
        return (_failed(job, reason, detail or "the last rung of the ladder failed"),)
    here, below = ladder[segment.rung_index], ladder[index]
    film = _is_film_rung(here, below)
    descended = RungDescended(
        job_id=job.job_id,
        segment=None if film else segment.index,
        rung_index=index,
        from_rung=here,
        to_rung=below,
        reason=reason,
        detail=detail,
    )
    if film:
        return (descended,)
    ask = SegmentRequested(
        job_id=job.job_id,
        segment=segment.index,
        attempt=segment.attempt + 1,
        rung_index=index,
        rung=below,
        quality=segment.quality,
    )
    return (descended, ask)


def _is_film_rung(here: Rung, below: Rung) -> bool:
    other_look = below.archetype != here.archetype or below.still != here.still
    return other_look or below.engine == TEMPLATE


def _on_assembly_failed(job: Job, event: AssemblyFailed, context: Context) -> tuple[Decision, ...]:
    if job.assembly is not AssemblyStatus.FAILED or event.attempt != job.assembly_attempt:
        return ()
    if event.attempt == 0 or event.attempt >= context.limits.assembly_attempts_max:
        return (_failed(job, event.reason, event.detail),)
    faults = [job.segments[index] for index in at_fault(job, event)]
    if not faults:
        return (AssemblyRequested(job_id=job.job_id, attempt=event.attempt + 1),)
    if event.reason is not Reason.CORRUPT_OUTPUT:
        return _descend(job, faults[0], event.reason, event.detail, context)
    spent = [segment for segment in faults if segment.quality >= QUALITY_STEPS_MAX]
    if spent:
        return _after_quality(job, spent, faults, event, context)
    return tuple(_ask_again(job, segment, better=1) for segment in faults)


def _after_quality(
    job: Job,
    spent: list[SegmentState],
    faults: list[SegmentState],
    event: AssemblyFailed,
    context: Context,
) -> tuple[Event, ...]:
    """What follows where a lower crf has not helped: the still rung, or that there is none left.

    A film that has no such rung goes on as after any other failure.
    """
    assert job.spec is not None
    stills = [index for index, rung in enumerate(job.spec.ladder) if rung.still]
    here = spent[0].rung_index
    if stills and here >= stills[0]:
        return (_failed(job, event.reason, event.detail),)
    if stills:
        return _descend_to(job, spent[0], stills[0], event.reason, event.detail)
    events: list[Event] = []
    for segment in faults:
        if segment in spent:
            events += _descend(job, segment, event.reason, event.detail, context)
        else:
            events.append(_ask_again(job, segment, better=1))
    # A step of the whole film, or its end, leaves nothing to ask for.
    whole = [each for each in events if _of_the_film(each)]
    return tuple(whole[:1] or events)


def _of_the_film(event: Event) -> bool:
    return isinstance(event, RenderFailed) or (
        isinstance(event, RungDescended) and event.segment is None
    )


def _segment(job: Job, index: int) -> SegmentState | None:
    return job.segments[index] if 0 <= index < len(job.segments) else None


def _failed(job: Job, reason: Reason, detail: str) -> RenderFailed:
    return RenderFailed(job_id=job.job_id, reason=reason, detail=detail, kept=_kept(job))


def _kept(job: Job) -> tuple[Artifact, ...]:
    kept = [segment.rendered.artifact for segment in job.segments if segment.rendered]
    if job.soundtrack:
        kept.append(job.soundtrack.artifact)
    return tuple(kept)
