"""The ledger: intents, handles, outcomes and money, stored before they are used."""

from __future__ import annotations

import msgspec
import pytest

from adapters.base import EngineFailure
from events.job import fold
from events.memory import MemoryLog
from events.notices import Account, account_state, budget_topic, day_of
from events.types import Reason, RenderCancelRequested, RenderPlanned
from services.actor import BudgetLimits
from services.segment_renderer.ledger import JobLedger
from tests.builders import JOB
from tests.events.test_state import (
    PLANNED,
    ask,
    failed,
    intended,
    rendered,
    settled,
    timed_out,
)
from tests.services.works import appended, work_on

NOW_S = 1_000_000.0
TOPIC = budget_topic("eur", day_of(NOW_S))


async def begun(*, segments: int = 1, cost_max: float | None = None) -> MemoryLog:
    """A log with a job whose segments are asked for, and what its request lets it cost."""
    log = MemoryLog()
    past = [
        msgspec.structs.replace(event, spec=msgspec.structs.replace(event.spec, cost_max=cost_max))
        if isinstance(event, RenderPlanned)
        else event
        for event in PLANNED
    ]
    await appended(log, *past, *(ask(segment=index) for index in range(segments)))
    return log


async def ledger_on(
    log: MemoryLog, *, segment: int = 0, attempt: int = 1, budget: BudgetLimits | None = None
) -> JobLedger:
    """The ledger of a process of its own."""
    work = await work_on(log, budget=budget, now_s=NOW_S)
    return JobLedger(work, segment, attempt, "paid")


async def account(log: MemoryLog) -> tuple[float, float]:
    """What the day has reserved and spent."""
    found: Account = account_state(await log.last_notice(TOPIC))
    return found.reserved, found.spent


async def test_an_intent_is_known_to_whoever_comes_next() -> None:
    """With the handle, once that is there."""
    log = await begun()
    ledger = await ledger_on(log)
    assert ledger.known is None
    await ledger.intend("key", 0.5)
    known = (await ledger_on(log)).known
    assert known is not None
    assert ("key", None, 0.5) == (known.key, known.handle, known.cost_reserved)
    await ledger.submitted("h-1")
    known = (await ledger_on(log)).known
    assert known is not None
    assert "h-1" == known.handle


async def test_an_accepted_handle_is_known_to_the_next_attempt() -> None:
    """A person's word replaces the create."""
    log = await begun()
    doubt = failed(Reason.OUTCOME_UNKNOWN)
    await appended(log, intended(), doubt, settled("theirs"), ask(2))
    known = (await ledger_on(log, attempt=2)).known
    assert known is not None
    assert ("theirs", True) == (known.handle, known.settled)


async def test_only_one_of_two_processes_may_create() -> None:
    """Though both mean the same create, the second is not told that its intent is stored."""
    log = await begun()
    first, second = await ledger_on(log), await ledger_on(log)
    await first.intend("key", 0.5)
    with pytest.raises(EngineFailure) as caught:
        await second.intend("key", 0.5)
    assert Reason.CANCELLED is caught.value.reason
    assert (0.5, 0.0) == await account(log)
    assert second.known is not None


async def test_nothing_is_created_for_a_cancelled_job() -> None:
    """Nor is anything reserved."""
    log = await begun()
    ledger = await ledger_on(log)
    await appended(log, RenderCancelRequested(job_id=JOB))
    with pytest.raises(EngineFailure) as caught:
        await ledger.intend("key", 0.5)
    assert Reason.CANCELLED is caught.value.reason
    assert (0.0, 0.0) == await account(log)


async def test_a_late_handle_is_kept() -> None:
    """The attempt's time is over: a person can still look there."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    await appended(log, timed_out())
    await ledger.submitted("h-late")
    job = fold(JOB, await log.read(JOB))
    assert job.segments[0].generation is not None
    assert "h-late" == job.segments[0].generation.handle


@pytest.mark.parametrize(
    "budget", [BudgetLimits(per_job=1.2), BudgetLimits(per_day=1.2)], ids=["job", "day"]
)
async def test_a_cap_is_kept(budget: BudgetLimits) -> None:
    """The third half euro is too much: nothing is intended, and the reason names the figures."""
    log = await begun(segments=2)
    await (await ledger_on(log, budget=budget)).intend("one", 0.6)
    await (await ledger_on(log, segment=1, budget=budget)).intend("two", 0.6)
    assert (1.2, 0.0) == await account(log)
    await appended(log, rendered(cost=0.6), failed(Reason.CRASHED, segment=1, cost=0.0))
    await appended(log, ask(2, segment=1))
    with pytest.raises(EngineFailure, match=r"0\.7 EUR more.*1\.2 EUR") as caught:
        await (await ledger_on(log, segment=1, attempt=2, budget=budget)).intend("three", 0.7)
    assert (Reason.BUDGET, False) == (caught.value.reason, caught.value.retryable)
    assert fold(JOB, await log.read(JOB)).segments[1].generation is None


async def test_the_requests_own_cap_is_kept() -> None:
    """Whatever is configured: a client says what its film may cost."""
    log = await begun(segments=2, cost_max=1.0)
    await (await ledger_on(log)).intend("one", 0.6)
    with pytest.raises(EngineFailure, match=r"0\.6 EUR more.*1 EUR.*request") as caught:
        await (await ledger_on(log, segment=1)).intend("two", 0.6)
    assert Reason.BUDGET is caught.value.reason
    assert (0.6, 0.0) == await account(log)


async def test_a_budget_that_cannot_be_read_allows_nothing() -> None:
    """Where there is a cap; without one nothing depends on it."""
    log = await begun()
    log.publish_raw(f"{TOPIC}.reserved", b"{")
    with pytest.raises(EngineFailure, match="cannot be read"):
        await (await ledger_on(log, budget=BudgetLimits(per_day=9))).intend("key", 0.5)
    await (await ledger_on(log)).intend("key", 0.5)


async def test_free_creates_reserve_nothing() -> None:
    """An engine of one's own is in no budget."""
    log = await begun()
    await (await ledger_on(log, budget=BudgetLimits(per_day=0, per_job=0))).intend("key", 0.0)
    assert await log.last_notice(TOPIC) is None


async def test_a_segment_that_was_paid_for_is_not_created_again() -> None:
    """Not even with a budget: the reason says why."""
    log = await begun()
    await appended(log, intended(), failed(Reason.CORRUPT_OUTPUT, cost=0.5), ask(2))
    with pytest.raises(EngineFailure, match="paid for already") as caught:
        await (await ledger_on(log, attempt=2)).intend("key", 0.5)
    assert Reason.BUDGET is caught.value.reason


async def test_an_outcome_settles_what_was_reserved() -> None:
    """Both are stored at once, and nothing is left to append."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    assert () == tuple(await ledger.concluded(rendered(cost=0.4)))
    assert (0.0, 0.4) == await account(log)
    assert rendered(cost=0.4) == (await log.read(JOB))[-1].event
    job = fold(JOB, await log.read(JOB))
    assert (0.4, 0.0) == (job.cost, job.cost_unsettled)


async def test_an_unknown_cost_stays_reserved() -> None:
    """The outcome is stored without a word on the budget."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    unknown = failed(Reason.OUTCOME_UNKNOWN)
    assert () == tuple(await ledger.concluded(unknown))
    assert unknown == (await log.read(JOB))[-1].event
    assert (0.5, 0.0) == await account(log)


async def test_a_composed_body_is_left_to_be_appended() -> None:
    """Nothing was created for it, so nothing has to be checked."""
    log = await begun()
    body = rendered(rung=2, cost=0.0)
    assert (body,) == tuple(await (await ledger_on(log)).concluded(body))


async def test_nobody_ends_what_another_process_has_begun() -> None:
    """Refused for the budget that the other one reserved: its create is not over by that."""
    log, budget = await begun(), BudgetLimits(per_day=0.5)
    first, second = await ledger_on(log, budget=budget), await ledger_on(log, budget=budget)
    await first.intend("key", 0.5)
    refused = failed(Reason.BUDGET, cost=0.0)
    with pytest.raises(EngineFailure, match="another process") as caught:
        await second.concluded(refused)
    assert Reason.CANCELLED is caught.value.reason
    assert refused not in [item.event for item in await log.read(JOB)]
    assert fold(JOB, await log.read(JOB)).segments[0].generation is not None


async def test_somebody_elses_outcome_stands() -> None:
    """The reservation is not released twice."""
    log = await begun()
    first = await ledger_on(log)
    await first.intend("key", 0.5)
    await first.submitted("h-1")
    heir = await ledger_on(log)
    await heir.concluded(rendered(cost=0.4))
    await first.concluded(rendered(cost=0.4))
    await appended(log, RenderCancelRequested(job_id=JOB))
    await first.let_go(0.4)
    assert (0.0, 0.4) == await account(log)


@pytest.mark.parametrize(
    ("expected", "cost"), [((0.0, 0.4), 0.4), ((0.0, 0.0), 0.0), ((0.5, 0.0), None)]
)
async def test_what_a_cancelled_film_did_cost(
    expected: tuple[float, float], cost: float | None
) -> None:
    """Its job takes no outcome any more, but its day is told, once; what is not known stands."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    await appended(log, RenderCancelRequested(job_id=JOB))
    for _ in range(2):
        await ledger.let_go(cost)
    assert expected == await account(log)


async def test_an_outcome_that_comes_after_the_cancel() -> None:
    """The job does not take it; its cost is told to the day all the same."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    await appended(log, RenderCancelRequested(job_id=JOB))
    await ledger.concluded(rendered(cost=0.4))
    assert (0.0, 0.4) == await account(log)
    assert fold(JOB, await log.read(JOB)).cost == 0.0


async def test_only_who_reserved_lets_go() -> None:
    """Of two processes at one create both may see the cancel; only one tells of the cost."""
    log = await begun()
    first = await ledger_on(log)
    await first.intend("key", 0.5)
    await first.submitted("h-1")
    heir = await ledger_on(log)
    await appended(log, RenderCancelRequested(job_id=JOB))
    await heir.let_go(0.4)
    assert (0.5, 0.0) == await account(log)
    await first.let_go(0.4)
    await heir.let_go(0.4)
    assert (0.0, 0.4) == await account(log)


async def test_a_film_that_goes_on_has_its_own_settlement() -> None:
    """An attempt whose time is over waits for a person: its reservation is not let go."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    await ledger.submitted("h-1")
    await appended(log, timed_out())
    await ledger.let_go(0.0)
    assert (0.5, 0.0) == await account(log)


@pytest.mark.parametrize(
    ("expected", "reason", "cost", "handle"),
    [
        (0.0, Reason.UNAVAILABLE, None, None),
        (None, Reason.OUTCOME_UNKNOWN, None, None),
        (None, Reason.TIMEOUT, None, None),
        (None, Reason.UNAVAILABLE, None, "h"),
        (0.0, Reason.MODERATED, 0.0, "h"),
        (0.4, Reason.CORRUPT_OUTPUT, 0.4, "h"),
    ],
)
async def test_what_a_failure_cost(
    expected: float | None, reason: Reason, cost: float | None, handle: str | None
) -> None:
    """A create that was refused is free; after an answer only the engine can say so."""
    log = await begun()
    ledger = await ledger_on(log)
    await ledger.intend("key", 0.5)
    if handle:
        await ledger.submitted(handle)
    failure = EngineFailure(reason, "why", retryable=True, cost=cost)
    assert expected == ledger.cost_of(failure)


async def test_a_refusal_says_nothing_of_another_processes_create() -> None:
    """Whoever found an intent does not know what became of it by being refused himself."""
    log = await begun()
    await (await ledger_on(log)).intend("key", 0.5)
    failure = EngineFailure(Reason.UNAVAILABLE, "503", retryable=True)
    assert (await ledger_on(log)).cost_of(failure) is None
