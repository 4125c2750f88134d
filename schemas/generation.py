"""Makes the schemas.  Left out here: writing and comparing them (``__main__``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.request import RenderRequest
from events.schemas import DIALECT, SPEC, event_schemas, notice_schemas, tidied
from schemas import asyncapi

HERE = Path(__file__).resolve().parent


def documents() -> dict[str, str]:
    """Every schema, as text: its file name (relative to ``schemas/``) and its content."""
    return {name: _written(schema) for name, schema in sorted(_schemas())}


def stale(directory: Path = HERE) -> tuple[str, ...]:
    """The files that differ from what the types say: changed, missing, or left over."""
    expected = documents()
    found = {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in directory.rglob("*.json")
    }
    return tuple(
        sorted(
            name
            for name in expected.keys() | found.keys()
            if expected.get(name) != found.get(name)
        )
    )


def write(directory: Path = HERE) -> tuple[str, ...]:
    """Bring the files up to date; returns the names of those that were not."""
    changed = stale(directory)
    expected = documents()
    for name in changed:
        path = directory / name
        if name not in expected:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(expected[name], encoding="utf-8")
    return changed


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    # What a client publishes as the body of ``render_requested`` is the request itself.
    request = tidied(RenderRequest.model_json_schema(mode="validation"))
    yield "render_request.json", {"$schema": DIALECT, **request}
    for name, schema in event_schemas(request).items():
        yield ("render_spec.json" if name == SPEC else f"events/{name}"), schema
    for name, schema in notice_schemas().items():
        yield f"notices/{name}", schema
    yield asyncapi.FILE, asyncapi.document()


def _written(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
