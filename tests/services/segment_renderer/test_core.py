"""The segment-renderer's decider."""

from __future__ import annotations

import pytest

from events.notices import CircuitState
from events.types import Reason, RenderCancelRequested, SegmentFailed, SegmentRequested, Stored
from services.segment_renderer.core import RenderSegment, decide
from tests.builders import (
    JOB,
    LADDER,
    START_S,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    spec,
)
from tests.events.test_state import PLANNED, ask, failed, intended
from tests.spec import given

PAST = (requested(), planned(), segment_requested())


def test_a_requested_segment_is_rendered() -> None:
    """The command has all that an engine needs."""
    expected = RenderSegment(
        job_id=JOB, spec=spec(), segment=0, attempt=1, rung=LADDER[0], quality=0
    )
    assert given(decide, *PAST).when() == (expected,)


def test_a_rendered_segment_is_not_rendered_again() -> None:
    """A redelivery finds the outcome in the log."""
    assert given(decide, *PAST, segment_rendered()).when(segment_requested()) == ()


def test_an_old_attempt_is_moot() -> None:
    """Only the attempt that the job waits for is worked at."""
    failed = SegmentFailed(
        job_id=JOB,
        segment=0,
        attempt=1,
        rung=LADDER[0],
        reason=Reason.CRASHED,
        retryable=True,
        detail="",
        elapsed_s=0,
    )
    past = (*PAST, failed, segment_requested(0, 2))
    assert given(decide, *past).when(segment_requested()) == ()


def test_a_cancelled_job_is_not_rendered() -> None:
    """All work is moot from the cancel on."""
    past = (*PAST, RenderCancelRequested(job_id=JOB))
    assert given(decide, *past).when(segment_requested()) == ()


def test_a_segment_that_does_not_exist_is_ignored() -> None:
    """A forged ask cannot make work."""
    assert given(decide, *PAST, segment_requested(7)).when() == ()


def test_the_last_delivery_is_a_failure() -> None:
    """A message that comes for ever ends in an event that says so."""
    (failed,) = given(decide, *PAST).when(deliveries=50)
    assert isinstance(failed, SegmentFailed)
    assert (failed.reason, failed.retryable) == (Reason.INTERNAL, False)


OPEN = CircuitState(seq=4, until_s=START_S + 60, failures=3, broken=True, reason=Reason.TIMEOUT)


def test_an_engine_whose_circuit_is_open_is_not_asked() -> None:
    """The attempt fails at once, and says until when."""
    past = (*PLANNED, ask())
    (failed,) = given(decide, *past).when(circuits={"paid": OPEN})
    assert isinstance(failed, SegmentFailed)
    assert (Reason.UNAVAILABLE, False, False) == (failed.reason, failed.retryable, failed.tried)
    assert "1970-01-12T13:47:40" in failed.detail


def test_other_engines_are_asked() -> None:
    """A circuit is one engine's."""
    (command,) = given(decide, *PLANNED, ask()).when(circuits={"other": OPEN})
    assert isinstance(command, RenderSegment)
    assert not command.probe


def test_what_was_created_goes_on() -> None:
    """An open circuit holds back what is new, not what may be paid for."""
    past = (*PLANNED, ask(), intended())
    (command,) = given(decide, *past).when(past[2], circuits={"paid": OPEN})
    assert isinstance(command, RenderSegment)
    assert not command.probe


LATE_S = START_S + 3600 - 300


def test_when_it_is_late_no_engine_is_asked() -> None:
    """What is left of the film's time is for composing it; that is no failure of the engine."""
    (failed,) = given(decide, *PLANNED, ask()).when(now_s=LATE_S)
    assert isinstance(failed, SegmentFailed)
    assert (Reason.TIMEOUT, False, False) == (failed.reason, failed.retryable, failed.tried)
    (command,) = given(decide, *PLANNED, ask()).when(now_s=LATE_S - 1)
    assert isinstance(command, RenderSegment)


@pytest.mark.parametrize(
    "past",
    [
        (*PLANNED, ask(), intended()),
        # Its clip is there and paid for; only its drawing failed.
        (*PLANNED, ask(), intended(), failed(Reason.CRASHED, cost=0.5), ask(2)),
        PAST,
    ],
    ids=["begun", "paid", "composed"],
)
def test_what_needs_no_create_goes_on_however_late_it_is(past: tuple[Stored, ...]) -> None:
    """A create that was made, a clip that is there, and composing itself."""
    cause = next(event for event in reversed(past) if isinstance(event, SegmentRequested))
    (command,) = given(decide, *past).when(cause, now_s=LATE_S)
    assert isinstance(command, RenderSegment)


def test_a_half_open_circuit_is_probed() -> None:
    """When its time is over the engine is tried again."""
    (command,) = given(decide, *PLANNED, ask()).when(now_s=START_S + 60, circuits={"paid": OPEN})
    assert isinstance(command, RenderSegment)
    assert command.probe
