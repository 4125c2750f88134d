"""A job's events as server-sent events: each once, in order, until the job has ended.

An event's id is its sequence in the log, so that a client that comes back goes on where it was.
Progress is told between them without an id: it is no history.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from events.job import evolve, initial_state
from events.log import EventLog, LogError, Recorded
from services.views import event_view, is_over

QUEUED_MAX = 1000
RETRY_MS = 2000
"""After how long a client that lost its stream comes back."""


async def job_events(
    log: EventLog, job_id: str, after: int, open_streams: set[object]
) -> AsyncIterator[dict[str, Any]]:
    """What ``EventSourceResponse`` sends; counted in ``open_streams`` as long as it lasts."""
    token = object()
    open_streams.add(token)
    told: asyncio.Queue[Recorded | dict[str, Any] | None] = asyncio.Queue(QUEUED_MAX)

    async def hear(progress: dict[str, Any]) -> None:
        if told.qsize() < QUEUED_MAX // 2:
            told.put_nowait(progress)

    async def pump() -> None:
        try:
            async with aclosing(log.follow(job_id)) as messages:  # type: ignore[type-var]
                async for recorded in messages:
                    await told.put(recorded)
        except LogError:
            # The client comes back by itself and goes on after the last event it has.
            await told.put(None)

    reading = asyncio.create_task(pump())
    unsubscribe = None
    try:
        unsubscribe = await log.subscribe_progress(job_id, hear)
        job = initial_state(job_id)
        while (item := await told.get()) is not None:
            if isinstance(item, dict):
                yield {"event": "progress", "data": json.dumps(item)}
                continue
            job = evolve(job, item)
            if item.seq > after:
                view = event_view(item)
                yield {
                    "id": str(item.seq),
                    "event": view["type"],
                    "data": json.dumps(view, ensure_ascii=False),
                    "retry": RETRY_MS,
                }
            if is_over(job):
                yield {"event": "end", "data": json.dumps({"status": job.status.value})}
                return
    finally:
        open_streams.discard(token)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        if unsubscribe is not None:
            await unsubscribe()
