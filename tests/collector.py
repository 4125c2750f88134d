"""A collector of traces on the loopback: it takes OTLP over HTTP, and keeps what it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

PATH = "/v1/traces"


@dataclass(frozen=True)
class Seen:
    """A span as it was sent."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_s: float
    end_s: float
    failed: bool
    links: tuple[str, ...]
    facts: dict[str, Any] = field(hash=False)
    resource: dict[str, Any] = field(hash=False)


class Collector:
    """Takes spans until the end of its block; with ``status`` it refuses them.

    While ``answering`` is cleared, no request is answered.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.spans: list[Seen] = []
        self.asked = 0
        self.answering = threading.Event()
        self.answering.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """What an operator sets as the endpoint."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def of(self, trace_id: str) -> list[Seen]:
        """A trace's spans."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def named(self, name: str) -> list[Seen]:
        """Every span of a name."""
        return [span for span in self.spans if span.name == name]

    def until(self, truth: Callable[[], object], within_s: float = 10.0) -> None:
        """Wait for it."""
        deadline = time.monotonic() + within_s
        while not truth():
            told = [f"{span.service}: {span.name}" for span in self.spans]
            assert time.monotonic() < deadline, told
            time.sleep(0.02)

    def take(self, body: bytes) -> None:
        """Keep what a request holds."""
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            resource = {item.key: _value(item.value) for item in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += [_seen(span, resource) for span in of_scope.spans]


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.asked += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.answering.wait()
            fits = self.path == PATH and self.headers["Content-Type"] == "application/x-protobuf"
            status = collector.status if fits else 404
            if status == 200:
                collector.take(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is to be told."""

    return Handler


def _seen(span: ProtoSpan, resource: dict[str, Any]) -> Seen:
    return Seen(
        service=str(resource["service.name"]),
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_s=span.start_time_unix_nano / 1e9,
        end_s=span.end_time_unix_nano / 1e9,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        links=tuple(link.trace_id.hex() for link in span.links),
        facts={item.key: _value(item.value) for item in span.attributes},
        resource=resource,
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
