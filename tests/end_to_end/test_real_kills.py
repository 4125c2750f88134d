"""Kill -9 of each actor, of the server and of everything, while a real film is being made.

The moments are random, from a seed that a failure names.  The job ends without help, in the bytes
of an undisturbed run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.files import FileStore
from config import load
from events.jetstream import JetStreamLog
from events.types import RenderCompleted, SegmentRendered
from services.composition import SERVICES, durables, worker_count
from services.home import Home, read_json
from tests.broker import NatsServer
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.pictures import KINDS, music
from tests.end_to_end.shell import ROOT, Shell, children_of, opened, told_of, until
from tests.end_to_end.world import ask, ended, job_of, output_of

QUICK = {
    "PYTOON_LOG__ACK_WAIT_S": "2.0",
    "PYTOON_LOG__HEARTBEAT_S": "0.5",
    # The undisturbed film has the same bodies: taken from the store, nothing could be killed.
    "PYTOON_LIMITS__REUSE_BODIES": "false",
}
SECONDS = 15
KILLS = 3
AWAY_S = 0.5
APART_S = 1.5
WITHIN_S = 240.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Actors:
    """Each actor in a process of its own, on a NATS server, with one home for their artifacts."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self.server = server
        self.home = Home(folder / "home")
        self.home.create()
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    async def log(self) -> JetStreamLog:
        """A connection of the test's own; streams and durables are made."""
        log = await JetStreamLog.connect(self.server.url, token=self.server.token)
        await log.provision(durables(load(environ=QUICK)))
        return log

    def start(self, name: str, copy: str = "") -> None:
        """Start an actor; ``copy`` tells one of several apart."""
        environ = {
            **os.environ,
            **QUICK,
            "PYTHONPATH": str(ROOT),
            "PYTOON_HOME": str(self.home.path),
            "NATS_URL": self.server.url,
            "NATS_TOKEN": self.server.token,
        }
        with self.told(name + copy).open("ab") as told:
            self.running[name + copy] = subprocess.Popen(
                [sys.executable, "-P", "-m", "services.cli", "serve", name],
                env=environ,
                cwd=self.folder,
                stdout=told,
                stderr=told,
            )

    def told(self, name: str) -> Path:
        """What an actor said."""
        return self.home.logs / f"{name}.log"

    def kill(self, name: str) -> None:
        """Kill -9."""
        process = self.running.pop(name)
        assert process.poll() is None, self.told(name).read_text("utf-8")[-2000:]
        process.kill()
        process.wait(timeout=10)

    def leave(self) -> None:
        """Kill whatever still runs."""
        for process in self.running.values():
            process.kill()
            process.wait(timeout=10)

    async def ask(self, log: JetStreamLog, job_id: str) -> None:
        """Request the film: 15 s of a product, with words and music."""
        store = FileStore(self.home.artifacts)
        files = KINDS["alpha"](self.folder), music(self.folder)
        uris = [f"sha256:{(await store.put_file(path, 'any/any')).sha256}" for path in files]
        await ask(
            log,
            job_id,
            image_uris=uris[:1],
            music_uri=uris[1],
            prompt="Good morning",
            cta="Try it",
            seed=7,
            target_duration_seconds=SECONDS,
        )


@pytest_asyncio.fixture
async def actors(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Actors]:
    """Four processes on a server of their own."""
    actors = Actors(nats_server, tmp_path)
    log = await actors.log()
    await log.close()
    for name in SERVICES:
        actors.start(name)
    try:
        yield actors
    finally:
        actors.leave()


_log = logging.getLogger(__name__)

_expected: list[str] = []
"""The sha256 of the undisturbed film: made once, by whichever test comes first."""


async def _undisturbed(actors: Actors, log: JetStreamLog) -> str:
    if not _expected:
        await actors.ask(log, "undisturbed")
        job = await ended(log, "undisturbed", WITHIN_S)
        assert isinstance(job.end, RenderCompleted)
        check_film(await FileStore(actors.home.artifacts).fetch(job.end.output), SECONDS)
        _expected.append(output_of(job))
    return _expected[0]


async def _strike(actors: Actors, victim: str) -> None:
    """Kill a victim, and start it again half a second later."""
    names = list(SERVICES) if victim == "everything" else [victim] if victim in SERVICES else []
    for name in names:
        actors.kill(name)
    if victim in {"server", "everything"}:
        actors.server.kill()
    await asyncio.sleep(AWAY_S)
    if victim in {"server", "everything"}:
        await actors.server.start()
    for name in names:
        actors.start(name)


@pytest.mark.parametrize("victim", [*SERVICES, "server", "everything"])
async def test_killed_at_random_moments(actors: Actors, victim: str) -> None:
    """The same bytes in the end, with at most the segments in flight drawn again."""
    log = await actors.log()
    expected = await _undisturbed(actors, log)
    starts = _Starts()
    stop = await log.subscribe_progress(victim, starts.tell)
    moments = random.Random(victim)
    await actors.ask(log, victim)
    kills = 0
    for _ in range(KILLS):
        await starts.drawing(within_s=10)
        await asyncio.sleep(moments.uniform(0, APART_S))
        if (await job_of(log, victim)).end is not None:
            break
        await _strike(actors, victim)
        kills += 1
        starts.news.clear()
    job = await ended(log, victim, WITHIN_S)
    history = await log.read(victim)
    await stop()
    await log.close()
    drawn = [e.event for e in history if isinstance(e.event, SegmentRendered)]
    rendered = Counter(event.segment for event in drawn)
    _log.info("%s: %d kills, %d segments drawn again", victim, kills, starts.again())
    assert (expected, ()) == (output_of(job), job.downgrades), f"seed {victim!r}"
    assert set(rendered.values()) == {1}
    assert not any(event.reused for event in drawn)
    assert {segment.attempt for segment in job.segments} == {1}
    assert kills > 0
    assert starts.again() <= kills * worker_count(load(environ={}))


class _Starts:
    """How often each segment was begun, told by its progress."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._begun: Counter[int] = Counter()
        self.news = asyncio.Event()

    async def tell(self, facts: dict[str, Any]) -> None:
        """A progress: where it falls back, the segment was begun anew."""
        segment, done = facts.get("segment"), facts.get("frames_done")
        if not isinstance(segment, int) or not isinstance(done, int):
            return
        if done < self._last.get(segment, sys.maxsize):
            self._begun[segment] += 1
        self._last[segment] = done
        self.news.set()

    async def drawing(self, within_s: float) -> None:
        """Wait for the first progress since ``news`` was cleared: there is none after the last."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), within_s)

    def again(self) -> int:
        """How many segments were begun once more."""
        return sum(self._begun.values()) - len(self._begun)


async def test_two_segment_renderers_share_a_film(actors: Actors) -> None:
    """Both draw, each segment is drawn once, and the film is the same."""
    log = await actors.log()
    actors.start("segment-renderer", "-twin")
    await asyncio.sleep(3)
    expected = await _undisturbed(actors, log)
    await actors.ask(log, "shared")
    job = await ended(log, "shared", WITHIN_S)
    await log.close()
    drawn = [
        _drawn(actors.told(name), "shared")
        for name in ("segment-renderer", "segment-renderer-twin")
    ]
    assert expected == output_of(job)
    assert not any(each.rendered and each.rendered.reused for each in job.segments)
    assert min(map(len, drawn)) > 0
    assert list(range(len(job.segments))) == sorted(drawn[0] + drawn[1])


def _drawn(told: Path, job_id: str) -> list[int]:
    """The segments of a job that an actor says it has rendered."""
    lines = [json.loads(line) for line in told.read_text("utf-8").splitlines() if line[0] == "{"]
    return [
        line["segment"]
        for line in lines
        if line.get("event") == "segment_rendered" and line.get("job") == job_id
    ]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A home in which nothing runs yet."""
    with opened(tmp_path, **QUICK) as shell:
        yield shell


def _render(shell: Shell, name: str, seconds: int) -> subprocess.Popen[str]:
    picture = KINDS["alpha"](shell.folder)
    return shell.start(
        *("render", "--preset", "overlay_classic", "--image", str(picture), "--seed", "7"),
        *("--prompt", "Good morning", "--duration", str(seconds), "--job-id", name),
        *("--json", "-o", str(shell.folder / f"{name}.mp4")),
    )


def test_two_renders_at_once_in_a_new_home(shell: Shell) -> None:
    """One server, one set of services, two films: the same, as they ask the same."""
    commands = [_render(shell, name, 3) for name in ("one", "two")]
    for command in commands:
        called = shell.finish(command, WITHIN_S)
        assert called.code == 0, called.err
    check_film(shell.folder / "one.mp4", 3)
    one, two = ((shell.folder / f"{name}.mp4").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("also", ["services", "nothing"])
def test_the_owner_of_the_server_is_killed(shell: Shell, also: str) -> None:
    """Another render adopts server and work: both films are made, and no event is lost."""
    first = _render(shell, "first", 12)
    until(lambda: read_json(shell.home.run_json).get("pid"))
    until(lambda: _types(shell, "first").count("segment_rendered") >= 1, within_s=60)
    server = shell.server_pid()
    owner = told_of(server, "PPid")
    services = shell.services_pid()
    before = _types(shell, "first")
    for pid in {owner, first.pid} | ({services} if also == "services" else set()):
        os.kill(pid, signal.SIGKILL)
    first.wait(timeout=10)
    second = shell.finish(_render(shell, "second", 2), WITHIN_S)
    assert second.code == 0, second.err
    called = shell.call("resume", "first", "-o", str(shell.folder / "first.mp4"), within_s=240)
    assert called.code == 0, called.err
    assert server == shell.server_pid()
    after = _types(shell, "first")
    assert before == after[: len(before)]
    assert len(after) == len(set(_ids(shell, "first")))
    check_film(shell.folder / "first.mp4", 12)
    check_film(shell.folder / "second.mp4", 2)


def test_the_server_of_a_home_is_killed_under_a_render(shell: Shell) -> None:
    """The services start it again, the command reconnects, and the film is made."""
    command = _render(shell, "killed", 6)
    until(lambda: "segment_requested" in _types(shell, "killed"), within_s=60)
    server = shell.server_pid()
    os.kill(server, signal.SIGKILL)
    called = shell.finish(command, WITHIN_S)
    assert called.code == 0, called.err
    assert server != shell.server_pid()
    check_film(shell.folder / "killed.mp4", 6)


@pytest.mark.parametrize("who", ["workers", "their parent"])
@pytest.mark.parametrize("busy", [True, False])
def test_worker_processes_are_killed(shell: Shell, who: str, busy: bool) -> None:
    """A worker, or the process that bears them, dies at work or at rest: it costs but time."""
    _kept(shell.finish(_render(shell, "warm", 1), WITHIN_S))
    command: subprocess.Popen[str] | None = None
    if busy:
        command = _render(shell, "film", 6)
        until(lambda: "segment_requested" in _types(shell, "film"), within_s=60)
    parents = set(children_of(shell.services_pid())) - {shell.server_pid()}
    victims = shell.workers() if who == "workers" else parents
    assert victims
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    command = command or _render(shell, "film", 6)
    called = _kept(shell.finish(command, WITHIN_S))
    check_film(shell.folder / "film.mp4", 6)
    assert called.told["downgrades"] == []


def _kept(called: Any) -> Any:
    assert called.code == 0, called.err
    return called


def _types(shell: Shell, job_id: str) -> list[str]:
    """The events of a job so far; none before its request."""
    return [line["type"] for line in _lines(shell, job_id)]


def _ids(shell: Shell, job_id: str) -> list[str]:
    return [line["id"] for line in _lines(shell, job_id)]


def _lines(shell: Shell, job_id: str) -> list[dict[str, Any]]:
    called = shell.call("log", job_id, "--json")
    return [json.loads(line) for line in called.out.splitlines()] if called.code == 0 else []
