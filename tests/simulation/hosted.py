"""Worlds whose paid engines are the hosted adapter itself, before services that count their bills.

The adapter, what keeps its clips, the ledger and all actors are the real ones; only sockets and
drawing are not there.  A process may die at any append, and before and after any request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from adapters.base import Engine, EngineFailure
from adapters.generated import GeneratedEngine
from adapters.hosted import HostedGenerator
from adapters.hosted.asking import key_of
from adapters.secret import Secret
from adapters.workers import WorkerPool
from events.faults import Faults
from events.job import Job
from events.types import Reason
from services.actor import BudgetLimits
from tests.comfy.wire import Request
from tests.hosted.bench import BASE, ask, declared, settings
from tests.hosted.dialects import DIALECTS, Work
from tests.hosted.provider import KEY, Provider, Reply, faults_of
from tests.hosted.transport import InProcess
from tests.simulation.paid import PaidWorld
from tests.simulation.world import MortalLog

KEY_HEADER = "X-Test-Key"
CLIP = b"a film that nobody looks at"
ENDS = ("done", "failed", "moderated", "cancelled", "error", "never", "too late", "deaf")
SEGMENTS_MAX, ATTEMPTS_MAX = 8, 40


class Drawn:
    """Faults without end, drawn as they come, in place of a provider's queue of them."""

    def __init__(self, draw: random.Random, kind: str, likely: float) -> None:
        self._draw, self._kinds, self._likely = draw, tuple(faults_of(kind)), likely

    def popleft(self) -> str:
        """The next one, or none."""
        return self._draw.choice(self._kinds) if self._draw.random() < self._likely else ""


class Service(Provider):
    """A provider whose faults are drawn, and that knows for which segment it bills."""

    def __init__(
        self, dialect: str, draw: random.Random, jobs: Sequence[str], *, calm: bool, **facts: Any
    ) -> None:
        super().__init__(dialect, CLIP, base=BASE, **facts)
        self._draw = draw
        self._calm = calm
        self.bills_of: list[tuple[str, int, Work]] = []
        self._segments = {
            key_of(ask(job_id=job, segment=segment, attempt=attempt)): (job, segment)
            for job in jobs
            for segment in range(SEGMENTS_MAX)
            for attempt in range(ATTEMPTS_MAX)
        }
        self._keys: dict[str, Work] = {}
        if not calm:
            likely = {"create": 0.25, "poll": 0.1, "result": 0.1, "cancel": 0.2, "file": 0.15}
            # A drawing that never runs dry stands in for the queue of faults.
            self.faults = {kind: Drawn(draw, kind, much) for kind, much in likely.items()}  # type: ignore[misc]

    def _create(self, request: Request, fault: str) -> Reply:
        if not self._calm:
            self.end = self._draw.choices(ENDS, (14, 1, 1, 1, 1, 1, 1, 1))[0]
        before = len(self.bills)
        reply = super()._create(request, fault)
        if len(self.bills) > before:
            key = request.headers[KEY_HEADER.lower()]
            work = self._keys[key] = self.bills[-1]
            self.bills_of.append((*self._segments[key], work))
        return reply

    def id_of(self, key: str) -> str | None:
        """What a person finds on the service's own site."""
        work = self._keys.get(key)
        return work.id if work else None


class _Transport(InProcess):
    """The way to a service; the process may die before a request and before its answer."""

    def __init__(self, service: Service, log: MortalLog, fatal: Callable[[], bool]) -> None:
        super().__init__(service)
        self._log, self._fatal = log, fatal

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._log.mortal(fatal=self._fatal())
        response = await super().handle_async_request(request)
        await self._log.mortal(fatal=self._fatal())
        return response


class _Workers(WorkerPool):
    """Does at once, without drawing, what workers do with clips; some calls crash."""

    def __init__(self, draw: random.Random, log: MortalLog, crashes: float) -> None:
        self.workers = 2
        self._draw, self._log, self._crashes = draw, log, crashes

    async def run(self, function: Callable[..., Any], *args: Any, **bounds: Any) -> Any:
        """The result that the function would have."""
        await self._log.mortal(fatal=False)
        if self._draw.random() < self._crashes:
            raise EngineFailure(Reason.CRASHED, "a worker died", retryable=True)
        if function.__name__ == "render":
            spec, _, segment, _, _, out, *_ = args
            out.write_bytes(b"body %d" % segment)
            return spec.segments[segment].body_frames, spec.encoder.fingerprint
        source, out = args[:2]
        content = source.read_bytes()
        out.write_bytes(content)
        whole = content == CLIP
        if function.__name__ == "read_through":
            return "" if whole else "it cannot be decoded"
        assert function.__name__ == "take_in", function
        assert whole, "what is no clip comes so far"
        return "video/mp4", ()


class HostedWorld(PaidWorld):
    """A world whose two paid engines are hosted services of two dialects."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        jobs: Sequence[str],
        *,
        calm: bool = False,
        faults: Faults | None = None,
        restless: float = 0.0,
        step_deaths: float = 0.0,
        crashes: float = 0.0,
        budget: BudgetLimits | None = None,
    ) -> None:
        super().__init__(
            folder,
            seed,
            fates={},
            faults=faults,
            restless=restless,
            step_deaths=step_deaths,
            budget=budget,
            settle_wait_s=90.0,
        )
        self.crashes = crashes
        dialects = self.random.sample(sorted(DIALECTS), 2)
        self.hosts = {
            name: Service(dialect, self.random, jobs, calm=calm, now=self.now)
            for name, dialect in zip(self.services, dialects, strict=True)
        }
        self._dialects = dict(zip(self.services, dialects, strict=True))

    def engines(self, log: MortalLog) -> dict[str, Engine]:
        """The hosted ones before the null engine, which composes."""
        found = super().engines(log)
        return {**found, **{name: self._engine(name, log) for name in self.hosts}}

    def _engine(self, name: str, log: MortalLog) -> Engine:
        found, options = declared(settings(self._dialects[name], deadline_s=120))
        create = found.create.model_copy(update={"key_header": KEY_HEADER})
        workers = _Workers(self.random, log, self.crashes)
        generator = HostedGenerator(
            name,
            found.model_copy(update={"create": create}),
            options,
            Secret(KEY),
            workers,
            transport=_Transport(self.hosts[name], log, self.dies_at_a_step),
            clock=self.now,
        )
        return GeneratedEngine(
            generator,
            self.store,
            workers,
            settings=self.config.generation,
            limits=self.config.limits,
        )

    def bills(self) -> Iterator[tuple[str, int, Work]]:
        """What all services billed: job, segment, work."""
        for host in self.hosts.values():
            yield from host.bills_of

    def billed_for(self, job_id: str) -> int:
        """How many clips a job is billed for."""
        return sum(job == job_id for job, _, _ in self.bills())

    def _word(self, job: Job, segment: int, habit: str) -> str | None:
        generation = job.segments[segment].generation
        assert generation is not None
        found = self.hosts[generation.engine].id_of(generation.key)
        return found if habit == "accept" else None


@contextmanager
def explained(world: HostedWorld) -> Iterator[None]:
    """Say, where a check fails, what the services billed."""
    try:
        yield
    except AssertionError as error:
        told = [(job, segment, work.id, work.state) for job, segment, work in world.bills()]
        raise AssertionError(f"{error}; billed: {told}") from error
