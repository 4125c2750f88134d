"""Work in progress: what a performer may do to the log while it works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

from events.job import Job, accepts, apply
from events.log import Conflict, LogUnavailable, Recorded
from events.notices import Noted, Notice, Posting
from events.types import Event
from services.actor import Context, PostingsOf

if TYPE_CHECKING:
    from services.runtime import Runtime

logger = structlog.get_logger()

ROUNDS_MAX = 64
"""Conflicts in a row before a message is given back; each means that somebody else moved on."""


class RunningWork:
    """What a performer sees of the work around its command (``services.actor.Work``)."""

    def __init__(self, runtime: Runtime, job: Job, cause: Recorded, context: Context) -> None:
        self.job = job
        self.cause = cause
        self.context = context
        self.moot = asyncio.Event()
        self._runtime = runtime

    def progress(self, facts: dict[str, Any]) -> None:
        """Tell listeners how far it is."""
        self._runtime.tell(self.cause.job_id, facts)

    async def record(self, *events: Event, notices: PostingsOf | None = None) -> bool:
        """Append in mid-work, linked to whatever came in between."""
        for _ in range(ROUNDS_MAX):
            try:
                stored = await self._record(events, notices)
                if stored is not None:
                    return stored
                await self.refresh()
            except LogUnavailable as error:
                logger.warning("a record waits for the log", why=str(error))
                await asyncio.sleep(self._runtime.settings.retry_delay_s)
        msg = f"{ROUNDS_MAX} rounds did not record it"
        raise Conflict(msg)

    async def _record(self, events: Sequence[Event], notices: PostingsOf | None) -> bool | None:
        """Whether they are stored; None: somebody else was first, look again."""
        runtime, job_id = self._runtime, self.cause.job_id
        async with runtime.alone(job_id):
            job = self.job = await runtime.cache.load(job_id, at_least=self.job.tail.seq)
            state = job
            for event in events:
                if not accepts(state, event):
                    return await self._stands(events)
                state = apply(state, event, runtime.clock())
            postings = await notices(job) if notices else ()
            if not await runtime.append(job, events, self.cause, postings):
                return None
            self.job = await runtime.cache.load(job_id, at_least=job.tail.seq + 1)
            return True

    async def _stands(self, events: Sequence[Event]) -> bool:
        """Whether these very events are stored: by a try whose acknowledgement was lost."""
        found = await self._runtime.log.read(
            self.cause.job_id, after=self.cause.seq, at_least=self.job.tail.seq
        )
        stored = [recorded.event for recorded in found]
        return all(event in stored for event in events)

    async def refresh(self) -> Job:
        """The job as the leader has it now."""
        job_id = self.cause.job_id
        seq = await self._runtime.log.tail_seq(job_id)
        self.job = await self._runtime.cache.load(job_id, at_least=seq)
        return self.job

    async def last_notice(self, topic: str) -> Noted | None:
        """The last notice of a topic: its state."""
        return await self._runtime.log.last_notice(topic)

    async def post(self, notice: Notice, *, after: int) -> bool:
        """Append a notice; False where its topic went on."""
        return await self._runtime.post(Posting(notice=notice, after=after))
