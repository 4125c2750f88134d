"""Typesetting: cleaning, direction, breaks and measures of single lines."""

from __future__ import annotations

import pytest

from assembler.typesetting import Typesetter, clean, is_right_to_left, typesetter
from tests.assembler.words import STYLES, fonts_for


def _setter(*texts: str) -> Typesetter:
    return typesetter(fonts_for(texts, STYLES["overlay_classic"]))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  two   spaces\t tab ", "two spaces tab"),
        ("a\r\nb\rc\u2028d\n\n\ne", "a\nb\nc\nd\ne"),
        ("null\x00bell\x07", "nullbell"),
        ("soft\u00adhyphen\ufeff", "softhyphen"),
        ("keep\u00a0this", "keep\u00a0this"),
        ("e\u0301", "é"),
        ("50% %{pts} \"q\" 'q' : \\n", "50% %{pts} \"q\" 'q' : \\n"),
        ("👨\u200d👩 ❤\ufe0f", "👨\u200d👩 ❤\ufe0f"),
        (" \n\t ", ""),
        ("a\u202eb\u2067c\u2069d\u200f", "abcd\u200f"),
        ("x" + "\u0323" * 20 + "y", "x" + "\u0323" * 4 + "y"),
    ],
)
def test_clean_keeps_the_words_and_drops_what_cannot_be_set(raw: str, expected: str) -> None:
    """White space is made plain, controls go, all else is content."""
    assert expected == clean(raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Hello عربي", False), ("12 - عربي hello", True), ("שלום", True), ("123 👍", False)],
)
def test_the_first_strong_letter_tells_the_direction(text: str, *, expected: bool) -> None:
    """Digits, spaces and emoji have no direction of their own."""
    assert expected == is_right_to_left(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one two", ["one ", "two"]),
        ("well-known fact", ["well-", "known ", "fact"]),
        ("สวัสดีชาวโลก", ["สวัสดี", "ชาว", "โลก"]),
        ("no\u00a0break", ["no\u00a0break"]),
        ("ok👍🏽👍", ["ok", "👍🏽", "👍"]),
        ("3.50 €", ["3.50 ", "€"]),
    ],
)
def test_lines_may_end_where_unicode_says(text: str, parts: list[str]) -> None:
    """Spaces, hyphens, dictionary words and emoji are bounds; graphemes are never cut."""
    assert parts == _setter(text).breakable(text)


def test_a_measured_line_is_as_wide_as_its_ink_about() -> None:
    """Advance and ink of a line of straight letters differ by side bearings only."""
    setter = _setter("HHHHH")
    ink = setter.ink("HHHHH", 100.0)
    assert setter.width("HHHHH", 100.0) == pytest.approx(ink.right + ink.left, abs=3)
    assert ink.bottom == 0
    assert -ink.top == pytest.approx(73, abs=1)


def test_ink_grows_with_the_size_and_marks_count() -> None:
    """Stacked marks are ink, above and below."""
    setter = _setter("Ệ", "ที่", "y")
    assert setter.ink("Ệ", 80.0).top < setter.ink("E", 80.0).top
    assert setter.ink("y", 80.0).bottom > 10
    small, large = setter.ink("y", 44.0), setter.ink("y", 88.0)
    assert large.bottom == pytest.approx(2 * small.bottom, abs=2)


def test_white_space_has_no_ink() -> None:
    """A line of a space alone covers nothing."""
    ink = _setter("a").ink(" ", 50.0)
    assert (0, 0, 0, 0) == (ink.left, ink.top, ink.right, ink.bottom)


def test_tracking_does_not_tear_joined_scripts() -> None:
    """Space between letters widens Latin, and leaves Arabic joined."""
    setter = _setter("abc", "مرحبا")
    assert setter.width("abc", 50.0, 0.1) > setter.width("abc", 50.0)
    assert setter.width("مرحبا", 50.0, 0.1) == setter.width("مرحبا", 50.0)
