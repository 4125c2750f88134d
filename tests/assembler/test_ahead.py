"""Frames are made ahead of their use, in order, and nothing is left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from assembler.ahead import ahead

WAIT_S = 5.0


def test_order_and_number_stay() -> None:
    """What goes in comes out."""
    assert list(range(50)) == list(ahead(range(50)))


def test_the_next_ones_are_made_while_one_is_used() -> None:
    """Whoever holds the first item need not ask for the second one to have it made."""
    made = [threading.Event() for _ in range(6)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    row = ahead(items(), 2)
    assert 0 == next(row)
    assert made[2].wait(WAIT_S)
    row.close()
    assert not made[4].is_set(), "no more than asked for are made ahead"


def test_what_fails_fails_where_it_would_have() -> None:
    """The items before are there; then comes the error."""

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    row = ahead(items())
    assert 1 == next(row)
    with pytest.raises(ValueError, match="no more"):
        next(row)


def test_whoever_leaves_ends_it() -> None:
    """No thread goes on making what nobody takes."""
    running = threading.active_count()
    row = ahead(iter(int, 1))
    next(row)
    assert running + 1 == threading.active_count()
    row.close()
    assert running == threading.active_count()
