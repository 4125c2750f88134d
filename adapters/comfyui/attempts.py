"""What names the work of an attempt: its tries' ids and prefixes, and the handle in the log.

They are made of job, segment, attempt and try, and of nothing else.  So whoever comes after a
crash knows every id that may have been posted, and finds the work by asking the servers for them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec

from events.job import Generation
from events.spec import Struct

NAMESPACE = uuid.UUID("2b3f7d0a-6d2e-5c53-9d0f-7a1f8f6f4c11")
"""The name space of prompt ids; never change it: work under way is found by them."""


class Try(Struct, frozen=True, kw_only=True):
    """One posting of a clip's graph.

    ``key`` is the id that we give it, ``prompt_id`` the one that the server knows it by: the same,
    but on old servers.  ``prefix`` begins the name of its file.  Both are ASCII and no other
    work's: a server that sees the same graph twice answers with the first one's file.
    """

    number: int
    small: bool
    key: str
    prompt_id: str
    prefix: str


class Handle(Struct, frozen=True, kw_only=True):
    """What is noted of a prompt that a server has taken: all that finding it again needs."""

    server: str
    prompt_id: str
    prefix: str
    workflow: str
    number: int = 1
    small: bool = False


def made_try(job_id: str, segment: int, attempt: int, number: int, *, small: bool) -> Try:
    """The ``number``-th try (from 1) of an attempt, or of its smaller clip."""
    mark = f"-{number}" if number > 1 else ""
    mark += "s" if small else ""
    key = str(uuid.uuid5(NAMESPACE, f"{job_id}/{segment}/{attempt}{mark}"))
    return Try(
        number=number,
        small=small,
        key=key,
        prompt_id=key,
        prefix=f"pytoon/{job_id}/{segment}-a{attempt}{mark}",
    )


def handle_of(known: Generation) -> Handle | None:
    """The handle that the log knows; None where there is none that is ours."""
    if known.handle is None:
        return None
    try:
        return msgspec.json.decode(known.handle, type=Handle)
    except msgspec.DecodeError:
        return None


def possible_tries(job_id: str, segment: int, known: Generation, tries_max: int) -> Iterator[Try]:
    """Every try that may have been posted, the likeliest to be the last one first."""
    handle = handle_of(known)
    for small in (True, False):
        for number in range(tries_max, 0, -1):
            made = made_try(job_id, segment, known.attempt, number, small=small)
            if handle is not None and (handle.number, handle.small) == (number, small):
                yield msgspec.structs.replace(
                    made, prompt_id=handle.prompt_id, prefix=handle.prefix
                )
            else:
                yield made
