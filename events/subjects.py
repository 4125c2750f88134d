"""Where an event is published: the tree of subjects, and nothing else.

    pytoon.jobs.<job_id>.<type>                          an event of a job
    pytoon.jobs.<job_id>.segment_requested.<engine>      the one type with a fifth token
    pytoon.engines.<engine>.<notice>                     an engine's circuit (``events.notices``)
    pytoon.budgets.<scope>.<date>.<notice>               a day's budget
    pytoon.progress.<job_id>                             progress: not history, not stored
    pytoon.dlq.<the rest of the original subject>        what nobody could read

The stream's subjects are enumerated type by type, so that a mistyped one is refused when it is
published instead of being stored where nobody looks.
"""

from __future__ import annotations

import re

from events.notices import notice_subjects
from events.spec import Struct
from events.types import EVENT_TYPES, Event, SegmentRequested, type_name

STREAM = "EVENTS"
"""The stream that holds every event."""

DEAD_LETTERS = "DLQ"
"""The stream that holds what a consumer was handed and nobody could read."""

MIRROR = "AUDIT"
"""The stream that keeps a second copy of every event, where an operator has made it."""

ROOT = "pytoon.jobs"
PROGRESS = "pytoon.progress"
DEAD_LETTER_ROOT = "pytoon.dlq"

WITH_ENGINE = "segment_requested"
"""The type whose last token is the engine, so that a worker pulls only what it can do."""

TYPES: frozenset[str] = frozenset(type_name(kind) for kind in EVENT_TYPES)
"""Every type that this build can read."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Parsed(Struct, frozen=True, kw_only=True):
    """The tokens of a job's subject; ``engine`` only where the type has one.

    They are what the subject says: neither the job's id nor the type need be one of ours.
    """

    job_id: str
    type: str
    engine: str | None = None


def is_token(text: str) -> bool:
    """Whether a text may be a job id or an engine's name: 1-64 of A-Z a-z 0-9 _ -."""
    return _TOKEN.fullmatch(text) is not None


def checked_job_id(job_id: str) -> str:
    """The job id, if it is one; else ValueError, which names the limit."""
    if not is_token(job_id):
        message = f"job id {job_id[:80]!r} is not 1 to 64 characters of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return job_id


def subject(job_id: str, type_token: str, engine: str | None = None) -> str:
    """The subject of one type of a job; ValueError if a token cannot be one."""
    checked_job_id(job_id)
    if not is_token(type_token) or (engine is None) == (type_token == WITH_ENGINE):
        message = f"{type_token!r} with the engine {engine!r} is no subject of ours"
        raise ValueError(message)
    if engine is None:
        return f"{ROOT}.{job_id}.{type_token}"
    if not is_token(engine):
        message = f"engine {engine[:80]!r} is not 1 to 64 characters of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return f"{ROOT}.{job_id}.{type_token}.{engine}"


def subject_of(event: Event) -> str:
    """Where an event is published; ValueError if its job id or engine cannot be a token."""
    engine = event.rung.engine if isinstance(event, SegmentRequested) else None
    return subject(event.job_id, type_name(event), engine)


def parse(text: str) -> Parsed:
    """The tokens of a job's subject; ValueError if it lies outside ``pytoon.jobs``.

    A type that this build does not know may have more tokens than ours do: they are the engine.
    """
    tokens = text.split(".", maxsplit=4)
    if len(tokens) < 4 or ".".join(tokens[:2]) != ROOT:  # noqa: PLR2004 - the root, job and type
        message = f"{text[:200]!r} is no subject of a job's event"
        raise ValueError(message)
    engine = tokens[4] if tokens[4:] else None
    if tokens[3] in TYPES and (engine is None) == (tokens[3] == WITH_ENGINE):
        message = f"{text[:200]!r} has too few tokens or too many"
        raise ValueError(message)
    return Parsed(job_id=tokens[2], type=tokens[3], engine=engine)


def job_filter(job_id: str | None) -> str:
    """The subjects of one job, or of all."""
    return f"{ROOT}.>" if job_id is None else f"{ROOT}.{checked_job_id(job_id)}.>"


def type_filter(token: str) -> str:
    """The subjects of one type over all jobs.

    ``token`` is a type's name, for ``segment_requested`` with an engine or without (all engines).
    """
    kind, _, engine = token.partition(".")
    if kind not in TYPES or (engine and (kind != WITH_ENGINE or not is_token(engine))):
        message = f"{token!r} is no type of event"
        raise ValueError(message)
    if kind == WITH_ENGINE:
        return f"{ROOT}.*.{kind}.{engine or '*'}"
    return f"{ROOT}.*.{kind}"


def stream_subjects() -> tuple[str, ...]:
    """The subjects that the stream takes: of jobs in the order of ``events.types``, and others."""
    of_jobs = tuple(type_filter(type_name(kind)) for kind in EVENT_TYPES)
    return (*of_jobs, *notice_subjects())


def matches(pattern: str, text: str) -> bool:
    """Whether a subject matches a filter with NATS wildcards (``*`` one token, ``>`` the rest)."""
    tokens, wanted = text.split("."), pattern.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(tokens) == len(wanted) and all(
        want in ("*", token) for want, token in zip(wanted, tokens, strict=True)
    )


def progress(job_id: str) -> str:
    """Where a job's progress is told."""
    return f"{PROGRESS}.{checked_job_id(job_id)}"


def dead_letter(text: str) -> str:
    """Where a message that nobody could read is kept, by the subject that it had."""
    return f"{DEAD_LETTER_ROOT}.{text.removeprefix('pytoon.')}"
