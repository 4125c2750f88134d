"""The language of the system: events, the log that keeps them, and the client.

``from events import Pytoon, RenderRequested`` is what a program needs that asks for films.  A name
is imported when it is first used, so that who reads event types alone pays for no connection.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from events.client import Pytoon
    from events.jetstream import JetStreamLog
    from events.job import Job, JobStatus
    from events.log import Conflict, LogFull, LogUnavailable, Recorded
    from events.memory import MemoryLog
    from events.types import (
        Event,
        Foreign,
        RenderCancelled,
        RenderCompleted,
        RenderFailed,
        RenderRejected,
        RenderRequested,
    )

_HOMES = {
    "Conflict": "log",
    "Event": "types",
    "Foreign": "types",
    "JetStreamLog": "jetstream",
    "Job": "job",
    "JobStatus": "job",
    "LogFull": "log",
    "LogUnavailable": "log",
    "MemoryLog": "memory",
    "Pytoon": "client",
    "Recorded": "log",
    "RenderCancelled": "types",
    "RenderCompleted": "types",
    "RenderFailed": "types",
    "RenderRejected": "types",
    "RenderRequested": "types",
}

__all__ = [
    "Conflict",
    "Event",
    "Foreign",
    "JetStreamLog",
    "Job",
    "JobStatus",
    "LogFull",
    "LogUnavailable",
    "MemoryLog",
    "Pytoon",
    "Recorded",
    "RenderCancelled",
    "RenderCompleted",
    "RenderFailed",
    "RenderRejected",
    "RenderRequested",
]


def __getattr__(name: str) -> Any:
    """Import a name's module when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'events' has no attribute {name!r}")
    return getattr(import_module(f"events.{_HOMES[name]}"), name)
