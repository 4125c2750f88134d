"""The gateway beside the services of ``pytoon up``: a process of its own, and never a burden."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.cli.gateway_process import Cord
from services.home import Home, is_alive
from tests.collector import Collector
from tests.end_to_end.shell import children_of
from tests.faults import freeze
from tests.services.cli.conftest import Person

ASK = {"preset_id": "meme_fast", "prompt": "Words", "target_duration_seconds": 2}
SOON_S = 15.0


class Up:
    """``pytoon up``, its gateway, and what it says."""

    def __init__(self, person: Person, **environ: str) -> None:
        self.person = person
        self.command = person.start("up", "--http", "127.0.0.1:0", **environ)
        assert self.command.stderr is not None
        self.said: list[str] = []
        found = None
        while found is None:
            self.said.append(self.command.stderr.readline())
            assert self.said[-1], self.said
            found = re.search(r"Gateway: (http://\S+:[0-9]+)/", self.said[-1])
        self.client = httpx.Client(base_url=found.group(1), timeout=SOON_S)
        # What it says must be read, or it would stop.
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        person.services_pid()

    def _read(self) -> None:
        assert self.command.stderr is not None
        self.said += self.command.stderr

    def gateway(self) -> int:
        """The gateway's pid."""
        self.person.until(self._gateways)
        return self._gateways()[0]

    def _gateways(self) -> list[int]:
        return [pid for pid in children_of(self.command.pid) if _is_gateway(pid)]

    def anew(self, path: str) -> httpx.Response:
        """What a new connection is answered: one that was open died with its gateway."""
        return httpx.get(self.client.base_url.join(path), timeout=SOON_S)

    def leave(self, order: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        self.client.close()
        self.command.send_signal(order)
        code = self.command.wait(SOON_S)
        self._reading.join(SOON_S)
        return code


def _is_gateway(pid: int) -> bool:
    try:
        return b"gateway_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _runs(pid: int) -> bool:
    """Whether a process is there that is no zombie."""
    return is_alive(pid) and _is_gateway(pid)


@pytest.fixture(name="up")
def services_with_a_gateway(person: Person) -> Iterator[Up]:
    """``pytoon up`` with the null engine."""
    up = Up(person)
    yield up
    if up.command.poll() is None:
        assert up.leave() == 0


def test_it_has_a_process_of_its_own_and_tells_the_services_metrics(up: Up) -> None:
    """What the services count is told as soon as it is counted."""
    up.person.until(lambda: up.client.get("/ready").json()["status"] == "ready")
    assert _is_gateway(up.gateway())
    asked = up.client.post("/api/v1/jobs", json={**ASK, "job_id": "counted"})
    assert asked.status_code == 202
    accept = {"Accept": "text/event-stream"}
    assert "event: end" in up.client.get("/api/v1/jobs/counted/events", headers=accept).text
    told = up.client.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=")
    assert 'pytoon_jobs_ended_total{state="completed"} 1.0' in told.text
    assert 'pytoon_queue_depth{durable="planner",state="waiting"}' in told.text


@pytest.mark.slow
def test_its_part_of_a_trace_is_sent_too(person: Person) -> None:
    """The request's span comes from its process, and those of the job from the services'."""
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with Collector() as collector:
        up = Up(person, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        told = {"traceparent": f"00-{trace_id}-{span_id}-01"}
        asked = up.client.post("/api/v1/jobs", json={**ASK, "job_id": "traced"}, headers=told)
        assert asked.status_code == 202
        accept = {"Accept": "text/event-stream"}
        assert "event: end" in up.client.get("/api/v1/jobs/traced/events", headers=accept).text
        # What is waiting is sent at the end, by both.
        assert up.leave() == 0
        (post,), (job,) = collector.named("POST /api/v1/jobs"), collector.named("job")
    assert ("pytoon-gateway", trace_id, span_id) == (post.service, post.trace_id, post.parent_id)
    assert (trace_id, post.span_id) == (job.trace_id, job.parent_id)


@pytest.mark.slow
def test_one_that_dies_is_told_and_started_again_while_clients_wait(up: Up) -> None:
    """Nobody is refused: the socket stays open.  The services do not notice."""
    assert up.anew("/health").status_code == 200
    first, services = up.gateway(), up.person.services_pid()
    os.kill(first, signal.SIGKILL)
    assert up.anew("/health").status_code == 200
    second = up.gateway()
    assert second != first
    assert up.person.services_pid() == services
    os.kill(second, signal.SIGTERM)
    up.person.until(lambda: up.gateway() not in {first, second})
    assert up.anew("/ready").status_code == 200
    assert up.leave() == 0
    told = [json.loads(line) for line in up.said if "the gateway has died" in line]
    assert [line["level"] for line in told] == ["error"] * 2
    assert "exit code -9" in told[0]["event"]


@pytest.mark.parametrize(
    "order", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_it_leaves_with_the_services(up: Up, order: signal.Signals) -> None:
    """In order, also with a stream open and a client that sends nothing."""
    up.client.post("/api/v1/jobs", json={**ASK, "job_id": "watched"})
    gateway = up.gateway()
    url = up.client.base_url
    assert url.port is not None
    with (
        socket.create_connection((url.host, url.port)),
        httpx.stream("GET", url.join("/page/samples/meme_fast.mp4")) as stream,
    ):
        assert stream.status_code == 200
        began_s = time.monotonic()
        assert up.leave(order) == 0
        assert time.monotonic() - began_s < SOON_S
    assert not _runs(gateway)
    assert not [line for line in up.said if '"level": "error"' in line], up.said


@pytest.mark.slow
def test_it_does_not_outlive_services_that_were_killed(up: Up) -> None:
    """The cord between them breaks, and its address is free again."""
    assert up.client.get("/health").status_code == 200
    gateway = up.gateway()
    port = up.client.base_url.port
    up.leave(signal.SIGKILL)
    up.person.until(lambda: not _runs(gateway))
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.slow
def test_it_comes_back_with_the_server_of_the_log(up: Up) -> None:
    """It says that it is not ready as long as there is none."""
    assert up.client.get("/ready").status_code == 200
    pid = up.person.server_pid()
    freeze(pid)
    try:
        told = up.client.get("/ready")
        assert (told.status_code, told.json()["status"]) == (503, "not ready")
        assert up.client.get("/health").status_code == 200
        away = up.client.get("/api/v1/jobs/any")
        assert (away.status_code, away.headers["retry-after"]) == (503, "2")
        listed = up.client.get("/api/v1/jobs")
        assert listed.status_code == 503
    finally:
        os.kill(pid, signal.SIGKILL)
    up.person.until(lambda: up.client.get("/ready").status_code == 200)
    asked = up.client.post("/api/v1/jobs", json={**ASK, "job_id": "afterwards"})
    assert asked.status_code == 202


def test_keys_go_with_it(person: Person) -> None:
    """What the environment says holds in the process that serves."""
    up = Up(person, PYTOON_API_KEYS="shop:a-long-secret,wall:another-secret:read")
    try:
        assert up.client.get("/api/v1/jobs").status_code == 401
        wall = {"X-API-Key": "another-secret"}
        assert up.client.get("/api/v1/jobs", headers=wall).status_code == 200
        assert up.client.post("/api/v1/jobs", headers=wall, json=ASK).status_code == 403
        shop = {"X-API-Key": "a-long-secret"}
        assert up.client.post("/api/v1/jobs", headers=shop, json=ASK).status_code == 202
        command = Path(f"/proc/{up.gateway()}/cmdline").read_bytes()
        assert b"secret" not in command
        token = json.loads(person.home.run_json.read_text("utf-8"))["token"]
        assert token.encode() not in command
    finally:
        assert up.leave() == 0


@pytest.mark.parametrize(
    ("http", "named"),
    [
        ("0.0.0.0:0", "PYTOON_API_KEYS"),
        ("8080", "HOST:PORT"),
        ("127.0.0.1:99999", "HOST:PORT"),
        ("203.0.113.7:8080", "PYTOON_API_KEYS"),
    ],
)
def test_an_address_that_may_not_be_served_is_refused(
    person: Person, http: str, named: str
) -> None:
    """Before anything is started: without keys only this machine is served."""
    for command in (["up"], ["serve", "gateway"]):
        called = person.call(*command, "--http", http)
        assert (called.code, named in called.err) == (2, True)
    assert not person.home.services_run()


def test_an_address_that_is_taken_is_told(person: Person) -> None:
    """One that was named is an error."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        called = person.call("up", "--http", f"127.0.0.1:{other.getsockname()[1]}")
    assert called.code == 2
    assert "name another one with --http" in called.err


def test_served_alone_it_has_metrics_of_its_own(person: Person, tmp_path: Path) -> None:
    """Beside services that run elsewhere: how long the queues are is all that it counts."""
    alone = person.start("serve", "gateway", "--http", "127.0.0.1:0")
    try:
        assert alone.stderr is not None
        found = re.search(r"(http://\S+:[0-9]+)/", alone.stderr.readline())
        assert found
        with httpx.Client(base_url=found.group(1), timeout=SOON_S) as client:
            person.until(lambda: client.get("/ready").status_code == 200)
            person.until(lambda: "pytoon_queue_depth{" in client.get("/metrics").text)
            assert client.post("/api/v1/jobs", json=ASK).status_code == 202
            planned = client.post("/api/v1/jobs?dry_run=true", json=ASK)
            assert planned.json()["plan"]["preset_id"] == "meme_fast"
        assert children_of(alone.pid) == [person.server_pid()]
    finally:
        alone.send_signal(signal.SIGTERM)
        assert alone.wait(SOON_S) == 0
    assert Home(tmp_path / "home").artifacts.exists()


@pytest.mark.slow
def test_how_one_gets_into_another_server_is_no_matter_here(
    person: Person, tmp_path: Path
) -> None:
    """On the home's own server nothing is encrypted, whatever the environment says of others."""
    up = Up(person, NATS_CA=str(tmp_path / "gone.pem"))
    assert up.client.get("/ready").status_code == 200
    assert up.leave() == 0


async def test_a_cord_that_breaks_stops_the_gateway() -> None:
    """Also in the midst of an answer, and whoever waits for one is let go."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(b'{"target": ["nats://x", "t", false], "level": "info"}\n')
    cord, order = await Cord.take(theirs)
    assert order == {"target": ["nats://x", "t", False], "level": "info"}
    stop = asyncio.Event()
    holding = asyncio.create_task(cord.hold(stop))
    first = asyncio.create_task(cord.metrics())
    assert await reader.readline() == b"metrics\n"
    writer.write(b"5\nhello")
    assert (await first)[0] == b"hello"
    second = asyncio.create_task(cord.metrics())
    assert await reader.readline() == b"metrics\n"
    writer.write(b"500\nhel")
    writer.close()
    async with asyncio.timeout(SOON_S):
        await stop.wait()
        await holding
        with pytest.raises(asyncio.CancelledError):
            await second


def test_a_gateway_without_services_is_none(person: Person) -> None:
    """Started by hand, without a cord, it ends at once."""
    ended = subprocess.run(
        [os.sys.executable, "-P", "-m", "services.cli.gateway_process", "98", "99"],  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    assert ended.returncode != 0
    assert not person.home.services_run()
