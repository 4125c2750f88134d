"""The shell around every actor, on a log in memory with hand-made actors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from events.faults import Fault
from events.job import Job, fold
from events.log import DurableSpec, Recorded
from events.memory import MemoryLog
from events.types import Event, Problem, RenderRejected
from services.actor import Actor, Command, Context, Decision, GiveBack, Limits, Wait, Work
from services.runtime import Runtime, RuntimeSettings
from tests.faults import striking
from tests.patience import COMES_S, comes_true

JOB = "job-1"
QUICK = RuntimeSettings(
    heartbeat_s=0.05, fetch_wait_s=0.1, retry_delay_s=0.05, retry_delay_max_s=0.1
)


class Judge(Command, frozen=True, kw_only=True):
    """The one command of the test's actor."""


def rejected(word: str = "why") -> RenderRejected:
    """The one event of the test's actor."""
    problem = Problem(field=word, value="", limit="", hint="")
    return RenderRejected(job_id=JOB, problems=(problem,))


def decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    """A command until the job has ended."""
    return (Judge(),) if job.end is None else ()


class Performer:
    """Counts its work; each of ``troubles`` is raised once, first."""

    def __init__(self, *troubles: Exception, work_s: float = 0.0) -> None:
        self.troubles = list(troubles)
        self.calls = 0
        self.work_s = work_s
        self.saw_moot = False

    async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
        """Do the work, or raise the next trouble."""
        self.calls += 1
        if self.troubles:
            raise self.troubles.pop(0)
        try:
            await asyncio.wait_for(work.moot.wait(), self.work_s or 0.001)
            self.saw_moot = True
        except TimeoutError:
            pass
        return () if self.saw_moot else (rejected(),)


@asynccontextmanager
async def running(
    log: MemoryLog, perform: Any, decider: Any = decide, *, ack_wait_s: float = 30.0
) -> AsyncIterator[Runtime]:
    """One actor on the log, stopped at the end."""
    durable = DurableSpec(name="judge", types=("render_requested",), ack_wait_s=ack_wait_s)
    await log.provision((durable,))
    actor = Actor(name="judge", durables=(durable,), decide=decider, perform=perform, slots=2)
    runtime = Runtime(actor, log, limits=Limits(), settings=QUICK)
    stop = asyncio.Event()
    task = asyncio.create_task(runtime.run(stop))
    yield runtime
    stop.set()
    await asyncio.wait_for(task, COMES_S)


async def ask(log: MemoryLog) -> None:
    """Request something."""
    await log.publish_ask(JOB, "render_requested", msgspec.json.encode({"preset_id": "x"}))


async def ended(log: MemoryLog) -> Job:
    """The job at its end."""
    async with asyncio.timeout(COMES_S):
        async for _ in log.follow(JOB):
            job = fold(JOB, await log.read(JOB))
            if job.end is not None:
                return job
    raise AssertionError


async def settled(log: MemoryLog) -> None:
    """Wait until nothing is pending."""
    async with asyncio.timeout(COMES_S):
        while await log.backlog():  # noqa: ASYNC110 - the log has no bell for this
            await asyncio.sleep(0.02)


async def test_a_message_leads_to_its_outcome_and_is_settled() -> None:
    """Consume, decide, perform, append, acknowledge."""
    log, perform = MemoryLog(), Performer()
    async with running(log, perform):
        await ask(log)
        assert (await ended(log)).end == rejected()
        await settled(log)
    assert perform.calls == 1
    history = await log.read(JOB)
    assert history[1].envelope is not None
    assert history[1].envelope.causation == "1"


@pytest.mark.parametrize("fault", [Fault.LOST_ACKNOWLEDGEMENT, Fault.REFUSED_APPEND])
async def test_work_is_not_done_again_when_the_log_is_away(fault: Fault) -> None:
    """Its outcome waits and is appended when the log answers again."""
    log, perform = MemoryLog(), Performer()
    with striking(log, fault, times=1):
        async with running(log, perform):
            await ask(log)
            assert (await ended(log)).end == rejected()
            await settled(log)
    assert perform.calls == 1


async def test_work_is_not_done_again_for_a_conflict() -> None:
    """Somebody else appended meanwhile: the outcome is linked anew."""
    log = MemoryLog()

    class Meddling(Performer):
        async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
            """Let somebody else be first, then go on."""
            log.publish_raw(f"pytoon.jobs.{JOB}.segment_rendered", b"{")
            return await super().__call__(command, work)

    perform = Meddling()
    async with running(log, perform):
        await ask(log)
        job = await ended(log)
        await settled(log)
    assert perform.calls == 1
    assert job.tail.ordinal == 3


@pytest.mark.parametrize("trouble", [GiveBack("later", 0.05), ValueError("bug"), OSError("disk")])
async def test_whatever_fails_comes_again(trouble: Exception) -> None:
    """A message is never lost by what its handling raises."""
    log, perform = MemoryLog(), Performer(trouble)
    async with running(log, perform):
        await ask(log)
        assert (await ended(log)).end == rejected()
        await settled(log)
    assert perform.calls == 2


async def test_long_work_keeps_its_message() -> None:
    """Work of several ack_waits is handed out once."""
    log, perform = MemoryLog(), Performer(work_s=1.2)
    async with running(log, perform, ack_wait_s=0.5):
        await ask(log)
        await ended(log)
        await settled(log)
    assert perform.calls == 1


async def test_a_message_that_comes_again_under_its_work_is_not_worked_at_twice() -> None:
    """Whoever works at it already goes on; its outcome settles both."""
    log, perform = MemoryLog(), Performer(work_s=0.6)
    with striking(log, Fault.REPEATED_DELIVERY, times=1):
        async with running(log, perform):
            await ask(log)
            await ended(log)
            await settled(log)
    assert perform.calls == 1


async def test_moot_work_is_told_so() -> None:
    """A cancel ends running work soon, and nothing is appended for it."""
    log, perform = MemoryLog(), Performer(work_s=30)

    async def is_begun() -> bool:
        return perform.calls == 1

    def until_cancelled(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
        return (Judge(),) if job.alive else ()

    async with running(log, perform, until_cancelled):
        await ask(log)
        assert await comes_true(is_begun)
        await log.publish_ask(JOB, "render_cancel_requested", b"{}")
        await settled(log)
    assert perform.saw_moot
    assert len(await log.read(JOB)) == 2


async def test_a_wait_gives_the_message_back() -> None:
    """A timer is a message that is not acknowledged yet."""
    log, perform = MemoryLog(), Performer()
    asked_s = asyncio.get_running_loop().time()

    def later(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
        due_s = cause.time_s + 0.3
        if context.now_s < due_s:
            return (Wait(until_s=due_s),)
        return decide(job, cause, context)

    async with running(log, perform, later):
        await ask(log)
        await ended(log)
    assert asyncio.get_running_loop().time() - asked_s >= 0.3
    assert perform.calls == 1


async def test_what_cannot_be_read_is_put_aside() -> None:
    """It does not block the consumer."""
    log, perform = MemoryLog(), Performer()
    durable = DurableSpec(name="judge", types=("segment_rendered", "render_requested"))
    await log.provision((durable,))
    actor = Actor(name="judge", durables=(durable,), decide=decide, perform=perform)
    runtime = Runtime(actor, log, limits=Limits(), settings=QUICK)
    stop = asyncio.Event()
    task = asyncio.create_task(runtime.run(stop))
    log.publish_raw(f"pytoon.jobs.{JOB}.segment_rendered", b"{")
    await ask(log)
    await ended(log)
    await settled(log)
    stop.set()
    await task
    assert [1] == [letter.seq for letter in await log.dead_letters()]


async def test_the_cache_is_bounded() -> None:
    """Jobs that nobody asks for any more are forgotten."""
    log = MemoryLog()
    runtime = Runtime(
        Actor(name="judge", durables=(), decide=decide, perform=Performer()),
        log,
        limits=Limits(),
        settings=msgspec.structs.replace(QUICK, jobs_cached_max=2),
    )
    for number in range(5):
        await log.publish_ask(f"job-{number}", "render_requested", b"{}")
        await runtime.cache.load(f"job-{number}")
    assert len(runtime.cache) == 2
