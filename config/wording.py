"""Plain words for what is wrong with a value: shared by the loader and the request's judge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

VALUE_CHARS_MAX = 80
"""Longer values are cut in messages."""


def shown(value: Any) -> str:
    """``value`` in a message: on one line, cut at 80 characters, and always encodable.

    A string is shown as it is, without quotes around it.
    """
    text = value if isinstance(value, str) else _plain(value)
    told = "".join(c if c.isprintable() else _escaped(c) for c in text[: VALUE_CHARS_MAX + 1])
    return told if len(told) <= VALUE_CHARS_MAX else told[: VALUE_CHARS_MAX - 1] + "…"


def _plain(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list() | tuple():
            return f"a list of {len(value)}"
        case int() if abs(value) > 10**18:
            return "a number of more than 18 digits"
        case _:
            return str(value)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean …?`` when something known is close to ``name``, else nothing."""
    found = difflib.get_close_matches(name[:VALUE_CHARS_MAX], list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


_WORDS = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "an object",
    "extra_forbidden": "no such key",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "missing": "is missing",
    "model_type": "an object",
    "string_type": "a text",
    "tuple_type": "a list",
}

_BOUNDED = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "enum": "one of {expected}",
    "literal_error": "one of {expected}",
}


def limit_of(error: Mapping[str, Any]) -> str:
    """What would have been allowed, from one error of pydantic."""
    kind = error["type"]
    if kind in _BOUNDED:
        return _BOUNDED[kind].format(**error.get("ctx", {}))
    if kind in _WORDS:
        return _WORDS[kind]
    return str(error["msg"]).removeprefix("Value error, ")
