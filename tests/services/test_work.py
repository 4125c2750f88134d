"""Appending in mid-work: at once, linked, once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from events.faults import Fault
from events.job import Job, fold
from events.link import flaws
from events.memory import MemoryLog
from events.notices import CircuitClosed, Posting, circuit_state, engine_topic
from events.types import RenderCancelRequested
from tests.builders import JOB
from tests.events.test_state import PLANNED, ask, intended, submitted
from tests.faults import striking
from tests.services.works import appended, work_on


async def begun() -> MemoryLog:
    """A log with a job whose first segment is asked for."""
    log = MemoryLog()
    await appended(log, *PLANNED, ask())
    return log


async def test_a_record_is_stored_at_once() -> None:
    """And the work sees the job with it."""
    log = await begun()
    work = await work_on(log)
    assert await work.record(intended())
    assert (await log.read(JOB))[-1].event == intended()
    assert work.job.segments[0].generation is not None
    assert work.job == fold(JOB, await log.read(JOB))


async def test_a_record_is_linked_to_what_came_between() -> None:
    """Somebody else's event is no conflict, as long as the record still has its place."""
    log = await begun()
    work = await work_on(log)
    await appended(log, ask(segment=1))
    assert await work.record(intended())
    assert flaws(await log.read(JOB)) == ()


@pytest.mark.parametrize("fault", [Fault.LOST_ACKNOWLEDGEMENT, Fault.REFUSED_APPEND])
async def test_a_record_waits_for_the_log(fault: Fault) -> None:
    """What was stored, but not answered, counts as stored; and nothing is stored twice."""
    log = await begun()
    work = await work_on(log)
    with striking(log, fault, times=1):
        assert await work.record(intended())
    events = [item.event for item in await log.read(JOB)]
    assert 1 == events.count(intended())


async def test_a_moot_record_is_not_stored() -> None:
    """The job was cancelled, or the same place is taken by another body."""
    log = await begun()
    work, other = await work_on(log), await work_on(log)
    assert await other.record(intended(cost=0.25))
    assert not await work.record(intended())
    assert await work.record(submitted())
    await appended(log, RenderCancelRequested(job_id=JOB))
    assert not await work.record(ask(segment=1))


async def test_notices_are_made_anew_for_each_try() -> None:
    """A topic that went on is read again; what the notices raise leaves nothing behind."""
    log = await begun()
    work = await work_on(log)
    topic, tries = engine_topic("e"), 0

    async def notices(job: Job) -> Sequence[Posting]:
        nonlocal tries
        tries += 1
        after = circuit_state(await log.last_notice(topic)).seq
        if tries == 1:
            posting = Posting(notice=CircuitClosed(engine="e"), after=after)
            await log.post(posting, source="other")
        return (Posting(notice=CircuitClosed(engine="e", failures=tries), after=after),)

    async def forbidden(job: Job) -> Sequence[Posting]:
        raise ValueError("too dear")

    with pytest.raises(ValueError, match="too dear"):
        await work.record(intended(), notices=forbidden)
    assert intended() not in [item.event for item in await log.read(JOB)]
    assert await work.record(intended(), notices=notices)
    assert (2, 2) == (tries, circuit_state(await log.last_notice(topic)).failures)


async def test_a_refresh_is_never_stale() -> None:
    """What another process stored is seen, whatever a replica says."""
    log = await begun()
    work = await work_on(log)
    await appended(log, intended())
    log.faults.chance = {Fault.STALE_READ: 1.0}
    assert (await work.refresh()).segments[0].generation is not None
