"""What Prometheus is told: counted where the services append events and handle messages.

Counters are of this process; summed over the processes they are the system's.  What they count is
in the log for good, so that a restart loses no fact, only the count.  Every metric is documented
in ``docs/reference/metrics.md``, which is made from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from events.job import Job
from events.log import EventLog, LogError, Queue
from events.notices import circuit_state, engine_topic
from events.spec import Rung
from events.types import (
    AssemblyFailed,
    Event,
    RenderCancelled,
    RenderCompleted,
    RenderFailed,
    RenderRejected,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    SegmentTimedOut,
    type_name,
)
from services.meter import Meter

logger = structlog.get_logger()

REFRESH_S = 5.0
"""How old the depths of queues and the states of circuits may be."""

RENDER_S = (0.5, 1, 2, 3, 5, 8, 13, 30, 60, 120, 300, 600)
"""Seconds: composed bodies take 1-3, generated ones minutes."""
APPEND_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Seconds: one synced write is 1-5 ms, a lost leader some seconds."""
JOB_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_jobs()
        self._of_engines()
        self._of_the_log()

    def _of_jobs(self) -> None:
        self.events = Counter(
            "pytoon_events_appended",
            "Events that this process appended, by type.",
            ["service", "type"],
            registry=self.registry,
        )
        self.jobs = Counter(
            "pytoon_jobs_ended",
            "Jobs whose end this process appended, by state.",
            ["state"],
            registry=self.registry,
        )
        self.job_seconds = Histogram(
            "pytoon_job_seconds",
            "Seconds from a job's request to its film.",
            buckets=JOB_S,
            registry=self.registry,
        )
        self.assembly_failures = Counter(
            "pytoon_assembly_failures",
            "Assemblies that came to nothing, by reason.",
            ["reason"],
            registry=self.registry,
        )

    def _of_engines(self) -> None:
        self.segments = Counter(
            "pytoon_segment_attempts",
            "Attempts at a segment by engine and outcome: rendered, reused, or why it failed.",
            ["engine", "outcome"],
            registry=self.registry,
        )
        self.render_seconds = Histogram(
            "pytoon_segment_render_seconds",
            "Seconds that an attempt took that rendered a segment.",
            ["engine"],
            buckets=RENDER_S,
            registry=self.registry,
        )
        self.descents = Counter(
            "pytoon_ladder_descents",
            "Steps down the ladder by the rung that was reached and the reason.",
            ["from_engine", "to_engine", "to_archetype", "reason"],
            registry=self.registry,
        )
        self.cost = Counter(
            "pytoon_engine_cost",
            "What rendered segments cost, in the configured currency.",
            ["engine"],
            registry=self.registry,
        )
        self.circuit_open = Gauge(
            "pytoon_circuit_open",
            "1 while an engine's circuit is open, else 0.",
            ["engine"],
            registry=self.registry,
        )

    def _of_the_log(self) -> None:
        self.append_seconds = Histogram(
            "pytoon_event_append_seconds",
            "Seconds that an append to the log took, retries included.",
            ["service"],
            buckets=APPEND_S,
            registry=self.registry,
        )
        self.conflicts = Counter(
            "pytoon_append_conflicts",
            "Appends that found the job changed by somebody else, and were decided again.",
            ["service"],
            registry=self.registry,
        )
        self.replay_seconds = Histogram(
            "pytoon_job_load_seconds",
            "Seconds that bringing a job up to date from the log took.",
            ["service"],
            buckets=APPEND_S,
            registry=self.registry,
        )
        self.redeliveries = Counter(
            "pytoon_redeliveries",
            "Messages that came not for the first time; the controller's timers do so regularly.",
            ["service"],
            registry=self.registry,
        )
        self.given_back = Counter(
            "pytoon_given_back",
            "Messages that were given back because their work could not be done then.",
            ["service"],
            registry=self.registry,
        )
        self.busy = Gauge(
            "pytoon_messages_in_hand",
            "Messages that are being handled now.",
            ["service"],
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "pytoon_queue_depth",
            "Messages of a durable consumer that are not settled: waiting, and handed out.",
            ["durable", "state"],
            registry=self.registry,
        )

    def meter(self, service: str) -> Meter:
        """What counts for a service."""
        return _ServiceMeter(self, service)

    def documented(self) -> tuple[tuple[str, str, tuple[str, ...], str], ...]:
        """Each metric's name as Prometheus has it, its kind, its labels and what it tells."""
        found: list[tuple[str, str, tuple[str, ...], str]] = []
        for made in vars(self).values():
            if isinstance(made, MetricWrapperBase):
                # The library has no other way to ask for these.
                kind, labels = str(made._type), tuple(made._labelnames)  # noqa: SLF001
                ending = "_total" if kind == "counter" else ""
                name, told = f"{made._name}{ending}", made._documentation  # noqa: SLF001
                found.append((name, kind, labels, told))
        return tuple(found)

    def count(self, service: str, job: Job, event: Event, now_s: float) -> None:
        """Count an event that ``service`` has appended to ``job``."""
        self.events.labels(service, type_name(event)).inc()
        match event:
            case SegmentRendered():
                self._rendered(event)
            case SegmentFailed():
                self.segments.labels(event.rung.engine, event.reason.value).inc()
            case SegmentTimedOut():
                rung = event.rung or _rung_of(job, event.segment)
                self.segments.labels(rung.engine if rung else "", event.deadline.value).inc()
            case RungDescended():
                self.descents.labels(
                    event.from_rung.engine,
                    event.to_rung.engine,
                    event.to_rung.archetype.value,
                    event.reason.value,
                ).inc()
            case RenderCompleted():
                self.jobs.labels("completed").inc()
                self.job_seconds.observe(max(0.0, now_s - job.requested_s))
            case RenderFailed():
                self.jobs.labels("failed").inc()
            case RenderCancelled():
                self.jobs.labels("cancelled").inc()
            case RenderRejected():
                self.jobs.labels("rejected").inc()
            case AssemblyFailed():
                self.assembly_failures.labels(event.reason.value).inc()
            case _:
                pass

    def _rendered(self, event: SegmentRendered) -> None:
        engine = event.rung.engine
        self.segments.labels(engine, "reused" if event.reused else "rendered").inc()
        if not event.reused:
            self.render_seconds.labels(engine).observe(event.elapsed_s)
        if event.cost:
            self.cost.labels(engine).inc(event.cost)

    def depths(self, queues: Mapping[str, Queue]) -> None:
        """Tell of each durable how many messages wait and how many are handed out."""
        for durable, queue in queues.items():
            self.queue_depth.labels(durable, "waiting").set(queue.waiting)
            self.queue_depth.labels(durable, "handed_out").set(queue.handed_out)

    async def watch(
        self,
        log: EventLog,
        engines: Sequence[str],
        stop: asyncio.Event,
        *,
        queues: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look at the circuits of ``engines`` now and then until ``stop``.

        With ``queues`` also at those, which only an operator and the gateway may list.
        """
        while not stop.is_set():
            try:
                if queues:
                    self.depths(await log.queues())
                for engine in engines:
                    state = circuit_state(await log.last_notice(engine_topic(engine)))
                    self.circuit_open.labels(engine).set(state.holds(clock()))
            except LogError as error:
                logger.warning("metrics are not fresh", why=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), REFRESH_S)

    def exposition(self) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def serve(self, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
        """Serve them on a thread, for a service without a gateway.  Raises ``OSError``."""
        return start_http_server(port, addr=host, registry=self.registry)


class _ServiceMeter(Meter):
    """Counts for one service of the process."""

    def __init__(self, metrics: Metrics, service: str) -> None:
        self._metrics = metrics
        self._service = service
        self._append_s = metrics.append_seconds.labels(service)
        self._load_s = metrics.replay_seconds.labels(service)
        self._conflicts = metrics.conflicts.labels(service)
        self._redeliveries = metrics.redeliveries.labels(service)
        self._given_back = metrics.given_back.labels(service)
        self._in_hand = metrics.busy.labels(service)

    def appended(self, job: Job, events: Sequence[Event], *, now_s: float, took_s: float) -> None:
        """Count the append, and each event by what it says."""
        self._append_s.observe(took_s)
        for event in events:
            self._metrics.count(self._service, job, event, now_s)

    def conflicted(self) -> None:
        """Count a conflict."""
        self._conflicts.inc()

    def loaded(self, took_s: float) -> None:
        """Count a load."""
        self._load_s.observe(took_s)

    def took_in_hand(self, deliveries: int) -> None:
        """Count a message, and whether it came before."""
        self._in_hand.inc()
        if deliveries > 1:
            self._redeliveries.inc()

    def let_go(self) -> None:
        """Count it no more."""
        self._in_hand.dec()

    def gave_back(self) -> None:
        """Count it as given back."""
        self._given_back.inc()


def _rung_of(job: Job, segment: int) -> Rung | None:
    """The rung that a segment stands on, as far as the job is planned."""
    if job.spec is None or not 0 <= segment < len(job.segments):
        return None
    return job.spec.ladder[job.segments[segment].rung_index]
