"""The fallback-controller's decider: retries, the ladder, deadlines, cancels and last words.

A failed attempt is tried again on its rung (after a backoff) as long as that may help, else the
segment, or the whole film, goes one rung down, and the log says so.  Engine rungs fall for one
segment; archetype rungs and the static template fall for the whole film, so that a film never
mixes looks.
"""

from __future__ import annotations

import hashlib

from events.job import AssemblyStatus, Job, SegmentState, SegmentStatus
from events.log import Recorded
from events.spec import Artifact, Rung
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Deadline,
    Event,
    Reason,
    RenderCancelled,
    RenderFailed,
    RenderPlanned,
    RungDescended,
    SegmentFailed,
    SegmentRequested,
    SegmentTimedOut,
)
from services.actor import Context, Decision, Wait

TEMPLATE = "template"
"""The engine of the ladder's last rung: one look for the whole film."""

QUALITY_STEPS_MAX = 1
"""How often a segment at fault is rendered again at a lower crf before its rung falls."""


def decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    """What the job still lacks of the controller."""
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
        return (_wait(due_s, context),)
    detail = f"the film was not done within its deadline of {job.spec.deadline_s:g} s"
    return (_failed(job, Reason.TIMEOUT, detail),)


def _on_segment_timer(job: Job, ask: SegmentRequested, context: Context) -> tuple[Decision, ...]:
    limit_s = context.limits.not_taken_s.get(ask.rung.engine, 0.0)
    segment = _segment(job, ask.segment)
    if (
        not limit_s
        or segment is None
        or segment.status is not SegmentStatus.REQUESTED
        or segment.attempt != ask.attempt
    ):
        return ()
    due_s = segment.requested_s + limit_s
    if context.now_s < due_s:
        return (_wait(due_s, context),)
    timed_out = SegmentTimedOut(
        job_id=job.job_id,
        segment=ask.segment,
        attempt=ask.attempt,
        deadline=Deadline.NOT_TAKEN,
    )
    return (timed_out,)


def _on_segment_failed(
    job: Job, index: int, attempt: int, context: Context
) -> tuple[Decision, ...]:
    segment = _segment(job, index)
    if segment is None or segment.status is not SegmentStatus.FAILED or segment.attempt != attempt:
        return ()
    reason, detail, retryable = _why(segment)
    if reason is Reason.CRASHED:
        if segment.crashes < context.limits.crashes_max:
            return (_ask_again(job, segment),)
        reason = Reason.CRASH_LOOP
    elif retryable and segment.tries <= context.limits.retries_max:
        due_s = segment.failed_s + backoff_s(job.job_id, index, segment.tries, context)
        if context.now_s < due_s:
            return (Wait(until_s=due_s),)
        return (_ask_again(job, segment),)
    return _descend(job, segment, reason, detail)


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


def _descend(job: Job, segment: SegmentState, reason: Reason, detail: str) -> tuple[Event, ...]:
    assert job.spec is not None
    ladder = job.spec.ladder
    index = segment.rung_index + 1
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
    return below.archetype != here.archetype or below.engine == TEMPLATE


def _on_assembly_failed(job: Job, event: AssemblyFailed, context: Context) -> tuple[Decision, ...]:
    if job.assembly is not AssemblyStatus.FAILED or event.attempt != job.assembly_attempt:
        return ()
    if event.attempt == 0 or event.attempt >= context.limits.assembly_attempts_max:
        return (_failed(job, event.reason, event.detail),)
    segment = None if event.segment is None else _segment(job, event.segment)
    if segment is None:
        return (AssemblyRequested(job_id=job.job_id, attempt=event.attempt + 1),)
    if event.reason is Reason.CORRUPT_OUTPUT and segment.quality < QUALITY_STEPS_MAX:
        return (_ask_again(job, segment, better=1),)
    return _descend(job, segment, event.reason, event.detail)


def _segment(job: Job, index: int) -> SegmentState | None:
    return job.segments[index] if 0 <= index < len(job.segments) else None


def _wait(due_s: float, context: Context) -> Wait:
    # Looked at again before it is due, so that a timer of a job that has ended is let go.
    return Wait(until_s=min(due_s, context.now_s + context.limits.timer_recheck_s))


def _failed(job: Job, reason: Reason, detail: str) -> RenderFailed:
    return RenderFailed(job_id=job.job_id, reason=reason, detail=detail, kept=_kept(job))


def _kept(job: Job) -> tuple[Artifact, ...]:
    kept = [segment.rendered.artifact for segment in job.segments if segment.rendered]
    if job.soundtrack:
        kept.append(job.soundtrack.artifact)
    return tuple(kept)
