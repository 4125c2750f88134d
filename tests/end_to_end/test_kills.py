"""Kill -9 of real processes at every event boundary: the job ends in the same bytes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from events.jetstream import JetStreamLog
from events.job import JobStatus
from events.link import flaws
from events.types import Foreign, type_name
from tests.broker import NatsServer
from tests.end_to_end.world import Processes, ask, ended, job_of, output_of
from tests.faults import away


@pytest_asyncio.fixture
async def processes(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Processes]:
    """Processes on a server of their own, killed at the end."""
    world = Processes(nats_server, tmp_path)
    try:
        yield world
    finally:
        world.kill()


@pytest_asyncio.fixture
async def log(processes: Processes) -> AsyncIterator[JetStreamLog]:
    """A connection of the test's own."""
    found = await processes.log()
    try:
        yield found
    finally:
        await found.close()


async def undisturbed(processes: Processes, log: JetStreamLog) -> str:
    """The sha256 of a job that nothing disturbs."""
    process = processes.spawn()
    await ask(log, "undisturbed")
    job = await ended(log, "undisturbed")
    process.terminate()
    process.wait(timeout=10)
    return output_of(job)


async def _dead_or_done(process: subprocess.Popen[bytes], log: JetStreamLog) -> None:
    for _ in range(3000):
        if process.poll() is not None or (await job_of(log, "killed")).end is not None:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


@pytest.mark.parametrize(
    ("when", "number"), [("after", 1), pytest.param("before", 2, marks=pytest.mark.slow)]
)
@pytest.mark.timeout(120)
async def test_every_event_boundary(
    processes: Processes, log: JetStreamLog, when: str, number: int
) -> None:
    """Each process appends once and is dead, right after it or right before the next."""
    expected = await undisturbed(processes, log)
    await ask(log, "killed")
    deaths = 0
    async with asyncio.timeout(90):
        while (await job_of(log, "killed")).end is None:
            process = processes.spawn(when, number)
            await _dead_or_done(process, log)
            deaths += process.poll() is not None
            process.kill()
            process.wait(timeout=10)
    history = await log.read("killed")
    job = await job_of(log, "killed")
    assert output_of(job) == expected
    assert job.downgrades == ()
    assert flaws(history) == ()
    ids = [entry.envelope.id for entry in history if entry.envelope]
    assert len(ids) == len(set(ids))
    # Every append but the last is followed by a death: planning's batch, five segments, the
    # sound, the fifth segment's ask, the assembly's, the completion.
    assert deaths >= 8


async def test_the_server_is_killed_under_a_job(processes: Processes, log: JetStreamLog) -> None:
    """Services outlive their server: the job goes on when it is back."""
    expected = await undisturbed(processes, log)
    processes.spawn()
    await ask(log, "killed")
    async with away(processes.server, for_s=0.5):
        pass
    assert output_of(await ended(log, "killed")) == expected


@pytest.mark.slow
async def test_server_and_services_are_killed_at_once(
    processes: Processes, log: JetStreamLog
) -> None:
    """Nothing but the log is left, and that is enough."""
    expected = await undisturbed(processes, log)
    process = processes.spawn("after", 3)
    await ask(log, "killed")
    await asyncio.to_thread(process.wait, 20)
    async with away(processes.server):
        pass
    processes.spawn()
    assert output_of(await ended(log, "killed")) == expected


async def test_a_client_that_knows_nothing_of_ours(
    processes: Processes, log: JetStreamLog
) -> None:
    """Plain nats-py asks, follows by a durable consumer of its own, and gets the completion."""
    processes.spawn()
    nc = await processes.server.raw()
    js = nc.jetstream()
    body = b'{"preset_id": "meme_fast", "prompt": "Hi", "target_duration_seconds": 6}'
    await js.publish("pytoon.jobs.raw-1.render_requested", body)
    follower = await js.pull_subscribe("pytoon.jobs.raw-1.>", durable="mine", stream="EVENTS")
    seen: list[str] = []
    async with asyncio.timeout(50):
        while "render_completed" not in seen:
            for message in await follower.fetch(10, timeout=10):
                seen.append(message.subject.split(".")[3])
                await message.ack()
    await nc.close()
    assert seen[:2] == ["render_requested", "render_planned"]
    assert seen[-1] == "render_completed"


async def test_garbage_on_an_event_subject_changes_nothing(
    processes: Processes, log: JetStreamLog
) -> None:
    """A client that publishes ``{`` as a result counts in the chain, and nowhere else."""
    expected = await undisturbed(processes, log)
    nc = await processes.server.raw()
    await ask(log, "noisy")
    await nc.jetstream().publish("pytoon.jobs.noisy.segment_rendered", b"{")
    processes.spawn()
    job = await ended(log, "noisy")
    await nc.close()
    assert output_of(job) == expected
    kinds = [
        "foreign" if isinstance(entry.event, Foreign) else type_name(entry.event)
        for entry in await log.read("noisy")
    ]
    assert kinds[:2] == ["render_requested", "foreign"]
    assert job.tail.ordinal == len(kinds)
    assert "not ours" in job.problems[0]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"", b'{"preset_id": 1}', b"null"])
async def test_a_malformed_request_is_rejected_in_words(
    processes: Processes, log: JetStreamLog, body: bytes
) -> None:
    """It never crashes or blocks a consumer: the next job is rendered."""
    processes.spawn()
    nc = await processes.server.raw()
    await nc.jetstream().publish("pytoon.jobs.bad.render_requested", body)
    await ask(log, "good", target_duration_seconds=2)
    bad = await ended(log, "bad")
    good = await ended(log, "good")
    await nc.close()
    assert (bad.status, good.status) == (JobStatus.REJECTED, JobStatus.COMPLETED)
    problems = getattr(bad.end, "problems", ())
    assert all(problem.field and problem.limit and problem.hint for problem in problems)
    assert problems


async def test_two_processes_share_a_job(processes: Processes, log: JetStreamLog) -> None:
    """Two of everything: each segment is rendered once, and there is one completion."""
    processes.spawn()
    processes.spawn()
    await ask(log, "shared", target_duration_seconds=60)
    job = await ended(log, "shared")
    kinds = [type_name(e.event) for e in await log.read("shared")]  # type: ignore[arg-type]
    assert job.status is JobStatus.COMPLETED
    assert kinds.count("render_completed") == 1
    assert kinds.count("segment_rendered") == len(job.segments)
