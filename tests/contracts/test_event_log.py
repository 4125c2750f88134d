"""One suite for every event log: what actors and clients may rely on."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from events.link import advanced, chained, digest
from events.log import Conflict, LogFull, StaleRead, Tail
from events.types import (
    AssemblyRequested,
    Deadline,
    Foreign,
    RenderCancelRequested,
    RenderRequested,
    event_id,
)
from tests.contracts.bench import (
    Bench,
    append,
    each_log,
    timed_out,
    without_time,
)
from tests.patience import COMES_S

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


async def test_follow_from_a_place_and_live(bench: Bench) -> None:
    """A follower gets what is stored after its place, then what comes, of its job alone."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def follow() -> None:
        async for item in bench.log.follow("a", after=1):
            seen.put_nowait(item.seq)

    task = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(COMES_S):
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
    async with asyncio.timeout(COMES_S):
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
