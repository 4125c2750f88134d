"""The planner's decider: from a request to a plan, a window of segments, and the assembly.

Pure: no clock, file, socket or logger.  It yields whatever the fold still lacks.
"""

from __future__ import annotations

from typing import Any

from events.job import AssemblyStatus, Job, SegmentStatus
from events.log import Recorded
from events.types import (
    AssemblyRequested,
    Event,
    Problem,
    RenderRejected,
    RenderRequested,
    SegmentRequested,
)
from services.actor import Command, Context, Decision


class PlanRender(Command, frozen=True, kw_only=True):
    """Judge the request, take its files in, and fix the film frame by frame."""

    job_id: str
    ask: dict[str, Any]
    unreadable: str = ""


def decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    """What the job still lacks of the planner."""
    if not job.alive:
        return ()
    if job.spec is None:
        return _plan(job, cause, context)
    if job.all_rendered:
        return _assembly(job)
    return _window(job)


def _plan(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    if not isinstance(cause.event, RenderRequested):
        return ()
    if context.exhausted:
        return (_given_up(job.job_id, context),)
    assert job.requested is not None
    command = PlanRender(
        job_id=job.job_id, ask=job.requested.ask, unreadable=job.requested.unreadable
    )
    return (command,)


def _given_up(job_id: str, context: Context) -> RenderRejected:
    problem = Problem(
        field="request",
        value="",
        limit=f"{context.limits.deliveries_max} tries at planning it",
        hint="every try at planning this request ended without an outcome; see the planner's "
        "log, then send the request again with another job id",
    )
    return RenderRejected(job_id=job_id, problems=(problem,))


def _window(job: Job) -> tuple[Event, ...]:
    assert job.spec is not None
    in_flight = sum(
        segment.status in {SegmentStatus.REQUESTED, SegmentStatus.FAILED}
        for segment in job.segments
    )
    free = max(0, job.spec.segments_in_flight_max - in_flight)
    pending = [s for s in job.segments if s.status is SegmentStatus.PENDING]
    return tuple(
        SegmentRequested(
            job_id=job.job_id,
            segment=segment.index,
            attempt=segment.attempt + 1,
            rung_index=segment.rung_index,
            rung=job.spec.ladder[segment.rung_index],
            quality=segment.quality,
        )
        for segment in pending[:free]
    )


def _assembly(job: Job) -> tuple[Event, ...]:
    if job.soundtrack is None or job.assembly is not AssemblyStatus.IDLE:
        return ()
    return (AssemblyRequested(job_id=job.job_id, attempt=job.assembly_attempt + 1),)
