"""What a pruned job has left, as its readers and its next client see it."""

from __future__ import annotations

import pytest

from events.job import fold
from events.link import advanced, flaws
from events.log import JobPruned, Recorded, Tail
from events.memory import MemoryLog
from events.state import JobStatus
from events.types import (
    RenderCancelled,
    RenderCancelRequested,
    RenderCompleted,
    RenderRequested,
)


async def pruned() -> tuple[MemoryLog, tuple[Recorded, ...]]:
    """A log in which only a job's end is left, and what came after it."""
    whole, log = MemoryLog(), MemoryLog()
    await whole.publish_ask("a", "render_requested", b"{}")
    await whole.publish_ask("a", "render_cancel_requested", b"{}")
    tail = Tail(job_id="a")
    for recorded in await whole.read("a"):
        tail = advanced(tail, recorded)
    await whole.append(tail, [RenderCancelled(job_id="a", why="typo")], source="test")
    stored = whole.message(3)
    log.publish_raw(stored.subject, stored.body, stored.headers)
    return log, await log.read("a")


async def test_its_end_is_still_known() -> None:
    """Nothing is wrong with its chain, and what is appended to it continues it."""
    log, history = await pruned()
    job = fold("a", history)
    assert (job.status, job.pruned, job.alive) == (JobStatus.CANCELLED, True, False)
    assert (job.tail.ordinal, job.tail.digest) == (3, history[0].digest)
    assert () == flaws(history)
    await log.append(job.tail, [RenderCancelRequested(job_id="a", why="late")], source="test")
    assert () == flaws(await log.read("a"))


async def test_its_id_is_used() -> None:
    """A client is told; what one without our client stores is told of and starts nothing."""
    log, _ = await pruned()
    with pytest.raises(JobPruned, match="use another id"):
        await log.publish_ask("a", "render_requested", b"{}")
    log.publish_raw("pytoon.jobs.a.render_requested", b"{}")
    job = fold("a", await log.read("a"))
    assert (job.status, job.requested, job.alive) == (JobStatus.CANCELLED, None, False)
    assert "its id is used" in job.problems[0]


async def test_an_end_that_begins_a_job_is_no_tombstone() -> None:
    """Only one that counts messages before it is: anything else ends nothing."""
    log = MemoryLog()
    await log.append(Tail(job_id="a"), [RenderCancelled(job_id="a", why="")], source="test")
    job = fold("a", await log.read("a"))
    assert (job.status, job.pruned) == (JobStatus.UNKNOWN, False)
    await log.publish_ask("a", "render_requested", b"{}")
    assert isinstance(fold("a", await log.read("a")).requested, RenderRequested)


async def test_a_lost_beginning_is_no_pruning() -> None:
    """A history that begins with anything but an end has lost something."""
    log, history = await pruned()
    assert not isinstance(history[0].event, RenderCompleted)
    tail = Tail(job_id="b", seq=0, ordinal=4, digest="d" * 64)
    await log.append(tail, [RenderCancelRequested(job_id="b", why="")], source="test")
    assert ("4 lost between message 0 and message 2 (render_cancel_requested)",) == flaws(
        await log.read("b")
    )
