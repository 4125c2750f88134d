"""The assembler's performer: mixes and assembles through the studio."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from adapters.base import EngineFailure, StoreError
from adapters.studio import AssemblyRefused, Studio
from events.job import Job
from events.log import DurableSpec
from events.types import (
    AssemblyFailed,
    Event,
    Reason,
    RenderCompleted,
    SoundtrackMixed,
)
from events.writers import ASSEMBLER
from services.actor import Actor, Command, GiveBack, Work
from services.assembler.core import AssembleFilm, MixSoundtrack, decide

NAME = ASSEMBLER

RETRY_S = 2.0
"""Delay before work is tried again that a dead worker or the disk has stopped."""


class Performer:
    """Performs ``MixSoundtrack`` and ``AssembleFilm``."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
        """Do it; a refusal is an outcome, the death of a worker a reason to come again."""
        attempt = command.attempt if isinstance(command, AssembleFilm) else 0
        try:
            if isinstance(command, MixSoundtrack):
                return (await self._mix(work),)
            assert isinstance(command, AssembleFilm)
            return (await self._assemble(command, work),)
        except AssemblyRefused as refused:
            return (_failed(work, attempt, refused.reason, refused.detail, *refused.segments),)
        except EngineFailure as failure:
            if failure.reason is Reason.CANCELLED:
                return ()
            if work.context.deliveries < work.context.limits.crashes_max:
                raise GiveBack(str(failure), delay_s=RETRY_S) from failure
            return (_failed(work, attempt, failure.reason, failure.detail),)
        except StoreError as error:
            return (_failed(work, attempt, Reason.CORRUPT_OUTPUT, str(error)),)
        except OSError as error:
            msg = f"{type(error).__name__}: {error}"
            raise GiveBack(msg, delay_s=RETRY_S) from error

    async def _mix(self, work: Work) -> SoundtrackMixed:
        started_s = time.monotonic()
        mixed = await self._studio.mix(work.job, work.moot)
        return SoundtrackMixed(
            job_id=work.job.job_id,
            artifact=mixed.artifact,
            lufs=mixed.lufs,
            true_peak_db=mixed.true_peak_db,
            elapsed_s=round(time.monotonic() - started_s, 3),
            warnings=mixed.warnings,
            reused=mixed.reused,
        )

    async def _assemble(self, command: AssembleFilm, work: Work) -> RenderCompleted:
        started_s = time.monotonic()
        job = work.job

        def report(done: int, total: int) -> None:
            work.progress({"assembling": True, "frames_done": done, "frames": total})

        facts: dict[str, Any] = {
            "job_id": job.job_id,
            "downgrades": msgspec.to_builtins(job.downgrades),
            "warnings": msgspec.to_builtins(job.warnings),
            "engines": sorted({rung.engine for rung in job.rungs}),
            "sound": _sound(job),
        }
        done = await self._studio.assemble(job, facts, work.moot, report)
        return RenderCompleted(
            job_id=job.job_id,
            attempt=command.attempt,
            output=done.output,
            thumbnail=done.thumbnail,
            metadata=done.metadata,
            verdict=done.verdict,
            elapsed_s=round(time.monotonic() - started_s, 3),
            downgrades=job.downgrades,
            warnings=(*done.warnings, *job.unsettled),
            cost=job.cost,
            cost_unsettled=job.cost_unsettled,
            currency=job.currency,
        )


def _sound(job: Job) -> dict[str, Any]:
    """What was measured of the soundtrack, so that the verdict need not measure it again."""
    if job.soundtrack is None:
        return {}
    return {"lufs": job.soundtrack.lufs, "true_peak_db": job.soundtrack.true_peak_db}


def _failed(
    work: Work, attempt: int, reason: Reason, detail: str, *segments: int
) -> AssemblyFailed:
    return AssemblyFailed(
        job_id=work.job.job_id,
        attempt=attempt,
        reason=reason,
        detail=detail,
        segment=segments[0] if segments else None,
        others=segments[1:],
    )


def actor(studio: Studio, *, slots: int, ack_wait_s: float) -> Actor:
    """The assembler."""
    return Actor(
        name=NAME,
        durables=durables(ack_wait_s=ack_wait_s),
        decide=decide,
        perform=Performer(studio),
        slots=slots,
    )


def durables(*, ack_wait_s: float) -> tuple[DurableSpec, ...]:
    """Planned films get their sound, complete ones are joined."""
    return (
        DurableSpec(
            name=NAME, types=("render_planned", "assembly_requested"), ack_wait_s=ack_wait_s
        ),
    )
