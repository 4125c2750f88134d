"""A NATS cluster with the configuration that ships, spoken to by TLS only."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path, PurePosixPath

import pytest
import pytest_asyncio

from config import load
from events.jetstream import JetStreamLog
from events.job import JobStatus
from events.log import LogUnavailable
from events.stream import LogSettings
from events.subjects import MIRROR
from services.access import CA, CERTIFICATE, KEY, PASSWORD_FILE, tls_context
from services.cli.auditing import differences
from services.composition import durables
from services.permissions import CLIENT, OPERATOR, SERVER_CERTIFICATE, SERVER_KEY, Tls
from tests.certificates import Authority
from tests.cluster import PASSWORDS, Cluster
from tests.end_to_end.crew import CLUSTER, Crew
from tests.end_to_end.world import ask, ended
from tests.patience import holds_once

ROOT = Path(__file__).parents[2]
IMPATIENT = LogSettings(connect_timeout_s=1.5)


class Place:
    """A cluster whose servers show certificates of ``ours``; what a client of it is told."""

    def __init__(self, folder: Path, size: int, *, mutual: bool) -> None:
        self.folder = folder
        self.ours = Authority(folder / "ours")
        self.theirs = Authority(folder / "theirs", "theirs")
        self.config = load(environ=CLUSTER if size > 1 else {})
        tls = Tls(
            folder=PurePosixPath(self.ours.sign(folder / "server")), client_certificates=mutual
        )
        self.cluster = Cluster(folder, self.config, size, tls=tls)
        self.trusting = {CA: str(self.ours.ca)}
        self.certified = self.trusting | self.shown(self.ours)

    def shown(self, authority: Authority) -> dict[str, str]:
        """A certificate of a client's own, signed by that authority."""
        mine = authority.sign(self.folder / f"of-{authority.ca.parent.name}", "somebody")
        return {CERTIFICATE: str(mine / SERVER_CERTIFICATE), KEY: str(mine / SERVER_KEY)}

    async def connect(
        self, environ: Mapping[str, str], settings: LogSettings | None = None, **where: str
    ) -> JetStreamLog:
        """As a service connects whose environment says this; raises ``LogUnavailable``."""
        url = self.cluster.url(CLIENT, **where)
        return await JetStreamLog.connect(url, tls=tls_context(environ), settings=settings)


@pytest_asyncio.fixture
async def mutual(tmp_path: Path) -> AsyncIterator[Place]:
    """One server that wants certificates of its clients."""
    place = Place(tmp_path, 1, mutual=True)
    try:
        await place.cluster.start(tls=tls_context(place.certified))
        yield place
    finally:
        place.cluster.stop()


def _plain_answer(port: int) -> bytes:
    """What a client gets that says its password without TLS, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        word = PASSWORDS[CLIENT]
        greeting = plain.recv(8192)
        assert b'"tls_required":true' in greeting
        plain.sendall(f'CONNECT {{"user":"client","pass":"{word}"}}\r\nPING\r\n'.encode())
        said = b""
        try:
            while more := plain.recv(8192):
                said += more
        except ConnectionResetError:
            pass  # it hung up, with what we had sent unread
        return said


async def test_who_shows_what_it_needs_is_let_in(mutual: Place) -> None:
    """By tls:// and, since the server says what it wants, by nats:// as well."""
    for scheme in ("tls", "nats"):
        log = await mutual.connect(mutual.certified, scheme=scheme)
        await log.close()


async def test_plain_words_are_not_listened_to(mutual: Place) -> None:
    """Whoever does not speak TLS is told nothing after the greeting, and hung up on."""
    assert b"" == await asyncio.to_thread(_plain_answer, mutual.cluster.ports[0])


@pytest.mark.slow
async def test_each_refusal_says_what_to_do(mutual: Place, tmp_path: Path) -> None:
    """A CA that is not the server's, none, another host, and no or a foreign certificate."""
    foreign = mutual.shown(mutual.theirs)
    attempts: list[tuple[dict[str, str], dict[str, str], str]] = [
        ({**mutual.certified, CA: str(mutual.theirs.ca)}, {}, "not trusted .* NATS_CA"),
        ({}, {"scheme": "nats"}, "not trusted .* NATS_CA"),
        (mutual.certified, {"host": "localhost"}, "another's .* use a name that is in it"),
        (mutual.trusting, {}, "name its files in NATS_CERT, NATS_KEY"),
        (mutual.trusting | foreign, {}, "its CA must sign NATS_CERT"),
    ]
    for environ, where, told in attempts:
        with pytest.raises(LogUnavailable, match=told):
            await mutual.connect(environ, IMPATIENT, **where)


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_a_password_is_not_told_without_the_tls_that_was_asked_for(
    tmp_path: Path, scheme: str
) -> None:
    """A server that says that it speaks none is not believed, and not connected to."""
    place = Place(tmp_path, 1, mutual=False)
    told = bytearray()

    async def pose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","auth_required":true}\r\n')
        told.extend(await reader.read(8192))
        writer.close()

    async with await asyncio.start_server(pose, "127.0.0.1", 0) as impostor:
        port = impostor.sockets[0].getsockname()[1]

        async def is_not_believed(_: int) -> bool:
            with pytest.raises(LogUnavailable) as caught:
                await JetStreamLog.connect(
                    f"{scheme}://client:secret@127.0.0.1:{port}",
                    tls=tls_context(place.trusting),
                    settings=IMPATIENT,
                )
            return "does not speak TLS" in str(caught.value)

        assert await holds_once(is_not_believed)
    assert b"" == bytes(told)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mutually", [False, True])
async def test_a_job_by_tls(tmp_path: Path, mutually: bool) -> None:
    """(20 s each.) Three servers, four services and a command, all of them by TLS.

    Passwords lie in files, so that no process shows one in its arguments or its environment.
    """
    place = Place(tmp_path, 3, mutual=mutually)
    cluster, tls = place.cluster, place.certified if mutually else place.trusting
    crew: Crew | None = None
    try:
        await cluster.start(tls=tls_context(tls))
        assert "Cluster" in cluster.said("nats-1")
        operator = await JetStreamLog.connect(
            cluster.url(OPERATOR), tls=tls_context(tls), settings=place.config.log.settings()
        )
        await operator.provision(durables(place.config))
        crew = Crew(cluster, tmp_path, told=lambda name: _by_file(place, name) | tls)
        log = await JetStreamLog.connect(cluster.url(CLIENT), tls=tls_context(tls))
        await ask(log, "mine")
        job = await ended(log, "mine", within_s=100)
        assert job.status is JobStatus.COMPLETED
        info = await operator.connection.api("STREAM.INFO.EVENTS", {})
        assert 3 == 1 + sum(replica["current"] for replica in info["cluster"]["replicas"])
        await operator.mirror()
        await _mirrored(operator, "mine")
        await log.close()
        await operator.close()
        done = await asyncio.to_thread(_jobs, _by_file(place, CLIENT) | tls)
        assert (0, True, "") == (done.returncode, "mine" in done.stdout, done.stderr)
        wrong = tls | {CA: str(place.theirs.ca)}
        refused = await asyncio.to_thread(_jobs, _by_file(place, CLIENT) | wrong)
        assert (4, True) == (refused.returncode, "NATS_CA" in refused.stderr), refused.stderr
    finally:
        if crew is not None:
            crew.stop()
        cluster.stop()
    assert not any(word in crew.said() for word in PASSWORDS.values())


async def _mirrored(log: JetStreamLog, job_id: str) -> None:
    """The second copy in the cluster is found to be the same, as ``pytoon audit`` compares it."""
    async with asyncio.timeout(20):
        while True:
            copies = await log.stored(job_id, stream=MIRROR)
            if copies and not differences(await log.stored(job_id), copies):
                return
            await asyncio.sleep(0.2)


def _by_file(place: Place, user: str) -> dict[str, str]:
    """An address without a password, and the file that has it."""
    file = place.folder / f"password-of-{user}"
    file.write_text(PASSWORDS[user] + "\n", "utf-8")
    url = place.cluster.url(user).replace(f":{PASSWORDS[user]}@", "@")
    return {"NATS_URL": url, PASSWORD_FILE: str(file)}


def _jobs(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "services.cli", "jobs"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
