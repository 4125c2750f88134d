"""Following work to its end: looks, deadlines, cancels, and what nobody can know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from adapters.hosted.declaration import Declaration
from events.job import Generation
from events.types import Reason
from tests.adapters.ledgers import MemoryLedger
from tests.hosted.bench import failure, generate
from tests.hosted.dialects import DIALECTS
from tests.hosted.provider import PRICE, Provider
from tests.simulation.world import in_jumping_time

ALL = tuple(DIALECTS)
CANCELLABLE = ("runway", "fal", "replicate")

Pairs = Callable[..., tuple[Provider, Any]]


@in_jumping_time
async def test_polls_are_as_far_apart_as_the_service_wants(pair: Pairs, folder: Path) -> None:
    """Runway: no faster than 5 s, from the create on."""
    provider, made = pair("runway")
    await generate(made, folder, MemoryLedger())
    times = [*provider.times("create"), *provider.times("poll")]
    assert all(later - earlier >= 5 for earlier, later in pairwise(times))
    assert 5 == provider.count("poll")


@pytest.mark.parametrize("dialect", ALL)
@in_jumping_time
async def test_looks_that_fail_are_made_again(dialect: str, pair: Pairs, folder: Path) -> None:
    """Silence, nonsense and limits while polling say nothing about the work."""
    provider, made = pair(dialect)
    provider.fault("poll", "drop", "garbage", "500", "429 40", "hung", "503")
    clip = await generate(made, folder, MemoryLedger())
    assert PRICE == clip.cost
    times = provider.times("poll")
    assert times[4] - times[3] >= 40


@in_jumping_time
async def test_work_that_is_hidden_from_us_is_in_doubt(pair: Pairs, folder: Path) -> None:
    """A key that is refused while polling does not end the work; nothing is created again."""
    provider, made = pair("runway")
    provider.fault("poll", "401", "401", "401")
    found = await failure(made, folder, MemoryLedger())
    assert (Reason.OUTCOME_UNKNOWN, None) == (found.reason, found.cost)
    assert "work-1" in found.detail


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    ("end", "reason"), [("failed", Reason.UNAVAILABLE), ("moderated", Reason.MODERATED)]
)
@in_jumping_time
async def test_a_failure_is_what_its_code_means(
    dialect: str, end: str, reason: Reason, pair: Pairs, folder: Path
) -> None:
    """Moderation is permanent; what a failure cost is not known, so nothing is tried again."""
    provider, made = pair(dialect)
    provider.end = end
    found = await failure(made, folder, MemoryLedger())
    assert (reason, False, None) == (found.reason, found.retryable, found.cost)


@in_jumping_time
async def test_completed_can_carry_an_error(pair: Pairs, folder: Path) -> None:
    """fal: the state alone is not a success."""
    provider, made = pair("fal")
    provider.end = "error"
    found = await failure(made, folder, MemoryLedger())
    assert "internal_error" in found.detail
    assert 0 == provider.count("file")


@in_jumping_time
async def test_work_that_somebody_else_cancelled(pair: Pairs, folder: Path) -> None:
    """It is over, and not ours to call cancelled."""
    provider, made = pair("runway")
    provider.end = "cancelled"
    found = await failure(made, folder, MemoryLedger())
    assert (Reason.UNAVAILABLE, False) == (found.reason, found.retryable)


@pytest.mark.parametrize("dialect", CANCELLABLE)
@in_jumping_time
async def test_a_passed_deadline_cancels(dialect: str, pair: Pairs, folder: Path) -> None:
    """Work that never ends is cancelled where that is possible, and seen to be."""
    provider, made = pair(dialect, deadline_s=60)
    provider.end = "never"
    found = await failure(made, folder, MemoryLedger())
    assert (Reason.TIMEOUT, False, None) == (found.reason, found.retryable, found.cost)
    assert 1 == provider.count("cancel")
    assert [] == provider.deleted


@pytest.mark.parametrize(("dialect", "end"), [("luma", "never"), ("runway", "deaf")])
@in_jumping_time
async def test_a_passed_deadline_without_a_cancel_is_in_doubt(
    dialect: str, end: str, pair: Pairs, folder: Path
) -> None:
    """It still runs: neither a failure nor a cancel; a later attempt follows the same handle."""
    provider, made = pair(dialect, deadline_s=60)
    provider.end = end
    ledger = MemoryLedger()
    found = await failure(made, folder, ledger)
    assert (Reason.OUTCOME_UNKNOWN, False, None) == (found.reason, found.retryable, found.cost)
    assert "work-1" in found.detail
    provider.works["work-1"].end = "done"
    assert PRICE == (await generate(made, folder, ledger)).cost
    assert 1 == len(provider.bills)


@pytest.mark.parametrize("dialect", CANCELLABLE)
@in_jumping_time
async def test_a_cancel_that_comes_too_late_loses_nothing(
    dialect: str, pair: Pairs, folder: Path
) -> None:
    """What is finished after all is taken, and never deleted."""
    provider, made = pair(dialect, deadline_s=60)
    provider.end = "too late"
    assert PRICE == (await generate(made, folder, MemoryLedger())).cost
    assert [] == provider.deleted


@pytest.mark.parametrize("dialect", ALL)
@in_jumping_time
async def test_nobody_waits(dialect: str, pair: Pairs, folder: Path) -> None:
    """Cancelled soon, and at the service, too, where that is possible."""
    provider, made = pair(dialect)
    provider.end = "never"
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(20, cancel.set)
    found = await failure(made, folder, MemoryLedger(), cancel=cancel)
    assert (Reason.CANCELLED, None) == (found.reason, found.cost)
    assert int(dialect != "luma") == provider.count("cancel")
    assert asyncio.get_running_loop().time() < 40


@pytest.mark.parametrize(("status", "reason"), [
    ("404", Reason.TIMEOUT), ("410", Reason.TIMEOUT), ("401", Reason.OUTCOME_UNKNOWN),
])  # fmt: skip
@in_jumping_time
async def test_what_was_cancelled_may_be_forgotten(
    status: str, reason: Reason, pair: Pairs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gone after our cancel is cancelled; hidden from us is not."""
    provider, made = pair("runway", deadline_s=60)
    provider.end = "deaf"
    cancelled = provider._cancel

    def forgetting(work: Any, fault: str) -> Any:
        provider.fault("poll", *[status] * 20)
        return cancelled(work, fault)

    monkeypatch.setattr(provider, "_cancel", forgetting)
    assert reason is (await failure(made, folder, MemoryLedger())).reason


@in_jumping_time
async def test_a_service_is_not_left_alone_beyond_the_deadline(pair: Pairs, folder: Path) -> None:
    """However long it asks for."""
    provider, made = pair("luma", deadline_s=100)
    provider.end = "never"
    provider.fault("poll", "429 600")
    await failure(made, folder, MemoryLedger())
    assert 100 <= asyncio.get_running_loop().time() < 110


@in_jumping_time
async def test_what_has_ended_is_not_cancelled(pair: Pairs, folder: Path) -> None:
    """Runway deletes a finished task that is cancelled: it is looked at before."""
    provider, made = pair("runway")
    cancel = asyncio.Event()
    # Between the last but one look and the one that would have seen the end.
    asyncio.get_running_loop().call_later(30, cancel.set)
    found = await failure(made, folder, MemoryLedger(), cancel=cancel)
    assert Reason.CANCELLED is found.reason
    assert (0, []) == (provider.count("cancel"), provider.deleted)


@in_jumping_time
async def test_the_deadline_counts_from_the_create(pair: Pairs, folder: Path) -> None:
    """A process that comes later does not wait as long again."""
    provider, made = pair("luma")
    provider.end = "never"
    ledger = MemoryLedger(
        Generation(attempt=1, engine="paid", key="k", since_s=1.0, handle='{"id": "work-1"}')
    )
    other = MemoryLedger()
    task = asyncio.create_task(generate(made, folder / "other", other))
    await asyncio.sleep(1)
    assert Reason.OUTCOME_UNKNOWN is (await failure(made, folder, ledger)).reason
    assert asyncio.get_running_loop().time() < 5
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("expected", "end", "billed"),
    [
        (None, "never", None),
        (None, "never", True),
        (0.0, "never", False),
        (PRICE, "too late", None),
        (PRICE, "too late", False),
        (None, "deaf", False),
    ],
)
@in_jumping_time
async def test_what_is_known_of_the_cost_of_what_nobody_waits_for(
    expected: float | None, end: str, billed: bool | None, pair: Pairs, folder: Path
) -> None:
    """A cancel that is declared free costs nothing, if it was one; what was done is paid for."""

    def change(found: Declaration) -> Declaration:
        assert found.cancel is not None
        cancel = found.cancel.model_copy(update={"billed": billed})
        return found.model_copy(update={"cancel": cancel})

    provider, made = pair("fal", change=change)
    provider.end = end
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(4, cancel.set)
    found = await failure(made, folder, MemoryLedger(), cancel=cancel)
    assert (Reason.CANCELLED, expected) == (found.reason, found.cost)


@in_jumping_time
async def test_nobody_waits_for_a_download_that_hangs(pair: Pairs, folder: Path) -> None:
    """It is let go at once; the work is done, and so it is paid for."""
    provider, made = pair("runway")
    provider.fault("file", "hung")
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(100, cancel.set)
    found = await failure(made, folder, MemoryLedger(), cancel=cancel)
    assert (Reason.CANCELLED, PRICE) == (found.reason, found.cost)
    assert asyncio.get_running_loop().time() < 101
    assert (0, []) == (provider.count("cancel"), provider.deleted)


@pytest.mark.parametrize(("expected", "units"), [(0.23, 23), (None, 0), (None, None)])
@in_jumping_time
async def test_a_failure_that_tells_its_cost(
    expected: float | None, units: int | None, pair: Pairs, folder: Path
) -> None:
    """It is known to be paid; a zero may only mean that it is not billed yet."""
    told = {"cost": ("$.cents",), "cost_unit": 0.01}
    provider, made = pair(
        "luma",
        change=lambda found: found.model_copy(
            update={"result": found.result.model_copy(update=told)}
        ),
    )
    provider.end = "failed"
    polled = provider.dialect.polled
    costing = lambda work, base: polled(work, base) | {"cents": units}  # noqa: E731
    provider.dialect = replace(provider.dialect, polled=costing)
    found = await failure(made, folder, MemoryLedger())
    assert (Reason.UNAVAILABLE, expected) == (found.reason, found.cost)
