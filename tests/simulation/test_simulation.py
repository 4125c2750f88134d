"""Seeded simulations of whole jobs: whatever dies or lies, each job ends, and in the same bytes.

A failing seed is printed by its parameter; it then becomes a case of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from events.faults import Fault, Faults
from events.job import Job, JobStatus
from events.keys import Keyring
from events.link import flaws, link, placed
from events.log import Tail
from events.types import (
    Event,
    Reason,
    RenderCancelRequested,
    RenderCompleted,
    RenderFailed,
    type_name,
)
from tests.signing import Keys
from tests.simulation.world import World, in_jumping_time, seeds

ALL_FAULTS = {
    Fault.STALE_READ: 0.1,
    Fault.LOST_ACKNOWLEDGEMENT: 0.05,
    Fault.REFUSED_APPEND: 0.05,
    Fault.REPEATED_DELIVERY: 0.1,
    Fault.FORGOTTEN_ACK: 0.05,
    Fault.REORDERED_DELIVERY: 0.1,
}


async def end_of(world: World, *, copies: int = 1, seconds: float = 15) -> Job:
    """One job of the world, run to its end."""
    tasks = await world.start(copies)
    try:
        await world.ask("film", target_duration_seconds=seconds)
        return await world.ended("film")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def undisturbed(folder: Path) -> str:
    """The sha256 that a quiet world makes."""
    return output_of(await end_of(World(folder, seed=0)))


def output_of(job: Job) -> str:
    """The sha256 of a completed job's film."""
    assert isinstance(job.end, RenderCompleted), job.end
    return job.end.output.sha256


async def history_is_sound(world: World, job_id: str = "film") -> None:
    """No event twice, no gap in the ordinals, the chain of digests whole, one end at most."""
    world.log.faults = Faults()
    history = await world.log.read(job_id)
    ids = [entry.envelope.id for entry in history if entry.envelope]
    assert len(ids) == len(set(ids))
    assert flaws(history) == ()
    ends = [e for e in history if type_name(e.event) == "render_completed"]  # type: ignore[arg-type]
    assert len(ends) == 1


@in_jumping_time
async def test_a_quiet_world_renders_each_segment_once(tmp_path: Path) -> None:
    """Nothing goes wrong, so nothing is done twice."""
    world = World(tmp_path, seed=1)
    job = await end_of(world)
    assert job.status is JobStatus.COMPLETED
    assert sorted(world.renders) == [("film", index, 1) for index in range(5)]
    assert job.downgrades == ()
    await history_is_sound(world)


@pytest.mark.parametrize("seed", seeds(16, 30))
@in_jumping_time
async def test_deaths_and_lies_end_in_the_same_bytes(tmp_path: Path, seed: int) -> None:
    """Actors die at appends, the log repeats, forgets and gives stale reads: same film."""
    expected = await undisturbed(tmp_path)
    world = World(tmp_path, seed, Faults(chance=ALL_FAULTS, seed=seed), restless=0.2)
    job = await end_of(world, copies=1 + seed % 2)
    assert output_of(job) == expected
    assert job.downgrades == ()
    await history_is_sound(world)


async def intrude(world: World, seen: list[str]) -> None:
    """Somebody has messages stored all the time: old ones again, altered ones, made up ones."""
    while True:
        await asyncio.sleep(world.random.uniform(0.01, 0.15))
        stored = world.log.message(world.random.randint(1, world.log.last_seq))
        subject, headers, body = stored.subject, dict(stored.headers), stored.body
        what = world.random.choice(["again", "altered", "unsigned", "made up", "another's"])
        if what == "altered":
            body = body.replace(b'"attempt":1', b'"attempt":2')
        elif what == "unsigned":
            headers.pop("pytoon-signature", None)
        elif what != "again":
            subject, headers, body = failing(world.keyring if what == "another's" else None)
        world.log.publish_raw(subject, body, headers)
        seen.append(what)


def failing(keyring: Keyring | None) -> tuple[str, dict[str, str], bytes]:
    """An end that nobody decided, unsigned or with the key of a service that may not say it."""
    event = RenderFailed(job_id="film", reason=Reason.INTERNAL, detail="")
    source = "pytoon/segment-renderer" if keyring else "pytoon/fallback-controller"
    (draft,) = link(Tail(job_id="film"), [event], source=source, time_s=0.0, keyring=keyring)
    return draft.subject, draft.headers, draft.body


@pytest.mark.parametrize("seed", seeds(5, 8))
@in_jumping_time
async def test_an_intruder_changes_no_signed_film(tmp_path: Path, seed: int) -> None:
    """Deaths and lies as above, and forgeries without end: the same film all the same."""
    expected = await undisturbed(tmp_path)
    faults = Faults(chance=ALL_FAULTS, seed=seed)
    world = World(tmp_path, seed, faults, restless=0.1, keyring=Keys().ring())
    seen: list[str] = []
    tasks = await world.start()
    await world.ask("film")
    tasks.append(asyncio.create_task(intrude(world, seen)))
    job = await world.ended("film")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert output_of(job) == expected
    assert len(seen) > 5
    world.log.faults = Faults()
    history = tuple(placed(await world.log.read("film")))
    ids = [entry.envelope.id for entry in history if entry.envelope]
    assert len(ids) == len(set(ids))
    assert all(" is forged: " in flaw for flaw in flaws(history))


class DiesOnce(World):
    """A world in which one append, counted over all actors, kills its process."""

    fatal = ("before", 1)
    seen = 0

    def _die(self, when: str, events: Sequence[Event]) -> bool:
        kind, number = self.fatal
        if when != kind:
            return False
        self.seen += 1
        self.deaths += self.seen == number
        return self.seen == number


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 10))
@in_jumping_time
async def test_a_death_at_every_append(tmp_path: Path, when: str, number: int) -> None:
    """Each append of a job is a boundary; dying on either side of it changes nothing."""
    expected = await undisturbed(tmp_path)
    world = DiesOnce(tmp_path, seed=2)
    world.fatal = (when, number)
    job = await end_of(world)
    assert world.deaths == 1
    assert output_of(job) == expected
    await history_is_sound(world)
    # At most the segments that were in flight at the death are rendered again.
    assert len(world.renders) <= 5 + 2


@pytest.mark.parametrize("seed", seeds(12, 20))
@in_jumping_time
async def test_failing_engines_never_end_without_a_word(tmp_path: Path, seed: int) -> None:
    """The null engine is the only rung here: a job completes, or fails and says why."""
    world = World(tmp_path, seed, restless=0.05, engine_failures=0.4)
    job = await end_of(world)
    assert job.status in {JobStatus.COMPLETED, JobStatus.FAILED}
    if job.status is JobStatus.FAILED:
        assert getattr(job.end, "detail", "")


@in_jumping_time
async def test_two_assemblers_publish_one_completion(tmp_path: Path) -> None:
    """Three processes of every actor share the work; the log has one of each outcome."""
    world = World(tmp_path, seed=5)
    job = await end_of(world, copies=3)
    assert job.status is JobStatus.COMPLETED
    await history_is_sound(world)


@in_jumping_time
async def test_a_short_film_overtakes_a_long_one(tmp_path: Path) -> None:
    """A 1-segment job behind a 20-segment one ends before the long one's tenth segment."""
    world = World(tmp_path, seed=6)
    tasks = await world.start()
    await world.ask("long", target_duration_seconds=60)
    await world.ask("short", target_duration_seconds=2)
    short = await world.ended("short")
    long = await world.ended("long")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    rendered = [
        entry.time_s
        for entry in await world.log.read("long")
        if type_name(entry.event) == "segment_rendered"  # type: ignore[arg-type]
    ]
    assert long.status is JobStatus.COMPLETED
    assert short.ended_s < rendered[9]


@in_jumping_time
async def test_a_cancel_ends_a_job_in_the_middle(tmp_path: Path) -> None:
    """Running work is stopped, and nothing but the cancel ends the job."""
    world = World(tmp_path, seed=7)
    tasks = await world.start()
    await world.ask("film", target_duration_seconds=60)
    await asyncio.sleep(2)
    assert 0 < len(world.renders) < 20
    await world.log.publish_ask("film", "render_cancel_requested", b'{"why": "enough"}')
    job = await world.ended("film")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert job.status is JobStatus.CANCELLED
    assert isinstance(job.cancel, RenderCancelRequested)
    assert len(world.renders) < 20


@in_jumping_time
async def test_the_second_request_starts_nothing(tmp_path: Path) -> None:
    """A job id is used once, whatever the second body says."""
    world = World(tmp_path, seed=8)
    await end_of(world)
    before = len(await world.log.read("film"))
    await world.ask("film", target_duration_seconds=30)
    assert len(await world.log.read("film")) == before
