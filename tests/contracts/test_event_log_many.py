"""What an event log tells of many jobs at once: a listing from a place on, and a watch."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from events.log import Heard, Tail
from tests.contracts.bench import Bench, append, each_log, timed_out
from tests.patience import COMES_S

__all__ = ["each_log"]


async def test_jobs_are_listed_from_a_place_on(bench: Bench) -> None:
    """Who knows what was there is told what is new, with the sequence of each ask."""
    for name in ("c", "a", "b"):
        await bench.log.publish_ask(name, "render_requested", b"{}")
        await append(bench.log, Tail(job_id=f"{name}-else"), timed_out(0, f"{name}-else"))
    listed = await bench.log.jobs(after=1, counted=False)
    assert [("a", 3, 0), ("b", 5, 0)] == [
        (item.job_id, item.seq, item.messages) for item in listed
    ]
    assert () == await bench.log.jobs(after=6, counted=False)
    assert [1, 3, 5] == [item.seq for item in await bench.log.jobs()]


async def test_a_job_is_listed_once(bench: Bench) -> None:
    """A second ask for the same job, by whatever client, makes it neither two nor newer."""
    for name in ("a", "b", "a"):
        body = b'{"hook": "%s"}' % name.encode()
        await bench.raw(f"pytoon.jobs.{name}.render_requested", body, {})
    listed = await bench.log.jobs()
    assert [("a", 1, 2), ("b", 2, 1)] == [
        (item.job_id, item.seq, item.messages) for item in listed
    ]


async def test_usage_says_where_the_log_ends(bench: Bench) -> None:
    """The newest message's sequence, and that nothing was taken out."""
    assert (0, 0) == ((await bench.log.usage()).last_seq, (await bench.log.usage()).removed)
    await append(bench.log, Tail(job_id="a"), timed_out(0), timed_out(1))
    assert (2, 0) == ((await bench.log.usage()).last_seq, (await bench.log.usage()).removed)


async def test_a_watch_hands_out_the_jobs_that_are_wanted_by_then(bench: Bench) -> None:
    """Those that are added while it runs, too; what is not wanted is passed by."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    other, _ = await append(bench.log, Tail(job_id="b"), timed_out(0, "b"))
    wanted = {"a"}
    seen: asyncio.Queue[Heard] = asyncio.Queue()

    async def watch() -> None:
        async with aclosing(bench.log.watch(wanted, after=1)) as heard:  # type: ignore[type-var]
            async for item in heard:
                seen.put_nowait(item)

    task = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(COMES_S):
            await append(bench.log, tail, timed_out(1))
            assert 3 == (await seen.get()).seq
            wanted.add("b")
            await append(bench.log, other, timed_out(1, "b"), timed_out(2, "b"))
            found = [await seen.get() for _ in range(2)]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [("b", 4), ("b", 5)] == [(item.job_id, item.seq) for item in found]
    recorded = await bench.log.read("b", after=3)
    assert [item.digest for item in recorded] == [
        item.recorded.digest for item in found if item.recorded
    ]


@pytest.mark.parametrize("version", ["2", "99"])
async def test_a_watch_goes_on_behind_what_only_a_newer_build_can_read(
    bench: Bench, version: str
) -> None:
    """It says that the job went on, and hands out what comes afterwards."""
    tail, _ = await append(bench.log, Tail(job_id="a"), timed_out(0))
    await bench.raw("pytoon.jobs.b.segment_rendered", b"{}", {"pytoon-version": version})
    await append(bench.log, tail, timed_out(1))
    async with (
        asyncio.timeout(COMES_S),
        aclosing(bench.log.watch({"a", "b"}, after=1)) as heard,  # type: ignore[type-var]
    ):
        first, second = await anext(heard), await anext(heard)
    assert ("b", 2, None) == (first.job_id, first.seq, first.recorded)
    assert second.recorded is not None
    assert ("a", 3) == (second.job_id, second.recorded.seq)
