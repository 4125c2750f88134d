"""The segment-renderer's performer: asks the engine of the rung, tells its outcome."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.base import (
    Engine,
    EngineFailure,
    Preview,
    ProgressCallback,
    SegmentResult,
    SegmentWork,
    Showing,
)
from events.log import DurableSpec
from events.notices import CircuitClosed, CircuitProbed, circuit_state, engine_topic
from events.types import Event, Reason, SegmentFailed, SegmentRendered, SegmentRequested
from events.writers import SEGMENT_RENDERER
from services.actor import Actor, Command, GiveBack, Work
from services.segment_renderer.core import RenderSegment, decide, waits_for
from services.segment_renderer.ledger import JobLedger

NAME = SEGMENT_RENDERER

PROBE_RETRY_S = 1.0
"""Delay before a segment is looked at again that found its engine being probed."""

STORE_RETRY_S = 2.0
"""Delay before a segment is tried again whose artifact could not be read or written."""


class Renderer:
    """Performs ``RenderSegment`` with the engines at hand."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines

    async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
        """Render one body; an engine's failure is an outcome, too."""
        assert isinstance(command, RenderSegment)
        engine = self._engines[command.rung.engine]
        ledger = JobLedger(work, command.segment, command.attempt, engine.name)
        if engine.capabilities().generates:
            # What an earlier process began must be known before anything is created.
            await work.refresh()
        if command.probe and not await _probes(command, work):
            raise GiveBack("the engine is being probed by another segment", delay_s=PROBE_RETRY_S)

        try:
            outcome = await _outcome(command, engine, ledger, work, _progress(command, work))
            if isinstance(outcome, SegmentRendered) and ledger.known is not None:
                await _succeeded(command, work)
            return await ledger.concluded(outcome)
        except EngineFailure as failure:
            await ledger.let_go(failure.cost)
            return await _cancelled(command, work)
        except OSError as error:
            # The store or the disk, not the engine: another try, here or elsewhere, may do.
            msg = f"{type(error).__name__}: {error}"
            raise GiveBack(msg, delay_s=STORE_RETRY_S) from error


def _progress(command: RenderSegment, work: Work) -> Showing:
    """What tells listeners how far a segment is, and shows them how it looks."""
    frames = command.spec.segments[command.segment].body_frames
    told: dict[str, Any] = {
        "segment": command.segment,
        "attempt": command.attempt,
        "engine": command.rung.engine,
        "frames_done": 0,
        "frames": frames,
    }

    def tell(done: int, total: int) -> None:
        told.update(frames_done=done, frames=total)
        work.progress(dict(told))

    def show(preview: Preview) -> None:
        content = base64.b64encode(preview.content).decode()
        work.progress({**told, "preview": f"data:{preview.media_type};base64,{content}"})

    return Showing(tell, show)


async def _outcome(
    command: RenderSegment,
    engine: Engine,
    ledger: JobLedger,
    work: Work,
    progress: ProgressCallback,
) -> SegmentRendered | SegmentFailed:
    """What the engine makes of it; raises ``EngineFailure`` with ``CANCELLED`` alone."""
    started_s = time.monotonic()
    try:
        result = await engine.render(_work(command), progress, work.moot, ledger)
    except EngineFailure as failure:
        if failure.reason is Reason.CANCELLED:
            raise
        cost = ledger.cost_of(failure)
        return _failed(command, failure, time.monotonic() - started_s, cost)
    return _rendered(command, result, time.monotonic() - started_s)


async def _cancelled(command: RenderSegment, work: Work) -> Sequence[Event]:
    """Nothing, if nobody waits for it; else somebody else is at it, and may die of it."""
    ask = work.cause.event
    if isinstance(ask, SegmentRequested) and waits_for(await work.refresh(), ask):
        what = f"segment {command.segment} is still waited for"
        raise GiveBack(what, delay_s=STORE_RETRY_S)
    return ()


async def _probes(command: RenderSegment, work: Work) -> bool:
    """Whether this attempt is the one that tries an engine whose circuit is half open."""
    topic = engine_topic(command.rung.engine)
    circuit = circuit_state(await work.last_notice(topic))
    limits, now_s = work.context.limits, work.context.now_s
    if not circuit.broken:
        return True
    if circuit.holds(now_s):
        return False
    notice = CircuitProbed(
        engine=command.rung.engine,
        until_s=now_s + limits.circuit_open_s,
        failures=circuit.failures,
        counted=circuit.counted,
        reason=circuit.reason or Reason.UNAVAILABLE,
        job_id=command.job_id,
        segment=command.segment,
        attempt=command.attempt,
    )
    return await work.post(notice, after=circuit.seq)


async def _succeeded(command: RenderSegment, work: Work) -> None:
    """Close the circuit of an engine that did its work, if it is not known to be well."""
    topic = engine_topic(command.rung.engine)
    circuit = circuit_state(await work.last_notice(topic))
    if circuit.failures:
        # Whoever was first knows something newer, a failure perhaps: then that stands.
        notice = CircuitClosed(engine=command.rung.engine, counted=circuit.counted)
        await work.post(notice, after=circuit.seq)


def _work(command: RenderSegment) -> SegmentWork:
    return SegmentWork(
        job_id=command.job_id,
        spec=command.spec,
        segment=command.segment,
        attempt=command.attempt,
        rung=command.rung,
        quality=command.quality,
    )


def _rendered(command: RenderSegment, result: SegmentResult, elapsed_s: float) -> SegmentRendered:
    return SegmentRendered(
        job_id=command.job_id,
        segment=command.segment,
        attempt=command.attempt,
        rung=command.rung,
        artifact=result.artifact,
        seed=result.seed,
        frames=result.frames,
        elapsed_s=round(elapsed_s, 3),
        cost=result.cost,
        model=result.model,
        fingerprint=result.fingerprint,
        raw=result.raw,
        warnings=result.warnings,
        reused=result.reused,
    )


def _failed(
    command: RenderSegment, failure: EngineFailure, elapsed_s: float, cost: float | None
) -> SegmentFailed:
    return SegmentFailed(
        job_id=command.job_id,
        segment=command.segment,
        attempt=command.attempt,
        rung=command.rung,
        reason=failure.reason,
        retryable=failure.retryable,
        detail=failure.detail,
        elapsed_s=round(elapsed_s, 3),
        cost=cost,
    )


def actor(
    engines: Mapping[str, Engine],
    *,
    slots: int,
    ack_wait_s: float,
    own_slots: Mapping[str, int] | None = None,
) -> Actor:
    """The segment-renderer; it pulls only what its engines can do, ``slots`` at a time.

    ``own_slots`` has the engines of which another number is rendered at once.
    """
    return Actor(
        name=NAME,
        durables=durables(tuple(engines), ack_wait_s=ack_wait_s),
        decide=decide,
        perform=Renderer(engines),
        slots=slots,
        own_slots={durable_of(engine): most for engine, most in (own_slots or {}).items()},
        circuits=True,
    )


def durable_of(engine: str) -> str:
    """The name of an engine's durable."""
    return f"{NAME}-{engine}"


def durables(engines: Sequence[str], *, ack_wait_s: float) -> tuple[DurableSpec, ...]:
    """One durable an engine, so that a worker takes only what it can do."""
    return tuple(
        DurableSpec(
            name=durable_of(engine),
            types=(f"segment_requested.{engine}",),
            ack_wait_s=ack_wait_s,
        )
        for engine in engines
    )
