"""One reader of the log for all streams of events, however many are open.

A stream is handed what is new of its job.  A client that reads slowly holds nothing back and
keeps little: what is too much for its stream's memory is read from the log again when its turn
comes.  While nobody listens there is no reader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import structlog

from events.log import EventLog, Heard, Recorded

logger = structlog.get_logger()

MESSAGES_KEPT_MAX = 64
"""Of one stream; a film of a minute has some 60 in all."""
PROGRESS_KEPT_MAX = 32
"""Of what is told besides the log, the latest: it is lost without harm."""


class Ear:
    """What a stream hears of its job: its messages, and its progress."""

    def __init__(self) -> None:
        self.seq = 0
        """How far the job's messages reach, as far as was heard."""
        self.missed = True
        """Whether some have to be read: those before it listened, and those that were too many."""
        self.over = False
        self.progress: deque[dict[str, Any]] = deque(maxlen=PROGRESS_KEPT_MAX)
        self._messages: deque[Recorded] = deque()
        self._news = asyncio.Event()

    def hear(self, heard: Heard) -> None:
        """The job has one more message."""
        self.seq = heard.seq
        if heard.recorded is None or len(self._messages) == MESSAGES_KEPT_MAX:
            self.missed = True
        if self.missed or heard.recorded is None:
            self._messages.clear()
        else:
            self._messages.append(heard.recorded)
        self._news.set()

    async def hear_progress(self, told: dict[str, Any]) -> None:
        """A service tells how far it is."""
        self.progress.append(told)
        self._news.set()

    def take(self) -> tuple[Recorded, ...]:
        """The messages that were heard since the last time."""
        taken = tuple(self._messages)
        self._messages.clear()
        return taken

    def close(self) -> None:
        """Nothing more is to be heard."""
        self.over = True
        self._news.set()

    async def news(self) -> None:
        """Wait until something was heard since the last time."""
        await self._news.wait()
        self._news.clear()


class Listening:
    """The reader, and the streams that it wakes."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._ears: dict[str, set[Ear]] = {}
        self._lock = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def ears(self) -> int:
        """How many streams listen."""
        return sum(map(len, self._ears.values()))

    @asynccontextmanager
    async def to(self, job_id: str) -> AsyncIterator[Ear]:
        """Hear of every message of the job that is stored from now on.  Raises ``LogError``."""
        ear = Ear()
        self._ears.setdefault(job_id, set()).add(ear)
        try:
            await self._read()
            yield ear
        finally:
            self._ears[job_id].discard(ear)
            if not self._ears[job_id]:
                del self._ears[job_id]
            if not self._ears:
                await self._rest()

    async def close(self) -> None:
        """End every stream: its client comes back, here or elsewhere, and goes on."""
        self._closed = True
        self._end_all()
        await self._rest()

    async def _read(self) -> None:
        """Have the reader run, from where the log ends now or earlier."""
        async with self._lock:
            if self._closed:
                self._end_all()
            elif self._reading is None:
                after = (await self._log.usage()).last_seq
                self._reading = asyncio.create_task(self._run(after))

    async def _run(self, after: int) -> None:
        try:
            watch = self._log.watch(self._ears, after=after)
            async with aclosing(watch) as messages:  # type: ignore[type-var]
                async for heard in messages:
                    for ear in self._ears.get(heard.job_id, ()):
                        ear.hear(heard)
        except Exception as error:
            # Nobody may wait for a reader that is gone: clients come back and start another.
            logger.exception("the reader of all streams has failed", why=str(error))
            self._reading = None
            self._end_all()

    async def _rest(self) -> None:
        """Stop the reader, unless somebody listens."""
        async with self._lock:
            if self._ears and not self._closed:
                return
            reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _end_all(self) -> None:
        for ears in self._ears.values():
            for ear in ears:
                ear.close()
