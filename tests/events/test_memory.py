"""Tests of ``events.memory``: what goes wrong when it is told to."""

from __future__ import annotations

import asyncio

import pytest

from events.faults import Fault, Faults
from events.link import advanced
from events.log import DurableSpec, LogFull, LogUnavailable, StaleRead, Tail
from events.memory import MemoryConsumer, MemoryLog
from events.stream import LogSettings
from events.types import AssemblyRequested, Event, RenderCancelRequested
from tests.faults import ManualClock, striking

DURABLE = DurableSpec(name="assembler", types=("assembly_requested",), ack_wait_s=5.0)


def requested(attempt: int) -> Event:
    """A small event; its key is the attempt."""
    return AssemblyRequested(job_id="a", attempt=attempt)


async def filled(log: MemoryLog, count: int) -> Tail:
    """Append so many events."""
    tail = Tail(job_id="a")
    for attempt in range(count):
        for stored in await log.append(tail, [requested(attempt)], source="test"):
            tail = advanced(tail, stored)
    return tail


async def reader(log: MemoryLog) -> MemoryConsumer:
    """A reader of a durable."""
    await log.provision([DURABLE])
    return await log.consumer("assembler")


async def test_an_acknowledgement_is_lost() -> None:
    """An append that is stored may seem not to be; the second try finds it."""
    log = MemoryLog()
    with striking(log, Fault.LOST_ACKNOWLEDGEMENT, times=1), pytest.raises(LogUnavailable):
        await log.append(Tail(job_id="a"), [requested(1)], source="test")
    (stored,) = await log.append(Tail(job_id="a"), [requested(1)], source="test")
    assert (1, 1) == (stored.seq, log.last_seq)


async def test_an_append_does_not_arrive() -> None:
    """An append that is refused is not stored; the second try stores it."""
    log = MemoryLog()
    with striking(log, Fault.REFUSED_APPEND, times=1), pytest.raises(LogUnavailable):
        await log.append(Tail(job_id="a"), [requested(1)], source="test")
    assert 0 == log.last_seq
    await log.append(Tail(job_id="a"), [requested(1)], source="test")
    assert 1 == log.last_seq


async def test_a_stale_read_is_read_again() -> None:
    """A read that must reach a sequence is made again, at last at the leader, until it does."""
    log = MemoryLog()
    await filled(log, 5)
    with striking(log, Fault.STALE_READ, times=1):
        assert len(await log.read("a")) < 5
    with striking(log, Fault.STALE_READ, times=2):
        assert 5 == len(await log.read("a", at_least=5))
    with striking(log, Fault.STALE_READ, times=3):
        assert 5 == len(await log.read("a", at_least=5))
    with pytest.raises(StaleRead):
        await log.read("a", at_least=6)


async def test_a_delivery_is_repeated() -> None:
    """A message may be with two readers at once."""
    log = MemoryLog()
    await filled(log, 1)
    consumer = await reader(log)
    with striking(log, Fault.REPEATED_DELIVERY, times=1):
        (first,) = await consumer.fetch(5, 0)
    (second,) = await consumer.fetch(5, 0)
    assert (1, 2) == (first.deliveries, second.deliveries)
    assert () == tuple(await consumer.fetch(5, 0))


async def test_an_ack_is_forgotten() -> None:
    """A message that was acknowledged may come again after ``ack_wait``."""
    clock = ManualClock()
    log = MemoryLog(clock=clock)
    await filled(log, 1)
    consumer = await reader(log)
    (delivery,) = await consumer.fetch(5, 0)
    with striking(log, Fault.FORGOTTEN_ACK, times=1):
        await delivery.ack()
    clock.step(DURABLE.ack_wait_s - 0.1, log)
    assert () == tuple(await consumer.fetch(5, 0))
    clock.step(0.1, log)
    (again,) = await consumer.fetch(5, 0)
    await again.ack()
    clock.step(100, log)
    assert () == tuple(await consumer.fetch(5, 0))


async def test_deliveries_are_out_of_order() -> None:
    """A message may be overtaken by the next."""
    log = MemoryLog()
    await filled(log, 3)
    consumer = await reader(log)
    with striking(log, Fault.REORDERED_DELIVERY, times=1):
        seqs = [item.recorded.seq for item in await consumer.fetch(2, 0)]
    seqs += [item.recorded.seq for item in await consumer.fetch(2, 0)]
    assert [2, 3, 1] == seqs


async def test_one_seed_misbehaves_in_one_way() -> None:
    """Chances follow from the seed, and another seed's are others."""

    async def run(seed: int) -> list[bool]:
        log = MemoryLog(faults=Faults(chance={Fault.LOST_ACKNOWLEDGEMENT: 0.5}, seed=seed))
        lost = []
        for attempt in range(30):
            job_id = f"job_{attempt}"
            event = AssemblyRequested(job_id=job_id, attempt=1)
            try:
                await log.append(Tail(job_id=job_id), [event], source="test")
            except LogUnavailable:
                lost.append(True)
            else:
                lost.append(False)
        return lost

    first = await run(1)
    assert first == await run(1)
    assert first != await run(2)
    assert {True, False} == set(first)


async def test_the_clock_wakes_who_waits() -> None:
    """A fetch that waits sees a delay pass when the clock is stepped."""
    clock = ManualClock()
    log = MemoryLog(clock=clock)
    await filled(log, 1)
    consumer = await reader(log)
    (delivery,) = await consumer.fetch(1, 0)
    await delivery.nak(3600)
    waiting = asyncio.create_task(consumer.fetch(1, 2.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    clock.step(3600, log)
    assert 1 == len(await asyncio.wait_for(waiting, 10))


async def test_closing_ends_a_wait() -> None:
    """A reader that is closed while it waits returns with nothing."""
    log = MemoryLog()
    consumer = await reader(log)
    waiting = asyncio.create_task(consumer.fetch(1, 2.0))
    await asyncio.sleep(0.01)
    await consumer.close()
    assert () == tuple(await asyncio.wait_for(waiting, 10))


async def test_a_batch_that_does_not_fit_is_taken_back() -> None:
    """Where the first of two events fits and the second does not, neither stays."""
    log = MemoryLog(settings=LogSettings(bytes_max=1200))
    why = "x" * 500
    events = [RenderCancelRequested(job_id="a", why=why), requested(1), requested(2)]
    with pytest.raises(LogFull):
        await log.append(Tail(job_id="a"), events, source="test")
    assert (0, 0) == (log.last_seq, (await log.usage()).bytes)
    assert () == await log.read("a")
    await log.append(Tail(job_id="a"), [requested(1)], source="test")
    assert 1 == log.last_seq


async def test_a_subscriber_that_fails_harms_nobody() -> None:
    """Progress reaches the other listeners, and the teller goes on."""
    log = MemoryLog()
    heard: list[object] = []

    async def fail(progress: object) -> None:
        raise RuntimeError(str(progress))

    async def hear(progress: object) -> None:
        heard.append(progress)

    await log.subscribe_progress("a", fail)
    await log.subscribe_progress("a", hear)
    await log.publish_progress("a", {"frames": 1})
    await asyncio.sleep(0.01)
    assert [{"frames": 1}] == heard
