"""A process of all four actors that kills itself, -9, at an append of its own.

``python -m tests.end_to_end.mortal URL TOKEN HOME WHEN NUMBER`` serves until its append
``NUMBER`` (from 1) and dies ``before`` or ``after`` it is stored; with ``never`` it lives on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config import load
from events.jetstream import JetStreamLog
from events.log import Recorded, Tail
from events.types import Event
from services.composition import SERVICES, run_services
from services.home import Home


class MortalLog:
    """The log, but for the death of its process."""

    def __init__(self, log: JetStreamLog, when: str, number: int) -> None:
        self._log = log
        self._when = when
        self._left = number
        self._alone = asyncio.Lock()

    async def append(
        self, tail: Tail, events: Sequence[Event], **facts: Any
    ) -> tuple[Recorded, ...]:
        """Append, unless death comes first; or right after."""
        # One at a time, or those beside the fatal one would be stored, too.
        async with self._alone:
            self._die("before")
            stored = await self._log.append(tail, events, **facts)
            self._die("after")
            return stored

    def _die(self, when: str) -> None:
        if when != self._when:
            return
        # A conflict is no append: only what is, or would be, stored is counted.
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the log's."""
        return getattr(self._log, name)


async def main(url: str, token: str, home: str, when: str, number: str) -> None:
    """Serve until death or SIGTERM."""
    log = await JetStreamLog.connect(url, token=token, name="mortal")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mortal: Any = MortalLog(log, when, int(number))
    await run_services(SERVICES, home=Home(Path(home)), config=load(), log=mortal, stop=stop)
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
