"""A job's events as server-sent events: each once, in order, until the job has ended.

An event's id is its sequence in the log, so that a client that comes back goes on where it was.
Progress is told between them without an id: it is no history.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from events.job import evolve, initial_state
from events.link import in_place
from events.log import LogError
from services.gateway.desk import Desk
from services.views import event_view, is_over

RETRY_MS = 2000
"""After how long a client that lost its stream comes back."""


async def job_events(desk: Desk, job_id: str, after: int) -> AsyncIterator[dict[str, Any]]:
    """What ``EventSourceResponse`` sends: the events above a sequence, then each as it comes.

    It ends with the job; and earlier where the log is away or the gateway stops, without a word:
    the client comes back by itself and goes on after the last event it has.
    """
    async with AsyncExitStack() as stack:
        try:
            ear = await stack.enter_async_context(desk.listening.to(job_id))
            hush = await desk.log.subscribe_progress(job_id, ear.hear_progress)
            stack.push_async_callback(hush)
            # Listened to first, asked for the end then: what lies between is heard of.
            tail_seq = await desk.log.tail_seq(job_id)
            # Told from its begin, the job is what is told; else it is what was told before.
            job = await desk.load(job_id, at_least=tail_seq) if after else initial_state(job_id)
            seen = after
            while not ear.over:
                messages = ear.take()
                if ear.missed:
                    ear.missed = False
                    reached = max(tail_seq, ear.seq, job.tail.seq)
                    messages = await desk.read(job_id, after=seen, at_least=reached)
                for message in messages:
                    if message.seq <= seen:
                        continue
                    # What the job knows already was read, and seen at its place.
                    known = message.seq <= job.tail.seq
                    recorded = message if known else in_place(job.tail, message)
                    job = evolve(job, recorded)
                    seen = recorded.seq
                    yield _event(event_view(recorded))
                if is_over(job):
                    yield {"event": "end", "data": json.dumps({"status": job.status.value})}
                    return
                while ear.progress:
                    yield {"event": "progress", "data": json.dumps(ear.progress.popleft())}
                await ear.news()
        except LogError:
            return


def _event(view: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(view["seq"]),
        "event": view["type"],
        "data": json.dumps(view, ensure_ascii=False),
        "retry": RETRY_MS,
    }
