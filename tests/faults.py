"""What goes wrong on purpose: faults of the in-memory log, a clock by hand, a server that dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from events.faults import Fault
from events.memory import MemoryLog
from tests.broker import NatsServer


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
