"""The segment-renderer's decider: a requested attempt is rendered, unless it is moot.

An engine whose circuit is open is not asked: the attempt fails at once and says so.  Nor is any
engine when what is left of the film's time is for composing it.
"""

from __future__ import annotations

import datetime as dt

from events.job import Job, SegmentStatus
from events.log import Recorded
from events.notices import CircuitState
from events.spec import RenderSpec, Rung
from events.types import Reason, SegmentFailed, SegmentRequested
from services.actor import Command, Context, Decision, engines_until_s

TOO_LATE = "what is left of the film's time is kept for composing it"


class RenderSegment(Command, frozen=True, kw_only=True):
    """Draw and encode one segment's body.

    ``probe``: the engine's circuit is open and its time over; this attempt tries it, alone.
    """

    job_id: str
    spec: RenderSpec
    segment: int
    attempt: int
    rung: Rung
    quality: int
    probe: bool = False


def decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    """Render the attempt that the cause asks for, if the job still waits for it."""
    ask = cause.event
    if not isinstance(ask, SegmentRequested) or not waits_for(job, ask):
        return ()
    if context.exhausted:
        detail = (
            f"handed out {context.deliveries} times without an outcome; see the renderer's log"
        )
        return (
            SegmentFailed(
                job_id=job.job_id,
                segment=ask.segment,
                attempt=ask.attempt,
                rung=ask.rung,
                reason=Reason.INTERNAL,
                retryable=False,
                detail=detail,
                elapsed_s=0.0,
            ),
        )
    assert job.spec is not None
    circuit = context.circuits.get(ask.rung.engine, CircuitState())
    segment = job.segments[ask.segment]
    # What was created already goes on: nothing new is asked of the engine.
    begun = segment.generation is not None
    if circuit.holds(context.now_s) and not begun:
        return (_not_asked(ask, Reason.UNAVAILABLE, _why_held(ask, circuit)),)
    late = context.now_s >= engines_until_s(job, context.limits)
    if ask.rung.generates and late and not begun and not segment.paid:
        return (_not_asked(ask, Reason.TIMEOUT, TOO_LATE),)
    return (
        RenderSegment(
            job_id=job.job_id,
            spec=job.spec,
            segment=ask.segment,
            attempt=ask.attempt,
            rung=ask.rung,
            quality=ask.quality,
            probe=circuit.broken and not begun,
        ),
    )


def _why_held(ask: SegmentRequested, circuit: CircuitState) -> str:
    until = dt.datetime.fromtimestamp(circuit.until_s, dt.UTC).isoformat(timespec="seconds")
    why = f", the last time by {circuit.reason}" if circuit.reason else ""
    return (
        f"{ask.rung.engine} failed {circuit.failures} times in a row{why}; "
        f"it is left alone until {until}"
    )


def _not_asked(ask: SegmentRequested, reason: Reason, detail: str) -> SegmentFailed:
    return SegmentFailed(
        job_id=ask.job_id,
        segment=ask.segment,
        attempt=ask.attempt,
        rung=ask.rung,
        reason=reason,
        retryable=False,
        detail=detail,
        elapsed_s=0.0,
        tried=False,
    )


def waits_for(job: Job, ask: SegmentRequested) -> bool:
    """Whether the job still waits for this attempt."""
    if not job.alive or job.spec is None or ask.segment >= len(job.segments):
        return False
    segment = job.segments[ask.segment]
    return segment.status is SegmentStatus.REQUESTED and segment.attempt == ask.attempt
