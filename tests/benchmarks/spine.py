"""The log and the actors without any media: jobs a second, and what reading one job's state costs.

Jobs run on the null engine, through all four actors in one process on the home's own server,
which syncs every write.  The long log is made by storing one finished job's messages again under
other ids: what is read is as real as the job was, only its chain is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import nats
from nats.aio.client import Client

from events.client import Pytoon
from events.codec import encode_body, encode_envelope
from events.jetstream import JetStreamLog
from events.log import Recorded
from events.types import ENDS, Foreign, Stored, event_id, type_name
from services.home import Home
from services.runtime import JobCache
from services.server import ServerAddress, ensure_server, leave_server
from tests.benchmarks import jobs, processes
from tests.benchmarks.processes import Usage

ASK = {"preset_id": "meme_fast", "prompt": "Sleep does the rest", "target_duration_seconds": 15}
SEGMENTS = 5
READS = 60
FLUSHED_EVENTS = 2000
ENDED_S = 600.0
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """Null-engine jobs: how many, in which time, and CPU seconds by role."""

    jobs: int
    wall_s: float
    cpu_s: Mapping[str, float]
    events: int

    @property
    def jobs_per_s(self) -> float:
        """Jobs a second from the first request to the last end."""
        return self.jobs / self.wall_s


@dataclass(frozen=True, slots=True)
class Reading:
    """Median milliseconds to know one job's state in a log of so many events.

    Jobs lie anywhere in it, but for ``newest_ms``: of those that were stored last, as the ones
    under way are, and of which a service's cache has been warm, too.
    """

    events: int
    operator_ms: float
    cold_ms: float
    warm_ms: float
    newest_ms: float
    connect_ms: float


@asynccontextmanager
async def _services(folder: Path) -> AsyncIterator[tuple[int, Pytoon]]:
    """All four actors with the null engine in a new home; their pid and a client of theirs."""
    process, address = await asyncio.to_thread(_started, folder)
    try:
        async with Pytoon.connect(address.url, token=address.token) as pytoon:
            yield process.pid, pytoon
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, READY_S)


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], ServerAddress]:
    """Start the services in ``folder/home`` and wait until they are ready.  Blocks."""
    home = folder / "home"
    environ = jobs.environment(
        home, PYTOON_ENGINES__NULL__ENABLED="true", PYTOON_IDLE_EXIT_S=str(ENDED_S)
    )
    command = (sys.executable, "-P", "-m", "services.cli", "up", "--background")
    with (folder / "up.txt").open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    deadline_s = time.monotonic() + READY_S
    while not (home / "services.json").exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return process, ensure_server(Home(home))


async def throughput(folder: Path, count: int) -> Throughput:
    """Run so many null jobs at once; the time is the server's own, by the log."""
    async with _services(folder) as (pid, pytoon):
        await pytoon.request("warm", ASK)
        await pytoon.wait("warm", ENDED_S)
        before, after = Usage(), Usage()
        processes.look(before, [pid])
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(pytoon.request(f"job-{number}", ASK))
        first_s, last_s, events = await _ends(pytoon, count)
        processes.look(after, [pid])
    roles = {one.role for one in after.spent.values()}
    spent = {role: after.cpu_s(role) - before.cpu_s(role) for role in sorted(roles)}
    return Throughput(count, last_s - first_s, spent, events)


async def _ends(pytoon: Pytoon, count: int) -> tuple[float, float, int]:
    """When the first job was asked for and the last one ended, and how many messages it took."""
    first_s, last_s, ended, events = 0.0, 0.0, 0, 0
    async with asyncio.timeout(ENDED_S):
        async with contextlib.aclosing(pytoon.log.follow(None)) as stream:  # type: ignore[type-var]
            async for recorded in stream:
                if recorded.job_id == "warm":
                    continue
                events += 1
                first_s = first_s or recorded.time_s
                if _is_end(recorded.event):
                    ended, last_s = ended + 1, recorded.time_s
                    if ended == count:
                        break
    return first_s, last_s, events


def _is_end(event: Stored) -> bool:
    return not isinstance(event, Foreign) and type_name(event) in ENDS


async def reading(folder: Path, events: int) -> Reading:
    """Fill a log up to ``events`` messages, then read jobs from all over it."""
    async with _services(folder) as (_, pytoon):
        await pytoon.request("seed", ASK)
        await pytoon.wait("seed", ENDED_S)
        history = await pytoon.log.read("seed")
    home = Home(folder / "home")
    used = home.use_server()
    try:
        address = await asyncio.to_thread(ensure_server, home)
        connection = await nats.connect(address.url, token=address.token)
        copies = await _fill(connection, history, events)
        await connection.close()
        return await _read(address.url, address.token, copies, events)
    finally:
        leave_server(home, used)


async def _fill(connection: Client, history: Sequence[Recorded], events: int) -> int:
    """Store a job's messages again under other ids; returns how many copies there are."""
    copies = max(1, (events - len(history)) // len(history))
    since = 0
    for copy in range(copies):
        job_id = f"copy-{copy}"
        *most, last = (_again(recorded, job_id) for recorded in history)
        for subject, body, headers in most:
            await connection.publish(subject, body, headers=headers)
        since += len(history)
        if since < FLUSHED_EVENTS and copy < copies - 1:
            await connection.publish(last[0], last[1], headers=last[2])
            continue
        # Nobody answers the others: without one answer in between the stream's queue overflows.
        await connection.jetstream().publish(last[0], last[1], headers=last[2], timeout=60)
        since = 0
    return copies


def _again(recorded: Recorded, job_id: str) -> tuple[str, bytes, dict[str, str] | None]:
    """A stored message as another job would have it: subject, body and headers."""
    root, jobs_, _, rest = recorded.subject.split(".", 3)
    subject = f"{root}.{jobs_}.{job_id}.{rest}"
    if recorded.envelope is None or isinstance(recorded.event, Foreign):
        return subject, recorded.body, None
    event = msgspec.structs.replace(recorded.event, job_id=job_id)
    envelope = msgspec.structs.replace(recorded.envelope, id=event_id(event))
    return subject, encode_body(event), encode_envelope(envelope)


async def _read(url: str, token: str, copies: int, events: int) -> Reading:
    """Read jobs that lie spread over the log: by the operator, and by a service's cache."""
    count = min(READS, copies)
    spread = [f"copy-{copies * index // count}" for index in range(count)]
    newest = [f"copy-{copies - 1 - index}" for index in range(count)]
    began_s = time.perf_counter()
    log = await JetStreamLog.connect(url, token=token, name="bench")
    connect_ms = (time.perf_counter() - began_s) * 1000
    pytoon, cache = Pytoon(log), JobCache(log, 2 * READS)
    operator: list[float] = []
    try:
        for job_id in spread:
            began_s = time.perf_counter()
            job = await pytoon.replay(job_id)
            operator.append(time.perf_counter() - began_s)
            assert job.end is not None, job.problems
        cold, warm = [await _loading_ms(cache, spread) for _ in range(2)]
        _, newest_ms = [await _loading_ms(cache, newest) for _ in range(2)]
    finally:
        await log.close()
    return Reading(events, median(operator) * 1000, cold, warm, newest_ms, connect_ms)


async def _loading_ms(cache: JobCache, jobs: Sequence[str]) -> float:
    """The median time in which a service brings one of these jobs up to date."""
    times: list[float] = []
    for job_id in jobs:
        began_s = time.perf_counter()
        await cache.load(job_id)
        times.append(time.perf_counter() - began_s)
    return median(times) * 1000


__all__ = ["Reading", "Throughput", "reading", "throughput"]
