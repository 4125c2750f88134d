"""Makes the schemas.  Left out here: writing and comparing them (``__main__``)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from config.request import RenderRequest
from events.spec import RenderSpec
from events.types import EVENT_TYPES, type_name

DIALECT = "https://json-schema.org/draft/2020-12/schema"
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
    yield "render_request.json", _request_schema()
    yield "render_spec.json", msgspec.json.schema(RenderSpec)
    for kind in EVENT_TYPES:
        yield f"events/{type_name(kind)}.json", msgspec.json.schema(kind)


def _request_schema() -> dict[str, Any]:
    """The request's schema: what a client publishes as ``render_requested``'s body."""
    return RenderRequest.model_json_schema(mode="validation")


def _written(schema: dict[str, Any]) -> str:
    tidy = _with_clean_descriptions({"$schema": DIALECT, **schema})
    return json.dumps(tidy, indent=2, ensure_ascii=False) + "\n"


def _with_clean_descriptions(node: Any) -> Any:
    """Docstrings without the indentation they have in the source."""
    match node:
        case dict():
            return {
                key: inspect.cleandoc(value)
                if key == "description" and isinstance(value, str)
                else _with_clean_descriptions(value)
                for key, value in node.items()
            }
        case list():
            return [_with_clean_descriptions(value) for value in node]
        case _:
            return node
