"""One reader for all streams: each event once, in order, whatever the readers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from events.job import fold, initial_state
from events.log import Heard, LogUnavailable
from events.memory import MemoryLog
from services.gateway import listening
from services.gateway.listening import Listening
from services.gateway.streaming import job_events
from tests import builders
from tests.patience import COMES_S, others_go_on
from tests.services.gateway.conftest import House, house_of

HISTORY = builders.whole_history()


@pytest.fixture(name="quiet")
async def a_quiet_house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway without services: the test alone writes."""
    async with house_of(tmp_path, actors=False) as made:
        yield made


async def _append(house: House, first: int, last: int) -> list[int]:
    """Append some of a job's events; returns their sequences."""
    tail = fold(builders.JOB, await house.log.read(builders.JOB)).tail
    stored = await house.log.append(tail, HISTORY[first:last], source="test")
    return [recorded.seq for recorded in stored]


async def _told(house: House, after: int = 0) -> list[str]:
    """What a stream tells until it ends."""
    async with asyncio.timeout(COMES_S):
        told = job_events(house.app.state.desk, builders.JOB, after)
        return [item.get("id", item["event"]) async for item in told]


async def _streams(house: House, count: int, after: int = 0) -> list[asyncio.Task[list[str]]]:
    """Streams that have begun to listen."""
    tasks = [asyncio.create_task(_told(house, after)) for _ in range(count)]
    for _ in range(500):
        await asyncio.sleep(0.01)
        if house.app.state.desk.listening.ears == count:
            break
    await others_go_on()
    return tasks


async def test_many_streams_have_one_reader(quiet: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told all, and what comes live is not read from the log by any of them."""
    watches: list[int] = []
    watch = MemoryLog.watch

    def counted(self: MemoryLog, jobs: Any, *, after: int) -> AsyncIterator[Heard]:
        watches.append(after)
        return watch(self, jobs, after=after)

    monkeypatch.setattr(MemoryLog, "watch", counted)
    before = await _append(quiet, 0, 2)
    streams = await _streams(quiet, 50)
    reads = []
    read = MemoryLog.read

    async def counted_read(self: MemoryLog, job_id: str, **more: int) -> Any:
        reads.append(job_id)
        return await read(self, job_id, **more)

    monkeypatch.setattr(MemoryLog, "read", counted_read)
    live = await _append(quiet, 2, len(HISTORY))
    told = await asyncio.gather(*streams)
    expected = [str(seq) for seq in (*before, *live)]
    assert all(one == [*expected, "end"] for one in told)
    assert watches == [2]
    assert len(reads) == 1, "only the test's own"
    assert quiet.app.state.desk.listening.ears == 0
    assert quiet.app.state.desk.listening._reading is None


async def test_a_reader_begins_again_with_the_next_stream(quiet: House) -> None:
    """Nothing is missed of what came while nobody listened."""
    begun = await _append(quiet, 0, 3)
    (first,) = await _streams(quiet, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    between = await _append(quiet, 3, 5)
    (second,) = await _streams(quiet, 1, after=begun[-1])
    live = await _append(quiet, 5, len(HISTORY))
    assert await second == [*(str(seq) for seq in (*between, *live)), "end"]


async def test_a_slow_stream_keeps_little_and_misses_nothing(
    quiet: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is more than it may keep is read from the log when its turn comes."""
    monkeypatch.setattr(listening, "MESSAGES_KEPT_MAX", 2)
    begun = await _append(quiet, 0, 1)
    desk = quiet.app.state.desk
    told: list[str] = []
    async with asyncio.timeout(COMES_S), aclosing(job_events(desk, builders.JOB, 0)) as stream:  # type: ignore[type-var]
        told.append((await anext(stream))["id"])
        live = await _append(quiet, 1, len(HISTORY))
        await others_go_on()
        (ear,) = desk.listening._ears[builders.JOB]
        assert (len(ear._messages), ear.missed) == (0, True)
        told += [item.get("id", item["event"]) async for item in stream]
    assert told == [*(str(seq) for seq in (*begun, *live)), "end"]


async def test_progress_is_lost_before_it_is_piled_up(quiet: House) -> None:
    """The latest of it is told, between the events."""
    await _append(quiet, 0, 1)
    desk = quiet.app.state.desk
    async with asyncio.timeout(COMES_S), aclosing(job_events(desk, builders.JOB, 0)) as stream:  # type: ignore[type-var]
        await anext(stream)
        for number in range(100):
            await quiet.log.publish_progress(builders.JOB, {"frames_done": number})
        await others_go_on()
        told = [await anext(stream) for _ in range(listening.PROGRESS_KEPT_MAX)]
    assert {item["event"] for item in told} == {"progress"}
    assert told[-1]["data"] == '{"frames_done": 99}'


async def test_a_reader_that_fails_ends_the_streams(
    quiet: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their clients come back, and the next reader serves them."""
    await _append(quiet, 0, 1)
    watch = MemoryLog.watch

    async def broken(self: MemoryLog, jobs: Any, *, after: int) -> AsyncIterator[Heard]:
        async for heard in watch(self, jobs, after=after):
            if heard.seq:
                raise RuntimeError
            yield heard

    monkeypatch.setattr(MemoryLog, "watch", broken)
    streams = await _streams(quiet, 3)
    live = await _append(quiet, 1, 2)
    assert await asyncio.gather(*streams) == [["1"]] * 3
    monkeypatch.setattr(MemoryLog, "watch", watch)
    (again,) = await _streams(quiet, 1, after=1)
    live += await _append(quiet, 2, len(HISTORY))
    assert await again == [*map(str, live), "end"]


async def test_a_log_that_is_away_ends_the_stream(
    quiet: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an error of ours."""
    await _append(quiet, 0, 1)

    async def away() -> None:
        raise LogUnavailable

    monkeypatch.setattr(quiet.log, "usage", away)
    assert await _told(quiet) == []


async def test_a_gateway_that_stops_ends_the_streams(quiet: House) -> None:
    """At once, and a stream that comes late ends, too."""
    await _append(quiet, 0, 1)
    streams = await _streams(quiet, 3)
    await quiet.app.state.desk.close()
    assert await asyncio.gather(*streams) == [["1"]] * 3
    assert await _told(quiet) == []


async def test_nobody_is_left_of_a_stream_whose_client_went(house: House) -> None:
    """The reader rests, and what is published afterwards wakes nobody."""
    listener = Listening(house.log)
    async with listener.to("a"), listener.to("b"):
        assert (listener.ears, bool(listener._reading)) == (2, True)
    assert (listener.ears, bool(listener._reading)) == (0, False)
    assert initial_state("a") == fold("a", await house.log.read("a"))
