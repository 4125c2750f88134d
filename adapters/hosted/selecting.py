"""Finds values in a service's JSON answers: the part of JSONPath that their answers need.

``$`` is the whole answer; ``.name`` or ``['a name']`` a key of an object; ``[0]`` or ``[-1]`` an
entry of a list; ``[*]`` every entry; ``[type=video]`` the entries whose ``type`` is ``video``.
What is not there is not found; nothing raises but the compiling of a path that is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

PATH_CHARS_MAX = 200
MATCHES_MAX = 1000
"""An answer in which more is found is no answer of a service."""

Step = Callable[[Any], Iterable[Any]]

_STEP = re.compile(
    r"""
      \.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)
    | \['(?P<key>[^']+)'\]
    | \[(?P<index>-?[0-9]{1,6})\]
    | (?P<all>\[\*\])
    | \[(?P<field>[A-Za-z_][A-Za-z0-9_-]*)=(?P<value>[^\]]+)\]
    """,
    re.VERBOSE,
)


@cache
def compiled(path: str) -> tuple[Step, ...]:
    """The steps of a path.  Raises ``ValueError``, which says from where on it is none."""
    if not path.startswith("$") or len(path) > PATH_CHARS_MAX:
        msg = f"a path begins with $ and has at most {PATH_CHARS_MAX} characters: {path[:80]}"
        raise ValueError(msg)
    steps = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"no step of a path: {path[at:]!r} in {path}")
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    if found["all"]:
        return lambda value: value if isinstance(value, list) else ()
    if found["index"]:
        index = int(found["index"])
        return lambda value: _entry(value, index)
    if found["field"]:
        field, wanted = found["field"], found["value"]
        return lambda value: (
            [entry for entry in value if isinstance(entry, dict) and wanted == entry.get(field)]
            if isinstance(value, list)
            else ()
        )
    key = found["name"] or found["key"]
    return lambda value: [value[key]] if isinstance(value, dict) and key in value else ()


def _entry(value: Any, index: int) -> Iterable[Any]:
    """An entry of a list.  A text has none: its first letter is no URL."""
    if not isinstance(value, list) or not -len(value) <= index < len(value):
        return ()
    return [value[index]]


def select(path: str, answer: Any) -> list[Any]:
    """Everything that a path finds, in the answer's order."""
    found = [answer]
    for step in compiled(path):
        found = [inner for value in found for inner in step(value)][:MATCHES_MAX]
    return found


def first(paths: Sequence[str], answer: Any) -> Any:
    """The first thing found that is not null, false, 0 or empty; None where there is none."""
    return next((value for path in paths for value in select(path, answer) if value), None)


def text(paths: Sequence[str], answer: Any) -> str:
    """The first text or number found, as text; empty where there is none."""
    values = (value for path in paths for value in select(path, answer))
    found = (v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool))
    return next((str(value) for value in found if value != ""), "")


def number(paths: Sequence[str], answer: Any) -> float | None:
    """The first number found, be it written as a text; None where there is none."""
    try:
        value = float(text(paths, answer))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
