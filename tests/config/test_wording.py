"""Values in messages: one line, bounded, encodable."""

from __future__ import annotations

import pytest

from config.wording import VALUE_CHARS_MAX, nearest, shown


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("plain", "plain"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        ([1, 2], "a list of 2"),
        ({"a": 1}, "an object"),
        (10**400, "a number of more than 18 digits"),
        ("a\nb\x00", "a\\nb\\x00"),
        ("\ud800", "\\ud800"),
    ],
)
def test_shown(value: object, told: str) -> None:
    """Every kind of JSON value has a short form."""
    assert told == shown(value)


@pytest.mark.parametrize("text", ["x" * 81, "x" * 10**6, "\x00" * 81, "\U0001f600" * 200])
def test_long_values_are_cut(text: str) -> None:
    """However long the value, the message stays a message, and can be sent."""
    told = shown(text)
    assert VALUE_CHARS_MAX == len(told)
    assert told.endswith("…")
    assert told.encode()


def test_nearest_offers_only_what_is_close() -> None:
    """A wild guess would help nobody."""
    assert "; did you mean 'fps'?" == nearest("fsp", ["fps", "crf"])
    assert "" == nearest("zebra", ["fps", "crf"])
