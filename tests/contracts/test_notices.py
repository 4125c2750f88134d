"""Notices in every event log: last of a topic, expectations, and batches with a job's events."""

from __future__ import annotations

import asyncio

import pytest

from events.link import advanced
from events.log import Conflict, EventLog, LogFull, Tail
from events.notices import (
    Account,
    BudgetReserved,
    CircuitClosed,
    Posting,
    account_state,
    budget_topic,
    engine_topic,
)
from events.types import Event, GenerationIntended, RenderCancelRequested
from tests.contracts.bench import Bench, append, each_log, timed_out, without_time

__all__ = ["each_log"]

DAY = "2026-11-25"
TOPIC = budget_topic("eur", DAY)


def closed(engine: str = "e", *, failures: int = 0) -> CircuitClosed:
    """A small notice."""
    return CircuitClosed(engine=engine, failures=failures)


def reserved(job_id: str, account: Account, amount: float = 1.0) -> Posting:
    """A reservation on top of what the account has."""
    notice = BudgetReserved(
        scope="eur",
        date=DAY,
        amount=amount,
        reserved=account.reserved + amount,
        spent=account.spent,
        job_id=job_id,
        segment=0,
        attempt=1,
    )
    return Posting(notice=notice, after=account.seq)


def intended(job_id: str, claim: str = "") -> Event:
    """An intent."""
    return GenerationIntended(
        job_id=job_id, segment=0, attempt=1, engine="e", idempotency_key="k", claim=claim
    )


async def account_of(log: EventLog) -> Account:
    """The day's account."""
    return account_state(await log.last_notice(TOPIC))


async def test_the_last_notice_is_the_state(bench: Bench) -> None:
    """Of its own topic, be it called like a job or another engine."""
    assert await bench.log.last_notice(engine_topic("e")) is None
    await append(bench.log, Tail(job_id="e"), timed_out(0, "e"))
    first = await bench.log.post(Posting(notice=closed(), after=0), source="test")
    await bench.log.post(Posting(notice=closed("other"), after=0), source="test")
    second = Posting(notice=closed(failures=1), after=first.seq)
    posted = await bench.log.post(second, source="test")
    last = await bench.log.last_notice(engine_topic("e"))
    assert last is not None
    assert (closed(failures=1), posted.seq) == (last.notice, last.seq)
    assert [1] == [item.seq for item in await bench.log.read("e")]
    assert () == await bench.log.jobs()


async def test_who_knew_an_older_notice_is_refused(bench: Bench) -> None:
    """Nothing is stored then."""
    first = await bench.log.post(Posting(notice=closed(), after=0), source="test")
    for after in (0, first.seq + 7):
        posting = Posting(notice=closed(failures=5), after=after)
        with pytest.raises(Conflict):
            await bench.log.post(posting, source="test")
    last = await bench.log.last_notice(engine_topic("e"))
    assert last is not None
    assert last.seq == first.seq


async def test_a_notice_tried_again_is_stored_once(bench: Bench) -> None:
    """An answer that was lost is no conflict."""
    posting = Posting(notice=closed(), after=0)
    first = await bench.log.post(posting, source="test")
    again = await bench.log.post(posting, source="test")
    assert first.seq == again.seq
    assert 1 == (await bench.log.usage()).messages


async def test_events_and_notices_are_stored_together(bench: Bench) -> None:
    """As one: the events come back linked, and the notice is its topic's last."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    stored = await bench.log.append(
        tail,
        [timed_out(1), intended("a")],
        source="test",
        notices=[reserved("a", Account())],
    )
    assert [timed_out(1), intended("a")] == [item.event for item in stored]
    assert without_time(stored) == without_time(await bench.log.read("a", after=tail.seq))
    assert Account(seq=stored[-1].seq + 1, reserved=1.0) == await account_of(bench.log)


async def test_a_batch_is_refused_whole_if_either_side_is_stale(bench: Bench) -> None:
    """The job's tail moved on, or the topic's: nothing of both is stored."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    await bench.log.append(
        Tail(job_id="b"), [intended("b")], source="test", notices=[reserved("b", Account())]
    )
    account = await account_of(bench.log)
    with pytest.raises(Conflict):
        await bench.log.append(
            tail, [intended("a")], source="test", notices=[reserved("a", Account())]
        )
    with pytest.raises(Conflict):
        await bench.log.append(
            Tail(job_id="a"), [intended("a")], source="test", notices=[reserved("a", account)]
        )
    assert 1 == len(await bench.log.read("a"))
    assert account == await account_of(bench.log)
    await bench.log.append(tail, [intended("a")], source="test", notices=[reserved("a", account)])
    assert 2.0 == (await account_of(bench.log)).reserved


async def test_a_batch_tried_again_is_done_already(bench: Bench) -> None:
    """The same events and notices, whose answer was lost, are stored once."""
    batch = [intended("a", "mine")]
    notices = [reserved("a", Account())]
    first = await bench.log.append(Tail(job_id="a"), batch, source="test", notices=notices)
    again = await bench.log.append(Tail(job_id="a"), batch, source="test", notices=notices)
    assert without_time(first) == without_time(again)
    assert 2 == (await bench.log.usage()).messages
    other = [intended("a", "another's")]
    with pytest.raises(Conflict):
        await bench.log.append(Tail(job_id="a"), other, source="test", notices=notices)


async def test_the_last_euro_is_spent_once(bench: Bench) -> None:
    """Of many processes that read the same account exactly one reserves from it."""
    logs = [await bench.another() for _ in range(4)]
    account = await account_of(bench.log)

    async def race(number: int) -> bool:
        job_id = f"job-{number}"
        try:
            await logs[number % 4].append(
                Tail(job_id=job_id),
                [intended(job_id)],
                source="test",
                notices=[reserved(job_id, account)],
            )
        except Conflict:
            return False
        return True

    won = await asyncio.gather(*(race(number) for number in range(16)))
    assert 1 == sum(won)
    assert 1.0 == (await account_of(bench.log)).reserved
    stored = [len(await bench.log.read(f"job-{number}")) for number in range(16)]
    assert won == [bool(count) for count in stored]


async def test_a_full_log_takes_no_half_of_a_batch(bench: Bench) -> None:
    """Neither the events nor the notice are there afterwards."""
    why, number = "x" * 60_000, 0

    async def fill() -> None:
        nonlocal number
        for number in range(100):
            ask = RenderCancelRequested(job_id=f"filler_{number}", why=why)
            await append(bench.log, Tail(job_id=ask.job_id), ask)

    with pytest.raises(LogFull):
        await fill()
    huge = RenderCancelRequested(job_id="z", why=why)
    with pytest.raises(LogFull):
        await bench.log.append(
            Tail(job_id="z"), [huge], source="test", notices=[reserved("z", Account())]
        )
    assert () == await bench.log.read("z")
    assert Account() == await account_of(bench.log)


async def test_the_tail_is_known_without_reading(bench: Bench) -> None:
    """The job's last sequence, whoever stored it."""
    assert 0 == await bench.log.tail_seq("a")
    await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
    assert (2, 3) == (await bench.log.tail_seq("a"), await bench.log.tail_seq("b"))


async def test_recent_messages_of_some_types(bench: Bench) -> None:
    """Of all jobs, in order, among the last so many; a newer build's are left out."""
    tail, (first,) = await append(bench.log, Tail(job_id="a"), timed_out(0))
    ask = RenderCancelRequested(job_id="b")
    await append(bench.log, Tail(job_id="b"), ask)
    newer = {"pytoon-version": "99"}
    await bench.raw("pytoon.jobs.c.segment_timed_out", b"{}", newer)
    tail = advanced(Tail(job_id="a"), first)
    await append(bench.log, tail, timed_out(1), timed_out(2))
    types = ("segment_timed_out", "render_cancel_requested")
    found = await bench.log.recent(types, messages_max=100)
    assert [timed_out(0), ask, timed_out(1), timed_out(2)] == [item.event for item in found]
    found = await bench.log.recent(types[:1], messages_max=2)
    assert [timed_out(1), timed_out(2)] == [item.event for item in found]
