"""Each event log under test, and small events to put in it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from events.jetstream import JetStreamLog
from events.link import advanced
from events.log import (
    Consumer,
    Delivery,
    DurableSpec,
    EventLog,
    Recorded,
    Tail,
)
from events.memory import MemoryLog
from events.stream import LogSettings
from events.types import (
    Deadline,
    Event,
    SegmentTimedOut,
)
from tests.broker import NatsServer
from tests.patience import COMES_S, holds_once

ACK_WAIT_S = 0.4
DURABLES = (
    DurableSpec(
        name="planner",
        types=("render_requested", "segment_timed_out", "segment_rendered"),
        max_ack_pending=8,
    ),
    DurableSpec(name="timers", types=("segment_timed_out",), max_ack_pending=-1),
)
HASTY = DurableSpec(
    name="hasty", types=("segment_timed_out", "segment_rendered"), ack_wait_s=ACK_WAIT_S
)
SETTINGS = LogSettings(bytes_max=1 << 20, request_timeout_s=5.0, newer_delay_s=0.3)

Log = JetStreamLog | MemoryLog
Raw = Callable[[str, bytes, Mapping[str, str] | None], Awaitable[None]]


@dataclass
class Bench:
    """A log under test; ``raw`` publishes as any client in any language would."""

    log: Log
    raw: Raw
    another: Callable[[], Awaitable[Log]]
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@pytest_asyncio.fixture(name="bench", params=["memory", "jetstream"])
async def each_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each log in turn, provisioned."""
    async with opened(request.param, tmp_path, SETTINGS) as made:
        yield made


@asynccontextmanager
async def opened(kind: str, folder: Path, settings: LogSettings) -> AsyncIterator[Bench]:
    """A log of a kind (``memory`` or ``jetstream``) with these settings, provisioned."""
    made = await (_memory(settings) if kind == "memory" else _jetstream(folder, settings))
    await made.log.provision(DURABLES)
    try:
        yield made
    finally:
        for close in made.closing:
            await close()


async def _memory(settings: LogSettings) -> Bench:
    log = MemoryLog(settings=settings)

    async def raw(subject: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        log.publish_raw(subject, body, headers)

    async def another() -> Log:
        return log

    return Bench(log, raw, another)


async def _jetstream(folder: Path, settings: LogSettings) -> Bench:
    server = await NatsServer(folder).start()
    client = await server.raw()

    async def kill() -> None:
        server.kill()

    closing: list[Callable[[], Awaitable[None]]] = [client.close, kill]

    async def raw(subject: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        await client.jetstream().publish(subject, body, headers=dict(headers or {}))

    async def another() -> Log:
        log = await JetStreamLog.connect(server.url, token=server.token, settings=settings)
        closing.insert(0, log.close)
        return log

    return Bench(await another(), raw, another, closing)


def timed_out(segment: int, job_id: str = "a", deadline: Deadline = Deadline.TOO_LONG) -> Event:
    """A small event; its key is the segment."""
    return SegmentTimedOut(job_id=job_id, segment=segment, attempt=1, deadline=deadline)


async def append(log: EventLog, tail: Tail, *events: Event) -> tuple[Tail, tuple[Recorded, ...]]:
    """Append, and move the tail on."""
    stored = await log.append(tail, events, source="test")
    for item in stored:
        tail = advanced(tail, item)
    return tail, stored


def without_time(recorded: Sequence[Recorded]) -> list[tuple[Any, ...]]:
    """What must be equal whether it was written or read: all but the clock."""
    return [
        (item.seq, item.subject, item.job_id, item.event, item.digest, item.body, item.envelope)
        for item in recorded
    ]


async def hasty(log: EventLog) -> Consumer:
    """A reader of a durable, made now, to which a message comes again soon."""
    await log.provision([HASTY])
    return await log.consumer(HASTY.name)


async def fetched(consumer: Consumer, within_s: float = COMES_S) -> list[Delivery]:
    """The first messages that come within a time, with a fetch after a fetch."""
    until_s = time.monotonic() + within_s
    while (left_s := until_s - time.monotonic()) > 0:
        deliveries = await consumer.fetch(10, left_s)
        if deliveries:
            return list(deliveries)
    return []


async def collected(consumer: Consumer, count: int) -> list[Delivery]:
    """So many messages, by as many fetches as it takes."""
    found: list[Delivery] = []
    while len(found) < count and (more := await fetched(consumer)):
        found += more
    return found


async def falls_silent(consumer: Consumer) -> bool:
    """Whether nothing comes any more, where all that does is acknowledged.

    What was not acknowledged in time may come once more.
    """

    async def silent(_: int) -> bool:
        late = await fetched(consumer, 2 * ACK_WAIT_S)
        for delivery in late:
            await delivery.ack()
        return not late

    return await holds_once(silent)
