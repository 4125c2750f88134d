"""Work on a log in memory, as a performer of the segment-renderer is handed it."""

from __future__ import annotations

from events.job import fold
from events.memory import MemoryLog
from events.types import Event
from services.actor import Actor, BudgetLimits, Context, Limits
from services.runtime import Runtime, RuntimeSettings
from services.segment_renderer.core import decide
from services.work import RunningWork
from tests.builders import JOB, history, job_after

QUICK = RuntimeSettings(retry_delay_s=0.01)


async def appended(log: MemoryLog, *events: Event) -> None:
    """Store the events at the job's end, as another service would."""
    tail = fold(JOB, await log.read(JOB)).tail
    await log.append(tail, events, source="test")


def idle_work(context: Context, *past: Event) -> RunningWork:
    """Work on a job of which nothing is stored: for performers that leave the log alone."""
    actor = Actor(name="test", durables=(), decide=decide, perform=lambda: None)
    runtime = Runtime(actor, MemoryLog(), limits=context.limits, settings=QUICK)
    return RunningWork(runtime, job_after(*past), history(*past)[-1], context)


async def work_on(
    log: MemoryLog, *, budget: BudgetLimits | None = None, now_s: float = 1_000_000.0
) -> RunningWork:
    """A process's work on the job's last message; each has a cache of its own."""
    limits = Limits(budget=budget or BudgetLimits())
    actor = Actor(name="segment-renderer", durables=(), decide=decide, perform=lambda: None)
    runtime = Runtime(actor, log, limits=limits, settings=QUICK, clock=lambda: now_s)
    stored = await log.read(JOB)
    job = await runtime.cache.load(JOB)
    return RunningWork(runtime, job, stored[-1], Context(now_s=now_s, limits=limits))
