"""Fills what a service is asked with values: placeholders, and nothing that can be executed.

``{name}`` in a text stands for a value; a text that is nothing but one placeholder becomes the
value itself, a number for instance.  ``{{`` and ``}}`` are braces.  A value of None is no value:
the key whose text needs it vanishes, and so does an object or a list all of whose keys or entries
vanished.  Values are never looked into: what looks like a placeholder in a prompt is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

DEPTH_MAX = 12

Values = Mapping[str, Any]

_MARK = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z][a-z0-9_]*)\}|[{}]")


class _Missing:
    """There is no value."""


MISSING = _Missing()


def names(template: Any, depth: int = 0) -> Iterator[str]:
    """Every placeholder of a template.  Raises ``ValueError`` where it is none."""
    if depth > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    match template:
        case str():
            for found in _MARK.finditer(template):
                if found["name"]:
                    yield found["name"]
                elif found[0] in {"{", "}"}:
                    raise ValueError(
                        f"a brace that is no placeholder in {template[:80]!r}: double it"
                    )
        case dict():
            for inner in template.values():
                yield from names(inner, depth + 1)
        case list() | tuple():
            for inner in template:
                yield from names(inner, depth + 1)


def filled(template: Any, values: Values) -> Any:
    """A body: the template with its values; ``MISSING`` where nothing of it is left."""
    match template:
        case str():
            return _text(template, values)
        case dict():
            made = {key: filled(inner, values) for key, inner in template.items()}
            left = {key: inner for key, inner in made.items() if inner is not MISSING}
            return left if left or not made else MISSING
        case list() | tuple():
            entries = [filled(inner, values) for inner in template]
            kept = [inner for inner in entries if inner is not MISSING]
            return kept if kept or not entries else MISSING
        case _:
            return template


def _text(template: str, values: Values) -> Any:
    whole = _MARK.fullmatch(template)
    if whole is not None and whole["name"]:
        value = values.get(whole["name"])
        return MISSING if value is None else value
    if any(values.get(name) is None for name in names(template)):
        return MISSING
    return _MARK.sub(lambda found: _in_text(found, values), template)


def _in_text(found: re.Match[str], values: Values) -> str:
    return str(values[found["name"]]) if found["name"] else found[0][0]


def filled_url(template: str, values: Values) -> str | None:
    """An address: values in it are escaped, but for one that is the whole address.

    None where a value is missing.  A slash is kept in a value, as in the name of a model; ``..``
    is not.
    """
    whole = _MARK.fullmatch(template)
    if whole is not None and whole["name"]:
        value = values.get(whole["name"])
        return value if isinstance(value, str) else None
    if any(values.get(name) is None for name in names(template)):
        return None

    def escaped(found: re.Match[str]) -> str:
        if not found["name"]:
            return found[0][0]
        parts = str(values[found["name"]]).split("/")
        return "/".join(quote(part, safe=":@,") for part in parts if part not in {"", ".", ".."})

    return _MARK.sub(escaped, template)
