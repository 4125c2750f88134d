"""Waiting for a film on behalf of a command: tell of it, save it, and say how it ended."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from events.job import JobStatus
from services.cli.exits import NoFilm, Refused
from services.cli.telling import Lines, Live, Teller
from services.cli.watching import film_path, save_film, watch
from services.views import (
    cost_line,
    downgrade_lines,
    end_reason,
    problem_line,
    rejections,
    status_view,
    steps,
    verdict_view,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from events.job import Job
    from events.log import Recorded
    from services.cli.visit import Visit


async def wait_for_film(
    visit: Visit,
    job_id: str,
    *,
    out: Path | None,
    as_json: bool,
    names: Mapping[str, str] | None = None,
) -> None:
    """Follow the job to its end; copy the film to ``out`` (None: leave it in the store).

    ``names`` are what a person calls the files that the request names by their sha256.
    Raises ``Refused`` when it was rejected, ``NoFilm`` when it failed or was cancelled.
    """
    teller = _teller(as_json=as_json)
    try:
        job, history = await watch(visit, job_id, teller)
    finally:
        teller.close()
    if job.status is JobStatus.COMPLETED:
        if out is None:
            saved = await film_path(visit, job)
        else:
            saved = await save_film(visit, job, out)
        if as_json:
            click.echo(_dumped(verdict_view(job, saved)))
        else:
            _tell_film(job, history, saved)
        return
    if as_json:
        click.echo(_dumped(status_view(job)))
    problems = rejections(job)
    if problems:
        lines = "\n".join(f"  {problem_line(problem, names)}" for problem in problems)
        raise Refused(f"The request was rejected:\n{lines}")
    raise NoFilm(f"{job_id}: {end_reason(job)}. `pytoon log {job_id}` tells what happened.")


def _teller(*, as_json: bool) -> Teller:
    if as_json:
        return Lines(lambda line: click.echo(line, err=True))
    return Live() if sys.stdout.isatty() and sys.stderr.isatty() else Lines(click.echo)


def _tell_film(job: Job, history: tuple[Recorded, ...], saved: Path | None) -> None:
    took = " · ".join(f"{name} {seconds:.1f} s" for name, seconds in steps(job, history))
    click.echo(f"\n{saved or 'The film is in the artifact store of the services.'}")
    click.echo(f"  {took}")
    if (cost := cost_line(job)) is not None:
        click.echo(f"  {cost}")
    for line in downgrade_lines(job.downgrades):
        click.echo(f"  downgrade: {line}")
    for warned in job.warnings:
        click.echo(f"  warning: {warned.message}")


def _dumped(view: dict[str, Any]) -> str:
    return json.dumps(view, ensure_ascii=False)
