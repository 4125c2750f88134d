"""``watch``, ``status``, ``jobs``, ``cancel``, ``resume``, ``log``, ``replay``: known jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.asking import JobId
from services.cli.exits import Refused
from services.cli.rendering import check_out, json_option, out_option, run_visit
from services.cli.visit import Visit, arrive, nats_option

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

JOBS_SHOWN = 20
CANCEL_S = 30.0
"""How long ``cancel`` waits for the end of the job that it asked for."""

job_argument = click.argument("job_id", metavar="JOB", type=JobId())


@click.command()
@job_argument
@out_option
@json_option
@nats_option
def watch(job_id: str, *, out: Path | None, as_json: bool, nats_url: str) -> None:
    """Follow a job to its end, without starting services.

    With -o the film is saved; else its path in the artifact store is printed.
    """
    _wait(job_id, nats_url, services=False, out=out, as_json=as_json)


@click.command()
@job_argument
@out_option
@json_option
@nats_option
def resume(job_id: str, *, out: Path | None, as_json: bool, nats_url: str) -> None:
    """Wait for a job again; starts services if none run."""
    out = out or Path(f"{job_id}.mp4")
    _wait(job_id, nats_url, services=True, out=out, as_json=as_json)


@click.command()
@job_argument
@json_option
@nats_option
def status(job_id: str, *, as_json: bool, nats_url: str) -> None:
    """Say how a job stands."""

    async def act(visit: Visit) -> None:
        from services.cli import watching
        from services.views import status_lines, status_view

        job = await watching.load(visit, job_id)
        film = await watching.film_path(visit, job)
        if as_json:
            _echo_json(status_view(job, film))
        else:
            click.echo("\n".join(status_lines(job, film)))

    look(nats_url, act, job_id)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=JOBS_SHOWN, show_default=True)
@json_option
@nats_option
def jobs(*, limit: int, as_json: bool, nats_url: str) -> None:
    """List jobs, the newest last."""

    async def act(visit: Visit) -> None:
        from services.cli import watching

        listed = await visit.patiently(visit.log.jobs)
        if not listed and not as_json:
            click.echo("No jobs yet. `pytoon demo` makes a first one.")
        for known in listed[-limit:]:
            job = await watching.load(visit, known.job_id)
            facts = {
                "job_id": job.job_id,
                "status": job.status.value,
                "messages": known.messages,
                "requested": _when(job.requested_s),
            }
            if as_json:
                _echo_json(facts)
            else:
                click.echo(f"{facts['requested']:19}  {facts['status']:10}  {job.job_id}")
        if len(listed) > limit and not as_json:
            click.echo(f"({len(listed) - limit} older ones: --limit {len(listed)})")

    look(nats_url, act, None)


@click.command()
@job_argument
@click.option("--why", default="", help="Kept with the job.")
@json_option
@nats_option
def cancel(job_id: str, *, why: str, as_json: bool, nats_url: str) -> None:
    """Stop a job.  A film that is complete already stays."""

    async def act(visit: Visit) -> None:
        import asyncio

        from services.cli import watching
        from services.cli.telling import Silent
        from services.views import status_view

        job = await watching.load(visit, job_id)
        if job.end is None:
            body = json.dumps({"why": why}).encode()
            await visit.patiently(
                lambda: visit.log.publish_ask(job_id, "render_cancel_requested", body)
            )
            try:
                async with asyncio.timeout(CANCEL_S):
                    job, _ = await watching.watch(visit, job_id, Silent())
            except TimeoutError:
                job = await watching.load(visit, job_id)
        if as_json:
            _echo_json(status_view(job, await watching.film_path(visit, job)))
        elif job.end is None:
            click.echo(f"{job_id}: cancel requested; no service has answered yet.")
        else:
            already = "already " if job.status.value != "cancelled" else ""
            click.echo(f"{job_id}: {already}{job.status.value}")

    with arrive(nats_url, services=True) as arrival:
        run_visit(arrival, act, lambda: None)


@click.command()
@job_argument
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on as events come.")
@json_option
@nats_option
def log(job_id: str, *, follows: bool, as_json: bool, nats_url: str) -> None:
    """Print a job's events, one a line."""

    async def act(visit: Visit) -> None:
        from events.link import placed_after
        from events.log import Tail
        from services.cli import watching
        from services.views import event_view

        tail = Tail(job_id=job_id)

        def tell(stored: Any) -> None:
            nonlocal tail
            tail, recorded = placed_after(tail, stored)
            view = event_view(recorded)
            click.echo(_dumped(view) if as_json else _log_line(view))

        history = await visit.patiently(lambda: visit.log.read(job_id))
        if not history and not follows:
            raise Refused(f"There is no job {job_id!r}. `pytoon jobs` lists those there are.")
        for recorded in history:
            tell(recorded)
        if follows:
            after = history[-1].seq if history else 0
            async for recorded in watching.follow(visit, job_id, after=after):
                tell(recorded)

    look(nats_url, act, job_id)


@click.command()
@job_argument
@click.option("--at", "at_seq", type=click.IntRange(min=1), metavar="SEQ",
              help="As it was right after this message (see `pytoon log`).")  # fmt: skip
@json_option
@nats_option
def replay(job_id: str, *, at_seq: int | None, as_json: bool, nats_url: str) -> None:
    """Fold a job's events anew and show the state that they make."""

    async def act(visit: Visit) -> None:
        from services.cli import watching
        from services.views import is_unknown, status_lines, status_view

        job = await watching.load(visit, job_id, until=at_seq)
        film = await watching.film_path(visit, job)
        if as_json:
            _echo_json(status_view(job, film))
        elif is_unknown(job):
            click.echo(f"{job_id}: nothing was stored of it up to message {at_seq}.")
        else:
            click.echo(f"after message {job.tail.seq}, the job's {job.tail.ordinal}.:")
            click.echo("\n".join(status_lines(job, film)))

    look(nats_url, act, job_id)


def _wait(job_id: str, nats_url: str, *, services: bool, out: Path | None, as_json: bool) -> None:
    async def act(visit: Visit) -> None:
        from services.cli import watching
        from services.cli.waiting import wait_for_film

        await watching.load(visit, job_id)
        await wait_for_film(visit, job_id, out=out, as_json=as_json)

    if out is not None:
        check_out(out)
    _refuse_fresh(nats_url, job_id)
    with arrive(nats_url, services=services) as arrival:
        run_visit(arrival, act, lambda: job_id)


def look(
    nats_url: str, act: Callable[[Visit], Coroutine[Any, Any, None]], job_id: str | None
) -> None:
    """Act on the log alone: no services are started, and a server only for as long."""
    if not _refuse_fresh(nats_url, job_id):
        with arrive(nats_url, services=False) as arrival:
            run_visit(arrival, act, lambda: None)


def _refuse_fresh(nats_url: str, job_id: str | None) -> bool:
    """Whether the home has no log yet, so that there is nothing to look at."""
    from services.home import Home

    if nats_url or not Home.find().is_fresh():
        return False
    if job_id is not None:
        raise Refused(f"There is no job {job_id!r}. `pytoon jobs` lists those there are.")
    click.echo("No jobs yet. `pytoon demo` makes a first one.", err=True)
    return True


def _log_line(view: dict[str, Any]) -> str:
    clock = view["time"][11:23]
    return f"{view['seq']:>6}  {clock}  {view['type']:<22}  {_brief(view['data'])}"


def _brief(data: dict[str, Any]) -> str:
    """What of an event fits on a line: its plain values."""
    words = []
    for name, value in data.items():
        if name == "job_id" or value in (None, "", [], {}):
            continue
        if isinstance(value, dict) and "engine" in value:
            words.append(f"{name}={value['engine']}/{value['archetype']}")
        elif isinstance(value, dict) and "sha256" in value:
            words.append(f"{name}=sha256:{value['sha256'][:12]}")
        elif isinstance(value, str | int | float):
            told = f"{value:.3g}" if isinstance(value, float) else value
            words.append(f"{name}={told}")
    return " ".join(words)


def _when(time_s: float) -> str:
    import datetime as dt

    if not time_s:
        return ""
    when = dt.datetime.fromtimestamp(time_s, dt.UTC).astimezone()
    return when.strftime("%Y-%m-%d %H:%M:%S")


def _dumped(view: dict[str, Any]) -> str:
    return json.dumps(view, ensure_ascii=False)


def _echo_json(view: dict[str, Any]) -> None:
    click.echo(_dumped(view))
