"""Filling what a service is asked."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.hosted.templates import MISSING, filled, filled_url, names


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{n}", 5),
        ("{n}s", "5s"),
        ("{{n}} {n}", "{n} 5"),
        ("{prompt}", "say {n} and {0.__class__}"),
        ("{none}", MISSING),
        ("x{none}", MISSING),
        ({"a": "{n}", "b": "{none}", "c": {"d": "{none}"}, "e": {}}, {"a": 5, "e": {}}),
        (["{none}", "{n}"], [5]),
        ({"a": ["{none}"]}, MISSING),
        ({"on": True, "n": 1.5, "nothing": None}, {"on": True, "n": 1.5, "nothing": None}),
    ],
)
def test_bodies(template: Any, made: Any) -> None:
    """Types are kept, values are never looked into, what has no value vanishes."""
    values = {"n": 5, "none": None, "prompt": "say {n} and {0.__class__}"}
    assert made == filled(template, values)


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("/v1/{id}", "/v1/a%20b%3Fc%23"),
        ("/{model}/x", "/owner/name/x"),
        ("{url}", "https://host/a?b=c"),
        ("/v1/{up}", "/v1/etc/passwd"),
        ("/v1/{none}", None),
        ("{none}", None),
    ],
)
def test_urls(template: str, made: str | None) -> None:
    """Values in a path are escaped, and lead nowhere else; a whole URL is taken as it is."""
    values = {"id": "a b?c#", "model": "owner/name", "url": "https://host/a?b=c",
              "up": "../../etc/passwd", "none": None}  # fmt: skip
    assert made == filled_url(template, values)


@pytest.mark.parametrize("template", ["{", "a } b", "{Name}", "{a.b}", "{a[0]}", "{0}", "{a!r}"])
def test_what_is_no_placeholder(template: str) -> None:
    """Nothing of Python's own formatting is understood."""
    with pytest.raises(ValueError, match="a brace that is no placeholder"):
        list(names({"key": [template]}))


def test_nesting_is_bounded() -> None:
    """A template that is nested without end is refused."""
    template: Any = "x"
    for _ in range(20):
        template = [template]
    with pytest.raises(ValueError, match="nested deeper"):
        list(names(template))
