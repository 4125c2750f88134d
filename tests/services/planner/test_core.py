"""The planner's decider."""

from __future__ import annotations

import pytest

from events.types import (
    AssemblyRequested,
    Reason,
    RenderCancelRequested,
    RenderRejected,
    RenderRequested,
    RungDescended,
    SegmentFailed,
    Stored,
)
from services.planner.core import PlanRender, decide
from tests.builders import (
    JOB,
    LADDER,
    assembly_requested,
    completed,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    soundtrack_mixed,
    spec,
)
from tests.spec import given


def test_a_request_is_planned() -> None:
    """A request without a plan leads to planning it."""
    ask = requested()
    assert given(decide, ask).when() == (PlanRender(job_id=JOB, ask=ask.ask),)


def test_an_unreadable_request_is_handed_on_with_its_reason() -> None:
    """What is no JSON object is judged by planning too, so that it is rejected in words."""
    ask = RenderRequested(job_id=JOB, ask={}, unreadable="truncated")
    assert given(decide, ask).when() == (PlanRender(job_id=JOB, ask={}, unreadable="truncated"),)


def test_a_window_of_segments_is_requested() -> None:
    """No more segments are asked for at once than the plan allows."""
    decisions = given(decide, requested(), planned(spec(6, in_flight=2))).when()
    assert decisions == (segment_requested(0), segment_requested(1))


def test_the_next_segment_follows_a_rendered_one() -> None:
    """A rendered segment makes room for the next."""
    past = (
        requested(),
        planned(spec(3, in_flight=2)),
        segment_requested(0),
        segment_requested(1),
        segment_rendered(1),
    )
    assert given(decide, *past).when() == (segment_requested(2),)


def test_a_failed_segment_keeps_its_place_in_the_window() -> None:
    """A segment that waits for a retry is still in flight."""
    failed = SegmentFailed(
        job_id=JOB,
        segment=0,
        attempt=1,
        rung=LADDER[0],
        reason=Reason.UNAVAILABLE,
        retryable=True,
        detail="",
        elapsed_s=0,
    )
    past = (requested(), planned(spec(3, in_flight=1)), segment_requested(0), failed)
    assert given(decide, *past).when(requested()) == ()


@pytest.mark.parametrize("last", ["sound", "segment"])
def test_assembly_needs_every_body_and_the_sound(last: str) -> None:
    """Whichever comes last asks for the assembly."""
    start = (requested(), planned(spec(1)), segment_requested(0))
    parts: list[Stored] = [segment_rendered(0), soundtrack_mixed()]
    if last == "segment":
        parts.reverse()
    assert given(decide, *start, parts[0]).when() == ()
    expected = (AssemblyRequested(job_id=JOB, attempt=1),)
    assert given(decide, *start, *parts).when() == expected


def test_assembly_is_asked_for_once() -> None:
    """What is asked for is not asked for again."""
    past = (
        requested(),
        planned(spec(1)),
        segment_requested(0),
        segment_rendered(0),
        soundtrack_mixed(),
        assembly_requested(),
    )
    assert given(decide, *past).when(soundtrack_mixed()) == ()


@pytest.mark.parametrize(
    "end", [RenderCancelRequested(job_id=JOB), RenderRejected(job_id=JOB, problems=())]
)
def test_nothing_is_done_for_a_job_that_is_over(
    end: RenderCancelRequested | RenderRejected,
) -> None:
    """A rejected or cancelled job gets no plan."""
    assert given(decide, requested(), end).when(requested()) == ()


def test_a_film_that_fell_a_rung_is_requested_anew() -> None:
    """After a downgrade of the whole film every segment is asked for on the new rung."""
    fell = RungDescended(
        job_id=JOB,
        segment=None,
        rung_index=2,
        from_rung=LADDER[1],
        to_rung=LADDER[2],
        reason=Reason.INTERNAL,
    )
    past = (requested(), planned(), segment_requested(0), segment_rendered(0), fell)
    assert given(decide, *past).when() == (
        segment_requested(0, 2, rung=2),
        segment_requested(1, 1, rung=2),
    )


def test_a_request_that_cannot_be_planned_is_rejected_at_last() -> None:
    """After the last delivery the planner says so instead of trying for ever."""
    (decision,) = given(decide, requested()).when(deliveries=50)
    assert isinstance(decision, RenderRejected)
    assert "50" in decision.problems[0].limit


def test_a_completed_job_asks_for_nothing() -> None:
    """A late duplicate of any message of a completed job changes nothing."""
    past = (
        requested(),
        planned(spec(1)),
        segment_requested(0),
        segment_rendered(0),
        soundtrack_mixed(),
        assembly_requested(),
        completed(),
    )
    for cause in past:
        assert given(decide, *past).when(cause) == ()
