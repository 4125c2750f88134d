"""``audit``: whether what is stored of a job is what was written."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from services.cli.asking import JobId
from services.cli.exits import NoFilm, Refused
from services.cli.jobs import look
from services.cli.rendering import json_option
from services.cli.visit import nats_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from events.codec import Message
    from events.jetstream import JetStreamLog
    from events.job import Job
    from events.log import Recorded
    from events.spec import Artifact
    from services.cli.visit import Visit


@click.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1, type=JobId())
@click.option("--all", "every", is_flag=True, help="Every job of the log.")
@click.option(
    "--against",
    metavar="URL",
    help="Compare with the mirror AUDIT on this NATS server, too; its token in "
    "PYTOON_AUDIT_TOKEN. `pytoon init --mirror` makes one.",
)
@json_option
@nats_option
def audit(
    job_ids: Sequence[str], *, every: bool, against: str | None, as_json: bool, nats_url: str
) -> None:
    """Check that nothing stored of a job was altered, lost or added.

    The job's chain of messages is walked, and the sha256 of each artifact computed anew. What
    was cut off after the last message, or altered in it, is found only with --against. Where
    keys are configured, each message must be signed by a service that may say it.
    Exit code 3: something is wrong.
    """
    if every == bool(job_ids):
        raise click.UsageError("Name jobs, or say --all.")

    async def act(visit: Visit) -> None:
        listed = await visit.patiently(visit.log.jobs) if every else ()
        names = list(dict.fromkeys([*job_ids, *(known.job_id for known in listed)]))
        mirror = await _mirror(against) if against else None
        wrong = 0
        try:
            for job_id in names:
                view = await audited(visit, job_id, mirror)
                wrong += bool(view["flaws"])
                _tell(view, as_json=as_json)
        finally:
            if mirror is not None:
                await mirror.close()
        if wrong:
            raise NoFilm(f"{wrong} of {len(names)} jobs: what is stored is not what was written.")

    look(nats_url, act, job_ids[0] if job_ids else None)


async def audited(visit: Visit, job_id: str, mirror: JetStreamLog | None) -> dict[str, Any]:
    """What is to be said of a job: ``flaws`` are wrong, ``notes`` are to be known."""
    from events.job import fold
    from events.link import flaws, placed, record
    from events.log import UnknownVersion
    from events.subjects import MIRROR

    keyring = visit.log.settings.keyring
    stored: Sequence[Message] = await visit.patiently(lambda: visit.log.stored(job_id))
    copies = await mirror.stored(job_id, stream=MIRROR) if mirror is not None else ()
    if not stored and not copies:
        raise Refused(f"There is no job {job_id!r}. `pytoon jobs` lists those there are.")
    try:
        history = list(placed(record(message, keyring) for message in stored))
    except UnknownVersion as error:
        raise Refused(f"{job_id} cannot be audited by this build: {error}") from error
    job = fold(job_id, history)
    found = list(flaws(history))
    if mirror is not None:
        since = stored[0].seq if job.pruned else 0
        found += differences(stored, [copy for copy in copies if copy.seq >= since])
    # A pruned job's artifacts may be gone: that is what it was pruned for.
    artifacts = [] if job.pruned else _artifacts(history)
    for artifact in artifacts:
        found += await _artifact_flaws(visit, artifact)
    return {
        "job_id": job_id,
        "status": job.status.value,
        "messages": len(stored),
        "artifacts": len(artifacts),
        "compared": mirror is not None,
        "flaws": found,
        "notes": _notes(job, history, signing=keyring is not None, now_s=time.time()),
        "signed": _signed(history),
    }


def _signed(history: Sequence[Recorded]) -> dict[str, int]:
    """How many messages each key has signed, by service and key."""
    return dict(Counter(item.signer for item in history if item.signer))


def differences(stored: Sequence[Message], copies: Sequence[Message]) -> list[str]:
    """In what a job's messages are not those of the mirror."""
    from events.link import digest

    def told(messages: Sequence[Message]) -> dict[int, tuple[str, str]]:
        return {
            item.seq: (item.subject, digest(item.subject, item.headers, item.body))
            for item in messages
        }

    ours, theirs = told(stored), told(copies)
    found = []
    for seq in sorted(ours.keys() | theirs.keys()):
        subject, sum_here = ours.get(seq, ("", ""))
        kept, sum_there = theirs.get(seq, ("", ""))
        name = (subject or kept).split(".", 3)[-1]
        if not subject:
            found.append(f"message {seq} ({name}) is in the mirror and not in the log: it is lost")
        elif not kept:
            found.append(f"message {seq} ({name}) is not in the mirror: it was added")
        elif sum_here != sum_there:
            found.append(f"message {seq} ({name}) was altered: the mirror has another one")
    return found


def _artifacts(history: Sequence[Recorded]) -> list[Artifact]:
    """Each artifact that the job's events name, once."""
    from events.bundle import artifacts_of

    named = (artifact for item in history for artifact in artifacts_of(item.event))
    return list({artifact.sha256: artifact for artifact in named}.values())


async def _artifact_flaws(visit: Visit, artifact: Artifact) -> list[str]:
    import asyncio

    from adapters.base import StoreError

    try:
        path = await visit.store.fetch(artifact)
        found = await asyncio.to_thread(_sha256, path)
    except (StoreError, FileNotFoundError) as error:
        return [f"{error} ({artifact.media_type})"]
    if found != artifact.sha256:
        return [f"artifact sha256:{artifact.sha256} ({artifact.media_type}) was altered"]
    return []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _notes(job: Job, history: Sequence[Recorded], *, signing: bool, now_s: float) -> list[str]:
    from events.types import Foreign

    notes = [
        f"message {item.seq} is not ours: {item.event.why}"
        for item in history
        if isinstance(item.event, Foreign) and not item.event.forged
    ]
    old = sum(item.envelope is not None and not item.signer for item in history)
    if signing and old:
        notes.append(f"{old} of its messages are from before the keys, and count unsigned")
    if job.pruned:
        notes.append("it was pruned: only its end is left, and nothing before it can be checked")
    if job.end is None:
        notes.append("it has no end: its last messages are vouched for by nothing yet")
        until_s = job.requested_s + job.spec.deadline_s if job.spec else 0.0
        if 0.0 < until_s < now_s:
            notes.append("its time was over: nobody went on with it, or its end was cut off")
    return notes


def _tell(view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps(view, ensure_ascii=False))
        return
    word = "WRONG" if view["flaws"] else "whole"
    counts = f"{view['messages']} messages, {view['artifacts']} artifacts"
    click.echo(f"{view['job_id']}: {word} ({view['status']}; {counts})")
    for signer, count in view["signed"].items():
        service, _, key = signer.partition("/")
        click.echo(f"  signed by {service}: {count} (key {key})")
    for text in view["flaws"]:
        click.echo(f"  wrong: {text}")
    for text in view["notes"]:
        click.echo(f"  note: {text}")


async def _mirror(url: str) -> JetStreamLog:
    import os

    from events.jetstream import JetStreamLog
    from services.access import tls_context

    token = os.environ.get("PYTOON_AUDIT_TOKEN") or None
    return await JetStreamLog.connect(url, token=token, name="pytoon-audit", tls=tls_context())
