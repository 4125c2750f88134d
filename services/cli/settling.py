"""``settle``: a person's word on a create of which nobody knows what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from services.cli.exits import Refused
from services.cli.jobs import job_argument
from services.cli.rendering import json_option, run_visit
from services.cli.visit import Visit, arrive, nats_option

if TYPE_CHECKING:
    from events.job import Job

HANDLE_MAX = 2000
"""Characters of a handle; the longest that services answer with are URLs."""


@click.command()
@job_argument
@click.argument("segment", metavar="SEGMENT", type=click.IntRange(min=1))
@click.option("--accept", "handle", metavar="HANDLE", default=None,
              help="What the engine's own site calls the work: it is used.")  # fmt: skip
@click.option("--give-up", is_flag=True, help="Let it be: the segment is composed instead.")
@json_option
@nats_option
def settle(
    job_id: str, segment: int, *, handle: str | None, give_up: bool, as_json: bool, nats_url: str
) -> None:
    """Say what became of a paid generation whose outcome is unknown.

    Such a segment is never generated again by itself, so that nothing is paid for twice. Look at
    the engine's own site: if the work is there, accept it by its handle; else give it up.
    SEGMENT is numbered as `pytoon status JOB` does.
    """
    if give_up == (handle is not None):
        raise click.UsageError("Say either --accept HANDLE or --give-up.")
    if handle is not None and not 0 < len(handle.strip()) <= HANDLE_MAX:
        raise click.UsageError(f"--accept: a handle is 1 to {HANDLE_MAX} characters.")
    told = {"segment": segment - 1, "handle": handle.strip() if handle else None}

    async def act(visit: Visit) -> None:
        from services.cli import watching

        job = await watching.load(visit, job_id)
        _check(job, segment)
        body = json.dumps(told).encode()
        stored = await visit.patiently(
            lambda: visit.log.publish_ask(job_id, "generation_settled", body)
        )
        if getattr(stored.event, "handle", None) != told["handle"]:
            raise Refused(
                f"Segment {segment} of {job_id} was settled before, by message {stored.seq}, in "
                f"another way: the first word stands. `pytoon log {job_id}` shows it."
            )
        if as_json:
            click.echo(json.dumps({"job_id": job_id, **told, "seq": stored.seq}))
            return
        word = f"accepted as {told['handle']}" if handle else "given up; it is composed instead"
        click.echo(f"{job_id}, segment {segment}: {word}. `pytoon watch {job_id}` follows it.")

    with arrive(nats_url, services=True) as arrival:
        run_visit(arrival, act, lambda: None)


def _check(job: Job, number: int) -> None:
    """Raise ``Refused`` where there is nothing to settle."""
    count = len(job.segments)
    if job.end is not None:
        raise Refused(f"{job.job_id} has ended ({job.status.value}): there is nothing to settle.")
    if not count:
        raise Refused(f"{job.job_id} is not planned yet: there is nothing to settle.")
    if number > count:
        raise Refused(f"{job.job_id} has {count} segments: 1 to {count}.")
    segment = job.segments[number - 1]
    if not segment.in_doubt:
        raise Refused(
            f"Segment {number} of {job.job_id} is {segment.status.value} and waits for no word. "
            f"`pytoon status {job.job_id}` shows those that do."
        )
