"""Spans: what is done for a job or a request, when, and within what.

A span has ids whether anybody records it or not: events name the span that wrote them, and log
lines the one that they were written in.  Who records spans is told to ``record_with``; nobody
does by default, and then a span costs its random id and little else.  Spans begin and end on the
event loop's thread.

Left out: which spans there are (``adapters.spans``), and how they leave the process
(``services.otlp``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from enum import StrEnum
from typing import NamedTuple, Protocol

from adapters.spans import Attribute, Facts, SpanKind, SpanSpec
from events.trace import TraceContext

CANCELLED = "cancelled"
"""Both what a task ends in and the reason of a failure that nobody waits for."""


class Begun(NamedTuple):
    """A span that begins, as its recorder is told of it; ``start_ns`` 0: now.

    ``link`` is a span of another trace that led to it, too.
    """

    name: str
    kind: SpanKind
    service: str
    context: TraceContext
    parent: TraceContext | None
    start_ns: int
    link: TraceContext | None


class Recording(Protocol):
    """A span that is recorded."""

    def note(self, facts: Facts) -> None:
        """Tell more of it."""

    def rename(self, name: str) -> None:
        """Call it by what is known only later."""

    def fail(self) -> None:
        """Mark it as failed."""

    def end(self, end_ns: int) -> None:
        """It is over; 0: now."""


class Recorder(Protocol):
    """Keeps spans.  Nothing that it does may block or raise."""

    def begin(self, begun: Begun) -> tuple[Recording | None, int]:
        """Begin to record a span (None: it is not sampled); and its trace's flags from here on."""

    def flags_at_root(self, trace_id: str) -> int:
        """The flags of a trace that nobody outside has begun."""


class Span:
    """A span that is under way.  ``used``: another one was begun within it."""

    __slots__ = ("_recording", "context", "service", "used")

    def __init__(
        self, context: TraceContext, service: str = "", recording: Recording | None = None
    ) -> None:
        self.context = context
        self.service = service
        self.used = False
        self._recording = recording

    @property
    def traceparent(self) -> str:
        """The header of what it leads to; empty where there is no trace."""
        return self.context.traceparent if self.context.trace_id else ""

    def note(self, facts: Facts) -> None:
        """Tell more of it."""
        if self._recording is not None:
            self._recording.note(facts)

    def rename(self, name: str) -> None:
        """Call it by what is known only later."""
        if self._recording is not None:
            self._recording.rename(name)

    def fail(self, why: str) -> None:
        """Mark it as failed; ``why`` is a word, never a message: those may hold anything."""
        if self._recording is not None:
            self._recording.note({Attribute.ERROR: why})
            self._recording.fail()

    def end(self, end_ns: int = 0) -> None:
        """It is over."""
        if self._recording is not None:
            self._recording.end(end_ns)


_NOWHERE = TraceContext("", "", 0)
_current: ContextVar[Span | None] = ContextVar("pytoon_span", default=None)
_recorders: list[Recorder] = []
"""The process's one recorder, if it has one."""


def record_with(recorder: Recorder | None) -> None:
    """Have this process's spans recorded, or (None) no more."""
    _recorders[:] = [recorder] if recorder is not None else []


def is_recorded() -> bool:
    """Whether anybody records spans."""
    return bool(_recorders)


def current() -> Span | None:
    """The span that the running task is in."""
    return _current.get()


def traceparent() -> str:
    """The header that names the span that the running task is in; empty outside of any."""
    span = _current.get()
    return span.traceparent if span is not None else ""


def note(facts: Facts) -> None:
    """Tell more of the span that the running task is in."""
    span = _current.get()
    if span is not None:
        span.note(facts)


def new_context(parent: TraceContext | None = None) -> TraceContext:
    """The ids of a new span, in its parent's trace or in one of its own."""
    span_id = os.urandom(8).hex()
    if parent is None:
        return TraceContext(os.urandom(16).hex(), span_id)
    return TraceContext(parent.trace_id, span_id, parent.flags)


def rooted(context: TraceContext) -> TraceContext:
    """A trace's first span, its flags as this process's sampler would set them."""
    for recorder in _recorders:
        return context._replace(flags=recorder.flags_at_root(context.trace_id))
    return context


def begin(
    spec: SpanSpec,
    *,
    service: str,
    context: TraceContext,
    parent: TraceContext | None,
    name: str = "",
    start_ns: int = 0,
    link: TraceContext | None = None,
) -> Span:
    """Begin a span, which is to be ended; the running task is not in it yet (``enter``)."""
    for recorder in _recorders:
        begun = Begun(name or spec.name, spec.kind, service, context, parent, start_ns, link)
        recording, flags = recorder.begin(begun)
        return Span(context._replace(flags=flags), service, recording)
    return Span(context, service)


def enter(span: Span) -> Token[Span | None]:
    """Have the running task be in a span, until ``leave``."""
    return _current.set(span)


def leave(token: Token[Span | None]) -> None:
    """Have it be where it was before."""
    _current.reset(token)


@contextmanager
def within(context: TraceContext | None) -> Iterator[None]:
    """Be in somebody else's span, which ends elsewhere; None: in no span."""
    token = enter(Span(context or _NOWHERE))
    try:
        yield
    finally:
        leave(token)


@contextmanager
def span(spec: SpanSpec, facts: Facts | None = None) -> Iterator[Span]:
    """A span within the one that the running task is in; outside of any it is none.

    What is raised in it ends it as failed, and goes on.
    """
    above = _current.get()
    if above is None or not above.context.trace_id:
        yield Span(_NOWHERE)
        return
    above.used = True
    parent = above.context
    made = begin(spec, service=above.service, context=new_context(parent), parent=parent)
    if facts:
        made.note(facts)
    token = enter(made)
    try:
        yield made
    except BaseException as error:
        ended_by(made, error)
        raise
    finally:
        leave(token)
        made.end()


def ended_by(span: Span, error: BaseException) -> None:
    """Note what ended it, by the reason that it has, or by its name; a cancel is no failure."""
    reason = getattr(error, "reason", None)
    if isinstance(error, asyncio.CancelledError):
        span.note({Attribute.OUTCOME: CANCELLED})
    elif not isinstance(reason, StrEnum):
        span.fail(type(error).__name__)
    else:
        span.note({Attribute.OUTCOME: reason.value})
        if reason != CANCELLED:
            span.fail(reason.value)
