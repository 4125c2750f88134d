"""Four services, each with its own NATS user and key, on a server with the shipped permissions.

The server keeps each service to its own events, by its account (``test_taken_over``).  Who has the
operator's user may store anything anywhere, and so may everybody on a server that is configured
otherwise.  That is tried here, once as it is and once with keys.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import pytest_asyncio

from adapters.files import FileStore
from config import Config, load
from events.jetstream import JetStreamLog
from events.job import Job, JobStatus, fold
from events.link import flaws, link
from events.log import Recorded
from events.types import Event, Foreign, RenderCompleted
from events.writers import ASSEMBLER, FALLBACK_CONTROLLER, PLANNER, SEGMENT_RENDERER, WRITERS
from services import composition
from services.home import Home
from services.permissions import CLIENT, OPERATOR
from services.signing import SIGNING, TRUSTED, provide_keys
from tests import builders
from tests.cluster import Cluster, provisioned
from tests.end_to_end.shell import opened
from tests.end_to_end.world import QUICK, ask, ended, job_of
from tests.signing import Keys

ROOT = Path(__file__).parents[2]
_T = TypeVar("_T")


@pytest_asyncio.fixture(name="server")
async def a_server(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A server with all users, its streams and durables made by the operator."""
    async with provisioned(tmp_path, load(environ=QUICK)) as cluster:
        yield cluster


class Crew:
    """Services that run here, each on a connection of its own user, with its own key or none."""

    def __init__(self, server: Cluster, home: Home, keys: Keys | None) -> None:
        self.server = server
        self.home = home
        self.keys = keys
        self.config: Config = load(environ=QUICK)
        self._stop = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._logs: list[JetStreamLog] = []

    async def log(self, user: str, *services: str) -> JetStreamLog:
        """A connection of a user, who signs as these services."""
        keyring = None
        if self.keys is not None:
            keyring = self.keys.ring(*services) if services else self.keys.reader()
        settings = msgspec.structs.replace(
            self.config.log.settings(), keyring=keyring, request_timeout_s=10.0
        )
        log = await JetStreamLog.connect(self.server.url(user), settings=settings)
        self._logs.append(log)
        return log

    async def run(self, *names: str) -> None:
        """Start services."""
        for name in names:
            log = await self.log(name, name)
            running = composition.run_services(
                (name,), home=self.home, config=self.config, log=log, stop=self._stop
            )
            self._running.append(asyncio.create_task(running))

    async def leave(self) -> None:
        """End them."""
        self._stop.set()
        await asyncio.gather(*self._running)
        for log in self._logs:
            await log.close()


@asynccontextmanager
async def crew_of(server: Cluster, folder: Path, keys: Keys | None) -> AsyncIterator[Crew]:
    """A crew whose log's operator has chosen its keys."""
    home = Home(folder / "home")
    home.create()
    crew = Crew(server, home, keys)
    operator = await crew.log(OPERATOR)
    await provide_keys(operator, choice=True)
    try:
        yield crew
    finally:
        await crew.leave()


async def have_stored(
    server: Cluster, own: str, *, target: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """By the operator's user: anything under one subject, then read, with the answer going to
    another, under which the server stores it with headers of its own.
    """
    client = await server.raw(OPERATOR)
    try:
        stored = await client.jetstream().publish(own, body, headers=dict(headers))
        request = json.dumps({"seq": stored.seq}).encode()
        await client.publish("$JS.API.DIRECT.GET.EVENTS", request, reply=target)
        await client.flush(timeout=20)
    finally:
        await client.close()


def end_of(job: Job) -> RenderCompleted:
    """An end with a film that nobody made."""
    return msgspec.structs.replace(
        builders.completed(attempt=job.assembly_attempt), job_id=job.job_id
    )


async def forge(crew: Crew, job: Job, event: Event, source: str, *, signed_as: str = "") -> None:
    """An event of another service is stored, linked as it should be."""
    keyring = crew.keys.ring() if crew.keys and signed_as else None
    (draft,) = link(
        msgspec.structs.replace(job.tail, ordinal=job.tail.ordinal + 1),
        [event],
        source=f"pytoon/{source}",
        time_s=0.0,
    )
    headers = draft.headers
    if keyring is not None:
        headers, _ = keyring.signed(
            f"pytoon/{signed_as}", draft.subject, draft.headers, draft.body
        )
    own = f"pytoon.jobs.{job.job_id}.render_rejected"
    await have_stored(crew.server, own, target=draft.subject, body=draft.body, headers=headers)


async def until(log: JetStreamLog, job_id: str, messages: int) -> tuple[Recorded, ...]:
    """The history once so much of it is there."""
    return await seen(lambda: log.read(job_id), lambda found: len(found) >= messages)


async def seen(look: Callable[[], Awaitable[_T]], enough: Callable[[_T], bool]) -> _T:
    """What is there once it is enough."""
    async with asyncio.timeout(30):
        while True:
            found = await look()
            if enough(found):
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def waiting_for_its_end(crew: Crew) -> AsyncIterator[tuple[JetStreamLog, Job]]:
    """A job of which all is done but the film; the assembler has the sound made, and is away."""
    await crew.run(PLANNER, SEGMENT_RENDERER, FALLBACK_CONTROLLER)
    log = await crew.log(CLIENT)
    await ask(log, "film")
    assembler = await crew.log(ASSEMBLER, ASSEMBLER)
    job = await seen(lambda: job_of(log, "film"), lambda job: bool(job.spec and job.all_rendered))
    sound = await FileStore(crew.home.artifacts).put_bytes(b"sound", "audio/mp4")
    mixed = msgspec.structs.replace(builders.soundtrack_mixed(), job_id="film", artifact=sound)
    await assembler.append(job.tail, [mixed], source="pytoon/assembler")
    yield log, await seen(lambda: job_of(log, "film"), lambda job: job.assembly_attempt > 0)


async def test_without_keys_who_may_publish_ends_a_job(server: Cluster, tmp_path: Path) -> None:
    """The hole that signatures close."""
    async with crew_of(server, tmp_path, None) as crew, waiting_for_its_end(crew) as (log, job):
        await forge(crew, job, end_of(job), ASSEMBLER)
        history = await until(log, "film", job.tail.ordinal + 2)
        assert JobStatus.COMPLETED is fold("film", history).status


async def test_with_keys_it_does_not(server: Cluster, tmp_path: Path) -> None:
    """Unsigned, or signed with the key that was taken with the service: the true film ends it."""
    keys = Keys()
    async with crew_of(server, tmp_path, keys) as crew, waiting_for_its_end(crew) as (log, job):
        await forge(crew, job, end_of(job), ASSEMBLER)
        after = fold("film", await until(log, "film", job.tail.ordinal + 2))
        assert JobStatus.ASSEMBLING is after.status
        await forge(crew, after, end_of(after), ASSEMBLER, signed_as=PLANNER)
        history = await until(log, "film", after.tail.ordinal + 2)
        forged = [item.event for item in history if isinstance(item.event, Foreign)]
        planner, whose = keys.id(PLANNER), "render_completed is signed by assembler"
        whys = [event.why for event in forged if event.subject.endswith("render_completed")]
        assert whys == [
            f"it is not signed (assembler is named): {whose}",
            f"signed by planner (key {planner}), which may not say it: {whose}",
        ]
        await crew.run(ASSEMBLER)
        done = await ended(log, "film")
        history = await log.read("film")
        assert isinstance(done.end, RenderCompleted)
        assert done.end.output != end_of(job).output
        assert f"assembler/{keys.id(ASSEMBLER)}" == history[-1].signer
        # Two that it put under its own subject, and the two that the server put elsewhere.
        assert 4 == len(flaws(history))
        assert all("is forged" in flaw for flaw in flaws(history))


async def test_an_acknowledgement_and_a_copy_end_nothing(server: Cluster, tmp_path: Path) -> None:
    """What the server itself says under a reply subject, and a true event stored once more."""
    keys = Keys()
    async with crew_of(server, tmp_path, keys) as crew, waiting_for_its_end(crew) as (log, job):
        operator = await server.raw(OPERATOR)
        rendered = next(
            item for item in await log.read("film") if item.subject.endswith("segment_rendered")
        )
        for target in ("render_completed", "render_failed", "segment_timed_out"):
            await operator.publish(
                "pytoon.jobs.other.segment_failed", b"{}", reply=f"pytoon.jobs.film.{target}"
            )
        await operator.flush(timeout=20)
        history = await until(log, "film", job.tail.ordinal + 3)
        again = fold("film", history)
        assert (job.status, None) == (again.status, again.end)
        before = len(history)
        (copy,) = [m for m in await log.stored("film") if m.seq == rendered.seq]
        # The server knows an event's id for two minutes; the copy is made without it.
        bare = {name: text for name, text in copy.headers.items() if not name.startswith("Nats-")}
        await have_stored(
            server,
            copy.subject,
            target=copy.subject,
            body=copy.body,
            headers=bare,
        )
        history = await until(log, "film", before + 2)
        again = fold("film", history)
        assert (job.status, None) == (again.status, again.end)
        assert job.segments == again.segments
        twice = [problem for problem in again.problems if "and stored again as its" in problem]
        assert 2 == len(twice)
        await operator.close()
        await crew.run(ASSEMBLER)
        assert JobStatus.COMPLETED is (await ended(log, "film")).status


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_film_by_four_processes_with_a_key_each(server: Cluster, tmp_path: Path) -> None:
    """As they are deployed; then audit names them, and doctor finds nothing.  Some 20 s."""
    keys = Keys()
    public = keys.write(tmp_path / "public", [])
    environ = {**os.environ, **QUICK, "PYTHONPATH": str(ROOT), TRUSTED: str(public)}
    environ.pop("NATS_TOKEN", None)
    with opened(tmp_path / "shell", **QUICK, **{TRUSTED: str(public)}) as shell:
        operator: dict[str, Any] = {"NATS_URL": server.url(OPERATOR)}
        chosen = ("init", "--keys", str(public))
        made = await asyncio.to_thread(lambda: shell.call(*chosen, **operator))
        assert made.code == 0, made.err
        environ["PYTOON_HOME"] = str(shell.home.path)
        services = []
        for name in WRITERS:
            own = keys.write(tmp_path / name, [name]).parent
            at = {"NATS_URL": server.url(name), SIGNING: str(own)}
            with (tmp_path / f"{name}.told").open("wb") as told:
                services.append(
                    subprocess.Popen(  # noqa: ASYNC220 - they outlive the call
                        [sys.executable, "-P", "-m", "services.cli", "serve", name],
                        env=environ | at,
                        stdout=told,
                        stderr=told,
                    )
                )
        try:
            client: dict[str, Any] = {"NATS_URL": server.url(CLIENT)}
            request = ("--preset", "overlay_classic", "--duration", "6", "--job-id", "film")
            rendered = await asyncio.to_thread(lambda: shell.call("render", *request, **client))
            assert rendered.code == 0, rendered.err
            audit = await asyncio.to_thread(lambda: shell.call("audit", "film", **client))
            doctor = await asyncio.to_thread(lambda: shell.call("doctor", **client))
        finally:
            for service in services:
                service.terminate()
            codes = [await asyncio.to_thread(service.wait, 30) for service in services]
    assert [0] * len(WRITERS) == codes
    assert audit.code == 0
    for name in (PLANNER, SEGMENT_RENDERER, ASSEMBLER):
        assert f"signed by {name}: " in audit.out
        assert f"(key {keys.id(name)})" in audit.out
    assert "ok    signatures    all good" in doctor.out
