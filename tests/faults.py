"""What goes wrong on purpose: faults of the in-memory log, a clock by hand, a server that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from events.faults import Fault
from events.memory import MemoryLog
from tests.broker import NatsServer

FROZEN_S = 20.0
"""How long is waited for a process to stand still, at most."""


class ManualClock:
    """Seconds since the epoch that pass when they are told to."""

    def __init__(self, now_s: float = 1_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """The time."""
        return self.now_s

    def step(self, seconds: float, *logs: MemoryLog) -> None:
        """Let time pass, and the logs see it."""
        self.now_s += seconds
        for log in logs:
            log.wake()


def freeze(pid: int) -> None:
    """Stop a process, and return when none of its threads runs any more.

    The signal alone only says so: threads on other cores may go on for a moment.
    """
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    deadline_s = time.monotonic() + FROZEN_S
    while any(_state(task) != "T" for task in tasks.glob("*/stat")):
        assert time.monotonic() < deadline_s, f"process {pid} does not stop"
        time.sleep(0.01)


def _state(task: Path) -> str:
    """The state of a thread; its name, in parentheses before it, may hold anything."""
    return task.read_text().rpartition(")")[2].split()[0]


@contextmanager
def striking(log: MemoryLog, fault: Fault, *, times: int) -> Iterator[None]:
    """The fault happens the next ``times`` times, and each of them must have come to pass."""
    log.faults.upcoming[fault] = times
    yield
    left = log.faults.upcoming.pop(fault)
    assert left == 0, f"{fault} was to strike {left} times more"


@asynccontextmanager
async def away(server: NatsServer, *, for_s: float = 0.0) -> AsyncIterator[None]:
    """The server is killed with -9 at the start, and started again at the end."""
    server.kill()
    yield
    await asyncio.sleep(for_s)
    await server.start()
