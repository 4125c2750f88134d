"""One suite for every event log: what actors and clients may rely on."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from events.link import advanced, chained, digest
from events.log import Conflict, LogFull, LogUnavailable, Queue, StaleRead, Tail
from events.types import (
    AssemblyRequested,
    Deadline,
    Foreign,
    RenderCancelRequested,
    RenderRequested,
    event_id,
)
from tests.contracts.bench import (
    ACK_WAIT_S,
    DURABLES,
    Bench,
    append,
    each_log,
    fetched,
    timed_out,
    without_time,
)

__all__ = ["each_log"]


async def test_read_what_was_appended(bench: Bench) -> None:
    """Events come back as they went in, linked in a chain, each with its place."""
    tail, first = await append(bench.log, Tail(job_id="a"), timed_out(0))
    tail, rest = await append(bench.log, tail, timed_out(1), timed_out(2))
    read = await bench.log.read("a")
    assert without_time(read) == without_time(first + rest)
    assert [1, 2, 3] == [item.seq for item in read]
    envelopes = [item.envelope for item in read if item.envelope]
    assert [1, 2, 3] == [item.ordinal for item in envelopes]
    assert ["", read[0].digest, read[1].digest] == [item.prev for item in envelopes]
    assert [0, 1, 1] == [item.job_seq for item in envelopes]
    assert all(abs(item.time_s - time.time()) < 5 for item in read)
    assert tail == Tail(job_id="a", seq=3, ordinal=3, digest=read[2].digest, first_seq=1)


async def test_read_the_part_that_was_asked_for(bench: Bench) -> None:
    """A read begins above ``after``, and another job's events are not in it."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
    await append(bench.log, tail, timed_out(1), timed_out(2))
    assert [3, 4] == [item.seq for item in await bench.log.read("a", after=1)]
    assert [4] == [item.seq for item in await bench.log.read("a", after=3, at_least=4)]
    assert () == await bench.log.read("a", after=4)
    assert () == await bench.log.read("nobody")


@pytest.mark.parametrize("hint", [1, 2, 3, 4, 5, 900])
async def test_a_hint_hides_nothing(bench: Bench, hint: int) -> None:
    """A message may have come from another log, and know a job that began elsewhere."""
    await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    await append(bench.log, tail, timed_out(1), timed_out(2))
    for at_least in (0, 4):
        read = await bench.log.read("a", first_seq=hint, at_least=at_least)
        assert [2, 3, 4] == [item.seq for item in read]


async def test_a_read_that_falls_short_is_told(bench: Bench) -> None:
    """A sequence that the job does not reach, not even at the leader, is a stale read."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    with pytest.raises(StaleRead):
        await bench.log.read("a", at_least=2)
    with pytest.raises(StaleRead):
        await bench.log.read("a", after=1, at_least=2)
    assert () == await bench.log.read("a", after=1, at_least=1)


async def test_a_long_job_is_read_whole(bench: Bench) -> None:
    """More messages than one batch holds come in order, without a gap or a double."""
    tail = Tail(job_id="a")
    for begin in range(0, 1100, 100):
        tail, _ = await append(bench.log, tail, *map(timed_out, range(begin, begin + 100)))
    assert list(range(1, 1101)) == [item.seq for item in await bench.log.read("a")]


async def test_the_second_writer_conflicts(bench: Bench) -> None:
    """Who appends after a tail that is no longer the last one is told so, and stores nothing."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    with pytest.raises(Conflict):
        await append(bench.log, Tail(job_id="a"), timed_out(1))
    with pytest.raises(Conflict):
        await append(bench.log, Tail(job_id="a", seq=7, ordinal=7), timed_out(1))
    assert 1 == len(await bench.log.read("a"))


async def test_trying_again_is_done_already(bench: Bench) -> None:
    """The same append, tried again because its answer was lost, returns what is stored."""
    first, (one,) = await append(bench.log, Tail(job_id="a"), timed_out(0))
    _, pair = await append(bench.log, first, timed_out(1), timed_out(2))
    _, again = await append(bench.log, Tail(job_id="a"), timed_out(0))
    _, pair_again = await append(bench.log, first, timed_out(1), timed_out(2))
    assert without_time([one]) == without_time(again)
    assert without_time(pair) == without_time(pair_again)
    assert 3 == len(await bench.log.read("a"))


async def test_another_body_under_the_same_key_conflicts(bench: Bench) -> None:
    """Two events with one key and different bodies are not one event: the first stands."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    other = timed_out(0, deadline=Deadline.NOT_TAKEN)
    with pytest.raises(Conflict):
        await append(bench.log, Tail(job_id="a"), other)
    with pytest.raises(Conflict):
        await append(bench.log, tail, other)
    with pytest.raises(Conflict):
        await append(bench.log, tail, timed_out(1), other)
    assert [timed_out(0)] == [item.event for item in await bench.log.read("a")]


async def test_a_batch_is_refused_whole(bench: Bench) -> None:
    """Of several events none is stored when the first one's expectation fails."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    await append(bench.log, tail, timed_out(1))
    with pytest.raises(Conflict):
        await append(bench.log, tail, timed_out(2), timed_out(3), timed_out(4))
    with pytest.raises(Conflict):
        await append(bench.log, tail, timed_out(1), timed_out(3))
    assert 2 == len(await bench.log.read("a"))


async def test_appending_nothing_is_nothing(bench: Bench) -> None:
    """An empty decision costs nothing, whatever the tail."""
    assert () == await bench.log.append(Tail(job_id="a", seq=9), [], source="test")


async def test_one_of_many_racers_wins(bench: Bench) -> None:
    """Of 32 writers at one tail, on several connections, exactly one appends."""
    logs = [await bench.another() for _ in range(4)]

    async def race(number: int) -> bool:
        try:
            await append(logs[number % 4], Tail(job_id="a"), timed_out(number))
        except Conflict:
            return False
        return True

    won = await asyncio.gather(*(race(number) for number in range(32)))
    assert 1 == sum(won)
    assert 1 == len(await bench.log.read("a"))


async def test_jobs_do_not_conflict_with_one_another(bench: Bench) -> None:
    """Writers of different jobs each succeed, at once."""
    names = [f"job_{number}" for number in range(20)]
    await asyncio.gather(
        *(append(bench.log, Tail(job_id=name), timed_out(0, name)) for name in names)
    )
    assert 20 == (await bench.log.usage()).messages


async def test_a_bare_ask_is_an_event(bench: Bench) -> None:
    """A client's JSON without any envelope is the request, and the next event is linked to it."""
    await bench.raw("pytoon.jobs.a.render_requested", b'{"preset": "x"}', None)
    (ask,) = await bench.log.read("a")
    assert RenderRequested(job_id="a", ask={"preset": "x"}) == ask.event
    assert ask.envelope is None
    tail = advanced(Tail(job_id="a"), ask)
    _, (stored,) = await append(bench.log, tail, timed_out(0))
    assert stored.envelope is not None
    assert digest("pytoon.jobs.a.render_requested", {}, b'{"preset": "x"}') == stored.envelope.prev


async def test_asking_again_returns_the_first(bench: Bench) -> None:
    """A job id makes a request idempotent: the second is not stored, whatever it says."""
    first = await bench.log.publish_ask("a", "render_requested", b'{"preset": "x"}')
    again = await bench.log.publish_ask("a", "render_requested", b'{"preset": "y"}')
    assert without_time([first]) == without_time([again])
    assert 1 == len(await bench.log.read("a"))


async def test_asks_of_one_type_may_be_several(bench: Bench) -> None:
    """Settlements of different segments are different asks; the same one is stored once."""
    for segment in (0, 1, 0, 1):
        body = b'{"segment": %d}' % segment
        await bench.log.publish_ask("a", "generation_settled", body)
    read = await bench.log.read("a")
    assert [0, 1] == [getattr(item.event, "segment", None) for item in read]


async def test_an_ask_that_cannot_be_one_is_refused(bench: Bench) -> None:
    """A job id, a type or a body that no client's ask has is refused before it is published."""
    with pytest.raises(ValueError, match="job id"):
        await bench.log.publish_ask("a.b", "render_requested", b"{}")
    with pytest.raises(ValueError, match="asks"):
        await bench.log.publish_ask("a", "render_completed", b"{}")
    with pytest.raises(ValueError, match="render_cancel_requested"):
        await bench.log.publish_ask("a", "render_cancel_requested", b"[]")
    assert () == await bench.log.read("a")


async def test_what_is_foreign_is_counted(bench: Bench) -> None:
    """A message that cannot be read keeps its place in the sequence and in the chain."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    await bench.raw("pytoon.jobs.a.segment_rendered", b"{", {"ce-id": "x"})
    first, foreign = await bench.log.read("a")
    assert isinstance(foreign.event, Foreign)
    assert (2, "pytoon.jobs.a.segment_rendered") == (foreign.event.seq, foreign.event.subject)
    assert digest(foreign.subject, {"ce-id": "x"}, b"{") == foreign.digest
    with pytest.raises(Conflict):
        await append(bench.log, tail, timed_out(1))
    _, (stored,) = await append(bench.log, advanced(tail, foreign), timed_out(1))
    assert stored.envelope is not None
    assert (3, chained(first.digest, foreign)) == (stored.envelope.ordinal, stored.envelope.prev)


async def test_digests_are_equal_however_a_message_was_read(bench: Bench) -> None:
    """Writing, reading, following and consuming tell one digest and one event."""
    _, written = await append(bench.log, Tail(job_id="a"), timed_out(0))
    read = await bench.log.read("a")
    (delivery,) = await (await bench.log.consumer("planner")).fetch(1, 2.0)
    async with aclosing(bench.log.follow("a")) as stream:  # type: ignore[type-var]
        followed = await anext(stream)
    assert [delivery.recorded] == list(read)
    assert followed == read[0]
    assert without_time(written) == without_time(read)


async def test_a_mistyped_subject_is_refused(bench: Bench) -> None:
    """What no type of ours is published to is refused, not swallowed."""
    with pytest.raises(Exception, match=r"no (stream|response)"):
        await bench.raw("pytoon.jobs.a.render_requestd", b"{}", None)


async def test_a_message_comes_again_until_it_is_settled(bench: Bench) -> None:
    """What is not acknowledged within ``ack_wait`` comes again; an acknowledgement ends it."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    consumer = await bench.log.consumer("planner")
    (first,) = await consumer.fetch(5, 2.0)
    begun_s = time.monotonic()
    assert () == tuple(await consumer.fetch(5, 0.1))
    (second,) = await fetched(consumer, 3.0)
    assert time.monotonic() - begun_s > ACK_WAIT_S / 2
    assert (1, 2) == (first.deliveries, second.deliveries)
    assert first.recorded == second.recorded
    await second.ack()
    assert [] == await fetched(consumer, 2 * ACK_WAIT_S)


async def test_a_message_is_given_back_for_a_time(bench: Bench) -> None:
    """``nak`` with a delay brings the message after it, without one at once."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    consumer = await bench.log.consumer("planner")
    (delivery,) = await fetched(consumer, 2.0)
    await delivery.nak()
    (delivery,) = await fetched(consumer, 2.0)
    begun_s = time.monotonic()
    await delivery.nak(0.3)
    (delivery,) = await fetched(consumer, 3.0)
    assert 0.25 < time.monotonic() - begun_s < 1.5
    assert 3 == delivery.deliveries
    await delivery.ack()


async def test_work_in_progress_is_kept(bench: Bench) -> None:
    """A message whose work goes on does not come to anyone else."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    consumer = await bench.log.consumer("planner")
    (delivery,) = await consumer.fetch(1, 2.0)
    for _ in range(8):
        await delivery.in_progress()
        assert () == tuple(await consumer.fetch(1, ACK_WAIT_S / 4))
    await delivery.ack()


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
    dead = await bench.log.consumer("planner")
    assert 1 == len(await dead.fetch(1, 2.0))
    await dead.close()
    assert () == tuple(await dead.fetch(1, 0.0))
    (delivery,) = await fetched(await bench.log.consumer("planner"), 3.0)
    assert 2 == delivery.deliveries


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
    assert 4 == len(await fetched(consumer, 2.0))


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
        for delivery in await fetched(await bench.log.consumer(durable), 2.0):
            assert 0 < await bench.log.backlog()
            await delivery.ack()
            await asyncio.sleep(0.05)
    assert 0 == await bench.log.backlog()


async def test_queues_tell_what_waits_and_what_is_handed_out(bench: Bench) -> None:
    """Of each durable apart: a message is in one of the two until it is acknowledged."""
    waiting, handed_out = Queue(waiting=2, handed_out=0), Queue(waiting=0, handed_out=2)
    await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    assert {"planner": waiting, "timers": waiting} == await bench.log.queues()
    deliveries = await fetched(await bench.log.consumer("timers"), 2.0)
    assert {"planner": waiting, "timers": handed_out} == await bench.log.queues()
    for delivery in deliveries:
        await delivery.ack()
    await asyncio.sleep(0.05)
    settled = Queue(waiting=0, handed_out=0)
    assert {"planner": waiting, "timers": settled} == await bench.log.queues()


async def test_a_fetch_waits_for_what_comes(bench: Bench) -> None:
    """A fetch that found nothing returns when something is stored, well before its time."""
    consumer = await bench.log.consumer("planner")
    waiting = asyncio.create_task(consumer.fetch(5, 2.0))
    await asyncio.sleep(0.1)
    begun_s = time.monotonic()
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    assert 1 == len(await waiting)
    assert time.monotonic() - begun_s < 1.0


async def test_the_unreadable_is_delivered_and_put_aside(bench: Bench) -> None:
    """A consumer gets what is foreign as such, and may put it with the dead letters, once."""
    await bench.raw("pytoon.jobs.a.segment_rendered", b"{", None)
    consumer = await bench.log.consumer("planner")
    (delivery,) = await consumer.fetch(1, 2.0)
    assert isinstance(delivery.recorded.event, Foreign)
    await delivery.dead_letter("no JSON")
    await delivery.dead_letter("no JSON")
    (letter,) = await bench.log.dead_letters()
    expected = ("pytoon.jobs.a.segment_rendered", 1, "no JSON", b"{")
    assert expected == (letter.subject, letter.seq, letter.why, letter.body)
    assert [] == await fetched(consumer, 2 * ACK_WAIT_S)


async def test_a_newer_version_is_given_back(bench: Bench) -> None:
    """A message of a newer build is never delivered, and what comes after it is."""
    await bench.raw("pytoon.jobs.a.segment_rendered", b"{}", {"pytoon-version": "2"})
    await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
    consumer = await bench.log.consumer("planner")
    assert ["b"] == [item.recorded.job_id for item in await fetched(consumer, 2.0)]


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
    assert [2] == [item.recorded.seq for item in await fetched(consumer, 2.0)]


async def test_follow_from_a_place_and_live(bench: Bench) -> None:
    """A follower gets what is stored after its place, then what comes, of its job alone."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def follow() -> None:
        async for item in bench.log.follow("a", after=1):
            seen.put_nowait(item.seq)

    task = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(5):
            assert 2 == await seen.get()
            await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
            await append(bench.log, tail, timed_out(2))
            assert 4 == await seen.get()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_follow_all_jobs(bench: Bench) -> None:
    """Without a job a follower gets every message in the order of the log."""
    await append(bench.log, Tail(job_id="a"), timed_out(0))
    await append(bench.log, Tail(job_id="b"), timed_out(0, "b"), timed_out(1, "b"))
    async with aclosing(bench.log.follow(None)) as stream:  # type: ignore[type-var]
        assert ["a", "b", "b"] == [(await anext(stream)).job_id for _ in range(3)]


async def test_jobs_are_listed_oldest_first(bench: Bench) -> None:
    """Every job that was asked for is listed once, with the number of its messages."""
    for name in ("c", "a", "b"):
        await bench.log.publish_ask(name, "render_requested", b"{}")
    await bench.log.publish_ask("nobody", "render_cancel_requested", b"{}")
    (ask,) = await bench.log.read("a")
    tail = advanced(Tail(job_id="a"), ask)
    await append(bench.log, tail, timed_out(0), AssemblyRequested(job_id="a", attempt=1))
    listed = [(item.job_id, item.messages) for item in await bench.log.jobs()]
    assert [("c", 1), ("a", 3), ("b", 1)] == listed


async def test_no_jobs_are_listed_of_an_empty_log(bench: Bench) -> None:
    """A log without a message has no jobs."""
    assert () == await bench.log.jobs()


async def test_a_full_log_refuses(bench: Bench) -> None:
    """Near its limit the log takes no new job; at its limit nothing; both are told as such."""
    await bench.log.publish_ask("a", "render_requested", b"{}")
    why, number = "x" * 60_000, 0

    async def fill() -> None:
        nonlocal number
        for number in range(100):
            ask = RenderCancelRequested(job_id=f"filler_{number}", why=why)
            await append(bench.log, Tail(job_id=ask.job_id), ask)

    with pytest.raises(LogFull):
        await fill()
    assert number > 10
    with pytest.raises(LogFull):
        await bench.log.publish_ask("b", "render_requested", b"{}")
    assert (await bench.log.usage()).fullness > 0.9
    await bench.log.publish_ask("a", "render_cancel_requested", b"{}")
    pair = [RenderCancelRequested(job_id="z", why=why), timed_out(0, "z")]
    with pytest.raises(LogFull):
        await append(bench.log, Tail(job_id="z"), *pair)
    assert () == await bench.log.read("z")


async def test_progress_reaches_who_listens(bench: Bench) -> None:
    """Progress of a job comes to its subscribers until they stop listening."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(progress: dict[str, Any]) -> None:
        await told.put(progress)

    unsubscribe = await bench.log.subscribe_progress("a", listen)
    await asyncio.sleep(0.05)
    await bench.log.publish_progress("b", {"frames": 1})
    await bench.log.publish_progress("a", {"frames": 2})
    async with asyncio.timeout(2):
        assert {"frames": 2} == await told.get()
    await unsubscribe()
    await bench.log.publish_progress("a", {"frames": 3})
    await asyncio.sleep(0.1)
    assert told.empty()


async def test_ids_are_the_events_own(bench: Bench) -> None:
    """An event's id in the log is the one that its key makes, whatever its place."""
    _, stored = await append(bench.log, Tail(job_id="a"), timed_out(3), timed_out(1))
    ids = [item.envelope.id for item in stored if item.envelope]
    assert [event_id(timed_out(3)), event_id(timed_out(1))] == ids
