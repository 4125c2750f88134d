"""Spans within spans, recorded or not."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from adapters import tracing
from adapters.base import EngineFailure
from adapters.spans import APPEND, MIX, SPANS, Attribute, SpanKind
from events.trace import TraceContext, of_job, parse
from events.types import Reason
from tests.recorder import MemoryRecorder

JOB, _ = of_job("film", "")


def test_a_span_is_within_the_one_around_it(recorder: MemoryRecorder) -> None:
    """In its trace and of its service; afterwards the task is where it was."""
    outer = tracing.begin(MIX, service="s", context=tracing.new_context(JOB), parent=JOB)
    token = tracing.enter(outer)
    with tracing.span(APPEND, {Attribute.JOB: "film"}) as inner:
        assert tracing.current() is inner
        assert parse(tracing.traceparent()) == inner.context
        tracing.note({Attribute.OUTCOME: "stored"})
    assert tracing.current() is outer
    tracing.leave(token)
    assert tracing.current() is None
    assert "" == tracing.traceparent()
    outer.end(7)
    appended, mixed = recorder.named("append")[0], recorder.named("mix")[0]
    assert {"pytoon.job": "film", "pytoon.outcome": "stored"} == appended.facts
    assert (outer.context, "s", SpanKind.PRODUCER) == (
        appended.begun.parent,
        appended.begun.service,
        appended.begun.kind,
    )
    assert {JOB.trace_id} == {appended.context.trace_id, mixed.context.trace_id}
    assert (7, True, False) == (mixed.end_ns, outer.used, inner.used)


def test_without_a_recorder_a_span_has_ids() -> None:
    """Events and log lines name them all the same."""
    outer = tracing.begin(MIX, service="s", context=JOB, parent=None)
    token = tracing.enter(outer)
    with tracing.span(APPEND) as first, tracing.span(APPEND) as second:
        contexts = [parse(span.traceparent) for span in (first, second)]
        assert [first.context, second.context] == contexts
        assert 2 == len({context.span_id for context in contexts if context})
        second.note({Attribute.JOB: "film"})
        second.fail("internal")
    tracing.leave(token)


def test_outside_of_a_job_there_is_no_span(recorder: MemoryRecorder) -> None:
    """An engine that is tried by a command makes no trace; what it does works all the same."""
    with tracing.span(MIX) as span:
        span.note({Attribute.JOB: "film"})
        assert ("", None) == (span.traceparent, tracing.current())
    with tracing.within(None), tracing.span(MIX) as span:
        assert "" == span.traceparent
    assert [] == recorder.begun


def test_somebody_elses_span_is_handed_on(recorder: MemoryRecorder) -> None:
    """What is done in it names it; it is not ours to record."""
    with tracing.within(JOB):
        assert JOB.traceparent == tracing.traceparent()
    assert [] == recorder.begun


@pytest.mark.parametrize(
    ("error", "facts", "failed"),
    [
        (ValueError("a secret"), {"error.type": "ValueError"}, True),
        (
            EngineFailure(Reason.TIMEOUT, "a prompt", retryable=True),
            {"error.type": "timeout", "pytoon.outcome": "timeout"},
            True,
        ),
        (
            EngineFailure(Reason.CANCELLED, "x", retryable=False),
            {"pytoon.outcome": "cancelled"},
            False,
        ),
        (asyncio.CancelledError("x"), {"pytoon.outcome": "cancelled"}, False),
    ],
)
def test_what_is_raised_ends_it(
    recorder: MemoryRecorder, error: BaseException, facts: dict[str, str], *, failed: bool
) -> None:
    """It goes on as it was; of its words none is told, and a cancel is no failure."""
    token = tracing.enter(tracing.Span(JOB, "s"))
    with pytest.raises(type(error)), tracing.span(MIX):
        raise error
    tracing.leave(token)
    (span,) = recorder.spans
    assert (facts, failed) == (span.facts, span.failed)


def test_the_samplers_word_goes_along() -> None:
    """Of a trace of ours the recorder's, of a client's the client's."""
    tracing.record_with(MemoryRecorder(root_flags=0))
    try:
        assert 0 == tracing.rooted(JOB).flags
        span = tracing.begin(MIX, service="s", context=JOB, parent=JOB._replace(flags=1))
        assert span.traceparent.endswith("-01")
        span = tracing.begin(MIX, service="s", context=JOB, parent=JOB._replace(flags=0))
        assert span.traceparent.endswith("-00")
    finally:
        tracing.record_with(None)
    assert 1 == tracing.rooted(JOB).flags


def test_tasks_do_not_share_their_spans() -> None:
    """Each is in the span that it entered, or that it was started in."""

    async def main() -> list[str]:
        async def work(context: TraceContext) -> str:
            token = tracing.enter(tracing.Span(context))
            await asyncio.sleep(0.01)
            found = tracing.traceparent()
            tracing.leave(token)
            return found

        async def started() -> str:
            return tracing.traceparent()

        contexts = [tracing.new_context() for _ in range(3)]
        found = await asyncio.gather(*map(work, contexts))
        assert [context.traceparent for context in contexts] == found
        with tracing.within(JOB):
            task = asyncio.create_task(started())
        return [await task]

    assert [JOB.traceparent] == asyncio.run(main())


def test_names_are_told_apart() -> None:
    """No two kinds of span, and no two attributes, are called the same."""
    assert len(SPANS) == len({spec.name for spec in SPANS})
    assert len(Attribute) == len({attribute.value for attribute in Attribute})
    assert all(attribute.told for attribute in Attribute)


def test_nothing_of_opentelemetry_is_imported_for_it() -> None:
    """Nor by any service or command that names no collector."""
    modules = "adapters.tracing, services.traces, services.runtime, services.logs"
    modules += ", services.composition, services.cli.operating, services.cli.rendering"
    code = f"import sys, {modules}\nprint([m for m in sys.modules if 'opentelemetry' in m])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "[]" == found.stdout.strip()
