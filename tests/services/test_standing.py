"""How engines stand, from what the log says of their attempts."""

from __future__ import annotations

from events.memory import MemoryLog
from events.notices import CircuitClosed, Posting
from events.types import Reason
from services.standing import Record, records, standings
from tests.builders import history
from tests.events.test_state import PLANNED, ask, failed, rendered, timed_out
from tests.services.works import appended


def test_attempts_are_counted_by_engine() -> None:
    """With their reasons and known costs; who was not asked did not fail."""
    found = records(
        history(
            rendered(cost=0.5),
            failed(Reason.TIMEOUT),
            failed(Reason.TIMEOUT, 2, cost=0.25),
            failed(Reason.UNAVAILABLE, 3, tried=False),
            timed_out(),
            rendered(rung=2, cost=0.0),
        )
    )
    paid = Record(rendered=1, failed=3, reasons={"timeout": 2, "too_long": 1}, cost=0.75)
    assert {"null": Record(rendered=1), "paid": paid} == found
    assert (0.25, None) == (paid.success, Record().success)


async def test_standings_come_from_the_log() -> None:
    """The last messages and the circuit's last notice."""
    log = MemoryLog()
    await appended(log, *PLANNED, ask(), rendered())
    await log.post(Posting(notice=CircuitClosed(engine="paid", failures=1), after=0), source="t")
    found = await standings(log, ["paid", "idle"])
    assert (1, 1) == (found["paid"].record.rendered, found["paid"].circuit.failures)
    assert Record() == found["idle"].record
    assert Record() == (await standings(log, ["paid"], messages_max=1))["paid"].record
