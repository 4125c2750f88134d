"""Notices: what is told of engines and budgets besides the jobs."""

from __future__ import annotations

import pytest

from events.notices import (
    NOTICE_TYPES,
    Account,
    BudgetReserved,
    BudgetSettled,
    CircuitClosed,
    CircuitOpened,
    CircuitProbed,
    CircuitState,
    Notice,
    Posting,
    account_state,
    budget_topic,
    circuit_state,
    day_of,
    drafted,
    engine_topic,
    noted,
    notice_subjects,
)
from events.subjects import matches
from events.types import Reason

OPENED = CircuitOpened(engine="e", until_s=9.0, failures=3, counted=7, reason=Reason.TIMEOUT)
PROBED = CircuitProbed(
    engine="e",
    until_s=19.0,
    failures=3,
    counted=7,
    reason=Reason.TIMEOUT,
    job_id="a",
    segment=0,
    attempt=1,
)
CLOSED = CircuitClosed(engine="e", failures=2, counted=6)
RESERVED = BudgetReserved(
    scope="eur",
    date="2026-11-25",
    amount=0.5,
    reserved=1.0,
    spent=2.0,
    job_id="a",
    segment=0,
    attempt=1,
)
SETTLED = BudgetSettled(
    scope="eur",
    date="2026-11-25",
    released=0.5,
    cost=0.4,
    reserved=0.5,
    spent=2.4,
    job_id="a",
    segment=0,
    attempt=1,
)
ALL: tuple[Notice, ...] = (OPENED, PROBED, CLOSED, RESERVED, SETTLED)


def stored(notice: Notice, *, seq: int = 5) -> tuple[int, str, bytes, float]:
    """The notice as a log has it."""
    draft = drafted(Posting(notice=notice, after=0), source="test", time_s=0.0)
    return seq, draft.subject, draft.body, 0.0


@pytest.mark.parametrize("notice", ALL, ids=lambda notice: type(notice).__name__)
def test_a_notice_is_read_as_it_was_written(notice: Notice) -> None:
    """On a subject that the stream takes, and once only."""
    seq, subject, body, time_s = stored(notice)
    assert notice == noted(seq, subject, body, time_s).notice
    assert 1 == sum(matches(wanted, subject) for wanted in notice_subjects())


def test_every_notice_is_tried_here() -> None:
    """A new type needs its place in this list."""
    assert {type(notice) for notice in ALL} == set(NOTICE_TYPES)


def test_topics() -> None:
    """An engine's, and a day's of a scope."""
    assert "pytoon.engines.e.circuit_opened" == stored(OPENED)[1]
    assert "pytoon.budgets.eur.2026-11-25.reserved" == stored(RESERVED)[1]
    assert ("pytoon.engines.e", "pytoon.budgets.eur.2026-11-25") == (
        engine_topic("e"),
        budget_topic("eur", "2026-11-25"),
    )
    assert "2001-09-09" == day_of(1_000_000_000.0)


@pytest.mark.parametrize(
    "body", [b"{", b'{"type":"circuit_opened"}', b'{"type":"newer"}', b"[" * 9]
)
def test_what_cannot_be_read_is_no_notice(body: bytes) -> None:
    """Nor is one that stands under another topic than its own."""
    assert noted(1, "pytoon.engines.e.circuit_opened", body, 0.0).notice is None
    _, _, opened, _ = stored(OPENED)
    assert noted(1, "pytoon.engines.other.circuit_opened", opened, 0.0).notice is None


def test_ids_follow_from_the_place() -> None:
    """The same place gives the same id, another place another."""
    ids = [
        drafted(Posting(notice=notice, after=after), source="test", time_s=time_s).id
        for notice, after, time_s in ((OPENED, 1, 0.0), (OPENED, 1, 9.0), (OPENED, 2, 0.0))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_circuit_is_its_last_notice() -> None:
    """Closed, counting, open, half open by the clock, probed."""
    assert CircuitState() == circuit_state(None)
    closed = circuit_state(noted(*stored(CLOSED)))
    assert (2, 6, False) == (closed.failures, closed.counted, closed.holds(0.0))
    opened = circuit_state(noted(*stored(OPENED)))
    assert (True, True, False) == (opened.broken, opened.holds(8.9), opened.holds(9.0))
    probed = circuit_state(noted(*stored(PROBED)))
    assert (True, True) == (probed.probing, probed.holds(18.0))
    assert CircuitState(seq=5) == circuit_state(noted(5, "pytoon.engines.e.x", b"{", 0.0))


def test_a_budget_is_its_last_notice() -> None:
    """One that cannot be read is known not to be."""
    assert Account() == account_state(None)
    expected = Account(seq=5, reserved=0.5, spent=2.4)
    assert expected == account_state(noted(*stored(SETTLED)))
    assert not account_state(noted(5, "pytoon.budgets.eur.d.reserved", b"{", 0.0)).readable
