"""``prune``: ended jobs leave the log, and what they were made of the disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.bundling import exported
from services.cli.exits import NoFilm, Refused
from services.cli.jobs import look
from services.cli.visit import nats_option

if TYPE_CHECKING:
    from events.job import Job
    from services.cli.visit import Visit

STATES = ("completed", "failed", "cancelled", "rejected")
AGE = "30d"
GUARD = "1d"
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Age(click.ParamType):  # type: ignore[type-arg,unused-ignore] # newer clicks only
    """A time such as ``30d``, ``12h``, ``5m`` or ``0s``; in seconds."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        text = str(value)
        if text[-1:] not in _UNITS_S or not text[:-1].isdecimal() or not text.isascii():
            self.fail(f"{text!r} is no time such as 30d, 12h, 5m or 0s.", param, ctx)
        return int(text[:-1]) * _UNITS_S[text[-1]]


@click.command()
@click.option("--older-than", "older_than_s", type=Age(), default=AGE, show_default=True,
              metavar="TIME", help="Only jobs that ended before that.")  # fmt: skip
@click.option("--state", "states", default=",".join(STATES), show_default=True,
              help="Only jobs that ended so.")  # fmt: skip
@click.option("--keep", type=click.IntRange(min=0), default=0, show_default=True,
              help="Never the newest N of them.")  # fmt: skip
@click.option("--export", "folder", metavar="FOLDER",
              type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
              help="First write each job's bundle there.")  # fmt: skip
@click.option("--collect", is_flag=True,
              help="Then remove artifacts that no job of this log names, films of pruned jobs "
              "included. Only where no other log keeps films in the same store.")  # fmt: skip
@click.option("--guard", "guard_s", type=Age(), default=GUARD, show_default=True, metavar="TIME",
              help="--collect leaves what was written or used within that time.")  # fmt: skip
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be done.")
@nats_option
def prune(
    *,
    older_than_s: float,
    states: str,
    keep: int,
    folder: Path | None,
    collect: bool,
    guard_s: float,
    dry: bool,
    nats_url: str,
) -> None:
    """Take ended jobs out of the log.

    Of each its end stays, so that its id is never used again. A job that has not ended is never
    touched, and neither is a file that one names.
    """
    wanted = frozenset(states.split(","))
    if wanted - set(STATES):
        raise click.UsageError(f"--state: {states!r} is none of {', '.join(STATES)}.")

    async def act(visit: Visit) -> None:
        before_s = time.time() - older_than_s
        found = [job for job in await _ended(visit, wanted) if job.ended_s <= before_s]
        chosen = found[: max(0, len(found) - keep)]
        spared = 0
        for job in chosen:
            spared += not await _prune(visit, job, folder, dry=dry)
        click.echo(f"{'would prune' if dry else 'pruned'}: {len(chosen) - spared} jobs")
        if collect:
            await _collect(visit, guard_s, dry=dry)
        if spared:
            raise NoFilm(f"{spared} jobs were spared: their bundles would not be whole.")

    look(nats_url, act, None)


async def _ended(visit: Visit, states: frozenset[str]) -> list[Job]:
    """The jobs that ended in one of these ways, the one that ended first first."""
    from services.cli import watching

    listed = await visit.patiently(visit.log.jobs)
    jobs = [await watching.load(visit, known.job_id) for known in listed]
    ended = [job for job in jobs if job.end and not job.pruned and job.status.value in states]
    return sorted(ended, key=lambda job: job.ended_s)


async def _prune(visit: Visit, job: Job, folder: Path | None, *, dry: bool) -> bool:
    """Export and prune one job; False if it was spared."""
    from events.link import ENDS
    from events.pruning import prune_job

    if dry:
        click.echo(f"{job.job_id}  {job.status.value}")
        return True
    if folder is not None:
        path = folder / f"{job.job_id}.zip"
        if path.exists():
            raise Refused(f"{path} is there already: move it away, or choose another folder.")
        if lacking := await exported(visit, job.job_id, path):
            path.unlink()
            click.echo(f"{job.job_id}: spared: {'; '.join(lacking)}", err=True)
            return False
    history = await visit.patiently(lambda: visit.log.read(job.job_id))
    end_seq = next(
        item.seq for item in history if isinstance(item.event, ENDS) and item.event == job.end
    )
    await prune_job(visit.log.connection, job.job_id, end_seq)
    click.echo(f"{job.job_id}  {job.status.value}")
    return True


async def _collect(visit: Visit, guard_s: float, *, dry: bool) -> None:
    from adapters.files import FileStore
    from events.pruning import named

    if not isinstance(visit.store, FileStore):
        raise Refused("--collect: only a store in a folder can be swept by us.")
    kept = await named(visit.log.connection, visit.log.settings)
    swept = await visit.store.sweep(kept, guard_s, dry=dry)
    word = "would remove" if dry else "removed"
    click.echo(f"{word}: {swept.artifacts} artifacts, {swept.bytes} bytes")
