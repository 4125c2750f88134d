"""A service that costs money, an engine that asks it, and a person who settles what is in doubt.

The service bills a create when it takes it, answered or not, and keeps the books by segment: a
second create for a segment whose first one may be billed is what must never happen.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from adapters.base import (
    Capabilities,
    Engine,
    EngineFailure,
    Health,
    Ledger,
    ProgressCallback,
    SegmentResult,
    SegmentWork,
)
from config.models import EngineSettings
from events.faults import Faults
from events.job import Job
from events.spec import Archetype
from events.types import Reason
from services.actor import BudgetLimits, Limits
from tests.simulation.world import MortalLog, World

PRICE = 0.5
GENERATING_S = 20.0


class Fate:
    """What a service may do with a create, and with a poll."""

    DONE = "done"
    REFUSED = "refused"
    LOST = "lost"
    LOST_UNMADE = "lost, and never made"
    FAILED = "failed, unbilled"
    FAILED_BILLED = "failed, billed"
    CRASHED = "the drawing crashed"
    SILENT = "silent"


@dataclass
class Made:
    """A create that the service took."""

    job_id: str
    segment: int
    key: str
    fate: str
    done_s: float
    billed: bool = True


@dataclass
class PaidService:
    """One service behind one or more processes; ``fates`` are drawn by weight."""

    random: random.Random
    fates: dict[str, float]
    made: dict[str, Made] = field(default_factory=dict)
    doubles: list[Made] = field(default_factory=list)

    def create(self, work: SegmentWork, key: str, now_s: float) -> str:
        """Take a create; raises ``EngineFailure`` as an adapter would."""
        fate = self.random.choices(list(self.fates), list(self.fates.values()))[0]
        if fate == Fate.REFUSED:
            raise EngineFailure(Reason.UNAVAILABLE, "503", retryable=True)
        if fate == Fate.LOST_UNMADE:
            raise EngineFailure(Reason.OUTCOME_UNKNOWN, "no answer", retryable=False)
        made = Made(work.job_id, work.segment, key, fate, now_s + GENERATING_S)
        if any(old.billed for old in self.of(work.job_id, work.segment)):
            self.doubles.append(made)
        handle = f"h-{len(self.made)}"
        self.made[handle] = made
        if fate == Fate.LOST:
            made.fate = Fate.DONE
            raise EngineFailure(Reason.OUTCOME_UNKNOWN, "no answer", retryable=False)
        return handle

    def of(self, job_id: str, segment: int) -> list[Made]:
        """What was made for a segment."""
        return [m for m in self.made.values() if (m.job_id, m.segment) == (job_id, segment)]

    def billed(self, job_id: str) -> float:
        """What a job is billed for."""
        return PRICE * sum(m.billed for m in self.made.values() if m.job_id == job_id)

    def handle_of(self, key: str) -> str | None:
        """What a person finds on the service's own site."""
        return next((handle for handle, made in self.made.items() if made.key == key), None)


class PaidEngine:
    """Asks the service as the port of engines wants it; may die at each step."""

    def __init__(self, name: str, service: PaidService, world: PaidWorld, log: MortalLog) -> None:
        self.name = name
        self._service = service
        self._world = world
        self._log = log

    def capabilities(self) -> Capabilities:
        """It generates every archetype, elsewhere."""
        return Capabilities(archetypes=frozenset(Archetype), generates=True, local=False)

    async def health(self) -> Health:
        """Always well."""
        return Health(ok=True)

    async def render(
        self,
        work: SegmentWork,
        progress: ProgressCallback,
        cancel: asyncio.Event,
        ledger: Ledger | None = None,
    ) -> SegmentResult:
        """Create once, poll until it is done, store."""
        assert ledger is not None
        known = ledger.known
        await self._step()
        if known is None:
            key = f"{work.job_id}-{work.segment}-{work.attempt}-{len(self._service.made)}"
            await ledger.intend(key, PRICE)
            await self._step()
            handle = self._service.create(work, key, self._world.now())
            await self._step()
            await ledger.submitted(handle)
        elif known.handle is None:
            raise EngineFailure(Reason.OUTCOME_UNKNOWN, "an intent, no handle", retryable=False)
        else:
            handle = known.handle
        await self._step()
        return await self._polled(work, handle, cancel)

    async def _polled(
        self, work: SegmentWork, handle: str, cancel: asyncio.Event
    ) -> SegmentResult:
        made = self._service.made.get(handle)
        if made is None:
            raise EngineFailure(Reason.INVALID_REQUEST, "404: no such work", retryable=False)
        while self._world.now() < made.done_s or made.fate == Fate.SILENT:
            if cancel.is_set():
                raise EngineFailure(Reason.CANCELLED, "nobody waits", retryable=False)
            await asyncio.sleep(5)
            await self._step()
        if made.fate == Fate.FAILED:
            made.billed = False
            raise EngineFailure(Reason.UNAVAILABLE, "failed there", retryable=True, cost=0.0)
        if made.fate == Fate.FAILED_BILLED:
            raise EngineFailure(Reason.CORRUPT_OUTPUT, "unreadable", retryable=True, cost=PRICE)
        if made.fate == Fate.CRASHED:
            made.fate = Fate.DONE
            raise EngineFailure(Reason.CRASHED, "a worker died", retryable=True)
        plan = work.spec.segments[work.segment]
        text = f"{self.name} {work.segment} {handle}\n".encode()
        artifact = await self._world.store.put_bytes(text, "application/x-pytoon-null")
        return SegmentResult(
            artifact=artifact, seed=plan.seed, frames=plan.body_frames, cost=PRICE
        )

    async def _step(self) -> None:
        await self._log.mortal(fatal=self._world.dies_at_a_step())

    async def close(self) -> None:
        """Nothing is held."""


class PaidWorld(World):
    """A world whose ladder begins with two paid engines of one service each."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        fates: dict[str, float],
        faults: Faults | None = None,
        restless: float = 0.0,
        step_deaths: float = 0.0,
        budget: BudgetLimits | None = None,
        settle_wait_s: float | None = None,
    ) -> None:
        bound = {"dear": 60.0, "dearer": 60.0}
        limits = Limits(
            not_taken_s=bound,
            no_progress_s=bound,
            too_long_s=dict.fromkeys(bound, 300.0),
            circuit_open_s=60.0,
            settle_wait_s=settle_wait_s,
            budget=budget or BudgetLimits(),
        )
        super().__init__(folder, seed, faults, restless=restless, limits=limits)
        self.step_deaths = step_deaths
        self.services = {name: PaidService(self.random, dict(fates)) for name in bound}
        paid = tuple(EngineSettings(name=name, kind="hosted") for name in bound)
        self.config = self.config.model_copy(update={"engines": (*paid, *self.config.engines)})

    def dies_at_a_step(self) -> bool:
        """Whether the process of an engine is killed now."""
        fatal = self.random.random() < self.step_deaths
        self.deaths += fatal
        return fatal

    def engines(self, log: MortalLog) -> dict[str, Engine]:
        """The paid ones before the null engine, which composes."""
        paid = {
            name: PaidEngine(name, service, self, log) for name, service in self.services.items()
        }
        return {**paid, **super().engines(log)}

    def doubles(self) -> Sequence[Made]:
        """Creates that were made though an earlier one of the segment, anywhere, may be billed."""
        by_segment: dict[tuple[str, int], list[Made]] = {}
        found = [made for service in self.services.values() for made in service.doubles]
        for service in self.services.values():
            for made in service.made.values():
                if made.billed:
                    by_segment.setdefault((made.job_id, made.segment), []).append(made)
        return [*found, *(m for several in by_segment.values() for m in several[1:])]

    def billed(self, job_id: str) -> float:
        """What all services bill a job for."""
        return sum(service.billed(job_id) for service in self.services.values())

    async def person(self, job_id: str, habit: str) -> None:
        """Settle what is in doubt, by habit: ``accept``, ``give_up``, ``wrong`` or ``away``."""
        settled: set[int] = set()
        while habit != "away":
            await asyncio.sleep(7)
            job = await self.job(job_id)
            for segment in job.segments:
                if segment.index in settled or not segment.in_doubt:
                    continue
                settled.add(segment.index)
                body = {"segment": segment.index, "handle": self._word(job, segment.index, habit)}
                await self.log.publish_ask(job_id, "generation_settled", msgspec.json.encode(body))

    def _word(self, job: Job, segment: int, habit: str) -> str | None:
        generation = job.segments[segment].generation
        assert generation is not None
        if habit == "wrong":
            return "h-of-nobody"
        found = self.services[generation.engine].handle_of(generation.key)
        return found if habit == "accept" else None


__all__ = ["PRICE", "Fate", "PaidWorld"]
