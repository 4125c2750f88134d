"""How engines stand, from what the log says of their attempts."""

from __future__ import annotations

from events.memory import MemoryLog
from events.notices import BudgetReserved, CircuitClosed, Posting
from events.types import Reason
from services.standing import FAILURES_TOLD_MAX, Record, account_of, records, standings
from tests.builders import JOB, history
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
    paid = found["paid"]
    assert {"null", "paid"} == set(found)
    assert (1, 0, {}) == (found["null"].rendered, found["null"].failed, found["null"].reasons)
    assert (1, 3, 0.75) == (paid.rendered, paid.failed, paid.cost)
    assert {"timeout": 2, "too_long": 1} == paid.reasons
    assert (0.25, None) == (paid.success, Record().success)


def test_the_last_failures_are_told_one_by_one() -> None:
    """The newest first, with their time, segment and words; and when it last did its work."""
    past = history(
        rendered(cost=0.5),
        *(failed(Reason.TIMEOUT, number) for number in range(1, 6)),
        timed_out(6),
    )
    paid = records(past)["paid"]
    assert FAILURES_TOLD_MAX == len(paid.last) == 3
    assert [6, 5, 4] == [each.attempt for each in paid.last]
    assert ["too_long", "timeout", "timeout"] == [each.reason for each in paid.last]
    assert [past[-1].time_s, past[-2].time_s] == [each.time_s for each in paid.last[:2]]
    assert (JOB, 0, failed(Reason.TIMEOUT).detail) == (
        paid.last[1].job_id,
        paid.last[1].segment,
        paid.last[1].detail,
    )
    assert past[0].time_s == paid.rendered_s


async def test_the_days_money() -> None:
    """Each day and each currency has an account of its own."""
    log = MemoryLog()
    notice = BudgetReserved(
        scope="eur", date="2026-11-25", amount=0.5, reserved=0.75, spent=2.0,
        job_id=JOB, segment=0, attempt=1,
    )  # fmt: skip
    await log.post(Posting(notice=notice, after=0), source="t")
    found = await account_of(log, "EUR", "2026-11-25")
    assert (0.75, 2.0) == (found.reserved, found.spent)
    for currency, date in (("EUR", "2026-11-26"), ("USD", "2026-11-25")):
        assert (0.0, 0.0) == ((a := await account_of(log, currency, date)).reserved, a.spent)


async def test_standings_come_from_the_log() -> None:
    """The last messages and the circuit's last notice."""
    log = MemoryLog()
    await appended(log, *PLANNED, ask(), rendered())
    await log.post(Posting(notice=CircuitClosed(engine="paid", failures=1), after=0), source="t")
    found = await standings(log, ["paid", "idle"])
    assert (1, 1) == (found["paid"].record.rendered, found["paid"].circuit.failures)
    assert Record() == found["idle"].record
    assert Record() == (await standings(log, ["paid"], messages_max=1))["paid"].record
