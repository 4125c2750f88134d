"""The segment-renderer's decider: a requested attempt is rendered, unless it is moot."""

from __future__ import annotations

from events.job import Job, SegmentStatus
from events.log import Recorded
from events.spec import RenderSpec, Rung
from events.types import Reason, SegmentFailed, SegmentRequested
from services.actor import Command, Context, Decision


class RenderSegment(Command, frozen=True, kw_only=True):
    """Draw and encode one segment's body."""

    job_id: str
    spec: RenderSpec
    segment: int
    attempt: int
    rung: Rung
    quality: int


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
    return (
        RenderSegment(
            job_id=job.job_id,
            spec=job.spec,
            segment=ask.segment,
            attempt=ask.attempt,
            rung=ask.rung,
            quality=ask.quality,
        ),
    )


def waits_for(job: Job, ask: SegmentRequested) -> bool:
    """Whether the job still waits for this attempt."""
    if not job.alive or job.spec is None or ask.segment >= len(job.segments):
        return False
    segment = job.segments[ask.segment]
    return segment.status is SegmentStatus.REQUESTED and segment.attempt == ask.attempt
