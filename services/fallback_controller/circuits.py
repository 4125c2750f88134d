"""When an engine is left alone: its failures in a row are counted, over all jobs.

The count and the circuit are the last notice of the engine's topic, so that every process of the
controller goes on where another stopped.  A success is told by the renderer that had it.
"""

from __future__ import annotations

from events.log import Recorded
from events.notices import CircuitClosed, CircuitOpened, CircuitState, Notice
from events.spec import Rung
from events.types import Reason, SegmentFailed, SegmentTimedOut
from services.actor import Command, Limits

COUNTED = frozenset(
    {
        Reason.UNAVAILABLE,
        Reason.TIMEOUT,
        Reason.CRASHED,
        Reason.CORRUPT_OUTPUT,
        Reason.OUT_OF_MEMORY,
    }
)
"""Reasons that say something of the engine; the others are about what it was asked."""


class CountFailure(Command, frozen=True, kw_only=True):
    """Count a failure of an engine; ``seq`` is the log's sequence of it."""

    engine: str
    seq: int
    reason: Reason
    detail: str


def countable(cause: Recorded) -> CountFailure | None:
    """What the event says against an engine that generates, if anything."""
    match cause.event:
        case SegmentFailed(rung=rung, reason=reason, detail=detail, tried=True):
            return _against(rung, cause.seq, reason, detail)
        case SegmentTimedOut(rung=Rung() as rung, deadline=deadline):
            return _against(rung, cause.seq, Reason.TIMEOUT, f"deadline passed: {deadline}")
        case _:
            return None


def _against(rung: Rung, seq: int, reason: Reason, detail: str) -> CountFailure | None:
    if not rung.generates or reason not in COUNTED:
        return None
    return CountFailure(engine=rung.engine, seq=seq, reason=reason, detail=detail)


def counted(
    circuit: CircuitState, failure: CountFailure, now_s: float, limits: Limits
) -> Notice | None:
    """What is to be told of the engine's circuit; None where the failure is counted already."""
    if failure.seq <= circuit.counted:
        return None
    failures = circuit.failures + 1
    if not circuit.broken and failures < limits.circuit_failures:
        return CircuitClosed(engine=failure.engine, failures=failures, counted=failure.seq)
    # A probe that failed opens it anew; what was under way when it opened changes nothing.
    goes_on = circuit.holds(now_s) and not circuit.probing
    return CircuitOpened(
        engine=failure.engine,
        until_s=circuit.until_s if goes_on else now_s + limits.circuit_open_s,
        failures=failures,
        counted=failure.seq,
        reason=failure.reason,
        detail=failure.detail,
    )
