"""What the environment asks for, and what is said where it cannot be done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from adapters import tracing
from services.traces import Wanted, set_up, wanted
from tests.collector import Collector

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HERE = "http://127.0.0.1:4318"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is asked for by the environment of the tests, and nothing is left behind."""
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "PROTOCOL", "HEADERS", "CERTIFICATE"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    yield
    tracing.record_with(None)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: " "},
        {ENDPOINT: HERE, "OTEL_SDK_DISABLED": "TRUE"},
        {ENDPOINT: HERE, "OTEL_TRACES_EXPORTER": "none"},
        {ENDPOINT: HERE, "OTEL_TRACES_EXPORTER": "console, zipkin"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": HERE, "OTEL_SERVICE_NAME": "x"},
    ],
)
def test_nothing_is_sent_unasked(environ: dict[str, str]) -> None:
    """Only an endpoint for traces asks for it, and it can be unsaid."""
    assert wanted(environ) is None

    def never() -> float:
        raise AssertionError("there is nothing to flush")

    with capture_logs() as told:
        set_up(environ, never)()
    assert ([], False) == (told, tracing.is_recorded())


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({ENDPOINT: HERE}, HERE),
        ({ENDPOINT: f"{HERE}/x?token=secret#y"}, f"{HERE}/x"),
        ({ENDPOINT: "https://me:secret@collector.example"}, "https://collector.example"),
        (
            {ENDPOINT: "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/v1"},
            "http://b/v1",
        ),
        ({ENDPOINT: HERE, "OTEL_TRACES_EXPORTER": "console,otlp"}, HERE),
        ({ENDPOINT: HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, HERE),
    ],
)
def test_the_collector_is_told_without_secrets(environ: dict[str, str], shown: str) -> None:
    """Neither user nor password nor query stands in a log."""
    assert Wanted(collector=shown) == wanted(environ)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({ENDPOINT: "localhost:4317"}, "must be a URL such as"),
        ({ENDPOINT: "grpc://127.0.0.1:4317"}, "must be a URL such as"),
        ({ENDPOINT: "http://:4318"}, "must be a URL such as"),
        ({ENDPOINT: "http://me:secret@[::1"}, "must be a URL such as"),
        ({ENDPOINT: "http://me:secret@collector.example:http"}, "must be a URL such as"),
        (
            {ENDPOINT: HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ),
        (
            {ENDPOINT: HERE, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ),
    ],
)
def test_what_cannot_be_done_is_told(environ: dict[str, str], words: str) -> None:
    """With what to set; the service goes on without."""
    with capture_logs() as told:
        set_up(environ, lambda: 1.0)()
    (line,) = told
    assert ("traces are not exported", "warning") == (line["event"], line["log_level"])
    assert words in line["why"]
    assert "secret" not in str(line)
    assert not tracing.is_recorded()


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.delitem(sys.modules, "services.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with capture_logs() as told:
        set_up({ENDPOINT: HERE}, lambda: 1.0)()
    (line,) = told
    assert "opentelemetry.exporter.otlp.proto.http.trace_exporter" in line["why"]
    assert "pip install 'pytoon[traces]'" in line["why"]
    assert not tracing.is_recorded()


def test_what_the_exporter_cannot_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is none, say: films do not depend on it."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "0")
    with capture_logs() as told:
        set_up({ENDPOINT: HERE}, lambda: 1.0)()
    (line,) = told
    assert "must be positive" in line["why"]
    assert "OTEL_*" in line["why"]


def test_what_is_asked_for_is_told_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on spans are recorded, until the end."""
    with Collector() as collector, capture_logs() as told:
        monkeypatch.setenv(ENDPOINT, collector.url)
        end = set_up({ENDPOINT: collector.url}, lambda: 1.0)
        assert tracing.is_recorded()
        end()
    assert not tracing.is_recorded()
    assert [("traces are exported", collector.url)] == [(t["event"], t["collector"]) for t in told]


def test_who_wants_no_traces_imports_nothing_for_them() -> None:
    """It is asked before a service starts its server: a first frame waits for that."""
    code = (
        "import sys, services.logs, services.traces\n"
        "services.traces.set_up({}, lambda: 1.0)()\n"
        "services.logs.set_up()\n"
        "import structlog; structlog.get_logger().info('a line')\n"
        "rooms = {'events', 'adapters', 'config', 'opentelemetry'}\n"
        "print([name for name in sys.modules if name.split('.')[0] in rooms])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "[]" == found.stdout.strip()
    assert "a line" in found.stderr
