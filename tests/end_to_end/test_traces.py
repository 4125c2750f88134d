"""Traces of real processes: one tree a job, whoever begins it, and no film depends on them."""

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
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.spans import SPANS, SpanSpec
from config import load
from events.jetstream import JetStreamLog
from events.trace import TraceContext, of_job, parse
from services.composition import SERVICES, durables
from tests.broker import NatsServer
from tests.collector import Collector, Seen
from tests.end_to_end.shell import ROOT, Called, Shell, opened
from tests.end_to_end.world import QUICK, ask, ended, output_of
from tests.patience import PATIENT

CLIENT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
WORDS = "Words that are nobody's business"
SECRET = "a-key-that-nobody-may-read"
FLUSH_S = 2.0
ERROR = "error.type"

pytestmark = pytest.mark.timeout(120)


@dataclass
class Scene:
    """Each service in a process of its own, on one NATS server, all sending to one collector."""

    log: JetStreamLog
    collector: Collector
    crew: dict[str, subprocess.Popen[str]]
    gateway: str

    async def post(self, job_id: str, headers: dict[str, str]) -> None:
        """Ask the gateway for the film that ``world.ask`` asks for."""
        body = {"job_id": job_id, "preset_id": "overlay_classic", "prompt": WORDS}
        request = urllib.request.Request(
            f"{self.gateway}/api/v1/jobs",
            json.dumps(body | {"target_duration_seconds": 15}).encode(),
            {"Content-Type": "application/json", "X-API-Key": SECRET, **headers},
        )
        answer = await asyncio.to_thread(urllib.request.urlopen, request)
        assert answer.status == 202

    def settled(self, trace_id: str) -> None:
        """Wait until each service has had the job in hand: one of them may just be starting."""
        wanted = {f"pytoon-{name}" for name in SERVICES}
        told = self.collector
        told.until(lambda: wanted <= {span.service for span in told.of(trace_id)}, 30.0)

    def leave(self) -> None:
        """Have all of them end, and so send what they have."""
        for process in self.crew.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.crew.items():
            _, told = process.communicate(timeout=20)
            assert 0 == process.returncode, f"{name}: {told}"


@pytest_asyncio.fixture
async def scene(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Scene]:
    """The four services and the gateway."""
    with Collector() as collector:
        at = {"NATS_URL": nats_server.url, "NATS_TOKEN": nats_server.token}
        sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        # FastAPI's own spans have a request's query: not even this has them sent.
        sent["FASTAPI_OTEL_AUTO_CONFIGURE"] = "true"
        secret = {"PYTOON_API_KEYS": f"shop:{SECRET}", "OTEL_EXPORTER_OTLP_HEADERS": f"k={SECRET}"}
        log = await JetStreamLog.connect(
            nats_server.url, token=nats_server.token, settings=PATIENT
        )
        await log.provision(durables(load(environ=QUICK)))
        with opened(tmp_path, **QUICK, **at, **sent, **secret) as shell:
            crew = {name: shell.start("serve", name) for name in SERVICES}
            gateway = shell.start("serve", "gateway", "--http", "127.0.0.1:0")
            told = await asyncio.to_thread(_told, gateway, r"Gateway: (http://127\S+[0-9])/")
            yield Scene(log, collector, {**crew, "gateway": gateway}, told)
        await log.close()


def _told(process: subprocess.Popen[str], form: str) -> str:
    """What a process tells on its stderr."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(form, line)
        if found:
            return found[1]
    raise AssertionError("it has ended")


async def test_a_job_is_one_tree(scene: Scene) -> None:
    """Through all services, each span within the one that led to it; so says the log, too."""
    await ask(scene.log, "film", prompt=WORDS)
    await ended(scene.log, "film")
    await scene.post("posted", {"traceparent": CLIENT.traceparent})
    await ended(scene.log, "posted")
    own, _ = of_job("film", "")
    for trace_id in (own.trace_id, CLIENT.trace_id):
        await asyncio.to_thread(scene.settled, trace_id)
    await asyncio.to_thread(scene.leave)
    await _check_tree(scene, "film", own, "")
    posted, _ = of_job("posted", CLIENT.traceparent)
    (post,) = scene.collector.named("POST /api/v1/jobs")
    await _check_tree(scene, "posted", posted, post.span_id)
    assert ("pytoon-gateway", CLIENT.trace_id, CLIENT.span_id) == (
        *(post.service, post.trace_id, post.parent_id),
    )
    # The same request is the same film, whatever trace it is a part of.
    assert output_of(await ended(scene.log, "film")) == output_of(await ended(scene.log, "posted"))
    _check_what_is_told(scene.collector.spans)


async def _check_tree(scene: Scene, job_id: str, own: TraceContext, above: str) -> None:
    spans = {span.span_id: span for span in scene.collector.of(own.trace_id)}
    assert len(spans) == len(scene.collector.of(own.trace_id)), "an id is used once"
    root = spans[own.span_id]
    assert ("job", "pytoon", above) == (root.name, root.service, root.parent_id)
    torn = {span.name for span in spans.values() if span.parent_id not in {*spans, above, ""}}
    assert {"POST /api/v1/jobs"} >= torn
    assert {f"pytoon-{name}" for name in SERVICES} <= {span.service for span in spans.values()}
    stored = {recorded.seq: recorded for recorded in await scene.log.read(job_id)}
    for recorded in stored.values():
        named = parse(recorded.traceparent)
        if recorded.envelope is None:
            assert above == (named.span_id if named else "")
            continue
        assert named is not None
        writer = recorded.envelope.source.replace("pytoon/", "pytoon-")
        append = spans[named.span_id]
        assert ("append", writer, "stored") == (
            *(append.name, append.service, append.facts["pytoon.outcome"]),
        )
    for span in spans.values():
        if not span.name.startswith("process "):
            continue
        cause = stored[span.facts["pytoon.seq"]]
        led = parse(cause.traceparent)
        assert span.name == f"process {cause.subject.split('.')[3]}"
        assert span.parent_id == (led.span_id if led and cause.envelope else own.span_id)
        assert span.start_s >= spans[span.parent_id].start_s - 0.01
    inner = {"plan", "mix", "render segment", "assemble"}
    within = {
        span.name: spans[span.parent_id].name for span in spans.values() if span.name in inner
    }
    assert {
        "plan": "process render_requested",
        "mix": "process render_planned",
        "render segment": "process segment_requested",
        "assemble": "process assembly_requested",
    } == within
    rendered = [span for span in spans.values() if span.name == "render segment"]
    assert [0, 1, 2, 3, 4] == sorted(span.facts["pytoon.segment"] for span in rendered)
    assert {"null"} == {span.facts["pytoon.engine"] for span in rendered}
    assert "completed" == root.facts["pytoon.state"]
    last = max(span.end_s for span in spans.values() if span.name == "assemble")
    assert root.end_s >= last


def _check_what_is_told(spans: list[Seen]) -> None:
    """Nothing but what is documented, and nothing that is somebody's own."""
    assert not any(text in str(spans) for text in (WORDS, SECRET))
    for span in spans:
        spec = _spec_of(span)
        assert spec.kind.value == span.kind
        assert set(map(str, spec.attributes)) | {ERROR} >= set(span.facts), span.name


def _spec_of(span: Seen) -> SpanSpec:
    """Its entry in the one list."""
    forms = {spec.name: re.sub(r"\{\w+\}", r"\\S+", spec.name) for spec in SPANS}
    found = [spec for spec in SPANS if re.fullmatch(forms[spec.name], span.name)]
    return max(found, key=lambda spec: len(re.sub(r"\{\w+\}", "", spec.name)))


@contextmanager
def silent() -> Iterator[str]:
    """A collector that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}"


def _rendered(shell: Shell, **environ: str) -> tuple[Called, float]:
    """A film by the command line, and how long it took."""
    began_s = time.monotonic()
    asked = (
        "--preset",
        "overlay_classic",
        "--prompt",
        WORDS,
        "--duration",
        "3",
        "--no-brand-safe",
    )
    film = shell.start("render", *asked, "-o", "film.mp4", "--job-id", "film", **environ)
    return shell.finish(film), time.monotonic() - began_s


@pytest.mark.slow
def test_a_dead_collector_stops_nothing(tmp_path: Path) -> None:
    """The film is made, one line is told, and the services end when they are told to."""
    with silent() as url:
        sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"}
        sent |= {"OTEL_BSP_SCHEDULE_DELAY": "100", "PYTOON_IDLE_EXIT_S": "120"}
        with opened(tmp_path, **QUICK, **sent) as shell:
            called, took_s = _rendered(shell)
            assert 0 == called.code, called.err
            assert took_s < 15
            shell.until(lambda: _warned(shell))
            pid = shell.services_pid()
            began_s = time.monotonic()
            os.kill(pid, signal.SIGTERM)
            shell.until(lambda: not shell.home.services_run())
            assert time.monotonic() - began_s < FLUSH_S + 5
            assert 1 == len(_warned(shell))


def _warned(shell: Shell) -> list[dict[str, Any]]:
    lines = (shell.home.logs / "services.log").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [line for line in found if "traces are not taken" in line["event"]]


def test_without_a_collector_nothing_of_it_is_imported(tmp_path: Path) -> None:
    """Neither by who asks nor by services and gateway; log lines have their trace all the same."""
    with opened(tmp_path, **QUICK, OTEL_EXPORTER_OTLP_ENDPOINT="") as shell:
        profiled = {"PYTHONPROFILEIMPORTTIME": "1"}
        up = shell.start("up", "--http", "127.0.0.1:0", **profiled)
        ends: list[Called] = []
        # Read all the while: what it tells is more than a pipe holds.
        reading = threading.Thread(target=lambda: ends.append(shell.finish(up)))
        reading.start()
        shell.services_pid()
        called, _ = _rendered(shell, **profiled)
        assert 0 == called.code, called.err
        up.send_signal(signal.SIGTERM)
        reading.join()
    (services,) = ends
    own, _ = of_job("film", "")
    assert f'"trace_id": "{own.trace_id}"' in services.err
    assert "services.gateway.app" in services.err
    assert "services.cli.asking" in called.err
    # FastAPI itself imports OpenTelemetry's API, which cannot send anything.
    for told in (services.err, called.err):
        assert [] == re.findall(r"services\.otlp|opentelemetry\.(?:sdk|exporter|proto)\S*", told)
    assert "opentelemetry" not in called.err


def test_who_calls_may_have_a_trace(tmp_path: Path) -> None:
    """A command's ``TRACEPARENT``, as CI systems set it, is above the film that it asks for."""
    with opened(tmp_path, **QUICK, TRACEPARENT=CLIENT.traceparent) as shell:
        called, _ = _rendered(shell)
        assert 0 == called.code, called.err
        lines = (shell.home.logs / "services.log").read_text("utf-8").splitlines()
    traces = {json.loads(line).get("trace_id") for line in lines}
    assert CLIENT.trace_id in traces
    assert of_job("film", "")[0].trace_id not in traces


def test_a_missing_extra_is_told_at_the_start(tmp_path: Path) -> None:
    """And the service serves."""
    gone = tmp_path / "opentelemetry"
    gone.mkdir()
    (gone / "__init__.py").write_text("raise ModuleNotFoundError('gone', name='opentelemetry')\n")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    with opened(tmp_path, **QUICK, **sent, PYTHONPATH=path) as shell:
        serving = shell.start("serve", "planner", "--log-level", "warning")
        told = _told(serving, r"(.*traces are not exported.*)")
        assert "opentelemetry is not installed: pip install 'pytoon[traces]'" in told
        # It goes on to its server all the same.
        shell.until(shell.home.run_json.exists)
        assert serving.poll() is None
