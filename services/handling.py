"""A message in hand, a command, an append and a job's end as spans, in the job's trace.

The trace is the job's, whatever a message says: a cancel that came with a trace of its own is
linked to it.  A span's parent is the one that led to its message, where that is of the same trace.
What spans tell is gathered only where somebody records them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import Token

from adapters import spans, tracing
from adapters.spans import Attribute, Facts
from events import trace
from events.job import Job
from events.log import Delivery, Recorded
from events.state import JobStatus
from events.trace import TraceContext
from events.types import (
    AssemblyFailed,
    Event,
    Foreign,
    RenderFailed,
    RenderRequested,
    SegmentFailed,
    Stored,
    type_name,
)
from services.actor import Command

NATS = "nats"
JOBS = ""
"""The service of a job's own span: it belongs to none of them."""

COMMANDS = {
    "PlanRender": spans.PLAN,
    "RenderSegment": spans.RENDER,
    "MixSoundtrack": spans.MIX,
    "AssembleFilm": spans.ASSEMBLE,
    "CountFailure": spans.COUNT,
}
"""By the name of the command: the runtime knows none of them."""

SETTLED, WAITS = "settled", "waits"


class Handling:
    """The span of one message in hand; it begins once the job, and so its trace, is known."""

    def __init__(self, service: str, durable: str, delivery: Delivery) -> None:
        self._service = service
        self._durable = durable
        self._delivery = delivery
        self._start_ns = time.time_ns()
        self._span: tracing.Span | None = None
        self._token: Token[tracing.Span | None] | None = None

    def begin(self, job: Job) -> None:
        """Be in the span from now on, in this task; again it changes nothing."""
        cause = self._delivery.recorded
        if self._span is not None or isinstance(cause.event, Foreign):
            return
        parent, link = placed(job, cause)
        self._span = tracing.begin(
            spans.PROCESS,
            service=self._service,
            context=tracing.new_context(parent),
            parent=parent,
            name=f"process {type_name(cause.event)}",
            start_ns=self._start_ns,
            link=link,
        )
        if tracing.is_recorded():
            self._span.note(self._facts(cause))
        self._token = tracing.enter(self._span)

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """Leave it.  What was only looked at, to be looked at again, is not told."""
        if self._span is None:
            return
        assert self._token is not None
        tracing.leave(self._token)
        if outcome == WAITS and not self._span.used:
            return
        if error is not None:
            tracing.ended_by(self._span, error)
        self._span.note({Attribute.OUTCOME: outcome})
        self._span.end()

    def _facts(self, cause: Recorded) -> Facts:
        return {
            Attribute.SYSTEM: NATS,
            Attribute.OPERATION: "process",
            Attribute.OPERATION_TYPE: "process",
            Attribute.SUBJECT: cause.subject,
            Attribute.DURABLE: self._durable,
            Attribute.MESSAGE: cause.envelope.id if cause.envelope else str(cause.seq),
            Attribute.CONVERSATION: cause.job_id,
            Attribute.JOB: cause.job_id,
            Attribute.SEQ: cause.seq,
            Attribute.DELIVERIES: self._delivery.deliveries,
            **place_of(cause.event),
        }


def placed(job: Job, cause: Recorded) -> tuple[TraceContext, TraceContext | None]:
    """The span that a message's handling is a part of, and one of another trace that led to it."""
    own = span_of(job)
    led = trace.parse(cause.traceparent)
    if led is None or isinstance(cause.event, RenderRequested):
        # The request's own is above the job's, and a second request's is nobody's.
        return own, None
    if led.trace_id == own.trace_id:
        return led, None
    return own, led


def span_of(job: Job) -> TraceContext:
    """The span that is the whole job."""
    own, above = trace.of_job(job.job_id, job.traceparent)
    return own if above is not None else tracing.rooted(own)


def performing(command: Command) -> AbstractContextManager[tracing.Span]:
    """The span of a command that is performed."""
    spec = COMMANDS.get(type(command).__name__, spans.PERFORM)
    facts = place_of(command) | _frames_of(command) if tracing.is_recorded() else None
    return tracing.span(spec, facts)


def performed(span: tracing.Span, outcomes: Sequence[Event]) -> None:
    """Tell what a command came to."""
    if not tracing.is_recorded():
        return
    for event in outcomes:
        span.note(place_of(event) | _result_of(event))
        span.note({Attribute.OUTCOME: type_name(event)})
        if isinstance(event, SegmentFailed | AssemblyFailed):
            span.fail(event.reason.value)


def appending(job_id: str, batch: Sequence[Event]) -> AbstractContextManager[tracing.Span]:
    """The span of an append: the parent of what its events lead to."""
    if not tracing.is_recorded():
        return tracing.span(spans.APPEND)
    facts: Facts = {
        Attribute.SYSTEM: NATS,
        Attribute.OPERATION: "append",
        Attribute.OPERATION_TYPE: "send",
        Attribute.CONVERSATION: job_id,
        Attribute.JOB: job_id,
        Attribute.MESSAGES: len(batch),
        Attribute.TYPES: tuple(dict.fromkeys(type_name(event) for event in batch)),
    }
    return tracing.span(spans.APPEND, facts)


def ended(job: Job, now_s: float) -> None:
    """Tell the span that is the whole of a job that has just ended."""
    assert job.end is not None
    if not tracing.is_recorded():
        return
    own, above = trace.of_job(job.job_id, job.traceparent)
    start_ns = int((job.requested_s or now_s) * 1e9)
    span = tracing.begin(spans.JOB, service=JOBS, context=own, parent=above, start_ns=start_ns)
    facts: Facts = {Attribute.JOB: job.job_id, Attribute.STATE: job.status.value}
    if job.spec is not None:
        facts[Attribute.PRESET] = job.spec.preset_id
        facts[Attribute.SEGMENTS] = len(job.spec.segments)
        facts[Attribute.FRAMES] = job.spec.frames
    span.note(facts)
    if isinstance(job.end, RenderFailed):
        span.note({Attribute.REASON: job.end.reason.value})
        span.fail(JobStatus.FAILED.value)
    # Its beginning was told by the server's clock, which may be ahead of ours.
    span.end(max(start_ns, int(now_s * 1e9)))


def place_of(thing: Stored | Command) -> Facts:
    """Segment, attempt, rung and reason of an event or a command, as far as it has them."""
    facts: Facts = {}
    for attribute, name in (
        (Attribute.SEGMENT, "segment"),
        (Attribute.ATTEMPT, "attempt"),
        (Attribute.ENGINE, "engine"),
        (Attribute.REASON, "reason"),
    ):
        value = getattr(thing, name, None)
        if value is not None:
            facts[attribute] = str(value) if isinstance(value, str) else value
    rung = getattr(thing, "rung", None)
    if rung is not None:
        facts[Attribute.ENGINE] = rung.engine
        facts[Attribute.ARCHETYPE] = rung.archetype.value
    return facts


def _frames_of(command: Command) -> Facts:
    spec, segment = getattr(command, "spec", None), getattr(command, "segment", None)
    if spec is None or segment is None:
        return {}
    return {Attribute.FRAMES: spec.segments[segment].body_frames}


def _result_of(event: Event) -> Facts:
    """What work came to, as far as its event tells."""
    facts: Facts = {}
    for attribute, name in (
        (Attribute.FRAMES, "frames"),
        (Attribute.REUSED, "reused"),
        (Attribute.MODEL, "model"),
        (Attribute.COST, "cost"),
    ):
        value = getattr(event, name, None)
        if value is not None and value != "":
            facts[attribute] = value
    return facts
