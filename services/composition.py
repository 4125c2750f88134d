"""The composition root: which actors run, on which log, with which engines and store.

The four actors may share a process; they still know one another only through the log.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from adapters.assets import AssetFetcher, AssetLimits
from adapters.base import ArtifactStore, Engine
from adapters.glances import Glances
from adapters.null import NullEngine, NullStudio
from adapters.pooled import PooledStudio
from adapters.preloaded import PRELOADED
from adapters.registry import Resources, make_engines
from adapters.studio import Studio
from adapters.workers import WorkerPool
from config import Config
from events.log import DurableSpec, EventLog, LogError
from events.types import RenderPlanned, RenderRejected
from services.actor import Actor, BudgetLimits, Context, Limits
from services.assembler import shell as assembler
from services.fallback_controller import shell as fallback_controller
from services.home import Home, Lock
from services.planner import shell as planner
from services.planner.core import PlanRender
from services.runtime import Runtime, RuntimeSettings
from services.segment_renderer import shell as segment_renderer
from services.stores import folder_of, open_store

if TYPE_CHECKING:
    from events.jetstream import JetStreamLog
    from services.metrics import Metrics

logger = structlog.get_logger()

SERVICES = (planner.NAME, segment_renderer.NAME, fallback_controller.NAME, assembler.NAME)
"""The names of the services, as ``pytoon serve`` takes them."""

CONTROLLER_SLOTS = 64
"""Decisions of the controller under way at once; it does no work of its own."""

PLANNER_SLOTS = 4
"""Messages that the planner handles at once; most are decided without any work."""

_IDLE_POLL_S = 0.5


def asset_roots(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where services may read ``file://``: ``PYTOON_ASSET_ROOTS``, default the working folder."""
    named = (os.environ if environ is None else environ).get("PYTOON_ASSET_ROOTS", "")
    return tuple(Path(root) for root in named.split(os.pathsep) if root) or (Path.cwd(),)


def limits_of(config: Config) -> Limits:
    """The bounds that deciders know."""
    found = config.limits
    remote = [e for e in config.engines if e.kind not in {"compositor", "template", "null"}]

    def of_each(name: str, otherwise: float) -> dict[str, float]:
        return {engine.name: float(engine.options.get(name, otherwise)) for engine in remote}

    return Limits(
        deliveries_max=found.deliveries_max,
        crashes_max=found.crashes_max,
        retries_max=found.retries_max,
        backoff_base_s=found.backoff_base_s,
        backoff_max_s=found.backoff_max_s,
        assembly_attempts_max=found.assembly_attempts_max,
        timer_recheck_s=found.timer_recheck_s,
        not_taken_s=of_each("not_taken_s", found.not_taken_s),
        no_progress_s=of_each("unanswered_s", found.unanswered_s),
        too_long_s=of_each("generating_s", found.generating_s),
        composing_s=found.composing_s,
        circuit_failures=config.circuits.failures,
        circuit_open_s=config.circuits.open_s,
        settle_wait_s=config.settle.wait_s,
        budget=BudgetLimits(**config.budget.model_dump()),
    )


def settings_of(config: Config) -> RuntimeSettings:
    """The bounds of the shell."""
    return RuntimeSettings(
        heartbeat_s=config.log.heartbeat_s,
        fetch_wait_s=config.runtime.fetch_wait_s,
        retry_delay_s=config.runtime.retry_delay_s,
        retry_delay_max_s=config.runtime.retry_delay_max_s,
        stop_grace_s=config.runtime.stop_grace_s,
        jobs_cached_max=config.runtime.jobs_cached_max,
    )


def enabled(config: Config) -> tuple[str, ...]:
    """The names of the engines that may be asked, in their order."""
    return tuple(engine.name for engine in config.engines if engine.enabled)


def durables(config: Config) -> tuple[DurableSpec, ...]:
    """Every durable consumer that the services need."""
    ack_wait_s = config.log.ack_wait_s
    return (
        *planner.durables(ack_wait_s=ack_wait_s),
        *segment_renderer.durables(enabled(config), ack_wait_s=ack_wait_s),
        *fallback_controller.durables(ack_wait_s=ack_wait_s),
        *assembler.durables(ack_wait_s=ack_wait_s),
    )


def worker_count(config: Config) -> int:
    """Segments that are rendered at once here."""
    return config.limits.workers or os.cpu_count() or 1


def own_slots(config: Config, engines: Mapping[str, Engine]) -> dict[str, int]:
    """Clips under way at once at each engine that generates: no matter of processors here."""
    return {
        settings.name: settings.slots or config.generation.slots
        for settings in config.engines
        if settings.name in engines and engines[settings.name].capabilities().generates
    }


class Workshop:
    """Store, engines, studio and worker processes of one process of services.

    ``left_out`` has the enabled engines that cannot be asked from here, each with the reason.
    """

    def __init__(
        self,
        names: Sequence[str],
        home: Home,
        config: Config,
        log: JetStreamLog | None = None,
    ) -> None:
        """``log``: of an operator's own server, which may have the artifacts, too."""
        self.config = config
        self.left_out: dict[str, str] = {}
        self.store: ArtifactStore = open_store(home, config.store, log)
        self.pool: WorkerPool | None = None
        if config.is_null:
            self.engines: dict[str, Engine] = {"null": NullEngine(self.store)}
            self.studio: Studio = NullStudio(self.store)
            return
        # One pool for all: with a worker more than segments are rendered at once, so that
        # neither planning nor assembling waits for a segment.
        segments = worker_count(config) if segment_renderer.NAME in names else 0
        self.pool = WorkerPool(
            segments + 1, memory_mb_max=config.limits.memory_mb_max, preload=PRELOADED
        )
        if names:
            self.pool.warm_up()
        limits = AssetLimits(
            fetch_s=config.limits.fetch_s, redirects_max=config.limits.fetch_redirects_max
        )
        fetcher = AssetFetcher(self.store, asset_roots(), limits)
        self.studio = PooledStudio(self.store, self.pool, fetcher, config)
        resources = Resources(store=self.store, workers=self.pool, config=config)
        made = make_engines(resources)
        self.engines, self.left_out = made.usable, made.left_out

    async def close(self) -> None:
        """Release the engines' connections, and end the worker processes."""
        closing = [engine.close() for engine in self.engines.values()]
        await asyncio.gather(*closing, return_exceptions=True)
        if self.pool is not None:
            await self.pool.close()


def actors_of(
    names: Sequence[str],
    *,
    config: Config,
    engines: Mapping[str, Engine],
    studio: Studio,
    disk_free_mb: Callable[[], float] = lambda: float("inf"),
) -> tuple[Actor, ...]:
    """The named actors; ``disk_free_mb`` tells the room that is left for artifacts."""
    ack_wait_s = config.log.ack_wait_s
    made: list[Actor] = []
    for name in names:
        if name == planner.NAME:
            capabilities = {key: engine.capabilities() for key, engine in engines.items()}
            made.append(
                planner.actor(
                    studio,
                    config,
                    capabilities,
                    disk_free_mb,
                    slots=PLANNER_SLOTS,
                    ack_wait_s=ack_wait_s,
                )
            )
        elif name == segment_renderer.NAME:
            made.append(
                segment_renderer.actor(
                    engines,
                    slots=worker_count(config),
                    ack_wait_s=ack_wait_s,
                    own_slots=own_slots(config, engines),
                )
            )
        elif name == fallback_controller.NAME:
            made.append(fallback_controller.actor(slots=CONTROLLER_SLOTS, ack_wait_s=ack_wait_s))
        elif name == assembler.NAME:
            made.append(assembler.actor(studio, slots=2, ack_wait_s=ack_wait_s))
        else:
            msg = f"no service {name!r}; there are {', '.join(SERVICES)}"
            raise ValueError(msg)
    return tuple(made)


class Planning:
    """Plans a request as the planner would, and stores nothing in the log."""

    def __init__(self, workshop: Workshop, home: Home) -> None:
        self._workshop = workshop
        self._limits = limits_of(workshop.config)
        self._performer = planner.Performer(
            workshop.studio,
            workshop.config,
            {name: engine.capabilities() for name, engine in workshop.engines.items()},
            lambda: shutil.disk_usage(folder_of(home, workshop.config.store)).free / 1e6,
        )
        self._warm = False

    def warm_up(self) -> None:
        """Have the workers load their libraries now: somebody is about to ask."""
        if self._workshop.pool is not None and not self._warm:
            self._warm = True
            self._workshop.pool.warm_up()

    async def __call__(self, ask: Mapping[str, Any]) -> RenderPlanned | RenderRejected:
        """The plan of a request, or why there is none."""
        # Nobody hands the request out again: what fails is told at once.
        most = self._limits.crashes_max
        context = Context(now_s=time.time(), limits=self._limits, deliveries=most)
        return await self._performer.plan(PlanRender(job_id="dry-run", ask=dict(ask)), context)


def glances_of(workshop: Workshop) -> Glances | None:
    """Draws frames to look at in the workshop's processes; None where it has none."""
    if workshop.pool is None:
        return None
    settings = workshop.config.gateway
    return Glances(
        workshop.store,
        workshop.pool,
        frame_s=settings.frame_s,
        waiting_max=settings.frames_waiting_max,
    )


Beside = Callable[[EventLog, Workshop, asyncio.Event], Coroutine[Any, Any, None]]
"""What runs beside the actors on the same log, until the event is set: the gateway."""


async def run_services(
    names: Sequence[str],
    *,
    home: Home,
    config: Config,
    log: EventLog,
    stop: asyncio.Event,
    idle_exit_s: float | None = None,
    workshop: Workshop | None = None,
    beside: Beside | None = None,
    metrics: Metrics | None = None,
) -> None:
    """Run the named services until ``stop``, or until no client and no work is left.

    A ``workshop`` that is given stays its maker's: its workers load their libraries while the
    maker still connects, and outlive a change of servers.
    """
    own = None if workshop else Workshop(names, home, config)
    workshop = workshop or own
    assert workshop is not None
    for engine, why in workshop.left_out.items():
        logger.warning("engine left out", engine=engine, why=why)
    try:
        runtimes = [
            Runtime(
                actor,
                log,
                limits=limits_of(config),
                settings=settings_of(config),
                meter=metrics.meter(actor.name) if metrics else None,
            )
            for actor in actors_of(
                names,
                config=config,
                engines=workshop.engines,
                studio=workshop.studio,
                disk_free_mb=lambda: shutil.disk_usage(folder_of(home, config.store)).free / 1e6,
            )
        ]
        tasks = [asyncio.create_task(runtime.run(stop)) for runtime in runtimes]
        if beside is not None:
            tasks.append(asyncio.create_task(beside(log, workshop, stop)))
        if metrics is not None:
            remote = limits_of(config).not_taken_s
            engines = [name for name in enabled(config) if name in remote]
            watch = metrics.watch(log, engines, stop, queues=beside is not None)
            tasks.append(asyncio.create_task(watch))
        door: Lock | None = None
        if idle_exit_s is not None:
            door = await _until_idle(home, log, runtimes, tasks, stop, idle_exit_s)
            stop.set()
        try:
            await asyncio.gather(*tasks)
        finally:
            stop.set()
            if door is not None:
                door.release()
    finally:
        if own is not None:
            await own.close()


async def _until_idle(  # noqa: PLR0917 - all that idleness depends on
    home: Home,
    log: EventLog,
    runtimes: Sequence[Runtime],
    tasks: Sequence[asyncio.Task[None]],
    stop: asyncio.Event,
    idle_exit_s: float,
) -> Lock | None:
    """Return when there has been neither client nor work for so long; with the door shut."""
    idle_since_s = time.monotonic()
    while not stop.is_set() and not any(task.done() for task in tasks):
        await asyncio.sleep(_IDLE_POLL_S)
        if home.has_clients() or any(runtime.busy for runtime in runtimes):
            idle_since_s = time.monotonic()
            continue
        if time.monotonic() - idle_since_s < idle_exit_s:
            continue
        try:
            if await log.backlog():
                idle_since_s = time.monotonic()
                continue
        except LogError as error:
            logger.warning("backlog not known", why=str(error))
            continue
        door = home.shut_door()
        if door is not None:
            return door
    return None
