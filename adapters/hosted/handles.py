"""The handle of work at a service: all that following it needs, and no secret."""

from __future__ import annotations

import time

import msgspec

from adapters.hosted.client import Answer, Client
from adapters.hosted.declaration import Declaration
from adapters.hosted.selecting import text
from adapters.hosted.templates import filled_url
from events.spec import Struct

ID_CHARS_MAX = 500
KEPT_CHARS_MAX = 2000


class Handle(Struct, frozen=True, kw_only=True):
    """What is stored of a create that was answered.

    ``cost`` is its estimate; ``created_s`` is in seconds since the epoch.
    """

    id: str
    urls: dict[str, str] = msgspec.field(default_factory=dict)
    model: str = ""
    cost: float = 0.0
    created_s: float = 0.0

    def written(self) -> str:
        """As the log keeps it."""
        return msgspec.json.encode(self).decode()


def answered(
    answer: Answer, client: Client, declared: Declaration, *, model: str, cost: float
) -> Handle | None:
    """The handle that the answer to a create gives; None where it has no id."""
    found = client.redact(text(declared.create.id, answer.content))
    if not found or len(found) > ID_CHARS_MAX:
        return None
    urls = {}
    for name, kept in declared.create.keep.items():
        told = client.redact(text(kept.path, answer.content))
        if told and len(told) <= KEPT_CHARS_MAX and client.is_own(told):
            urls[name] = told
    return Handle(id=found, urls=urls, model=model, cost=cost, created_s=time.time())


def read(written: str, *, cost: float) -> Handle:
    """A handle of the log, or the id by which a person has found the work."""
    try:
        return msgspec.json.decode(written, type=Handle)
    except msgspec.DecodeError:
        return Handle(id=written.strip(), cost=cost)


def url_of(template: str, handle: Handle, declared: Declaration) -> str:
    """A URL that is about the work; what was not kept is made of the id."""
    made: dict[str, object] = {**declared.settings, "id": handle.id}
    values: dict[str, object] = dict(made)
    for name, kept in declared.create.keep.items():
        values[name] = handle.urls.get(name) or filled_url(kept.otherwise, made)
    url = filled_url(template, values)
    assert url is not None, "the declaration was judged: every placeholder has a value"
    return url
