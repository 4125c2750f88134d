"""Spans to a collector by OTLP over HTTP: the one module that imports OpenTelemetry.

It is imported only where an operator has named a collector (``services.traces``), and wants the
extra ``traces``.  What it can be told is the SDK's own, by its ``OTEL_*`` variables: headers,
time-outs, the sampler, the length of the queue.

A collector that is slow or away costs nothing but spans: they wait in a bounded queue, a thread
of its own sends them, what does not fit is dropped, and that is told once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from importlib import metadata

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision

from adapters import tracing
from adapters.spans import Facts
from events.trace import TraceContext

logger = structlog.get_logger()

SCOPE = "pytoon"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_QUEUE = "opentelemetry.sdk._shared_internal"


class OtlpRecorder:
    """Records spans and sends them; ``Pytoon``'s own ids are kept."""

    def __init__(self, endpoint: str) -> None:
        """``endpoint`` is what is told of it; the exporter reads its address from the environment.

        Raises ``ValueError`` or ``OSError`` where the environment asks for what cannot be.
        """
        self._ids = _GivenIds()
        self._endpoint = endpoint
        self._exporter = _ToldExporter(OTLPSpanExporter(), endpoint)
        self._processor = BatchSpanProcessor(self._exporter)
        self._version = metadata.version("pytoon")
        self._resource = Resource.create()
        self._named = OTELResourceDetector().detect().attributes
        self._tracers: dict[str, trace.Tracer] = {}
        self._sampler = TracerProvider(shutdown_on_exit=False).sampler

    def begin(self, begun: tracing.Begun) -> tuple[tracing.Recording | None, int]:
        """Begin a span with the ids that it has."""
        context = begun.context
        self._ids.trace_id, self._ids.span_id = int(context.trace_id, 16), int(context.span_id, 16)
        span = self._tracer(begun.service).start_span(
            begun.name,
            context=_in_context(begun.parent),
            kind=trace.SpanKind[begun.kind.name],
            links=[trace.Link(_span_context(begun.link))] if begun.link else (),
            start_time=begun.start_ns or None,
        )
        flags = int(span.get_span_context().trace_flags)
        return (_Recording(span) if span.is_recording() else None), flags

    def flags_at_root(self, trace_id: str) -> int:
        """What the sampler says of a trace that begins with us."""
        found = self._sampler.should_sample(Context(), int(trace_id, 16), "").decision
        return int(found is Decision.RECORD_AND_SAMPLE)

    def close(self, flush_s: float) -> None:
        """Send what is left, as far as it takes no longer than ``flush_s``."""
        # The processor itself would wait for half a minute.
        flushing = threading.Thread(target=self._processor.shutdown, daemon=True)
        flushing.start()
        flushing.join(flush_s)
        if flushing.is_alive():
            self._exporter.shutdown()
            logger.warning("the last traces were not taken in time", collector=self._endpoint)

    def _tracer(self, service: str) -> trace.Tracer:
        """A service's own, so that several of one process are told apart."""
        made = self._tracers.get(service)
        if made is None:
            name = f"{SCOPE}-{service}" if service else SCOPE
            own = {"service.name": name, "service.namespace": SCOPE}
            own["service.version"] = self._version
            provider = TracerProvider(
                resource=self._resource.merge(Resource({**own, **self._named})),
                id_generator=self._ids,
                shutdown_on_exit=False,
            )
            provider.add_span_processor(self._processor)
            made = self._tracers[service] = provider.get_tracer(SCOPE, self._version)
        return made


class _GivenIds(IdGenerator):
    """The ids of the span that is just being begun."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


class _Recording:
    """A span of the SDK's."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, facts: Facts) -> None:
        self._span.set_attributes({str(name): fact for name, fact in facts.items()})

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self) -> None:
        self._span.set_status(trace.StatusCode.ERROR)

    def end(self, end_ns: int) -> None:
        self._span.end(end_ns or None)


def _span_context(context: TraceContext) -> trace.SpanContext:
    return trace.SpanContext(
        trace_id=int(context.trace_id, 16),
        span_id=int(context.span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(context.flags),
    )


def _in_context(parent: TraceContext | None) -> Context:
    """A context with nothing in it but the parent: whatever else the process does is not ours."""
    if parent is None:
        return Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)), Context())


class _ToldExporter(SpanExporter):
    """An exporter whose trouble is told once, and once more when it is over."""

    def __init__(self, exporter: OTLPSpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._failing = False
        self._closed = False
        logging.getLogger(_EXPORTER).addFilter(_WORDS)
        logging.getLogger(_QUEUE).addFilter(_ONCE)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, from the processor's thread."""
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if self._closed:
            return result
        if failed and not self._failing:
            logger.warning(
                "traces are not taken; films go on, and spans are lost until they are",
                collector=self._endpoint,
                why=_WORDS.last,
            )
        elif self._failing and not failed:
            logger.info("traces are taken again", collector=self._endpoint)
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._closed = True
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK's is untyped


class _Words(logging.Filter):
    """Keeps what the exporter would log for each batch."""

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.last = record.getMessage()
        return False


class _Once(logging.Filter):
    """Lets each kind of message through once: a full queue says so for every span."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        known = record.msg in self._seen
        self._seen.add(str(record.msg))
        return not known


_WORDS = _Words()
_ONCE = _Once()
"""One of each for the process: a logger asks its filters only until the first says no."""
