"""Messages, commands and appends as spans of their job's trace, on a log in memory."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence

import msgspec
import pytest

from adapters import spans
from adapters.spans import SpanSpec
from events.log import Recorded
from events.memory import MemoryLog
from events.trace import TraceContext, of_job, parse
from events.types import Event, RenderCancelRequested
from services.actor import Command, Context, Decision, GiveBack, Wait, Work
from services.handling import COMMANDS, placed
from tests.builders import history, job_after, planned, requested, segment_rendered
from tests.recorder import Kept, MemoryRecorder
from tests.services import test_runtime
from tests.services.test_runtime import JOB, Performer, ask, decide, ended, running, settled

OWN, _ = of_job(JOB, "")
CLIENT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
OTHER = TraceContext("1af7651916cd43dd8448eb211c80319c", "c7ad6b7169203331", 1)


async def done(log: MemoryLog, perform: Performer, traceparent: str = "") -> None:
    """Have the one actor handle a request to its end."""
    async with running(log, perform):
        await log.publish_ask(JOB, "render_requested", b"{}", traceparent=traceparent)
        await ended(log)
        await settled(log)


def above(span: Kept) -> TraceContext | None:
    """The span that it is within."""
    return span.begun.parent


async def test_a_job_is_one_tree(recorder: MemoryRecorder) -> None:
    """The job, within it the message, within that the command and the append."""
    log = MemoryLog()
    await done(log, Performer())
    (job,), (process,) = recorder.named("job"), recorder.named("process render_requested")
    (command,), (append,) = recorder.named("perform"), recorder.named("append")
    assert (OWN, None) == (job.context, above(job))
    assert (OWN, process.context, process.context) == tuple(map(above, (process, command, append)))
    assert {OWN.trace_id} == {span.context.trace_id for span in recorder.begun}
    assert ["", "judge"] == [span.begun.service for span in (job, process)]
    _, rejected = await log.read(JOB)
    assert append.context == parse(rejected.traceparent)
    assert {"pytoon.job": JOB, "pytoon.state": "rejected"} == job.facts
    assert job.begun.start_ns == int((await log.read(JOB))[0].time_s * 1e9)
    assert {
        "messaging.system": "nats",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": f"pytoon.jobs.{JOB}.render_requested",
        "messaging.consumer.group.name": "judge",
        "messaging.message.id": "1",
        "messaging.message.conversation_id": JOB,
        "pytoon.job": JOB,
        "pytoon.seq": 1,
        "pytoon.deliveries": 1,
        "pytoon.outcome": "settled",
    } == process.facts
    assert {"pytoon.types": ("render_rejected",), "pytoon.outcome": "stored"}.items() <= (
        append.facts.items()
    )
    assert {"pytoon.outcome": "render_rejected"} == command.facts


async def test_a_clients_trace_goes_on(recorder: MemoryRecorder) -> None:
    """The job is within the client's span, and everything of it in the client's trace."""
    log = MemoryLog()
    await done(log, Performer(), CLIENT.traceparent)
    (job,) = recorder.named("job")
    assert CLIENT == above(job)
    assert OWN.span_id == job.context.span_id
    assert {CLIENT.trace_id} == {span.context.trace_id for span in recorder.spans}
    assert [CLIENT.trace_id] * 2 == [
        context.trace_id for r in await log.read(JOB) if (context := parse(r.traceparent))
    ]


async def test_a_client_may_not_want_to_be_traced(recorder: MemoryRecorder) -> None:
    """Then nothing is recorded, and the events say so to whoever comes after."""
    log = MemoryLog()
    await done(log, Performer(), CLIENT._replace(flags=0).traceparent)
    assert [] == recorder.begun
    assert (await log.read(JOB))[-1].traceparent.endswith("-00")


@pytest.mark.parametrize("traceparent", ["", "00-nonsense-01", "ä" * 600])
async def test_a_trace_does_not_depend_on_who_records_it(traceparent: str) -> None:
    """Without a recorder, and with a header that is none, events name the job's own trace."""
    log = MemoryLog()
    async with running(log, Performer()):
        log.publish_raw(f"pytoon.jobs.{JOB}.render_requested", b"{}", {"traceparent": traceparent})
        await ended(log)
    found = parse((await log.read(JOB))[-1].traceparent)
    assert found is not None
    assert (OWN.trace_id, 1) == (found.trace_id, found.flags)


async def test_a_timer_that_is_not_due_leaves_no_span(recorder: MemoryRecorder) -> None:
    """It is looked at again and again; the look that leads to something is told."""
    log, looks = MemoryLog(), 0

    def later(job: object, cause: Recorded, context: Context) -> tuple[Decision, ...]:
        nonlocal looks
        looks += 1
        if looks < 3:
            return (Wait(until_s=context.now_s + 0.1),)
        return decide(job, cause, context)  # type: ignore[arg-type]

    async with running(log, Performer(), later):
        await ask(log)
        await ended(log)
        await settled(log)
    (process,) = recorder.named("process render_requested")
    deliveries = process.facts["pytoon.deliveries"]
    assert isinstance(deliveries, int)
    assert deliveries >= 3


@pytest.mark.parametrize(
    ("trouble", "error"),
    [(GiveBack("a secret", 0.01), "GiveBack"), (ValueError("a secret"), "ValueError")],
)
async def test_what_comes_again_says_why(
    recorder: MemoryRecorder, trouble: Exception, error: str
) -> None:
    """By the exception's name: its words may hold anything."""
    await done(MemoryLog(), Performer(trouble))
    first, second = recorder.named("process render_requested")
    assert ["given back", "settled"] == [s.facts["pytoon.outcome"] for s in (first, second)]
    assert (error == "ValueError", False) == (first.failed, second.failed)
    assert error == recorder.named("perform")[0].facts["error.type"]
    assert "secret" not in str([span.facts for span in recorder.begun])


async def test_what_a_stop_breaks_off_says_so(
    recorder: MemoryRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message was given back, and neither it nor its command has failed."""
    quick = msgspec.structs.replace(test_runtime.QUICK, stop_grace_s=0.05)
    monkeypatch.setattr(test_runtime, "QUICK", quick)
    log, started = MemoryLog(), asyncio.Event()

    async def endless(command: Command, work: Work) -> Sequence[Event]:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with running(log, endless):
        await ask(log)
        await started.wait()
    (process,), (command,) = recorder.named("process render_requested"), recorder.named("perform")
    assert ["stopped", "cancelled"] == [s.facts["pytoon.outcome"] for s in (process, command)]
    assert [False, False] == [span.failed for span in (process, command)]


async def test_a_conflict_is_told(recorder: MemoryRecorder) -> None:
    """The append that was refused, then the one that was stored; only that one is named."""
    log = MemoryLog()

    class Meddling(Performer):
        async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
            """Let somebody else be first, in the instant before the append."""
            events = await super().__call__(command, work)
            load = work._runtime.cache.load  # type: ignore[attr-defined]

            async def stale(*given: object, **named: object) -> object:
                job = await load(*given, **named)
                log.publish_raw(f"pytoon.jobs.{JOB}.segment_rendered", b"{")
                work._runtime.cache.load = load  # type: ignore[attr-defined]
                return job

            work._runtime.cache.load = stale  # type: ignore[attr-defined]
            return events

    await done(log, Meddling())
    refused, stored = recorder.named("append")
    assert ["conflict", "stored"] == [s.facts["pytoon.outcome"] for s in (refused, stored)]
    assert stored.context == parse((await log.read(JOB))[-1].traceparent)


def led(event: Event, traceparent: str, seq: int = 3) -> Recorded:
    """A message of the job that came with a header."""
    (made,) = history(event)
    return msgspec.structs.replace(made, seq=seq, traceparent=traceparent)


@pytest.mark.parametrize(
    ("event", "traceparent", "parent", "link"),
    [
        # What a service wrote goes on from its span, in the job's trace.
        (segment_rendered(0), OWN._replace(span_id="a" * 16).traceparent, "a" * 16, None),
        # What an older build wrote, or what somebody has written into it, is the job's.
        (segment_rendered(0), "", OWN.span_id, None),
        (segment_rendered(0), "00-nonsense-01", OWN.span_id, None),
        (segment_rendered(0), OTHER.traceparent, OWN.span_id, OTHER),
        # A cancel that came with a trace of its own.
        (RenderCancelRequested(job_id=JOB), OTHER.traceparent, OWN.span_id, OTHER),
        (RenderCancelRequested(job_id=JOB), "", OWN.span_id, None),
        # A second request changes nothing of the first one's trace.
        (requested(), OTHER.traceparent, OWN.span_id, None),
    ],
)
def test_a_message_has_its_place_in_the_jobs_trace(
    event: Event, traceparent: str, parent: str, link: TraceContext | None
) -> None:
    """Whatever it says itself."""
    job = job_after(requested(), planned())
    found, found_link = placed(job, led(event, traceparent))
    assert (OWN.trace_id, parent, link) == (found.trace_id, found.span_id, found_link)


def test_every_command_has_a_span_of_its_own() -> None:
    """So that none is told as "any other"."""
    packages = ("planner.core", "segment_renderer.core", "assembler.core")
    for name in (*packages, "fallback_controller.circuits"):
        importlib.import_module(f"services.{name}")
    ours = {
        kind.__name__
        for kind in Command.__subclasses__()
        if kind.__module__.startswith("services.") and kind is not Wait
    }
    assert set(COMMANDS) == ours
    listed: dict[str, SpanSpec] = {spec.name: spec for spec in spans.SPANS}
    assert all(spec is listed[spec.name] for spec in COMMANDS.values())
