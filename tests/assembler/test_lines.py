"""Lines and cards: where they end, in numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assembler.lines import (
    Part,
    balance,
    cards_needed,
    lines_needed,
    split_cards,
    text_of,
    width_of,
)

WIDTH = 10.0


def _parts(*words: str) -> tuple[Part, ...]:
    """Words whose letters are each one em wide, with a space of half an em."""
    return tuple(Part(word, float(len(word)), 0.5) for word in words)


def test_lines_are_filled_to_the_width_and_no_further() -> None:
    """A line holds its words and the spaces between them, not the space after the last."""
    assert lines_needed(_parts("12345", "6789"), WIDTH) == 1
    assert lines_needed(_parts("12345", "67890"), WIDTH) == 2
    assert width_of(_parts("12345", "6789")) == 9.5


def test_balanced_lines_are_even() -> None:
    """No line is left with what the others did not want."""
    lines = balance(_parts("aaa", "bbb", "ccc", "ddd"), WIDTH)
    assert ["aaa bbb", "ccc ddd"] == [text_of(line) for line in lines]


def test_a_line_likes_to_end_with_a_comma() -> None:
    """Between two nearly even breaks the one after a comma is taken."""
    even = balance(_parts("aaaa", "bbbb,", "c", "dddd", "eee"), WIDTH)
    assert text_of(even[0]) == "aaaa bbbb,"


def test_a_hard_end_always_ends_a_line() -> None:
    """What the text breaks stays broken."""
    parts = (Part("a", 1.0, hard=True), Part("b", 1.0, 0.5), Part("c", 1.0, hard=True))
    assert ["a", "b c"] == [text_of(line) for line in balance(parts, WIDTH)]
    assert lines_needed(parts, WIDTH) == 2


def test_no_ampersand_is_left_hanging() -> None:
    """Of two breaks that are nearly as even, the one after a whole word is taken."""
    for joint in ("&", "a"):
        parts = _parts("aaaa", "bbbb", joint, "cccc", "dddd")
        first, _ = balance(parts, 14)
        assert first[-1].text == "bbbb"


def test_cards_end_with_a_sentence_if_that_is_not_too_uneven() -> None:
    """Of two splits into as many cards, the one at the full stop is cheaper."""
    parts = _parts("aaaaa", "bbb.", "ccccc", "ddddd", "eeeee", "fff.")
    assert cards_needed(parts, WIDTH, 3) == 2
    _, cards = split_cards(parts, WIDTH, 3, [2, 3])
    assert all(card[-1].text.endswith(".") for card in cards)


@given(st.lists(st.integers(1, 10), min_size=1, max_size=40), st.integers(1, 4))
def test_splitting_and_breaking_lose_nothing_and_keep_the_bounds(
    lengths: list[int], lines_max: int
) -> None:
    """Any words fit: all in order, no line too wide, no card too high."""
    parts = _parts(*(str(index % 10) * length for index, length in enumerate(lengths)))
    count = cards_needed(parts, WIDTH, lines_max)
    _, cards = split_cards(parts, WIDTH, lines_max, range(count, count + 3))
    assert parts == tuple(part for card in cards for part in card)
    for card in cards:
        lines = balance(card, WIDTH)
        assert card == tuple(part for line in lines for part in line)
        assert len(lines) <= lines_max
        assert max(width_of(line) for line in lines) <= WIDTH + 1e-6
