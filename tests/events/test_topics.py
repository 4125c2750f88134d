"""Tests of ``events.topics``: which notice is the state of its topic."""

from __future__ import annotations

import msgspec

from events.codec import Message
from events.notices import (
    Account,
    BudgetReserved,
    CircuitClosed,
    CircuitOpened,
    Notice,
    Posting,
    account_state,
    circuit_state,
    drafted,
)
from events.topics import claimed_before, flaw, is_posted, last_genuine
from events.types import Reason
from tests.signing import Keys

KEYS = Keys()
READER = KEYS.reader()
OPENED = CircuitOpened(engine="e", until_s=9.0, failures=3, counted=2, reason=Reason.TIMEOUT)
CLOSED = CircuitClosed(engine="e")
SPENT = BudgetReserved(
    scope="eur",
    date="2026-11-25",
    amount=1.0,
    reserved=1.0,
    spent=4.0,
    job_id="a",
    segment=0,
    attempt=1,
)


def stored(notice: Notice, seq: int, after: int, *, by: str = "") -> Message:
    """A notice as it is stored, signed by a service if one is named."""
    draft = drafted(
        Posting(notice=notice, after=after),
        source=f"pytoon/{by or 'segment-renderer'}",
        time_s=0.0,
        keyring=KEYS.ring() if by else None,
    )
    return Message(
        seq=seq, subject=draft.subject, headers=draft.headers, body=draft.body, time_s=0.0
    )


def test_the_last_genuine_one_is_the_state() -> None:
    """What is forged after it changes nothing but the place that a writer must know."""
    opened = stored(OPENED, 5, 0, by="fallback-controller")
    unsigned = stored(CLOSED, 8, 5)
    anothers = stored(CLOSED, 9, 8, by="assembler")
    found = last_genuine([opened, unsigned, anothers], READER)
    assert found is not None
    assert (OPENED, 9) == (found.notice, found.seq)
    assert circuit_state(found).broken


def test_one_that_is_stored_again_is_known_by_its_place() -> None:
    """An old word must not undo a new one: the circuit would close, the money come back."""
    closed = stored(CLOSED, 3, 0, by="segment-renderer")
    opened = stored(OPENED, 5, 3, by="fallback-controller")
    again = msgspec.structs.replace(closed, seq=8)
    found = last_genuine([closed, opened, again], READER)
    assert found is not None
    assert (OPENED, 8) == (found.notice, found.seq)
    assert "for another place, and stored again" in flaw(again, 5, READER)
    assert "" == flaw(closed, 0, READER)


def test_a_notice_before_which_others_were_purged_is_in_turn() -> None:
    """It names one that is not there any more, and nothing lies between the two."""
    assert "" == flaw(stored(CLOSED, 9, 7, by="segment-renderer"), 4, READER)
    assert flaw(stored(CLOSED, 9, 9, by="segment-renderer"), 4, READER)


def test_a_topic_of_forgeries_is_as_good_as_empty() -> None:
    """A day's budget is neither spent nor blocked by them."""
    found = last_genuine([stored(SPENT, 4, 0), stored(SPENT, 6, 4, by="planner")], READER)
    assert found is not None
    assert Account(seq=6) == account_state(found)
    assert last_genuine([], READER) is None


def test_an_unreadable_genuine_one_is_not_passed_over() -> None:
    """A newer build's word on money is not forgotten for an older one."""
    odd = msgspec.structs.replace(stored(SPENT, 4, 0), body=b"{}")
    headers, _ = KEYS.ring().signed(
        "pytoon/segment-renderer", odd.subject, odd.headers | {"pytoon-after": "0"}, odd.body
    )
    found = last_genuine([msgspec.structs.replace(odd, headers=headers)], READER)
    assert not account_state(found).readable


def test_before_the_keys_nothing_is_asked() -> None:
    """What was noted then counts, wherever it stands."""
    reader = Keys(signed_from=10).reader()
    found = last_genuine([stored(OPENED, 9, 3), stored(CLOSED, 10, 9)], reader)
    assert found is not None
    assert (OPENED, 10) == (found.notice, found.seq)


def test_a_posting_is_done_where_it_is_stored_and_genuine() -> None:
    """Not where somebody else has put the same words."""
    draft = drafted(
        Posting(notice=CLOSED, after=3),
        source="pytoon/segment-renderer",
        time_s=0.0,
        keyring=KEYS.ring(),
    )
    ours, others = stored(CLOSED, 5, 3, by="segment-renderer"), stored(CLOSED, 5, 3)
    assert is_posted(draft, ours, READER)
    assert not is_posted(draft, others, READER)
    assert is_posted(draft, others, None)
    assert not is_posted(draft, stored(CLOSED, 6, 5, by="segment-renderer"), READER)


def test_what_a_header_may_claim() -> None:
    """A decimal number, or nothing."""
    plain = stored(CLOSED, 5, 3)
    for text, expected in (("3", 3), ("", -1), ("x", -1), ("-3", -1), ("9" * 21, -1), ("²", -1)):
        claiming = msgspec.structs.replace(plain, headers={"pytoon-after": text})
        assert expected == claimed_before(claiming)
