"""Killed at any step, with anything going wrong: a segment is never paid for twice."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapters.base import EngineFailure
from adapters.generation import Clip
from events.types import Reason
from tests.adapters.ledgers import MemoryLedger
from tests.hosted.bench import BASE, generate, generator, make_clip
from tests.hosted.dialects import DIALECTS
from tests.hosted.provider import PRICE, Provider, faults_of
from tests.hosted.transport import InProcess, Killed
from tests.simulation.world import in_jumping_time

PROCESSES_MAX = 30
ATTEMPTS_MAX = 3
QUICK, ALL = range(100), range(100, 600)
"""Seeds of every run, and of a slow one (about ten seconds of work)."""


class Death:
    """Kills the process at its ``nth`` step; ``steps`` are those that were come to."""

    def __init__(self, nth: int | None) -> None:
        self._left = nth
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        """Come to a step."""
        self.steps.append(step)
        if self._left is not None:
            if self._left == 0:
                raise Killed(step)
            self._left -= 1


class MortalLedger(MemoryLedger):
    """A ledger whose process may die before something is stored, and after."""

    death = Death(None)

    async def intend(self, key: str, cost: float) -> None:
        """Store it, or die."""
        self.death("before intent")
        await super().intend(key, cost)
        self.death("after intent")

    async def submitted(self, handle: str) -> None:
        """Store it, or die."""
        self.death("before handle")
        await super().submitted(handle)
        self.death("after handle")


@dataclass
class Segment:
    """A segment as its job goes on with it: by attempts, as the fallback-controller does."""

    provider: Provider
    folder: Path
    ledger: MortalLedger = field(default_factory=MortalLedger)
    attempt: int = 1
    clip: Clip | None = None
    failure: EngineFailure | None = None

    async def process(self, death: Death) -> None:
        """One process at it; raises ``Killed``."""
        self.ledger.death = death
        made = generator(self.provider_name, InProcess(self.provider, death), deadline_s=120)
        try:
            self.clip = await generate(made, self.folder, self.ledger, attempt=self.attempt)
        except EngineFailure as failure:
            self._failed(failure)

    @property
    def provider_name(self) -> str:
        """The service's declaration."""
        return next(n for n, dialect in DIALECTS.items() if dialect is self.provider.dialect)

    def _failed(self, failure: EngineFailure) -> None:
        known = self.ledger.known
        if not failure.retryable or self.attempt == ATTEMPTS_MAX:
            self.failure = failure
            return
        self.attempt += 1
        # What is known to cost nothing is forgotten; else the handle is followed on.
        keeps = failure.cost is None and known is not None and known.handle is not None
        self.ledger = MortalLedger(known if keeps else None, attempt=self.attempt)

    @property
    def over(self) -> bool:
        """Whether it has an outcome."""
        return self.clip is not None or self.failure is not None


@pytest.mark.parametrize("dialect", DIALECTS)
@in_jumping_time
async def test_killed_at_each_step(dialect: str, tmp_path: Path) -> None:
    """Billed exactly once and rendered, or left in doubt: never anything else."""
    clip = make_clip(tmp_path / "clip.mp4")
    outcomes: dict[str, str] = {}
    for nth in range(1000):
        provider = Provider(dialect, clip, base=BASE)
        segment = Segment(provider, tmp_path / "work")
        death = Death(nth)
        try:
            await segment.process(death)
        except Killed:
            await segment.process(Death(None))
        assert segment.over
        assert 1 >= provider.count("create") >= len(provider.bills)
        told = "rendered" if segment.clip else str(segment.failure and segment.failure.reason)
        outcomes[f"{nth}: {death.steps[-1]}"] = f"{told}, {len(provider.bills)} billed"
        if segment.clip is not None and death.steps[-1].startswith("after GET /files"):
            break
    unknown = {step: told for step, told in outcomes.items() if "rendered, 1" not in told}
    assert [
        ("after intent", f"{Reason.OUTCOME_UNKNOWN}, 0 billed"),
        ("before POST", f"{Reason.OUTCOME_UNKNOWN}, 0 billed"),
        ("after POST", f"{Reason.OUTCOME_UNKNOWN}, 1 billed"),
        ("before handle", f"{Reason.OUTCOME_UNKNOWN}, 1 billed"),
    ] == [(step.split(": ")[1].split(" /")[0], told) for step, told in unknown.items()]
    assert len(outcomes) > len(unknown) + 6


@pytest.mark.parametrize("seeds", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
@in_jumping_time
async def test_anything_may_happen(seeds: range, tmp_path: Path) -> None:
    """Kills and faults drawn by a seed: never billed twice, and never forgotten if billed."""
    clip = make_clip(tmp_path / "clip.mp4")
    told: dict[str, int] = {}
    for seed in seeds:
        provider, segment = await _ran(seed, clip, tmp_path)
        facts = f"seed {seed}: {provider.bills}, {segment.failure}"
        assert len(provider.bills) <= 1, facts
        if segment.clip is not None:
            assert 1 == len(provider.bills), facts
            assert PRICE == segment.clip.cost, facts
            told["rendered"] = told.get("rendered", 0) + 1
            continue
        failure = segment.failure
        assert failure is not None, facts
        # What was billed is never told to have cost nothing.
        assert not provider.bills or failure.cost != 0, facts
        told[failure.reason] = told.get(failure.reason, 0) + 1
    # The draw reaches every kind of end; else it proves little.
    assert {"rendered", "outcome_unknown", "unavailable", "moderated", "timeout"} <= set(told), (
        told
    )
    assert told["rendered"] > len(seeds) / 10, told


async def _ran(seed: int, clip: bytes, tmp_path: Path) -> tuple[Provider, Segment]:
    draw = random.Random(seed)
    provider = Provider(draw.choice(list(DIALECTS)), clip, base=BASE)
    for kind, likely in (("create", 0.3), ("poll", 0.3), ("result", 0.3), ("file", 0.4)):
        for _ in range(6):
            known = list(faults_of(kind))
            provider.fault(kind, draw.choice(known) if draw.random() < likely else "")
    ends = ("done", "failed", "moderated", "cancelled", "never", "too late", "deaf")
    provider.end = draw.choices(ends, (12, 1, 1, 1, 1, 1, 1))[0]
    segment = Segment(provider, tmp_path / "work")
    for number in range(PROCESSES_MAX):
        dies = draw.randrange(20) if draw.random() < 0.4 and number < PROCESSES_MAX // 2 else None
        try:
            await segment.process(Death(dies))
        except Killed:
            continue
        if segment.over:
            return provider, segment
        await asyncio.sleep(draw.uniform(1, 30))
    raise AssertionError(f"seed {seed}: no outcome")
