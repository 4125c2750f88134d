"""What only a server can do to us: die, come back, be of another version, keep us out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from events.jetstream import JetStreamLog
from events.link import advanced, flaws, link
from events.log import Conflict, DurableSpec, LogError, LogUnavailable, Tail
from events.stream import LogSettings
from events.types import Deadline, Event, RenderCancelRequested, SegmentTimedOut
from tests.broker import NatsServer
from tests.contracts.bench import fetched
from tests.faults import away
from tests.patience import comes_true, holds_once

DURABLES = (DurableSpec(name="timers", types=("segment_timed_out",), ack_wait_s=0.5),)
SETTINGS = LogSettings(bytes_max=1 << 24, request_timeout_s=10.0, newer_delay_s=0.3)


def timed_out(segment: int, job_id: str = "a") -> Event:
    """A small event; its key is the segment."""
    return SegmentTimedOut(
        job_id=job_id, segment=segment, attempt=1, deadline=Deadline.NO_PROGRESS
    )


async def connected(server: NatsServer, settings: LogSettings = SETTINGS) -> JetStreamLog:
    """A log on a connection of its own."""
    return await JetStreamLog.connect(server.url, token=server.token, settings=settings)


@pytest_asyncio.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """A provisioned log."""
    made = await connected(nats_server)
    await made.provision(DURABLES)
    yield made
    await made.close()


async def grow(log: JetStreamLog, tail: Tail, count: int, *, pairs: bool) -> Tail:
    """Append events one after another, or two by two, as a service does that never gives up."""
    size = 2 if pairs else 1
    for begin in range(0, count, size):
        events = [timed_out(number) for number in range(begin, begin + size)]
        for stored in await log.append(tail, events, source="test"):
            tail = advanced(tail, stored)
    return tail


@pytest.mark.parametrize("pairs", [False, True])
async def test_nothing_is_lost_or_doubled_when_the_server_dies(
    nats_server: NatsServer, log: JetStreamLog, pairs: bool
) -> None:
    """Killed with -9 again and again in a row of appends, the log has each event once, chained."""
    task = asyncio.create_task(grow(log, Tail(job_id="a"), 600, pairs=pairs))
    kills = 0
    while not task.done() and kills < 4:
        await asyncio.sleep(0.12)
        async with away(nats_server):
            kills += 1
    tail = await asyncio.wait_for(task, 40)
    read = await log.read("a", at_least=tail.seq)
    segments = [item.event.segment for item in read if isinstance(item.event, SegmentTimedOut)]
    assert list(range(600)) == segments
    assert () == flaws(read)
    assert kills > 0


async def test_a_consumer_outlives_the_server(nats_server: NatsServer, log: JetStreamLog) -> None:
    """A reader goes on by itself after a restart, and what it had not settled comes again."""
    await grow(log, Tail(job_id="a"), 2, pairs=True)
    consumer = await log.consumer("timers")
    (first,) = await consumer.fetch(1, 2.0)
    waiting = asyncio.create_task(consumer.fetch(1, 2.0))
    async with away(nats_server, for_s=0.2):
        await asyncio.wait_for(waiting, 20)
        assert () == tuple(await consumer.fetch(1, 0.1))
        with pytest.raises(LogUnavailable):
            await first.ack()
    seqs: set[int] = set()

    async def rest() -> None:
        while len(seqs) < 2:
            for delivery in await consumer.fetch(5, 1.0):
                await delivery.ack()
                seqs.add(delivery.recorded.seq)

    await asyncio.wait_for(rest(), 20)
    assert {1, 2} == seqs


async def test_a_follower_outlives_the_server(nats_server: NatsServer, log: JetStreamLog) -> None:
    """A follower's consumer dies with the server; it goes on where it was, without a gap."""
    tail = await grow(log, Tail(job_id="a"), 2, pairs=True)
    async with aclosing(log.follow("a")) as stream:  # type: ignore[type-var]
        seqs = [(await anext(stream)).seq for _ in range(2)]
        async with away(nats_server):
            pass
        for segment in (2, 3):
            for stored in await log.append(tail, [timed_out(segment)], source="test"):
                tail = advanced(tail, stored)
        seqs += [(await asyncio.wait_for(anext(stream), 20)).seq for _ in range(2)]
    assert [1, 2, 3, 4] == seqs


async def test_a_batch_that_is_cut_off_stores_nothing(log: JetStreamLog) -> None:
    """A writer that dies between the first and the last message of a batch leaves no trace."""
    drafts = link(Tail(job_id="a"), [timed_out(0), timed_out(1)], source="test", time_s=0.0)
    headers = drafts[0].headers | {"Nats-Batch-Id": "cut-off", "Nats-Batch-Sequence": "1"}
    await log.connection.request(drafts[0].subject, drafts[0].body, headers)
    assert () == await log.read("a")
    tail = await grow(log, Tail(job_id="a"), 2, pairs=True)
    assert 2 == tail.seq


async def test_a_late_twin_of_an_append_is_harmless(
    nats_server: NatsServer, log: JetStreamLog
) -> None:
    """A publish that was given up and arrives all the same is stored once with its second try."""
    (draft,) = link(Tail(job_id="a"), [timed_out(0)], source="test", time_s=0.0)
    client = await nats_server.raw()
    headers = draft.headers | {
        "Nats-Msg-Id": draft.envelope.id,
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Expected-Last-Subject-Sequence-Subject": "pytoon.jobs.a.>",
    }
    await asyncio.gather(
        *(client.publish(draft.subject, draft.body, headers=headers) for _ in range(3)),
        grow(log, Tail(job_id="a"), 1, pairs=False),
    )
    await client.flush()
    assert 1 == len(await log.read("a", at_least=1))
    await client.close()


async def test_an_unknown_type_is_held_back(nats_server: NatsServer, log: JetStreamLog) -> None:
    """A newer build's type waits for a newer build: it comes again, and is never handed out."""
    client = await nats_server.raw()
    info = await client.jetstream().stream_info("EVENTS")
    info.config.subjects.append("pytoon.jobs.*.film_admired")
    await client.jetstream().update_stream(info.config)
    durable = await client.jetstream().consumer_info("EVENTS", "timers")
    wanted = [*(durable.config.filter_subjects or []), "pytoon.jobs.*.film_admired"]
    if durable.config.filter_subject:
        wanted.append(durable.config.filter_subject)
    durable.config.filter_subjects, durable.config.filter_subject = wanted, None
    await client.jetstream().add_consumer("EVENTS", durable.config)
    await client.jetstream().publish("pytoon.jobs.a.film_admired", b"{}")
    consumer = await log.consumer("timers")

    async def comes_again() -> bool:
        assert () == tuple(await consumer.fetch(5, 0.1))
        held = await client.jetstream().consumer_info("EVENTS", "timers")
        return (1, 1) == (held.num_ack_pending, held.num_redelivered)

    assert await comes_true(comes_again)
    await client.close()


async def test_an_older_build_keeps_what_a_newer_one_added(
    nats_server: NatsServer, log: JetStreamLog
) -> None:
    """Provisioning takes no subject away that this build does not know."""
    client = await nats_server.raw()
    info = await client.jetstream().stream_info("EVENTS")
    info.config.subjects.append("pytoon.jobs.*.film_admired")
    await client.jetstream().update_stream(info.config)
    await log.provision(DURABLES)
    config = (await client.jetstream().stream_info("EVENTS")).config
    assert "pytoon.jobs.*.film_admired" in (config.subjects or [])
    expected = (True, True, True)
    assert expected == (config.deny_delete, config.allow_direct, config.allow_atomic)
    await client.close()


async def test_a_cancelled_fetch_takes_nothing_with_it(log: JetStreamLog) -> None:
    """A fetch that is cancelled while it waits does not swallow the message that comes then."""
    consumer = await log.consumer("timers")
    waiting = asyncio.create_task(consumer.fetch(1, 2.0))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await grow(log, Tail(job_id="a"), 1, pairs=False)
    (delivery,) = await consumer.fetch(1, 2.0)
    assert 1 == delivery.deliveries


async def test_a_late_ack_settles_its_own_message_alone(log: JetStreamLog) -> None:
    """An acknowledgement that comes late, its message given to another, settles no other."""
    await grow(log, Tail(job_id="a"), 2, pairs=True)
    consumer = await log.consumer("timers")
    (late,) = await consumer.fetch(1, 2.0)
    await asyncio.sleep(0.6)
    while await consumer.fetch(5, 0.0):
        pass
    await late.ack()
    await asyncio.sleep(0.7)
    assert [2] == [item.recorded.seq for item in await fetched(consumer)]


async def test_no_server_is_told_at_once() -> None:
    """Where nobody listens, connecting fails in the time that is set."""
    settings = LogSettings(connect_timeout_s=0.4)
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:1"):
        await JetStreamLog.connect("nats://user:secret@127.0.0.1:1", settings=settings)


async def test_a_wrong_token_is_told(nats_server: NatsServer) -> None:
    """A server that keeps us out is named with its reason, and no password is."""
    settings = LogSettings(connect_timeout_s=1.0)

    async def is_told(_: int) -> bool:
        with pytest.raises(LogUnavailable) as caught:
            await JetStreamLog.connect(nats_server.url, token="wrong", settings=settings)
        assert "wrong" not in str(caught.value)
        return "authorization" in str(caught.value).lower()

    assert await holds_once(is_told)


@pytest.mark.slow
async def test_a_server_that_stays_away_is_told(
    nats_server: NatsServer, log: JetStreamLog
) -> None:
    """While there is no server every call says so within its time, and none says anything else."""
    brief = LogSettings(request_timeout_s=0.2, append_timeout_s=0.4)
    other = await connected(nats_server, brief)
    async with away(nats_server):
        await asyncio.sleep(0.05)
        calls: list[Any] = [
            other.append(Tail(job_id="a"), [timed_out(0)], source="test"),
            other.publish_ask("a", "render_cancel_requested", b"{}"),
            other.publish_ask("a", "render_requested", b"{}"),
            other.read("a"),
            other.jobs(),
            other.jobs(counted=False),
            other.usage(),
            other.backlog(),
            other.dead_letters(),
            other.consumer("timers"),
            other.provision(DURABLES),
            other.publish_progress("a", {}),
        ]
        for call in calls:
            with pytest.raises(LogUnavailable):
                await asyncio.wait_for(call, 3)
    await asyncio.wait_for(log.connection.connected(5), 6)
    assert () == await log.read("a")
    await other.close()


async def test_an_event_that_is_too_large_is_no_outage(log: JetStreamLog) -> None:
    """More bytes than the server takes is an error of its own: trying again would not help."""
    ask = RenderCancelRequested(job_id="a", why="x" * (1 << 20))
    with pytest.raises(LogError, match="max_payload") as caught:
        await log.append(Tail(job_id="a"), [ask], source="test")
    assert not isinstance(caught.value, LogUnavailable)


async def test_a_misdirected_acknowledgement_forges_nothing(
    nats_server: NatsServer, log: JetStreamLog
) -> None:
    """A publish whose reply subject is an event's stores the broker's answer there: foreign."""
    client = await nats_server.raw()
    for forged in ("render_completed", "render_cancel_requested", "segment_failed"):
        reply = f"pytoon.jobs.a.{forged}"
        await client.publish("pytoon.jobs.b.render_requested", b"{}", reply=reply)
    await client.flush()
    for _ in range(100):
        with contextlib.suppress(LogError):
            read = await log.read("a")
            if len(read) == 3:
                break
        await asyncio.sleep(0.02)
    assert all(json.loads(item.body)["stream"] == "EVENTS" for item in read)
    assert ["Foreign"] * 3 == [type(item.event).__name__ for item in read]
    with pytest.raises(Conflict):
        await log.append(Tail(job_id="a"), [timed_out(0)], source="test")
    await client.close()
