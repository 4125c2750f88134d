"""``export`` and ``import``: a job as one file, and back into a log."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.exits import Refused
from services.cli.jobs import job_argument, look
from services.cli.rendering import check_out, json_option
from services.cli.visit import arrive, nats_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from events.bundle import Bundle
    from events.codec import Message
    from events.job import Job
    from events.keys import Keyring
    from events.log import Recorded
    from services.cli.visit import Arrival, Visit


@click.command("export")
@job_argument
@click.option("-o", "out", type=click.Path(path_type=Path), metavar="FILE",
              help="The bundle; default: JOB.zip.")  # fmt: skip
@nats_option
def export_job(job_id: str, *, out: Path | None, nats_url: str) -> None:
    """Write a job to one file: its messages as they are stored, and all that was made.

    `pytoon import` brings it into another log.
    """
    check_out(out)
    path = out or Path(f"{job_id}.zip")
    path = path / f"{job_id}.zip" if path.is_dir() else path

    async def act(visit: Visit) -> None:
        lacking = await exported(visit, job_id, path)
        for text in lacking:
            click.echo(f"not in the bundle: {text}", err=True)
        click.echo(str(path))

    look(nats_url, act, job_id)


async def exported(visit: Visit, job_id: str, path: Path) -> list[str]:
    """Write the job's bundle; returns which of its artifacts the store does not have."""
    from adapters.base import StoreError
    from events import bundle
    from events.types import RenderCompleted

    stored: Sequence[Message] = await visit.patiently(lambda: visit.log.stored(job_id))
    if not stored:
        raise Refused(f"There is no job {job_id!r}. `pytoon jobs` lists those there are.")
    history, job = _read(job_id, stored, visit.log.settings.keyring)
    paths: dict[str, Path] = {}
    lacking: list[str] = []
    for artifact in {
        a.sha256: a for item in history for a in bundle.artifacts_of(item.event)
    }.values():
        try:
            paths[artifact.sha256] = await visit.store.fetch(artifact)
        except StoreError as error:
            lacking.append(str(error))
    shown: dict[str, Any] = {}
    if job.spec is not None:
        shown["spec.json"] = job.spec
    if isinstance(job.end, RenderCompleted):
        shown["verdict.json"] = job.end.verdict
    try:
        await asyncio.to_thread(bundle.write, path, job_id, stored, paths, shown)
    except bundle.BundleError as error:
        raise Refused(f"{job_id} cannot be exported: {error}.") from error
    except OSError as error:
        raise Refused(f"-o {path}: it cannot be written ({error.strerror}).") from error
    return lacking


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--unfinished",
    is_flag=True,
    help="Import a job that has not ended, too: services will go on with it.",
)
@json_option
@nats_option
def import_job(file: Path, *, unfinished: bool, as_json: bool, nats_url: str) -> None:
    """Bring an exported job into this log, as it was.

    Nothing is rendered: status, log, replay, audit and resume find it as they do any other.
    """
    from events import bundle
    from events.link import flaws

    try:
        packed = bundle.read(file)
    except bundle.BundleError as error:
        raise Refused(str(error)) from error
    _, packed_job = _read(packed.job_id, packed.messages)
    if packed_job.end is None and not unfinished:
        raise Refused(_not_ended(packed_job))

    with arrive(nats_url, services=False) as arrival:
        history, job = asyncio.run(_import_there(arrival, file, packed, unfinished=unfinished))
    found = flaws(history)
    facts = {"job_id": job.job_id, "status": job.status.value, "flaws": found}
    if as_json:
        import json

        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    click.echo(f"{job.job_id}: {job.status.value}, {len(packed.messages)} messages")
    for text in found:
        click.echo(f"  wrong: {text}", err=True)


async def _import_there(
    arrival: Arrival, file: Path, packed: Bundle, *, unfinished: bool
) -> tuple[list[Recorded], Job]:
    """The job's history as this log reads it, and how the job stands by that.

    A home that nothing was ever asked of has no log yet: it is made.
    """
    from config import load
    from services.cli.visit import Visit
    from services.composition import durables
    from services.signing import provide_keys
    from services.stores import provide_store

    config = load()
    made = not arrival.embedded
    async with Visit.open(arrival, settings=config.log.settings(), made=made) as visit:
        if arrival.embedded:
            await visit.log.provision(durables(config))
            await provide_store(visit.log, config.store)
            await provide_keys(visit.log)
        read = await _as_read_there(visit, packed, unfinished=unfinished)
        await _import(visit, file, packed)
    return read


async def _as_read_there(
    visit: Visit, packed: Bundle, *, unfinished: bool
) -> tuple[list[Recorded], Job]:
    """The job and its history with the sequences that it will have, by the keys of this log.

    Raises ``Refused`` where it would not have ended for the services of this log: they would go
    on with it, and make its film anew.
    """
    from msgspec.structs import replace

    from events.link import placed
    from events.types import Foreign

    after = (await visit.log.usage()).last_seq
    moved = [replace(item, seq=after + n) for n, item in enumerate(packed.messages, 1)]
    history, job = _read(packed.job_id, moved, visit.log.settings.keyring)
    if job.end is None and not unfinished:
        forged = ""
        for item in placed(history):
            if isinstance(item.event, Foreign) and item.event.forged:
                forged = (
                    f" (By the keys of this log, message {item.seq} is forged: {item.event.why}.)"
                )
                break
        raise Refused(_not_ended(job) + forged)
    return history, job


async def _import(visit: Visit, file: Path, packed: Bundle) -> None:
    """Artifacts first, then all messages at once: no reader finds a job without its files."""
    from events import bundle
    from events.log import Conflict

    if await visit.log.tail_seq(packed.job_id):
        raise Refused(_there(packed.job_id))
    media = {a.sha256: a.media_type for item in _read(packed.job_id, packed.messages)[0]
             for a in bundle.artifacts_of(item.event)}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for sha256 in packed.artifacts:
            try:
                path = await asyncio.to_thread(bundle.unpack, file, sha256, Path(folder))
            except bundle.BundleError as error:
                raise Refused(str(error)) from error
            kind = media.get(sha256, "application/octet-stream")
            await visit.store.put_file(path, kind, move=True)
    try:
        await visit.log.restore(packed.job_id, packed.messages)
    except Conflict as error:
        raise Refused(_there(packed.job_id)) from error


def _there(job_id: str) -> str:
    return f"This log has a job {job_id!r} already. Import it under another PYTOON_HOME."


def _not_ended(job: Job) -> str:
    return (
        f"{job.job_id} has not ended ({job.status.value}). With --unfinished it is imported all "
        "the same, and services go on with it."
    )


def _read(
    job_id: str, stored: Sequence[Message], keyring: Keyring | None = None
) -> tuple[list[Recorded], Job]:
    """The events of a job, and what it is; a bundle of a newer build is refused."""
    from events.job import fold
    from events.link import record
    from events.log import UnknownVersion

    try:
        history = [record(message, keyring) for message in stored]
    except UnknownVersion as error:
        raise Refused(f"{job_id} cannot be read by this build: {error}") from error
    return history, fold(job_id, history)
