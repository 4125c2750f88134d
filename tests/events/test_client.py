"""Tests of ``events.client``: what a program does with the library."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing

import pytest

import events
from events import Foreign, JobStatus, LogUnavailable, MemoryLog, Pytoon, RenderRequested
from events.job import Job
from events.link import advanced
from events.log import Tail
from events.stream import LogSettings
from events.types import Event, Problem, RenderRejected
from tests.broker import NatsServer

REJECTED = RenderRejected(
    job_id="a", problems=(Problem(field="preset", value="x", limit="one of …", hint="see …"),)
)


async def reject(client: Pytoon, event: Event = REJECTED) -> None:
    """What a planner does with a request that cannot be met."""
    tail = Tail(job_id="a")
    for item in await client.log.read("a"):
        tail = advanced(tail, item)
    await client.log.append(tail, [event], source="planner")


async def test_ask_and_wait() -> None:
    """A request is stored as it was asked, and its end is waited for."""
    client = Pytoon(MemoryLog())
    stored = await client.request("a", {"preset": "x"})
    assert RenderRequested(job_id="a", ask={"preset": "x"}) == stored.event
    waiting = asyncio.create_task(client.wait("a", timeout_s=20))
    await asyncio.sleep(0)
    await reject(client)
    job = await waiting
    assert (JobStatus.REJECTED, REJECTED) == (job.status, job.end)
    assert ["a"] == [item.job_id for item in await client.jobs()]


async def test_a_request_is_a_part_of_the_callers_trace() -> None:
    """Where the caller names its span."""
    client = Pytoon(MemoryLog())
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await client.request("a", {}, traceparent=trace)
    assert trace == (await client.replay("a")).traceparent


async def test_waiting_has_an_end() -> None:
    """A job that does not end in time is a TimeoutError."""
    client = Pytoon(MemoryLog())
    await client.request("a", {})
    with pytest.raises(TimeoutError):
        await client.wait("a", timeout_s=0.05)


async def test_replay_to_a_place() -> None:
    """A job is folded from its history, whole or up to a message."""
    client = Pytoon(MemoryLog())
    await client.request("a", {})
    await reject(client)
    assert JobStatus.REJECTED is (await client.replay("a")).status
    before: Job = await client.replay("a", at=1)
    assert (JobStatus.REQUESTED, 1) == (before.status, before.tail.seq)
    assert JobStatus.UNKNOWN is (await client.replay("b")).status


async def test_cancelling() -> None:
    """A cancel is stored once, and shows in the job."""
    client = Pytoon(MemoryLog())
    await client.request("a", {})
    first = await client.cancel("a", "changed my mind")
    assert first == await client.cancel("a", "again")
    assert JobStatus.CANCELLING is (await client.replay("a")).status


async def test_events_are_followed() -> None:
    """Events come from a place on, live."""
    client = Pytoon(MemoryLog())
    await client.request("a", {})
    async with aclosing(client.events("a", after=1)) as stream:  # type: ignore[type-var]
        coming = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await reject(client)
        assert REJECTED == (await asyncio.wait_for(coming, 10)).event


async def test_progress_is_told() -> None:
    """Who listens hears how far a job is."""
    client = Pytoon(MemoryLog())
    async with aclosing(client.progress("a")) as stream:  # type: ignore[type-var]
        coming = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        await client.log.publish_progress("a", {"frames": 3})
        assert {"frames": 3} == await asyncio.wait_for(coming, 10)


async def test_an_audit_of_a_whole_chain() -> None:
    """A job whose messages are all there and unchanged has no flaws, foreign ones included."""
    log = MemoryLog()
    client = Pytoon(log)
    await client.request("a", {})
    log.publish_raw("pytoon.jobs.a.segment_failed", b"{")
    await reject(client)
    assert isinstance((await log.read("a"))[1].event, Foreign)
    assert () == await client.audit("a")


async def test_what_is_no_json_is_refused() -> None:
    """An ask that JSON cannot say is a ValueError, as is a job id that is none."""
    client = Pytoon(MemoryLog())
    with pytest.raises(ValueError, match="JSON"):
        await client.request("a", {"picture": object()})
    with pytest.raises(ValueError, match="job id"):
        await client.request("a/b", {})


async def test_connecting(nats_server: NatsServer) -> None:
    """A client of a real server asks and reads, and is told when there is none."""
    async with Pytoon.connect(nats_server.url, token=nats_server.token) as client:
        await client.log.provision([])
        await client.request("a", {"preset": "x"})
        assert JobStatus.REQUESTED is (await client.replay("a")).status
    nats_server.kill()
    with pytest.raises(LogUnavailable):
        async with Pytoon.connect(nats_server.url, settings=LogSettings(connect_timeout_s=0.3)):
            pass


def test_types_cost_no_connection() -> None:
    """Who imports the event types alone does not import NATS."""
    script = "import sys, events.spec, events.types, events; sys.exit('nats' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode


def test_the_names_of_the_package() -> None:
    """Every name that the package is for can be had from it, and no other."""
    for name in events.__all__:
        assert getattr(events, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = events.nothing
