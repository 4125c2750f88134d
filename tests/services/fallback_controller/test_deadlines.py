"""Deadlines of remote engines, creates in doubt, and how rarely a timer is looked at."""

from __future__ import annotations

import pytest

from events.notices import CircuitState
from events.types import Deadline, Reason, RungDescended, SegmentTimedOut, Stored
from services.actor import Limits, Wait
from services.fallback_controller.circuits import CountFailure
from services.fallback_controller.core import decide
from tests.builders import START_S, planned, requested, spec
from tests.events.test_state import (
    COMPOSED,
    LADDER,
    OTHER,
    PLANNED,
    ask,
    failed,
    intended,
    rendered,
    settled,
    submitted,
    timed_out,
)
from tests.spec import given

DOUBT = (*PLANNED, ask(), intended(), failed(Reason.OUTCOME_UNKNOWN))
"""The fifth message, stored four seconds after the first, left a create in doubt."""


def test_a_create_in_doubt_waits_for_a_word() -> None:
    """Half of what the job has left, looked at in between."""
    failed_s = START_S + 4
    (wait,) = given(decide, *DOUBT).when(now_s=failed_s)
    assert wait == Wait(until_s=failed_s + Limits().timer_recheck_s)
    half_s = (3600 - 4) / 2
    (wait,) = given(decide, *DOUBT).when(now_s=failed_s + half_s - 1)
    assert wait == Wait(until_s=failed_s + half_s)


@pytest.mark.parametrize(("wait_s", "expected_s"), [(60.0, 60.0), (9999.0, 1798.0)])
def test_the_wait_for_a_word_can_be_set(wait_s: float, expected_s: float) -> None:
    """But never to more than half of what the job has left: the film is to be done in time."""
    limits = Limits(settle_wait_s=wait_s)
    (wait,) = given(decide, *DOUBT).when(now_s=START_S + 3 + expected_s, limits=limits)
    assert isinstance(wait, Wait)
    descended, _ = given(decide, *DOUBT).when(now_s=START_S + 4 + expected_s, limits=limits)
    assert isinstance(descended, RungDescended)


def test_after_the_wait_the_segment_is_composed() -> None:
    """Never by another engine that costs money; the handle is named."""
    past = (*DOUBT[:-1], submitted(handle="h-9"), failed(Reason.OUTCOME_UNKNOWN))
    descended, again = given(decide, *past).when(now_s=START_S + 3000)
    assert isinstance(descended, RungDescended)
    assert (2, COMPOSED, Reason.OUTCOME_UNKNOWN) == (
        descended.rung_index,
        descended.to_rung,
        descended.reason,
    )
    assert "h-9" in descended.detail
    assert again == ask(2, rung=2)


def test_an_accepted_handle_is_asked_for_again() -> None:
    """The same rung, a new attempt; the ledger knows the handle."""
    past = (*DOUBT, settled("theirs"))
    assert (ask(2),) == given(decide, *past).when()
    assert (ask(2),) == given(decide, *past).when(past[4])


def test_an_accepted_handle_that_fails_is_composed() -> None:
    """However transient the failure was."""
    past = (*DOUBT, settled("theirs"), ask(2), failed(Reason.UNAVAILABLE, 2))
    descended, _, _ = given(decide, *past).when()
    assert isinstance(descended, RungDescended)
    assert COMPOSED == descended.to_rung


def test_a_worker_that_dies_at_an_accepted_handle_is_no_loss() -> None:
    """Nothing is created for another try."""
    past = (*DOUBT, settled("theirs"), ask(2), failed(Reason.CRASHED, 2))
    again, _ = given(decide, *past).when()
    assert ask(3) == again


def test_what_is_given_up_is_composed() -> None:
    """At once, and told so."""
    descended, _ = given(decide, *DOUBT, settled(None)).when()
    assert isinstance(descended, RungDescended)
    assert (COMPOSED, Reason.OUTCOME_UNKNOWN) == (descended.to_rung, descended.reason)
    assert "given up" in descended.detail


def test_a_failure_whose_cost_is_known_goes_to_the_next_engine() -> None:
    """It is known not to be billed, so that another may be."""
    refused = failed(Reason.MODERATED, cost=0.0, retryable=False)
    descended, _ = given(decide, *PLANNED, ask(), intended(), refused).when()
    assert isinstance(descended, RungDescended)
    assert OTHER == descended.to_rung


def test_a_failure_whose_cost_is_not_known_goes_to_composition() -> None:
    """It may have been billed."""
    refused = failed(Reason.MODERATED, retryable=False)
    past = (*PLANNED, ask(), intended(), submitted(), refused)
    descended, _ = given(decide, *past).when()
    assert isinstance(descended, RungDescended)
    assert COMPOSED == descended.to_rung


LIMITED = Limits(
    not_taken_s={"paid": 30.0}, no_progress_s={"paid": 20.0}, too_long_s={"paid": 100.0}
)


@pytest.mark.parametrize(
    ("expected", "due_s", "more"),
    [
        (Deadline.NOT_TAKEN, 2 + 30, ()),
        (Deadline.NO_PROGRESS, 3 + 20, (intended(),)),
        (Deadline.TOO_LONG, 3 + 100, (intended(), submitted())),
        # Somebody serves the engine: another segment's body came at second 5.
        (
            Deadline.NOT_TAKEN,
            5 + 30,
            (ask(segment=1), intended(segment=1), rendered(segment=1)),
        ),
    ],
)
def test_deadlines_of_a_remote_engine(
    expected: Deadline, due_s: float, more: tuple[Stored, ...]
) -> None:
    """Not taken, not answered, too long: each since the event that it counts from."""
    past = (*PLANNED, ask(), *more)
    given_past = given(decide, *past)
    (wait,) = given_past.when(past[2], now_s=START_S + due_s - 1, limits=LIMITED)
    assert wait == Wait(until_s=START_S + due_s)
    (timed_out,) = given_past.when(past[2], now_s=START_S + due_s, limits=LIMITED)
    assert isinstance(timed_out, SegmentTimedOut)
    assert (expected, "paid") == (timed_out.deadline, timed_out.rung and timed_out.rung.engine)


def test_a_queue_at_a_busy_engine_is_not_left() -> None:
    """Another segment is being generated there: somebody takes this one in time."""
    past = (*PLANNED, ask(), ask(segment=1), intended(segment=1))
    (wait,) = given(decide, *past).when(past[2], now_s=START_S + 90, limits=LIMITED)
    assert isinstance(wait, Wait)


LATE_S = START_S + 3600 - 300
"""An hour for the film, of which five minutes are kept for composing it."""


@pytest.mark.parametrize(
    ("expected", "more"),
    [
        (Deadline.NOT_TAKEN, ()),
        (Deadline.TOO_LONG, (intended(), submitted())),
    ],
)
@pytest.mark.parametrize("limits", [Limits(), Limits(too_long_s={"paid": 9999.0})])
def test_an_engine_is_waited_for_as_long_as_the_film_can_still_be_composed(
    expected: Deadline, more: tuple[Stored, ...], limits: Limits
) -> None:
    """Whatever bounds the engine has, or none."""
    past = (*PLANNED, ask(), *more)
    (wait,) = given(decide, *past).when(past[2], now_s=LATE_S - 1, limits=limits)
    assert wait == Wait(until_s=LATE_S)
    (decision,) = given(decide, *past).when(past[2], now_s=LATE_S, limits=limits)
    assert isinstance(decision, SegmentTimedOut)
    assert expected == decision.deadline


def test_a_short_film_keeps_half_of_its_time() -> None:
    """A minute: engines have thirty seconds."""
    past = (requested(), planned(spec(deadline_s=60.0, ladder=LADDER)), ask())
    (decision,) = given(decide, *past).when(now_s=START_S + 30)
    assert isinstance(decision, SegmentTimedOut)
    (decision,) = given(decide, *past).when(now_s=START_S + 29)
    assert isinstance(decision, Wait)


@pytest.mark.parametrize("failure", [failed(Reason.UNAVAILABLE, cost=0.0), timed_out()])
def test_when_it_is_late_no_other_engine_is_asked(failure: Stored) -> None:
    """Nor the same one again: the segment is composed, and the engine is not blamed for it."""
    (descended, again) = given(decide, *PLANNED, ask(), failure).when(now_s=LATE_S)
    assert isinstance(descended, RungDescended)
    assert COMPOSED == descended.to_rung
    assert again == ask(2, rung=2)


def test_what_is_accepted_late_has_half_of_what_is_left() -> None:
    """It is paid for, and may be there at once."""
    hurried = (requested(), planned(spec(deadline_s=10.0, ladder=LADDER)))
    doubt = (ask(), intended(), failed(Reason.OUTCOME_UNKNOWN))
    past = (*hurried, *doubt, settled("theirs"), ask(2))
    # Asked for at second 6, when only composing had time; the film is due at second 10.
    (wait,) = given(decide, *past).when(now_s=START_S + 7.9)
    assert wait == Wait(until_s=START_S + 8)
    (decision,) = given(decide, *past).when(now_s=START_S + 8)
    assert isinstance(decision, SegmentTimedOut)


def test_timers_are_looked_at_ever_more_rarely() -> None:
    """Each look is a delivery, and a message may be handed out only so often."""
    past, now_s, looks = (requested(), planned(spec(deadline_s=86400.0))), START_S + 1, 0
    while True:
        (decision,) = given(decide, *past).when(now_s=now_s)
        looks += 1
        if not isinstance(decision, Wait):
            break
        now_s = decision.until_s
    assert looks < Limits().deliveries_max


def test_a_failure_is_counted_against_its_engine() -> None:
    """Beside what is decided of the segment, until the circuit has it."""
    past = (*PLANNED, ask(), failed(Reason.TIMEOUT, cost=0.0))
    _, count = given(decide, *past).when()
    assert count == CountFailure(engine="paid", seq=4, reason=Reason.TIMEOUT, detail="why")
    counted = {"paid": CircuitState(seq=9, failures=1, counted=4)}
    assert 1 == len(given(decide, *past).when(circuits=counted))


def test_nothing_is_tried_again_at_an_engine_that_is_left_alone() -> None:
    """A retry would only fail fast."""
    past = (*PLANNED, ask(), failed(Reason.TIMEOUT, cost=0.0))
    circuit = CircuitState(failures=3, counted=4, broken=True, until_s=START_S + 60)
    descended, _ = given(decide, *past).when(circuits={"paid": circuit})
    assert isinstance(descended, RungDescended)
    assert OTHER == descended.to_rung
