"""The assembler's decider: mix the sound as soon as the film is planned, join when all is in."""

from __future__ import annotations

from events.job import AssemblyStatus, Job
from events.log import Recorded
from events.types import AssemblyFailed, AssemblyRequested, Reason, RenderPlanned
from services.actor import Command, Context, Decision


class MixSoundtrack(Command, frozen=True, kw_only=True):
    """Mix and encode the film's whole sound."""


class AssembleFilm(Command, frozen=True, kw_only=True):
    """Draw the transitions, join the pieces, judge the finished file."""

    attempt: int


def decide(job: Job, cause: Recorded, context: Context) -> tuple[Decision, ...]:
    """What the job still lacks of the assembler."""
    if not job.alive or job.spec is None:
        return ()
    match cause.event:
        case RenderPlanned() if job.soundtrack is None and job.assembly is AssemblyStatus.IDLE:
            return _or_give_up(job, context, 0, MixSoundtrack())
        case AssemblyRequested(attempt=attempt) if (
            job.assembly is AssemblyStatus.REQUESTED and attempt == job.assembly_attempt
        ):
            return _or_give_up(job, context, attempt, AssembleFilm(attempt=attempt))
        case _:
            return ()


def _or_give_up(
    job: Job, context: Context, attempt: int, command: Command
) -> tuple[Decision, ...]:
    if not context.exhausted:
        return (command,)
    detail = f"handed out {context.deliveries} times without an outcome; see the assembler's log"
    return (
        AssemblyFailed(job_id=job.job_id, attempt=attempt, reason=Reason.INTERNAL, detail=detail),
    )
