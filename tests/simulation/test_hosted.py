"""Seeded worlds with the hosted adapter: no segment is ever billed twice, and the money adds up.

A failing seed is printed; it then becomes a case of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from events.faults import Faults
from events.job import Job, JobStatus
from events.notices import (
    BudgetReserved,
    BudgetSettled,
    account_state,
    budget_topic,
    day_of,
    noted,
)
from events.types import RenderCompleted
from services.actor import BudgetLimits
from tests.hosted.provider import PRICE
from tests.simulation.hosted import HostedWorld, explained
from tests.simulation.test_simulation import ALL_FAULTS, history_is_sound
from tests.simulation.world import in_jumping_time

HABITS = ("away", "accept", "give_up", "wrong")
TIES = 1e-6


async def ends_of(
    world: HostedWorld, names: list[str], *, copies: int, habit: str, cancel_s: float | None
) -> list[Job]:
    """The jobs at their ends, each with a person; the last one is cancelled after ``cancel_s``."""
    tasks = await world.start(copies)
    tasks += [asyncio.create_task(world.person(name, habit)) for name in names]
    if cancel_s is not None:
        tasks.append(asyncio.create_task(_cancelled(world, names[-1], cancel_s)))
    try:
        for name in names:
            # Another prompt, another clip: no film finds what was made for another one.
            await world.ask(name, prompt=name, deadline_seconds=1200)
        ended = [await world.ended(name, within_s=1300) for name in names]
        if cancel_s is not None:
            # Whatever a cancelled film has under way is let go by then.
            await asyncio.sleep(240)
        return ended
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _cancelled(world: HostedWorld, name: str, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await world.log.publish_ask(name, "render_cancel_requested", msgspec.json.encode({}))


async def is_honest(world: HostedWorld, job: Job) -> None:
    """Each segment is billed once at most, and what was billed is told or counts as reserved."""
    bills = Counter(segment for name, segment, _ in world.bills() if name == job.job_id)
    assert all(count == 1 for count in bills.values())
    billed = PRICE * world.billed_for(job.job_id)
    assert job.cost <= billed <= job.cost + job.cost_unsettled + TIES
    if job.status is JobStatus.CANCELLED:
        return
    assert isinstance(job.end, RenderCompleted), job.end
    assert job.end.downgrades == job.downgrades
    assert (job.end.cost, job.end.cost_unsettled) == (job.cost, job.cost_unsettled)
    unsettled = [warned for warned in job.end.warnings if warned.code == "unsettled_generation"]
    assert tuple(unsettled) == job.unsettled
    fallen = {told.segment for told in job.downgrades}
    for segment in job.segments:
        assert segment.rendered is not None
        assert (segment.rendered.rung.engine != "dear") == (segment.index in fallen)
        if segment.rendered.rung.generates:
            assert bills[segment.index] == 1
    await history_is_sound(world, job.job_id)


async def books_are_right(world: HostedWorld, jobs: list[Job]) -> None:
    """No reservation is released twice, no bill is forgotten, and the last notice is the sum."""
    topic = budget_topic("eur", day_of(world.now()))
    reserved: Counter[tuple[str, int]] = Counter()
    spent = 0.0
    for seq in range(1, world.log.last_seq + 1):
        stored = world.log.message(seq)
        if not stored.subject.startswith(f"{topic}."):
            continue
        match noted(seq, stored.subject, stored.body, stored.time_s).notice:
            case BudgetReserved(job_id=job_id, segment=segment):
                reserved[job_id, segment] += 1
            case BudgetSettled(job_id=job_id, segment=segment, cost=cost):
                reserved[job_id, segment] -= 1
                spent += cost
    assert set(reserved.values()) <= {0, 1}
    account = account_state(await world.log.last_notice(topic))
    assert account.spent == pytest.approx(spent)
    assert account.reserved == pytest.approx(PRICE * sum(reserved.values()))
    billed = PRICE * sum(world.billed_for(job.job_id) for job in jobs)
    assert account.spent - TIES <= billed <= account.spent + account.reserved + TIES
    lasting = [job for job in jobs if job.status is not JobStatus.CANCELLED]
    assert account.spent >= sum(job.cost for job in lasting) - TIES


async def one_seed(folder: Path, seed: int) -> Counter[str]:
    """A world of this seed's own; what became of its segments and films."""
    dice = random.Random(seed)
    names = ["film", "other"][: dice.choice([1, 1, 2])]
    budget = BudgetLimits(
        per_job=dice.choice([None, None, 2 * PRICE]), per_day=dice.choice([None, None, 3 * PRICE])
    )
    world = HostedWorld(
        folder,
        seed,
        names,
        faults=Faults(chance=ALL_FAULTS, seed=seed) if dice.random() < 0.7 else None,
        restless=dice.choice([0.0, 0.1, 0.2]),
        step_deaths=dice.choice([0.0, 0.02, 0.06]),
        crashes=dice.choice([0.0, 0.1]),
        budget=budget,
    )
    jobs = await ends_of(
        world,
        names,
        copies=dice.choice([1, 2]),
        habit=dice.choice(HABITS),
        cancel_s=dice.uniform(0, 120) if dice.random() < 0.25 else None,
    )
    found: Counter[str] = Counter(deaths=world.deaths)
    with explained(world):
        for job in jobs:
            await is_honest(world, job)
            if budget.per_job is not None:
                assert PRICE * world.billed_for(job.job_id) <= budget.per_job + TIES
            found[job.status] += 1
            found.update(told.reason for told in job.downgrades)
            found.update(rung.engine for rung in (job.rungs if job.spec else ()))
        await books_are_right(world, jobs)
        if budget.per_day is not None:
            billed = sum(world.billed_for(job.job_id) for job in jobs)
            assert PRICE * billed <= budget.per_day + TIES
    return found


ODD = (1185,)
"""Worlds that something was found in: an accepted create that was counted as two."""


@pytest.mark.parametrize("seed", [*range(10), *ODD])
@in_jumping_time
async def test_no_segment_is_billed_twice(tmp_path: Path, seed: int) -> None:
    """Whatever services answer, wherever processes die, whatever a person says."""
    await one_seed(tmp_path, seed)


@in_jumping_time
async def test_a_calm_world_pays_each_segment_once(tmp_path: Path) -> None:
    """Nothing goes wrong: every segment is generated by the first engine, and paid."""
    world = HostedWorld(tmp_path, 1, ["film"], calm=True)
    (job,) = await ends_of(world, ["film"], copies=2, habit="away", cancel_s=None)
    await is_honest(world, job)
    assert {rung.engine for rung in job.rungs} == {"dear"}
    assert (len(job.segments) * PRICE, 0.0) == (job.cost, job.cost_unsettled)
    await books_are_right(world, [job])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("block", range(10))
def test_no_segment_is_billed_twice_in_hundreds_of_worlds(tmp_path: Path, block: int) -> None:
    """The same, in 500 worlds more, which between them come to every end that there is."""
    found: Counter[str] = Counter()

    async def counted(folder: Path, seed: int) -> None:
        found.update(await one_seed(folder, seed))

    for seed in range(1000 + 50 * block, 1050 + 50 * block):
        try:
            in_jumping_time(counted)(tmp_path / str(seed), seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    ends = {"completed", "cancelled", "outcome_unknown", "unavailable", "moderated", "budget"}
    assert ends <= set(found), found
    assert found["dear"] > found["null"] / 10, found
    assert found["deaths"] > 50, found
