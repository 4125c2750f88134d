"""Spans to a real collector on the loopback, and to some that are none."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from adapters import tracing
from adapters.spans import APPEND, JOB, MIX, REQUEST, Attribute
from events.trace import TraceContext, of_job
from services.otlp import OtlpRecorder
from tests.collector import Collector

ROOT = Path(__file__).parents[2]
OWN, _ = of_job("film", "")
CLIENT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
PLANNER = "planner"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of the tests asks for nothing, and nothing is left behind."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield
    tracing.record_with(None)


def recording(monkeypatch: pytest.MonkeyPatch, url: str) -> OtlpRecorder:
    """The process's recorder from now on."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    made = OtlpRecorder(url)
    tracing.record_with(made)
    return made


def a_span(parent: TraceContext = OWN, service: str = PLANNER) -> tracing.Span:
    """One that has begun, a child of the job."""
    context = tracing.new_context(parent)
    return tracing.begin(MIX, service=service, context=context, parent=parent)


def test_a_span_arrives_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """With our ids, its facts, its times, its service; and what led to it from another trace."""
    with Collector() as collector:
        recorder = recording(monkeypatch, collector.url)
        span = tracing.begin(
            MIX,
            service=PLANNER,
            context=tracing.new_context(OWN),
            parent=OWN,
            start_ns=1_000_000_000,
            link=CLIENT,
        )
        token = tracing.enter(span)
        with tracing.span(APPEND, {Attribute.TYPES: ("a", "b"), Attribute.MESSAGES: 2}):
            span.note({Attribute.REUSED: True, Attribute.COST: 0.5})
        tracing.leave(token)
        span.fail("timeout")
        span.rename("mixed")
        span.end(3_000_000_000)
        recorder.close(5.0)
        append, mix = collector.spans
    assert ("append", "producer", span.context.span_id) == (
        append.name,
        append.kind,
        append.parent_id,
    )
    assert {"pytoon.types": ["a", "b"], "messaging.batch.message_count": 2} == append.facts
    assert (OWN.trace_id, OWN.span_id, span.context.span_id) == (
        mix.trace_id,
        mix.parent_id,
        mix.span_id,
    )
    assert ("mixed", "internal", True, (CLIENT.trace_id,), 1.0, 3.0) == (
        *(mix.name, mix.kind, mix.failed, mix.links, mix.start_s, mix.end_s),
    )
    assert {"pytoon.reused": True, "pytoon.cost": 0.5, "error.type": "timeout"} == mix.facts
    assert ("pytoon-planner", "pytoon") == (mix.service, mix.resource["service.namespace"])
    assert "service.version" in mix.resource


def test_a_job_is_a_root_with_an_id_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or within the client's span; services that share a process are told apart."""
    with Collector() as collector:
        recorder = recording(monkeypatch, collector.url)
        tracing.begin(JOB, service="", context=OWN, parent=None).end()
        own, above = of_job("film", CLIENT.traceparent)
        tracing.begin(JOB, service="gateway", context=own, parent=above).end()
        recorder.close(5.0)
        first, second = collector.spans
    assert (OWN.trace_id, OWN.span_id, "", "pytoon") == (
        *(first.trace_id, first.span_id, first.parent_id, first.service),
    )
    assert (CLIENT.trace_id, OWN.span_id, CLIENT.span_id, "pytoon-gateway") == (
        *(second.trace_id, second.span_id, second.parent_id, second.service),
    )


def test_the_operators_name_beats_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As do other facts of the resource."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "films")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=attic")
    with Collector() as collector:
        recorder = recording(monkeypatch, collector.url)
        a_span().end()
        recorder.close(5.0)
        (span,) = collector.spans
    assert ("films", "attic") == (span.service, span.resource["deployment.environment.name"])


def test_what_compose_leaves_empty_is_unset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each variable of the file without a word in ``.env``."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    for name, text in compose["x-traced"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    with Collector() as collector:
        recorder = recording(monkeypatch, collector.url)
        a_span().end()
        recorder.close(5.0)
        (span,) = collector.spans
    assert "pytoon-planner" == span.service
    assert [] == caplog.records


@pytest.mark.parametrize(
    ("sampler", "root", "child"),
    [
        ("", 1, {1: 1, 0: 0}),
        ("parentbased_always_off", 0, {1: 1, 0: 0}),
        ("always_off", 0, {1: 0, 0: 0}),
        ("always_on", 1, {1: 1, 0: 1}),
    ],
)
def test_the_sampler_decides(
    monkeypatch: pytest.MonkeyPatch, sampler: str, root: int, child: dict[int, int]
) -> None:
    """Of a trace of ours at its root; and its word goes along with what is written."""
    if sampler:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    with Collector() as collector:
        recorder = recording(monkeypatch, collector.url)
        assert root == tracing.rooted(OWN).flags
        request = tracing.begin(REQUEST, service="g", context=OWN, parent=None)
        assert root == request.context.flags
        request.end()
        for flags, expected in child.items():
            span = a_span(OWN._replace(flags=flags))
            assert expected == span.context.flags
            span.note({Attribute.JOB: "film"})
            span.end()
        recorder.close(5.0)
        assert root + sum(child.values()) == len(collector.spans)


def test_a_share_of_the_jobs_is_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ratio decides by the trace's id, so that every process comes to the same."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    jobs = [of_job(f"film-{number}", "")[0] for number in range(200)]
    with Collector() as collector:
        rows = []
        for _ in range(2):
            recorder = recording(monkeypatch, collector.url)
            rows.append([tracing.rooted(job).flags for job in jobs])
            roots = [tracing.begin(JOB, service="", context=job, parent=None) for job in jobs]
            assert rows[-1] == [root.context.flags for root in roots]
            recorder.close(5.0)
    assert rows[0] == rows[1]
    assert 60 < sum(rows[0]) < 140


def test_a_collector_that_is_away_costs_nothing_but_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded, the caller does not wait, and one line says so; so does its return."""
    with Collector() as collector, capture_logs() as told:
        # A refusal that is not tried again, so that each batch is one answer.
        collector.status = 400
        collector.answering.clear()
        recorder = recording(monkeypatch, f"{collector.url}")
        for _ in range(5_000):
            a_span().end()
        # No request was answered until here: who had waited for one would wait still.
        assert [] == told
        collector.answering.set()
        collector.until(lambda: collector.asked >= 3 and told)
        collector.status = 200
        a_span().end()
        collector.until(lambda: len(told) >= 2)
        recorder.close(5.0)
    away, back = told
    assert "traces are not taken" in away["event"]
    assert (collector.url, "warning") == (away["collector"], away["log_level"])
    assert away["why"]
    assert ("traces are taken again", "info") == (back["event"], back["log_level"])
    assert 0 < len(collector.spans) < 5_000


@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_the_end_does_not_wait_for_a_dead_collector(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nobody listens, or somebody takes the connection and never answers."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if kind == "silent":
            deaf.listen()
        recorder = recording(monkeypatch, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        for _ in range(1_000):
            a_span().end()
        began_s = time.monotonic()
        with capture_logs() as told:
            recorder.close(0.3)
        # The processor itself would wait for half a minute, the exporter for ten seconds.
        assert time.monotonic() - began_s < 6.0
        assert "the last traces were not taken in time" == told[-1]["event"]
    # Whatever is still being sent hinders nobody: the process may end.
    assert all(thread.daemon for thread in threading.enumerate() if "Otel" in thread.name)
