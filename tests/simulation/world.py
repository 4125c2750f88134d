"""A world in one process, driven by a seed: actors that are killed at any append and started
again, on a log that repeats, forgets acknowledgements and gives stale reads.  Time jumps.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import looptime
import msgspec
import pytest

from adapters.base import Engine, EngineFailure, SegmentWork
from adapters.files import FileStore
from adapters.null import NullEngine, NullStudio
from config import Config, load
from events.faults import Faults
from events.job import Job, fold
from events.keys import Keyring
from events.log import Consumer, EventLog, Recorded, Tail
from events.memory import MemoryLog
from events.notices import Noted, Posting
from events.stream import LogSettings
from events.types import Event, Reason
from services.actor import Actor, Limits
from services.composition import SERVICES, actors_of, durables
from services.runtime import Runtime, RuntimeSettings

ACK_WAIT_S = 5.0
LATENCY_S = 0.05
"""How long an answer of the log is under way that something is then decided with."""

RESTART_S = 1.0
"""How long a killed process stays away."""


def seeds(quick: int, all_of_them: int) -> list[Any]:
    """Seeds of a test: the first ones in every run, the others in the slow one."""
    rest = (pytest.param(seed, marks=pytest.mark.slow) for seed in range(quick, all_of_them))
    return [*range(quick), *rest]


def in_jumping_time(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run a test on a loop whose clock jumps to the next thing that is due."""

    @functools.wraps(test)
    def jumping(*args: Any, **facts: Any) -> None:
        loop = looptime.new_event_loop(start=0)
        try:
            loop.run_until_complete(test(*args, **facts))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    return jumping


class MortalLog:
    """A process's view of the log; once dead it answers nothing, ever."""

    def __init__(self, log: EventLog, die: Callable[[str, Sequence[Event]], bool]) -> None:
        self._log = log
        self._die = die
        self.dead = asyncio.Event()

    async def append(
        self, tail: Tail, events: Sequence[Event], **facts: Any
    ) -> tuple[Recorded, ...]:
        """Append, unless death comes before or right after."""
        await self._mortal("before", events)
        stored = await self._log.append(tail, events, **facts)
        await self._mortal("after", events)
        return stored

    async def post(self, posting: Posting, *, source: str) -> Noted:
        """Store a notice, unless death comes before or right after."""
        await self._mortal("before", ())
        stored = await self._log.post(posting, source=source)
        await self._mortal("after", ())
        return stored

    async def last_notice(self, topic: str) -> Noted | None:
        """The last notice; its answer takes a moment, in which others may write."""
        found = await self._log.last_notice(topic)
        await asyncio.sleep(LATENCY_S)
        return found

    async def _mortal(self, when: str, events: Sequence[Event]) -> None:
        await self.mortal(fatal=self._die(when, events))

    async def mortal(self, *, fatal: bool) -> None:
        """Die here if it is ``fatal``; whoever is dead gets no further."""
        if fatal:
            self.dead.set()
        if self.dead.is_set():
            await asyncio.Future()

    async def consumer(self, durable: str) -> Consumer:
        """A reader that goes silent with its process."""
        return _MortalConsumer(await self._log.consumer(durable), self.dead)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the log's."""
        return getattr(self._log, name)


class _MortalConsumer:
    def __init__(self, consumer: Consumer, dead: asyncio.Event) -> None:
        self._consumer = consumer
        self._dead = dead

    async def fetch(self, batch: int, wait_s: float) -> Sequence[Any]:
        found = await self._consumer.fetch(batch, wait_s)
        if self._dead.is_set():
            await asyncio.Future()
        return [_MortalDelivery(delivery, self._dead) for delivery in found]

    async def close(self) -> None:
        if not self._dead.is_set():
            await self._consumer.close()


class _MortalDelivery:
    def __init__(self, delivery: Any, dead: asyncio.Event) -> None:
        self._delivery = delivery
        self._dead = dead

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._delivery, name)
        if not callable(found):
            return found

        async def settle(*args: Any, **facts: Any) -> None:
            if not self._dead.is_set():
                await found(*args, **facts)

        return settle


@dataclass
class World:
    """Log, store and actors; ``restless`` is how often an append kills its process."""

    folder: Path
    seed: int
    faults: Faults | None = None
    restless: float = 0.0
    engine_failures: float = 0.0
    deaths: int = 0
    renders: list[tuple[str, int, int]] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    keyring: Keyring | None = None

    def __post_init__(self) -> None:
        """Make the log and the store."""
        self.random = random.Random(self.seed)
        self.config = null_config()
        settings = LogSettings(keyring=self.keyring)
        self.log = MemoryLog(faults=self.faults, clock=self.now, settings=settings)
        self.store = FileStore(self.folder)

    def now(self) -> float:
        """The loop's time, as seconds since the epoch."""
        return 1_000_000.0 + asyncio.get_running_loop().time()

    async def start(self, copies: int = 1) -> list[asyncio.Task[None]]:
        """Provision, then run ``copies`` processes of each actor for ever."""
        await self.log.provision(durables(self.config))
        return [asyncio.create_task(self._live(name)) for name in SERVICES for _ in range(copies)]

    async def _live(self, name: str) -> None:
        while True:
            log = MortalLog(self.log, self._die)
            runtime = Runtime(
                self._actor(name, log),
                log,
                limits=self.limits,
                settings=RuntimeSettings(heartbeat_s=1.0),
                clock=self.now,
            )
            life = asyncio.create_task(runtime.run(asyncio.Event()))
            death = asyncio.create_task(log.dead.wait())
            try:
                await asyncio.wait({life, death}, return_when=asyncio.FIRST_COMPLETED)
                assert log.dead.is_set(), life.result()
            finally:
                log.dead.set()
                for task in (life, death):
                    task.cancel()
                await asyncio.gather(life, death, return_exceptions=True)
            await asyncio.sleep(RESTART_S)

    def _actor(self, name: str, log: MortalLog) -> Actor:
        return actors_of(
            (name,),
            config=self.config,
            engines=self.engines(log),
            studio=NullStudio(self.store),
        )[0]

    def engines(self, log: MortalLog) -> dict[str, Engine]:
        """The engines of one life of a process, which sees ``log``."""
        del log
        return {"null": NullEngine(self.store, frame_s=0.01, fault=self._fault)}

    def _die(self, when: str, events: Sequence[Event]) -> bool:
        if self.random.random() < self.restless / 2:
            self.deaths += 1
            return True
        return False

    def _fault(self, work: SegmentWork) -> EngineFailure | None:
        self.renders.append((work.job_id, work.segment, work.attempt))
        if self.random.random() >= self.engine_failures:
            return None
        reason = self.random.choice([Reason.UNAVAILABLE, Reason.CRASHED, Reason.TIMEOUT])
        return EngineFailure(reason, "seeded", retryable=True)

    async def ask(self, job_id: str, **ask: Any) -> None:
        """Publish a request as any client would."""
        body = {"preset_id": "overlay_classic", "target_duration_seconds": 15, "prompt": "Hello"}
        await self.log.publish_ask(job_id, "render_requested", msgspec.json.encode(body | ask))

    async def job(self, job_id: str) -> Job:
        """The job as its log tells it now."""
        return fold(job_id, await self.log.read(job_id))

    async def ended(self, job_id: str, within_s: float = 3600) -> Job:
        """The job at its end."""
        async with asyncio.timeout(within_s):
            while True:
                job = await self.job(job_id)
                if job.end is not None:
                    return job
                await asyncio.sleep(0.5)


def null_config() -> Config:
    """The shipped configuration with the null engine alone."""
    return load(environ={"PYTOON_ENGINES__NULL__ENABLED": "true"})
