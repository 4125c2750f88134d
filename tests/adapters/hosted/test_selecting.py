"""Finding values in answers."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.hosted.selecting import compiled, first, number, select, text

ANSWER: dict[str, Any] = {
    "id": "abc",
    "n": 7,
    "zero": 0,
    "off": False,
    "empty": "",
    "output": [{"type": "image", "url": "i"}, {"type": "video", "url": "v"}],
    "urls": ["a", "b"],
    "with space": {"x": 1},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [ANSWER]),
        ("$.id", ["abc"]),
        ("$['with space'].x", [1]),
        ("$.urls[0]", ["a"]),
        ("$.urls[-1]", ["b"]),
        ("$.urls[2]", []),
        ("$.urls[*]", ["a", "b"]),
        ("$.output[*].url", ["i", "v"]),
        ("$.output[type=video].url", ["v"]),
        ("$.output[type=sound].url", []),
        ("$.id[0]", []),
        ("$.id.x", []),
        ("$.nothing[0].there", []),
        ("$.urls[type=video]", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    """What is there is found, in order; what is not there is nothing."""
    assert found == select(path, ANSWER)


@pytest.mark.parametrize("path", ["id", "$.", "$[", "$[x]", "$.a..b", "$.a b", "$" + ".a" * 200])
def test_what_is_no_path(path: str) -> None:
    """It is refused when the declaration is read."""
    with pytest.raises(ValueError, match="path"):
        compiled(path)


def test_texts_numbers_and_truth() -> None:
    """The first of several paths that finds something holds."""
    assert "abc" == text(("$.nothing", "$.empty", "$.id"), ANSWER)
    assert ("7", "") == (text(("$.n",), ANSWER), text(("$.off", "$.output"), ANSWER))
    assert (7.0, 0.0) == (number(("$.n",), ANSWER), number(("$.zero",), ANSWER))
    assert None is number(("$.id", "$.n"), ANSWER)
    assert None is number(("$.x",), {"x": "1e999"})
    assert None is first(("$.zero", "$.off", "$.empty", "$.nothing"), ANSWER)
    assert ["a", "b"] == first(("$.nothing", "$.urls"), ANSWER)


def test_foreign_answers_do_no_harm() -> None:
    """Whatever JSON there is, a path finds something or nothing in it."""
    answers: tuple[Any, ...] = (None, [], "text", 1, {"id": None})
    for answer in answers:
        assert "" == text(("$.id", "$[0]", "$.output[type=video].url"), answer)
