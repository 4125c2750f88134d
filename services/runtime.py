"""The one shell around every actor: consume, load, decide, perform, append, acknowledge.

What makes it survive anything: a message is acknowledged only after what it led to is in the
log, every append expects the job to be where it was read, and the outcome of work is linked anew
on a conflict instead of being made again.  Redelivery, duplicates and reordering are its normal
input; the fold makes them harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from adapters.spans import Attribute
from events.job import Job, accepts, apply, evolve, initial_state
from events.log import (
    Conflict,
    Consumer,
    Delivery,
    EventLog,
    LogError,
    LogUnavailable,
    Recorded,
)
from events.notices import (
    CircuitState,
    Posting,
    circuit_state,
    engine_topic,
    notice_name,
    topic_of,
)
from events.spec import Struct
from events.types import Event, Foreign, event_id, type_name
from events.writers import SOURCE
from services import handling
from services.actor import Actor, Command, Context, GiveBack, Limits, Wait
from services.handling import SETTLED, WAITS, Handling
from services.meter import Meter
from services.work import ROUNDS_MAX, RunningWork

logger = structlog.get_logger()

CIRCUIT_KEPT_S = 1.0
"""How old a circuit may be that a decision is made with: it changes only what is tried next."""


class RuntimeSettings(Struct, frozen=True, kw_only=True):
    """Bounds of the shell, from ``config/defaults.yaml``; seconds."""

    heartbeat_s: float = 1.0
    fetch_wait_s: float = 1.0
    retry_delay_s: float = 1.0
    retry_delay_max_s: float = 30.0
    stop_grace_s: float = 10.0
    jobs_cached_max: int = 256


class JobCache:
    """Folded jobs, brought up to date from the log; bounded, least recently used first out."""

    def __init__(self, log: EventLog, jobs_max: int, meter: Meter | None = None) -> None:
        self._log = log
        self._meter = meter or Meter()
        self._jobs_max = jobs_max
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def __len__(self) -> int:
        """How many jobs are kept."""
        return len(self._jobs)

    async def load(self, job_id: str, *, at_least: int = 0, hint: int = 0) -> Job:
        """The job, never older than ``at_least``."""
        started_s = time.perf_counter()
        job = self._jobs.get(job_id) or initial_state(job_id)
        history = await self._log.read(
            job_id,
            after=job.tail.seq,
            at_least=max(at_least, job.tail.seq),
            first_seq=job.tail.first_seq or hint,
        )
        job = self.advance(job, history)
        self._meter.loaded(time.perf_counter() - started_s)
        return job

    def advance(self, job: Job, history: Sequence[Recorded]) -> Job:
        """Fold ``history`` on ``job`` and keep the result."""
        for recorded in history:
            job = evolve(job, recorded)
        known = self._jobs.get(job.job_id)
        if known is None or known.tail.seq <= job.tail.seq:
            self._jobs[job.job_id] = job
            self._jobs.move_to_end(job.job_id)
        while len(self._jobs) > self._jobs_max:
            self._jobs.popitem(last=False)
        return job


class Runtime:
    """Runs one actor against one log until it is stopped."""

    def __init__(
        self,
        actor: Actor,
        log: EventLog,
        *,
        limits: Limits,
        settings: RuntimeSettings,
        clock: Callable[[], float] = time.time,
        meter: Meter | None = None,
    ) -> None:
        self.actor = actor
        self.log = log
        self.limits = limits
        self.settings = settings
        self.clock = clock
        self.busy = 0
        self.meter = meter or Meter()
        self.cache = JobCache(log, settings.jobs_cached_max, self.meter)
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._under_way: set[int] = set()
        self._circuits: dict[str, tuple[float, CircuitState]] = {}
        self._logger = logger.bind(service=actor.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until ``stop`` is set; then let running work end, or give it back."""
        consumers = [await self._reader(durable.name, stop) for durable in self.actor.durables]
        pulls = [
            asyncio.create_task(self._pull(durable.name, consumer, stop))
            for durable, consumer in zip(self.actor.durables, consumers, strict=True)
            if consumer is not None
        ]
        try:
            await asyncio.gather(*pulls)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self.settings.stop_grace_s)
        finally:
            leftovers = [*pulls, *self._tasks, *self._telling]
            for task in leftovers:
                task.cancel()
            await asyncio.gather(*leftovers, return_exceptions=True)
            for consumer in consumers:
                if consumer is not None:
                    await consumer.close()

    async def _reader(self, durable: str, stop: asyncio.Event) -> Consumer | None:
        while not stop.is_set():
            try:
                return await self.log.consumer(durable)
            except LogError as error:
                self._logger.warning("log not reachable yet", durable=durable, why=str(error))
                await _sleep(self.settings.retry_delay_s, stop)
        return None

    def _slots(self, durable: str) -> int:
        return self.actor.own_slots.get(durable, self.actor.slots)

    async def _pull(self, durable: str, consumer: Consumer, stop: asyncio.Event) -> None:
        # Each durable has slots of its own, and none is fetched for without a free one: what an
        # actor cannot take on now stays in the log for another process.
        most = self._slots(durable)
        slots = asyncio.Semaphore(most)
        while not stop.is_set():
            await slots.acquire()
            held = 1
            while not slots.locked() and held < most:
                await slots.acquire()
                held += 1
            deliveries: Sequence[Delivery] = ()
            try:
                deliveries = await consumer.fetch(held, self.settings.fetch_wait_s)
            except LogError as error:
                self._logger.warning("fetch failed", why=str(error))
                await _sleep(self.settings.retry_delay_s, stop)
            finally:
                for _ in range(held - len(deliveries)):
                    slots.release()
            for delivery in deliveries:
                task = asyncio.create_task(self._settle(durable, delivery, slots))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)

    async def _settle(self, durable: str, delivery: Delivery, slots: asyncio.Semaphore) -> None:
        """Handle one message to its end; whatever happens, it is settled or comes again."""
        cause = delivery.recorded
        if cause.seq in self._under_way:
            # It came again while its work is under way here, after a silence of the log: the
            # signs of life and the settling of the first delivery are this one's, too.
            slots.release()
            return
        bound = self._logger.bind(**_facts(cause))
        span = Handling(self.actor.name, durable, delivery)
        self.busy += 1
        self.meter.took_in_hand(delivery.deliveries)
        self._under_way.add(cause.seq)
        try:
            if isinstance(cause.event, Foreign):
                bound.warning("not readable", why=cause.event.why)
                await delivery.dead_letter(cause.event.why)
                return
            wait = await self._handle(delivery, span)
            if wait is None:
                await delivery.ack()
            else:
                await delivery.nak(max(0.05, wait.until_s - self.clock()))
            span.end(SETTLED if wait is None else WAITS)
        except asyncio.CancelledError as error:
            await _quietly(delivery.nak())
            span.end("stopped", error)
            raise
        except GiveBack as back:
            self.meter.gave_back()
            bound.info("given back", why=str(back), delay_s=back.delay_s)
            await _quietly(delivery.nak(back.delay_s))
            span.end("given back")
        except Exception as error:  # noqa: BLE001
            # The boundary of the actor: nothing that a message leads to may end the service.
            self.meter.gave_back()
            known = isinstance(error, LogError)
            report = bound.warning if known else bound.exception
            report("not handled, will come again", why=f"{type(error).__name__}: {error}")
            delay_s = self.settings.retry_delay_s * 2 ** min(delivery.deliveries, 10)
            await _quietly(delivery.nak(min(delay_s, self.settings.retry_delay_max_s)))
            span.end("given back", error)
        finally:
            self._under_way.discard(cause.seq)
            self.busy -= 1
            self.meter.let_go()
            slots.release()

    async def _handle(self, delivery: Delivery, span: Handling) -> Wait | None:
        """Decide, perform and append until the fold lacks nothing that this message can bring."""
        outcomes: list[Event] = []
        performed: set[type[Command]] = set()
        for _ in range(ROUNDS_MAX):
            try:
                settled, commands, wait = await self._advance(delivery, span, outcomes)
            except LogUnavailable as error:
                if not outcomes:
                    raise
                # Work is done and the log is away: its outcome is kept until the log is back.
                self._logger.warning("outcome waits for the log", why=str(error))
                await asyncio.sleep(self.settings.retry_delay_s)
                continue
            fresh = [command for command in commands if type(command) not in performed]
            if settled and not fresh:
                return wait
            for command in fresh:
                performed.add(type(command))
                outcomes += await self._perform(command, delivery)
        msg = f"{ROUNDS_MAX} rounds did not settle it"
        raise Conflict(msg)

    async def _advance(
        self, delivery: Delivery, span: Handling, outcomes: Sequence[Event]
    ) -> tuple[bool, Sequence[Command], Wait | None]:
        """Load, decide, append.  False first: a conflict, everything is to be decided again."""
        cause = delivery.recorded
        async with self.alone(cause.job_id):
            hint = cause.envelope.job_seq if cause.envelope else 0
            job = await self.cache.load(cause.job_id, at_least=cause.seq, hint=hint)
            span.begin(job)
            context = await self._context(job, delivery)
            batch, commands, wait = self._decide(job, delivery.recorded, context, outcomes)
            if batch and not await self.append(job, batch, cause):
                return False, (), None
            return True, commands, wait

    async def _context(self, job: Job, delivery: Delivery) -> Context:
        circuits: dict[str, CircuitState] = {}
        if self.actor.circuits and job.spec is not None:
            for engine in dict.fromkeys(r.engine for r in job.spec.ladder if r.generates):
                circuits[engine] = await self._circuit(engine)
        return Context(
            now_s=self.clock(),
            limits=self.limits,
            deliveries=delivery.deliveries,
            circuits=circuits,
        )

    async def _circuit(self, engine: str) -> CircuitState:
        """An engine's circuit, at most ``CIRCUIT_KEPT_S`` old."""
        now_s, topic = self.clock(), engine_topic(engine)
        kept = self._circuits.get(topic)
        if kept is None or not 0 <= now_s - kept[0] < CIRCUIT_KEPT_S:
            kept = now_s, circuit_state(await self.log.last_notice(topic))
            self._circuits[topic] = kept
        return kept[1]

    async def post(self, posting: Posting) -> bool:
        """Append a notice; False on a conflict."""
        self._circuits.pop(topic_of(posting.notice), None)
        try:
            await self.log.post(posting, source=SOURCE + self.actor.name)
        except Conflict:
            return False
        self._logger.info(notice_name(posting.notice), topic=topic_of(posting.notice))
        return True

    def _decide(
        self, job: Job, cause: Recorded, context: Context, outcomes: Sequence[Event]
    ) -> tuple[list[Event], list[Command], Wait | None]:
        """What is to be appended now, what is to be performed, and how long to wait."""
        now_s = context.now_s
        batch: list[Event] = []
        state = job
        for event in outcomes:
            if accepts(state, event):
                batch.append(event)
                state = apply(state, event, now_s)
        wait: Wait | None = None
        commands: list[Command] = []
        for _ in range(ROUNDS_MAX):
            decisions = self.actor.decide(state, cause, context)
            events = [d for d in decisions if not isinstance(d, Command)]
            commands = [d for d in decisions if isinstance(d, Command) and not isinstance(d, Wait)]
            wait = next((d for d in decisions if isinstance(d, Wait)), None)
            if not events:
                return batch, commands, wait
            for event in events:
                assert accepts(state, event), f"{self.actor.name} decided {event!r} out of place"
                batch.append(event)
                state = apply(state, event, now_s)
        msg = f"{self.actor.name} does not come to rest"
        raise AssertionError(msg)

    async def append(
        self,
        job: Job,
        batch: Sequence[Event],
        cause: Recorded,
        notices: Sequence[Posting] = (),
    ) -> bool:
        """Append; False on a conflict."""
        causation = cause.envelope.id if cause.envelope else str(cause.seq)
        started_s = time.perf_counter()
        with handling.appending(job.job_id, batch) as span:
            try:
                stored = await self.log.append(
                    job.tail,
                    batch,
                    source=SOURCE + self.actor.name,
                    causation=causation,
                    traceparent=span.traceparent,
                    notices=notices,
                )
            except Conflict:
                span.note({Attribute.OUTCOME: "conflict"})
                self.meter.conflicted()
                return False
            span.note({Attribute.OUTCOME: "stored"})
        took_s, now_s = time.perf_counter() - started_s, self.clock()
        self.meter.appended(job, batch, now_s=now_s, took_s=took_s)
        after = self.cache.advance(job, stored)
        if after.end is not None:
            handling.ended(after, now_s)
        for event in batch:
            self._logger.info(
                type_name(event), job=job.job_id, event_id=event_id(event), **_told(event)
            )
        return True

    async def _perform(self, command: Command, delivery: Delivery) -> Sequence[Event]:
        cause = delivery.recorded
        job = await self.cache.load(cause.job_id, at_least=cause.seq)
        work = RunningWork(self, job, cause, await self._context(job, delivery))
        beat = asyncio.create_task(self._keep(delivery, work))
        try:
            with handling.performing(command) as span:
                events: Sequence[Event] = await self.actor.perform(command, work)
                handling.performed(span, events)
            return events
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)

    async def _keep(self, delivery: Delivery, work: RunningWork) -> None:
        """Keep the message ours while work lasts, and see when the work has become moot."""
        while True:
            await asyncio.sleep(self.settings.heartbeat_s)
            try:
                await delivery.in_progress()
                job = await self.cache.load(work.job.job_id)
            except LogError as error:
                self._logger.warning("heartbeat failed", why=str(error))
                continue
            decisions = self.actor.decide(job, work.cause, work.context)
            if not any(isinstance(d, Command) and not isinstance(d, Wait) for d in decisions):
                work.moot.set()

    def tell(self, job_id: str, facts: dict[str, Any]) -> None:
        """Tell listeners how far a job's work is."""
        told = {"service": self.actor.name, **facts}
        task = asyncio.create_task(_quietly(self.log.publish_progress(job_id, told)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    @asynccontextmanager
    async def alone(self, job_id: str) -> AsyncIterator[None]:
        """One decision at a time for a job in this process: conflicts are for other processes."""
        lock, users = self._locks.get(job_id, (asyncio.Lock(), 0))
        self._locks[job_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[job_id]
            if users == 1:
                del self._locks[job_id]
            else:
                self._locks[job_id] = (lock, users - 1)


def _facts(cause: Recorded) -> dict[str, Any]:
    facts: dict[str, Any] = {"job": cause.job_id, "seq": cause.seq}
    if cause.envelope:
        facts["event_id"] = cause.envelope.id
    if not isinstance(cause.event, Foreign):
        facts["type"] = type_name(cause.event)
        facts |= _told(cause.event)
    return facts


def _told(event: Event) -> dict[str, Any]:
    """Segment, attempt, engine and reason of an event, as far as it has them."""
    told: dict[str, Any] = {}
    for name in ("segment", "attempt", "reason"):
        if getattr(event, name, None) is not None:
            told[name] = getattr(event, name)
    rung = getattr(event, "rung", None)
    if rung is not None:
        told["engine"] = rung.engine
    return told


async def _quietly(doing: Any) -> None:
    """Do what may fail without harm: the message comes again by its ack_wait anyway."""
    try:
        await doing
    except LogError as error:
        logger.debug("not settled", why=str(error))


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
