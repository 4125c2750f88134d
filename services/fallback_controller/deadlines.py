"""How long something is waited for: an engine that is asked, a person, a timer's next look.

All of it is read off the job's events, so that every process of the controller waits alike.
"""

from __future__ import annotations

from events.job import Job, SegmentState, SegmentStatus
from events.spec import Rung
from events.types import Deadline, SegmentFailed
from services.actor import Context, Limits, Wait, engines_until_s

RECHECK_SHARE = 0.5
"""A timer is looked at again after this share of its age: 23 times in a day."""


def next_deadline(
    job: Job, segment: SegmentState, rung: Rung, context: Context
) -> tuple[Deadline, float]:
    """Which deadline holds for an attempt, and when it passes (epoch seconds; 0: never)."""
    deadline, since_s, limit_s = _limit_of(job, segment, rung.engine, context)
    due_s = since_s + limit_s if limit_s else 0.0
    if rung.generates:
        last_s = _last_moment_s(job, segment, context.limits)
        due_s = min(due_s, last_s) if due_s else last_s
    return deadline, due_s


def _last_moment_s(job: Job, segment: SegmentState, limits: Limits) -> float:
    """When an engine's attempt is given up so that its segment can still be composed.

    One that is asked for after that, because a person accepted a create or its clip is there, has
    half of what the film has left.
    """
    assert job.spec is not None
    until_s = engines_until_s(job, limits)
    if segment.requested_s < until_s:
        return until_s
    return (segment.requested_s + job.requested_s + job.spec.deadline_s) / 2


def _limit_of(
    job: Job, segment: SegmentState, engine: str, context: Context
) -> tuple[Deadline, float, float]:
    """The engine's own deadline: since when it counts, and for how long."""
    limits = context.limits
    generation = segment.generation
    if generation is None or generation.engine != engine:
        limit_s = limits.not_taken_s.get(engine, 0.0)
        return Deadline.NOT_TAKEN, _last_sign_s(job, segment, engine, context), limit_s
    # A handle that a person accepted, or that an earlier attempt left, is followed anew.
    since_s = max(segment.requested_s, generation.since_s)
    if generation.handle is None and limits.no_progress_s.get(engine):
        return Deadline.NO_PROGRESS, since_s, limits.no_progress_s[engine]
    return Deadline.TOO_LONG, since_s, limits.too_long_s.get(engine, 0.0)


def _last_sign_s(job: Job, segment: SegmentState, engine: str, context: Context) -> float:
    """When the job last saw that somebody serves the engine; at work for it now: just now."""
    signs = [segment.requested_s]
    for other in job.segments:
        at_work = other.generation is not None and other.generation.engine == engine
        if at_work and other.status is SegmentStatus.REQUESTED:
            return context.now_s
        if other.rendered is not None and other.rendered.rung.engine == engine:
            signs.append(other.rendered_s)
        if isinstance(other.failure, SegmentFailed) and other.failure.rung.engine == engine:
            signs.append(other.failed_s)
    return max(signs)


def settle_wait_s(job: Job, segment: SegmentState, limits: Limits) -> float:
    """At most half of what the job has left, so that the film is still done in time."""
    assert job.spec is not None
    left_s = max(0.0, job.requested_s + job.spec.deadline_s - segment.failed_s)
    wanted_s = left_s if limits.settle_wait_s is None else limits.settle_wait_s
    return min(wanted_s, left_s / 2)


def wait(since_s: float, due_s: float, context: Context) -> Wait:
    """Wait for a timer that runs since then, looking at the job in between.

    So a timer of a job that has ended is let go; ever more rarely, because each look is a
    delivery, and these are bounded.
    """
    age_s = context.now_s - since_s
    recheck_s = max(context.limits.timer_recheck_s, age_s * RECHECK_SHARE)
    return Wait(until_s=min(due_s, context.now_s + recheck_s))
