"""JSON schemas of what is on the wire, made from the types: for clients in any language.

They describe a message's *body*.  The body of ``render_requested`` is the request itself, whose
schema is the configuration's: whoever writes the files gives it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from events.notices import NOTICE_TYPES, notice_name
from events.spec import RenderSpec
from events.types import CLIENT_ASKS, EVENT_TYPES, RenderRequested, type_name

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SPEC = "render_spec_v1.json"
"""The name of the plan's schema."""


def event_schemas(request: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Each schema by its file's name, such as ``segment_rendered.json``, in a stable order.

    ``request`` is the schema of a request; without it any JSON object is one.
    """
    schemas = {f"{type_name(kind)}.json": _schema(kind) for kind in EVENT_TYPES}
    asked = dict(request) if request is not None else {"type": "object"}
    schemas[f"{type_name(RenderRequested)}.json"] = {"$schema": DIALECT, **asked}
    schemas[SPEC] = _schema(RenderSpec)
    return dict(sorted(schemas.items()))


def notice_schemas() -> dict[str, dict[str, Any]]:
    """Each notice's schema by its file's name, such as ``circuit_opened.json``."""
    schemas = {f"{notice_name(kind)}.json": _schema(kind) for kind in NOTICE_TYPES}
    return dict(sorted(schemas.items()))


def _schema(kind: type) -> dict[str, Any]:
    schema: dict[str, Any] = tidied({"$schema": DIALECT, **msgspec.json.schema(kind)})
    for name, definition in schema.get("$defs", {}).items():
        if name in _BARE:
            # The subject of a client's ask says what and whose it is.
            kept = [item for item in definition["required"] if item not in ("type", "job_id")]
            definition["required"] = kept
            definition["additionalProperties"] = False
    return schema


_BARE = frozenset(kind.__name__ for kind in EVENT_TYPES if type_name(kind) in CLIENT_ASKS)


def tidied(node: Any) -> Any:
    """Descriptions without the indentation that they have in the source."""
    if isinstance(node, list):
        return [tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: inspect.cleandoc(value)
        if key == "description" and isinstance(value, str)
        else tidied(value)
        for key, value in node.items()
    }
