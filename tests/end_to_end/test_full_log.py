"""A log at its limit, on a real server: new work is refused, and work under way ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from events.jetstream import JetStreamLog
from events.job import JobStatus
from events.link import flaws
from events.log import LogFull
from events.pruning import prune_job
from services.composition import durables
from tests.broker import NatsServer
from tests.end_to_end.world import Processes, ask, ended, job_of

BYTES_MAX = 200_000
PADDING = "x" * 900


class Small:
    """A log with room for a few jobs, and processes that work on it when they are started."""

    def __init__(self, world: Processes, log: JetStreamLog) -> None:
        self.world = world
        self.log = log
        self.asks = 0

    async def fill(self, up_to: float) -> None:
        """Ask that jobs be cancelled that nobody knows: it changes nothing and takes room."""
        while (await self.log.usage()).fullness < up_to:
            self.asks += 1
            body = msgspec.json.encode({"why": f"{self.asks} {PADDING}"})
            try:
                await self.log.publish_ask(f"none-{self.asks}", "render_cancel_requested", body)
            except LogFull:
                return


@pytest_asyncio.fixture
async def small(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Small]:
    """Nothing in it yet, and no process started."""
    world = Processes(nats_server, tmp_path)
    settings = msgspec.structs.replace(
        world.config.log.settings(), bytes_max=BYTES_MAX, request_timeout_s=10.0
    )
    log = await JetStreamLog.connect(nats_server.url, token=nats_server.token, settings=settings)
    try:
        await log.provision(durables(world.config))
        yield Small(world, log)
    finally:
        world.kill()
        await log.close()


async def test_new_work_is_refused_and_running_work_ends(small: Small) -> None:
    """Above nine tenths; what is said has the figures and what to do."""
    await ask(small.log, "running")
    await small.fill(0.9)
    with pytest.raises(LogFull, match="prune ended jobs, or raise") as caught:
        await ask(small.log, "late")
    assert f"of {BYTES_MAX} bytes" in str(caught.value)
    small.world.spawn()
    job = await ended(small.log, "running")
    assert (job.status, job.problems) == (JobStatus.COMPLETED, ())
    assert (await job_of(small.log, "late")).requested is None


@pytest.mark.slow
async def test_work_waits_for_room_and_goes_on(small: Small) -> None:
    """To the last byte: nothing is lost, nothing fails, and pruning is what brings it on."""
    await ask(small.log, "before")
    small.world.spawn()
    before = await ended(small.log, "before")
    small.world.kill()
    await ask(small.log, "running")
    await small.fill(1.0)
    small.world.spawn()
    await asyncio.sleep(3.0)
    waiting = await job_of(small.log, "running")
    assert waiting.end is None
    await prune_job(small.log.connection, "before", before.tail.seq)
    # As an operator would, who prunes more than one job: the padding, too.
    await small.log.connection.api("STREAM.PURGE.EVENTS", {"filter": "pytoon.jobs.none-1.>"})
    for number in range(2, small.asks):
        wanted = {"filter": f"pytoon.jobs.none-{number}.>"}
        await small.log.connection.api("STREAM.PURGE.EVENTS", wanted)
    job = await ended(small.log, "running", within_s=50)
    assert job.status is JobStatus.COMPLETED
    assert () == flaws(await small.log.read("running"))
