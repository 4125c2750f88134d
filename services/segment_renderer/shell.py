"""The segment-renderer's performer: asks the engine of the rung, tells its outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from adapters.base import Engine, EngineFailure, SegmentResult, SegmentWork
from events.log import DurableSpec
from events.types import Event, Reason, SegmentFailed, SegmentRendered
from services.actor import Actor, Command, GiveBack, Work
from services.segment_renderer.core import RenderSegment, decide

NAME = "segment-renderer"

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
        started_s = time.monotonic()

        def progress(done: int, total: int) -> None:
            facts = {"segment": command.segment, "attempt": command.attempt}
            frames = {"frames_done": done, "frames": total}
            work.progress({**facts, "engine": command.rung.engine, **frames})

        try:
            result = await engine.render(_work(command), progress, work.moot)
        except EngineFailure as failure:
            if failure.reason is Reason.CANCELLED:
                return ()
            return (_failed(command, failure, time.monotonic() - started_s),)
        except OSError as error:
            # The store or the disk, not the engine: another try, here or elsewhere, may do.
            msg = f"{type(error).__name__}: {error}"
            raise GiveBack(msg, delay_s=STORE_RETRY_S) from error
        return (_rendered(command, result, time.monotonic() - started_s),)


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
    )


def _failed(command: RenderSegment, failure: EngineFailure, elapsed_s: float) -> SegmentFailed:
    return SegmentFailed(
        job_id=command.job_id,
        segment=command.segment,
        attempt=command.attempt,
        rung=command.rung,
        reason=failure.reason,
        retryable=failure.retryable,
        detail=failure.detail,
        elapsed_s=round(elapsed_s, 3),
    )


def actor(engines: Mapping[str, Engine], *, slots: int, ack_wait_s: float) -> Actor:
    """The segment-renderer; it pulls only what its engines can do, ``slots`` at a time."""
    return Actor(
        name=NAME,
        durables=durables(tuple(engines), ack_wait_s=ack_wait_s),
        decide=decide,
        perform=Renderer(engines),
        slots=slots,
    )


def durables(engines: Sequence[str], *, ack_wait_s: float) -> tuple[DurableSpec, ...]:
    """One durable an engine, so that a worker takes only what it can do."""
    return tuple(
        DurableSpec(
            name=f"{NAME}-{engine}",
            types=(f"segment_requested.{engine}",),
            ack_wait_s=ack_wait_s,
        )
        for engine in engines
    )
