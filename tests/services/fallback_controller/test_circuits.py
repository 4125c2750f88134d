"""Counting an engine's failures in a row, over all jobs."""

from __future__ import annotations

import pytest

from events.notices import CircuitClosed, CircuitOpened, CircuitState, Notice
from events.types import Reason, Stored
from services.actor import Limits
from services.fallback_controller.circuits import CountFailure, countable, counted
from tests.builders import recorded
from tests.events.test_state import failed, rendered, timed_out

LIMITS = Limits(circuit_failures=3, circuit_open_s=60.0)
NOW_S = 1000.0


def failure(seq: int = 10) -> CountFailure:
    """A failure at a place of the log."""
    return CountFailure(engine="paid", seq=seq, reason=Reason.TIMEOUT, detail="why")


def opened(until_s: float, failures: int, counted: int = 10) -> CircuitOpened:
    """What is told then."""
    return CircuitOpened(
        engine="paid",
        until_s=until_s,
        failures=failures,
        counted=counted,
        reason=Reason.TIMEOUT,
        detail="why",
    )


@pytest.mark.parametrize(
    ("expected", "circuit"),
    [
        (CircuitClosed(engine="paid", failures=1, counted=10), CircuitState()),
        (
            CircuitClosed(engine="paid", failures=2, counted=10),
            CircuitState(failures=1, counted=9),
        ),
        (opened(1060.0, 3), CircuitState(failures=2, counted=9)),
        (None, CircuitState(failures=2, counted=10)),
        # What was under way when it opened changes nothing but the count.
        (opened(1050.0, 4), CircuitState(failures=3, broken=True, until_s=1050.0)),
        # A probe that failed opens it anew, as does a failure after its time.
        (
            opened(1060.0, 4),
            CircuitState(failures=3, broken=True, until_s=1050.0, probing=True),
        ),
        (opened(1060.0, 4), CircuitState(failures=3, broken=True, until_s=990.0)),
    ],
)
def test_a_failure_is_counted_once(expected: Notice | None, circuit: CircuitState) -> None:
    """The third in a row opens the circuit."""
    assert expected == counted(circuit, failure(), NOW_S, LIMITS)


@pytest.mark.parametrize(
    ("expected", "event"),
    [
        (True, failed(Reason.UNAVAILABLE)),
        (True, failed(Reason.CORRUPT_OUTPUT)),
        (True, timed_out()),
        (False, failed(Reason.UNAVAILABLE, tried=False)),
        (False, failed(Reason.MODERATED)),
        (False, failed(Reason.BUDGET)),
        (False, failed(Reason.INVALID_REQUEST)),
        (False, failed(Reason.OUTCOME_UNKNOWN)),
        (False, failed(Reason.CRASHED, rung=2)),
        (False, rendered()),
    ],
)
def test_what_counts_against_an_engine(expected: bool, event: Stored) -> None:
    """What says something of it, not of what it was asked; and only where it generates."""
    found = countable(recorded(event, 10))
    assert expected is (found is not None)
    if found is not None:
        assert ("paid", 10) == (found.engine, found.seq)
