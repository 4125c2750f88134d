"""What every event log does with the trace that a message came with."""

from __future__ import annotations

from events.link import advanced, digest
from events.log import Tail
from events.types import RenderRequested
from tests.contracts.bench import Bench, append, collected, each_log, timed_out, without_time

__all__ = ["each_log"]


async def test_an_ask_keeps_its_trace(bench: Bench) -> None:
    """The header comes back with the message, whichever way it is read; the event is the same."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for job_id, sent, kept in (("a", trace, trace), ("b", f"{trace}\r\nx: y", "")):
        stored = await bench.log.publish_ask(job_id, "render_requested", b"{}", traceparent=sent)
        again = await bench.log.publish_ask(job_id, "render_requested", b"{}")
        assert (RenderRequested(job_id=job_id, ask={}), None) == (stored.event, stored.envelope)
        assert [kept] * 2 == [stored.traceparent, again.traceparent]
        assert [kept] == [item.traceparent for item in await bench.log.read(job_id)]
        assert digest(stored.subject, {}, b"{}") == stored.digest
    handed_out = await collected(await bench.log.consumer("planner"), 2)
    assert [trace, ""] == [delivery.recorded.traceparent for delivery in handed_out]


async def test_a_trace_that_is_none_changes_nothing(bench: Bench) -> None:
    """Any client may write what it likes there: it is no part of what happened."""
    await bench.raw("pytoon.jobs.a.render_requested", b"{}", {"traceparent": "00-nonsense"})
    (ask,) = await bench.log.read("a")
    assert (RenderRequested(job_id="a", ask={}), "00-nonsense") == (ask.event, ask.traceparent)
    tail, (first,) = await append(bench.log, advanced(Tail(job_id="a"), ask), timed_out(0))
    # A second try under another span is the same event.
    span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    before = advanced(Tail(job_id="a"), ask)
    (again,) = await bench.log.append(before, [timed_out(0)], source="test", traceparent=span)
    assert without_time([first]) == without_time([again])
    assert tail.seq == (await bench.log.read("a"))[-1].seq
