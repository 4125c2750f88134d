"""Seeded simulations of engines that cost money: nothing is paid for twice, and the film ends.

A failing seed is printed by its parameter; it then becomes a case of its own.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import msgspec
import pytest

from events.faults import Faults
from events.job import Job, JobStatus
from events.notices import account_state, budget_topic, circuit_state, day_of, engine_topic
from events.types import Reason, RenderCompleted
from services.actor import Actor, BudgetLimits
from tests.simulation.paid import PRICE, Fate, PaidWorld
from tests.simulation.test_simulation import ALL_FAULTS, history_is_sound
from tests.simulation.world import MortalLog, in_jumping_time, seeds

HABITS = ("away", "accept", "give_up", "wrong")
EVERY_FATE = {
    Fate.DONE: 4.0,
    Fate.REFUSED: 1.0,
    Fate.LOST: 1.5,
    Fate.LOST_UNMADE: 0.5,
    Fate.FAILED: 1.0,
    Fate.FAILED_BILLED: 0.5,
    Fate.CRASHED: 0.7,
    Fate.SILENT: 0.5,
}


class Unserved(PaidWorld):
    """Nobody takes what the paid engines are asked for."""

    def _actor(self, name: str, log: MortalLog) -> Actor:
        actor = super()._actor(name, log)
        if name != "segment-renderer":
            return actor
        durables = tuple(d for d in actor.durables if d.name.endswith("-null"))
        return msgspec.structs.replace(actor, durables=durables)


async def end_of(
    world: PaidWorld, *, copies: int, habit: str, jobs: int = 1, seconds: float = 15
) -> list[Job]:
    """The world's jobs at their ends, with a person at each."""
    tasks = await world.start(copies)
    names = ["film", *(f"film-{number}" for number in range(1, jobs))]
    tasks += [asyncio.create_task(world.person(name, habit)) for name in names]
    try:
        for name in names:
            await world.ask(name, deadline_seconds=1200, target_duration_seconds=seconds)
        return [await world.ended(name, within_s=1300) for name in names]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def is_honest(world: PaidWorld, job: Job) -> None:
    """Completed; never billed twice; every downgrade and every cost told."""
    assert job.status is JobStatus.COMPLETED, job.end
    assert isinstance(job.end, RenderCompleted)
    assert world.doubles() == []
    assert job.end.downgrades == job.downgrades
    fallen = {told.segment for told in job.downgrades}
    for segment in job.segments:
        assert segment.rendered is not None
        assert (segment.rendered.rung.engine != "dear") == (segment.index in fallen)
    billed = world.billed(job.job_id)
    assert job.cost <= billed <= round(job.cost + job.cost_unsettled, 6)
    assert (job.end.cost, job.end.cost_unsettled) == (job.cost, job.cost_unsettled)
    unsettled = [w for w in job.end.warnings if w.code == "unsettled_generation"]
    assert tuple(unsettled) == job.unsettled
    for service in world.services.values():
        for handle, made in service.made.items():
            segment = job.segments[made.segment]
            known = segment.generation is not None and segment.generation.handle == handle
            if known and segment.generation and segment.generation.unknown:
                accepted = segment.generation.settled
                assert accepted or any(handle in w.message for w in unsettled)
    await history_is_sound(world, job.job_id)


async def budget_is_kept(world: PaidWorld, jobs: list[Job]) -> None:
    """The day's last notice says what is spent and what is reserved, neither too little."""
    account = account_state(await world.log.last_notice(budget_topic("eur", day_of(world.now()))))
    assert account.spent == round(sum(job.cost for job in jobs), 6)
    assert account.reserved == round(sum(job.cost_unsettled for job in jobs), 6)
    billed = sum(world.billed(job.job_id) for job in jobs)
    assert account.spent <= billed <= round(account.spent + account.reserved, 6)


async def one_seed(folder: Path, seed: int) -> None:
    """A world of this seed's own: its faults, its deaths, its person, its caps."""
    dice = random.Random(seed)
    budget = BudgetLimits(
        per_job=dice.choice([None, None, 2 * PRICE]), per_day=dice.choice([None, 3 * PRICE])
    )
    world = PaidWorld(
        folder,
        seed,
        fates=EVERY_FATE,
        faults=Faults(chance=ALL_FAULTS, seed=seed) if dice.random() < 0.7 else None,
        restless=dice.choice([0.0, 0.1, 0.2]),
        step_deaths=dice.choice([0.0, 0.05, 0.15]),
        budget=budget,
    )
    jobs = await end_of(
        world,
        copies=dice.choice([1, 2]),
        habit=dice.choice(HABITS),
        jobs=dice.choice([1, 1, 2]),
    )
    for job in jobs:
        await is_honest(world, job)
        if budget.per_job is not None:
            assert world.billed(job.job_id) <= budget.per_job
    await budget_is_kept(world, jobs)
    if budget.per_day is not None:
        assert sum(world.billed(job.job_id) for job in jobs) <= budget.per_day


@pytest.mark.parametrize("seed", seeds(8, 12))
@in_jumping_time
async def test_nothing_is_paid_for_twice(tmp_path: Path, seed: int) -> None:
    """Answers are lost and processes die at every append and every step of the engine."""
    await one_seed(tmp_path, seed)


@pytest.mark.parametrize("seed", range(5))
@in_jumping_time
async def test_the_last_euro_is_spent_once(tmp_path: Path, seed: int) -> None:
    """Four films in two processes race for what is left of the day: the cap holds, all end."""
    budget = BudgetLimits(per_day=2 * PRICE)
    world = PaidWorld(tmp_path, seed, fates={Fate.DONE: 1.0}, budget=budget)
    jobs = await end_of(world, copies=2, habit="away", jobs=4, seconds=2)
    assert 2 * PRICE == sum(world.billed(job.job_id) for job in jobs)
    for job in jobs:
        await is_honest(world, job)
        reasons = {told.reason for told in job.downgrades}
        assert reasons <= {Reason.BUDGET}
    await budget_is_kept(world, jobs)


@pytest.mark.parametrize(
    "fate",
    [
        Fate.REFUSED,
        Fate.FAILED,
        pytest.param(Fate.SILENT, marks=pytest.mark.slow),
        Fate.LOST_UNMADE,
    ],
)
@in_jumping_time
async def test_with_every_engine_down_the_film_is_composed(tmp_path: Path, fate: str) -> None:
    """Within its deadline, and each segment's downgrade is in the log and in the verdict."""
    world = PaidWorld(tmp_path, 1, fates={fate: 1.0})
    (job,) = await end_of(world, copies=1, habit="away")
    await is_honest(world, job)
    assert {rung.engine for rung in job.rungs} == {"null"}
    assert {told.segment for told in job.downgrades} == {0, 1, 2, 3, 4}
    assert job.ended_s - job.requested_s < 1200


@pytest.mark.parametrize("deadline_s", [60, 240])
@in_jumping_time
async def test_engines_that_never_answer_leave_time_to_compose(
    tmp_path: Path, deadline_s: int
) -> None:
    """Their own bounds are longer than the film has: it is there in time all the same."""
    world = PaidWorld(tmp_path, 4, fates={Fate.SILENT: 1.0})
    tasks = await world.start()
    await world.ask("film", deadline_seconds=deadline_s)
    job = await world.ended("film")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await is_honest(world, job)
    assert {rung.engine for rung in job.rungs} == {"null"}
    assert job.ended_s - job.requested_s < deadline_s
    assert not circuit_state(await world.log.last_notice(engine_topic("dear"))).broken


@in_jumping_time
async def test_engines_that_nobody_serves_are_not_waited_for(tmp_path: Path) -> None:
    """Both are asked for, both time out, and the film is composed."""
    world = Unserved(tmp_path, 2, fates={Fate.DONE: 1.0})
    (job,) = await end_of(world, copies=1, habit="away")
    await is_honest(world, job)
    assert {rung.engine for rung in job.rungs} == {"null"}
    assert {told.reason for told in job.downgrades} <= {Reason.TIMEOUT, Reason.UNAVAILABLE}


@in_jumping_time
async def test_an_engine_that_keeps_failing_is_left_alone_and_tried_again(tmp_path: Path) -> None:
    """The second film does not ask it; of the third one segment probes it; then it is back."""
    world = PaidWorld(tmp_path, 3, fates={Fate.REFUSED: 1.0})
    (first,) = await end_of(world, copies=1, habit="away")
    circuit = circuit_state(await world.log.last_notice(engine_topic("dear")))
    assert circuit.holds(world.now())
    tasks = await world.start()
    await world.ask("second", target_duration_seconds=2)
    second = await world.ended("second")
    assert "left alone" in second.downgrades[0].detail
    for service in world.services.values():
        service.fates = {Fate.DONE: 1.0}
    await asyncio.sleep(90)
    await world.ask("third", target_duration_seconds=15)
    third = await world.ended("third")
    await world.ask("fourth", target_duration_seconds=15)
    fourth = await world.ended("fourth")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for service in world.services.values():
        assert 1 == sum(made.job_id == "third" for made in service.made.values())
    assert sorted(rung.engine for rung in third.rungs) == ["dear", "dearer", *["null"] * 3]
    assert fourth.downgrades == ()
    circuit = circuit_state(await world.log.last_notice(engine_topic("dear")))
    assert (circuit.broken, circuit.failures) == (False, 0)
    assert first.status is JobStatus.COMPLETED


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("block", range(10))
def test_nothing_is_paid_for_twice_in_hundreds_of_worlds(tmp_path: Path, block: int) -> None:
    """The same, in 500 worlds more."""
    for seed in range(1000 + 50 * block, 1050 + 50 * block):
        try:
            in_jumping_time(one_seed)(tmp_path / str(seed), seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
