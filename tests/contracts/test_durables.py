"""One suite for the durables of every event log: what is handed out, and when it comes again."""

from __future__ import annotations

import asyncio
import time

import pytest

from events.link import advanced
from events.log import Delivery, LogUnavailable, Queue, Tail
from events.types import Foreign
from tests.contracts.bench import (
    ACK_WAIT_S,
    DURABLES,
    Bench,
    append,
    collected,
    each_log,
    falls_silent,
    fetched,
    hasty,
    timed_out,
)
from tests.patience import comes_true, holds_once

__all__ = ["each_log"]


async def test_a_message_comes_again_until_it_is_settled(bench: Bench) -> None:
    """What is not acknowledged within ``ack_wait`` comes again; an acknowledgement ends it."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    consumer = await hasty(bench.log)
    begun_s = time.monotonic()
    (first,) = await fetched(consumer)
    (second,) = await fetched(consumer)
    assert time.monotonic() - begun_s > ACK_WAIT_S / 2
    assert 1 == first.deliveries < second.deliveries
    assert first.recorded == second.recorded
    await second.ack()
    assert await falls_silent(consumer)


async def test_a_message_is_given_back_for_a_time(bench: Bench) -> None:
    """``nak`` with a delay brings the message after it, without one at once."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    consumer = await bench.log.consumer("planner")
    begun_s = time.monotonic()
    (delivery,) = await fetched(consumer)
    await delivery.nak()
    (delivery,) = await fetched(consumer)
    given_back_s = time.monotonic()
    await delivery.nak(0.3)
    (delivery,) = await fetched(consumer)
    now_s = time.monotonic()
    assert 0.25 < now_s - given_back_s
    assert now_s - begun_s < DURABLES[0].ack_wait_s, "it would have come again by itself"
    assert 3 == delivery.deliveries
    await delivery.ack()


async def test_work_in_progress_is_kept(bench: Bench) -> None:
    """A message whose work goes on does not come to anyone else."""
    consumer = await hasty(bench.log)

    async def kept(number: int) -> bool:
        await append(bench.log, Tail(job_id=f"job-{number}"), timed_out(0, f"job-{number}"))
        (delivery,) = await fetched(consumer)
        again: list[Delivery] = []
        for _ in range(8):
            await delivery.in_progress()
            again += await consumer.fetch(1, ACK_WAIT_S / 4)
        await delivery.ack()
        if again:
            assert await falls_silent(consumer)
        return not again

    assert await holds_once(kept)


async def test_readers_share_a_durable(bench: Bench) -> None:
    """Two readers of one durable get each message once between them."""
    await append(bench.log, Tail(job_id="a"), *map(timed_out, range(6)))
    readers = [await (await bench.another()).consumer("planner") for _ in range(2)]
    seqs: list[int] = []
    for turn in range(6):
        for delivery in await readers[turn % 2].fetch(1, 2.0):
            seqs.append(delivery.recorded.seq)
            await delivery.ack()
    assert list(range(1, 7)) == sorted(seqs)
    assert () == tuple(await readers[0].fetch(1, 0.1))


async def test_a_readers_death_frees_its_messages(bench: Bench) -> None:
    """What a reader held when it closed comes to another after ``ack_wait``."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    dead = await hasty(bench.log)
    assert 1 == len(await fetched(dead))
    await dead.close()
    assert () == tuple(await dead.fetch(1, 0.0))
    (delivery,) = await fetched(await bench.log.consumer("hasty"))
    assert delivery.deliveries >= 2


async def test_a_fetch_is_bounded(bench: Bench) -> None:
    """No fetch gives more than was asked for, nor more than the durable may leave unsettled."""
    await append(bench.log, Tail(job_id="a"), *map(timed_out, range(12)))
    consumer = await bench.log.consumer("planner")
    first = await consumer.fetch(3, 2.0)
    second = await consumer.fetch(100, 2.0)
    assert (3, 5) == (len(first), len(second))
    for delivery in (*first, *second):
        await delivery.in_progress()
    assert () == tuple(await consumer.fetch(100, 0.1))
    for delivery in (*first, *second):
        await delivery.ack()
    assert 4 == len(await collected(consumer, 4))


async def test_durables_have_their_types_only(bench: Bench) -> None:
    """A durable gets what its filter names; two durables each get their own copy."""
    await bench.raw("pytoon.jobs.a.render_requested", b"{}", None)
    (ask,) = await bench.log.read("a")
    await append(bench.log, advanced(Tail(job_id="a"), ask), timed_out(0))
    planner, timers = await bench.log.consumer("planner"), await bench.log.consumer("timers")
    assert [1, 2] == [item.recorded.seq for item in await planner.fetch(5, 2.0)]
    assert [2] == [item.recorded.seq for item in await timers.fetch(5, 2.0)]


async def test_the_backlog_is_what_is_not_settled(bench: Bench) -> None:
    """It counts, for each durable, what was not handed out and what was not acknowledged."""
    assert 0 == await bench.log.backlog()
    await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    assert 4 == await bench.log.backlog()
    for durable in ("planner", "timers"):
        for delivery in await collected(await bench.log.consumer(durable), 2):
            assert 0 < await bench.log.backlog()
            await delivery.ack()

    async def all_settled() -> bool:
        return 0 == await bench.log.backlog()

    assert await comes_true(all_settled)


async def test_queues_tell_what_waits_and_what_is_handed_out(bench: Bench) -> None:
    """Of each durable apart: a message is in one of the two until it is acknowledged."""
    waiting, handed_out = Queue(waiting=2, handed_out=0), Queue(waiting=0, handed_out=2)
    await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    assert {"planner": waiting, "timers": waiting} == await bench.log.queues()
    deliveries = await collected(await bench.log.consumer("timers"), 2)
    assert {"planner": waiting, "timers": handed_out} == await bench.log.queues()
    for delivery in deliveries:
        await delivery.ack()
    settled = Queue(waiting=0, handed_out=0)

    async def is_settled() -> bool:
        return {"planner": waiting, "timers": settled} == await bench.log.queues()

    assert await comes_true(is_settled)


async def test_a_fetch_waits_for_what_comes(bench: Bench) -> None:
    """A fetch that found nothing returns when something is stored, well before its time."""
    consumer = await bench.log.consumer("planner")

    async def well_before_its_time(number: int) -> bool:
        waiting = asyncio.create_task(fetched(consumer, 2.0))
        await asyncio.sleep(0.1)
        begun_s = time.monotonic()
        await append(bench.log, Tail(job_id=f"job-{number}"), timed_out(0, f"job-{number}"))
        came = await waiting
        took_s = time.monotonic() - begun_s
        for delivery in came or await fetched(consumer):
            await delivery.ack()
        return 1 == len(came) and took_s < 1.0

    assert await holds_once(well_before_its_time)


async def test_the_unreadable_is_delivered_and_put_aside(bench: Bench) -> None:
    """A consumer gets what is foreign as such, and may put it with the dead letters, once."""
    await bench.raw("pytoon.jobs.a.segment_rendered", b"{", None)
    consumer = await hasty(bench.log)
    (delivery,) = await fetched(consumer)
    assert isinstance(delivery.recorded.event, Foreign)
    await delivery.dead_letter("no JSON")
    await delivery.dead_letter("no JSON")
    (letter,) = await bench.log.dead_letters()
    expected = ("pytoon.jobs.a.segment_rendered", 1, "no JSON", b"{")
    assert expected == (letter.subject, letter.seq, letter.why, letter.body)
    assert await falls_silent(consumer)


async def test_a_newer_version_is_given_back(bench: Bench) -> None:
    """A message of a newer build is never delivered, and what comes after it is."""
    await bench.raw("pytoon.jobs.a.segment_rendered", b"{}", {"pytoon-version": "2"})
    await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
    consumer = await bench.log.consumer("planner")
    assert ["b"] == [item.recorded.job_id for item in await fetched(consumer)]


async def test_a_durable_that_is_not_there_is_told(bench: Bench) -> None:
    """A service that comes before its durable is told to try again."""
    with pytest.raises(LogUnavailable):
        await bench.log.consumer("nobody")


async def test_provision_again_keeps_the_place(bench: Bench) -> None:
    """Provisioning is repeatable: durables keep their place, notes are added to."""
    await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    consumer = await bench.log.consumer("planner")
    (delivery,) = await consumer.fetch(1, 2.0)
    await delivery.ack()
    await bench.log.provision(DURABLES, metadata={"store": "file:///films"})
    await bench.log.provision(DURABLES, metadata={"other": "1"})
    assert {"store": "file:///films", "other": "1"} == await bench.log.metadata()
    assert [2] == [item.recorded.seq for item in await fetched(consumer)]
