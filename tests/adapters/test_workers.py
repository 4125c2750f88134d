"""Worker processes: deadlines, deaths, memory, cancel, progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.base import EngineFailure
from adapters.workers import WorkerPool
from events.types import Reason
from tests.patience import holds_once

DEADLINE_S = 20.0
Report = Callable[[int, int], None]


def add(one: int, two: int, report: Report) -> int:
    """Work that goes well and tells how far it is."""
    report(1, 2)
    time.sleep(0.3)
    report(2, 2)
    return one + two


def die(report: Report) -> None:
    """A worker that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(report: Report) -> None:
    """A worker that never ends."""
    time.sleep(60)


def devour(report: Report) -> int:
    """A worker that wants more memory than it may have."""
    return len(bytearray(2 << 30))


def fail(report: Report) -> None:
    """A worker whose function raises."""
    message = "no such picture"
    raise ValueError(message)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    """One worker with 600 MB."""
    pool = WorkerPool(1, memory_mb_max=600)
    yield pool
    await pool.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_call_returns_and_reports(workers: WorkerPool) -> None:
    """The result comes back, and the progress on its way."""

    async def reports(_: int) -> bool:
        told: list[tuple[int, int]] = []
        result = await workers.run(
            add, 1, 2, deadline_s=DEADLINE_S, progress=lambda *now: told.append(now)
        )
        assert result == 3
        return (1, 2) in told

    assert await holds_once(reports)


@pytest.mark.parametrize(
    ("function", "deadline_s", "reason"),
    [
        (die, DEADLINE_S, Reason.CRASHED),
        (hang, 0.5, Reason.TIMEOUT),
        (devour, DEADLINE_S, Reason.OUT_OF_MEMORY),
    ],
)
async def test_the_end_of_a_worker_is_a_failure_and_the_next_call_works(
    workers: WorkerPool, function: Callable[[Report], object], deadline_s: float, reason: Reason
) -> None:
    """A child that dies, hangs or grows costs its own call and nothing else."""
    with pytest.raises(EngineFailure) as caught:
        await workers.run(function, deadline_s=deadline_s)
    assert caught.value.reason is reason
    assert await workers.run(add, 2, 2, deadline_s=DEADLINE_S) == 4


def stall(report: Report) -> None:
    """A worker that begins and then does nothing more."""
    report(1, 9)
    time.sleep(60)


async def test_a_call_without_progress_is_ended(workers: WorkerPool) -> None:
    """What began and stands still is ended long before its deadline."""
    with pytest.raises(EngineFailure, match=r"no progress for 0\.5 s after 1 of 9"):
        await workers.run(stall, deadline_s=DEADLINE_S, no_progress_s=0.5)


async def test_a_cancelled_call_ends_soon(workers: WorkerPool) -> None:
    """The child is killed when nobody waits for it any more."""
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, cancel.set)
    started_s = time.monotonic()
    with pytest.raises(EngineFailure) as caught:
        await workers.run(hang, deadline_s=DEADLINE_S, cancel=cancel)
    assert caught.value.reason is Reason.CANCELLED
    assert time.monotonic() - started_s < DEADLINE_S - 5


async def test_a_library_that_does_not_load_is_told_at_each_call() -> None:
    """Where a system library is missing, nobody is left waiting."""
    pool = WorkerPool(1, preload=("no_such_library",))
    try:
        with pytest.raises(EngineFailure, match="no_such_library") as caught:
            await pool.run(add, 1, 2, deadline_s=DEADLINE_S)
    finally:
        await pool.close()
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_a_call_that_waits_for_a_child_can_be_cancelled(workers: WorkerPool) -> None:
    """It ends while the only child is still busy, and leaves the line as it was."""
    cancel = asyncio.Event()
    busy = asyncio.create_task(workers.run(add, 1, 2, deadline_s=DEADLINE_S))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(workers.run(add, 2, 2, deadline_s=DEADLINE_S, cancel=cancel))
    after = asyncio.create_task(workers.run(add, 3, 3, deadline_s=DEADLINE_S))
    await asyncio.sleep(0)
    cancel.set()
    with pytest.raises(EngineFailure) as caught:
        await waiting
    assert caught.value.reason is Reason.CANCELLED
    assert await busy == 3
    assert await after == 6


def own_pid(report: Report) -> int:
    """Which worker it is."""
    return os.getpid()


async def test_a_worker_killed_with_nothing_to_do_is_replaced(workers: WorkerPool) -> None:
    """No call is lost to a child that died between two calls."""

    async def is_replaced(_: int) -> bool:
        os.kill(await workers.run(own_pid, deadline_s=DEADLINE_S), signal.SIGKILL)
        await asyncio.sleep(0.5)
        with contextlib.suppress(EngineFailure):
            assert await workers.run(add, 2, 3, deadline_s=DEADLINE_S) == 5
            return True
        return False

    assert await holds_once(is_replaced)


async def test_a_film_comes_back_to_the_child_that_knows_it() -> None:
    """Of several children the one that has worked on a film is asked again, if it is free."""
    pool = WorkerPool(3)
    try:
        asked = [pool.run(own_pid_later, deadline_s=DEADLINE_S, film=film) for film in "ab"]
        first, second = await asyncio.gather(*asked)
        assert first != second
        other = await pool.run(own_pid, deadline_s=DEADLINE_S)
        assert other not in {first, second}
        for film, expected in (("a", first), ("b", second), ("a", first), ("c", other)):
            assert expected == await pool.run(own_pid, deadline_s=DEADLINE_S, film=film)
    finally:
        await pool.close()


def own_pid_later(report: Report) -> int:
    """The same, so late that two calls need two workers."""
    time.sleep(0.3)
    return os.getpid()


class Deadly:
    """An argument that kills the child that takes it, while it holds what all children share."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        """How it is unpickled: not at all."""
        return die_of, (signal.SIGKILL,)


def die_of(number: int) -> None:
    """The end of this process."""
    os.kill(os.getpid(), number)


@pytest.mark.slow
async def test_a_worker_killed_as_it_takes_a_call_stops_no_other_for_long() -> None:
    """The pool that it leaves locked is given up within seconds, and made anew."""
    pool = WorkerPool(2)
    try:
        await pool.run(add, 1, 1, deadline_s=DEADLINE_S)
        started_s = time.monotonic()
        with pytest.raises(EngineFailure) as caught:
            await pool.run(add, 1, Deadly(), deadline_s=DEADLINE_S)
        assert caught.value.reason is Reason.CRASHED
        assert await pool.run(add, 2, 3, deadline_s=DEADLINE_S) == 5
        assert time.monotonic() - started_s < 20
    finally:
        await pool.close()


def _killed_under(command: list[str], told: Path) -> int:
    """Kill services in the midst of a call; returns the process id of the worker."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as services:
        for _ in range(200):
            if told.exists() and told.read_text(encoding="utf-8"):
                break
            time.sleep(0.1)
        services.kill()
    return int(told.read_text(encoding="utf-8"))


def _ends(pid: int) -> bool:
    """Whether the process ends within a few seconds."""
    for _ in range(100):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_no_worker_outlives_its_services(tmp_path: Path) -> None:
    """When the services are killed, a worker in the midst of a call ends, too."""
    told = tmp_path / "pid"
    command = [sys.executable, "-m", "tests.adapters.orphans", str(told)]
    pid = await asyncio.to_thread(_killed_under, command, told)
    assert await asyncio.to_thread(_ends, pid)


async def test_an_exception_comes_back_as_it_is(workers: WorkerPool) -> None:
    """What the function raises is the caller's to understand."""
    with pytest.raises(ValueError, match="no such picture"):
        await workers.run(fail, deadline_s=DEADLINE_S)
