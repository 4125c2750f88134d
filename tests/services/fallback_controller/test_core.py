"""The fallback-controller's decider."""

from __future__ import annotations

import msgspec
import pytest

from events.spec import Archetype, Rung
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Deadline,
    Reason,
    RenderCancelled,
    RenderCancelRequested,
    RenderFailed,
    RungDescended,
    SegmentFailed,
    SegmentRequested,
    SegmentTimedOut,
    Stored,
)
from services.actor import Context, Limits, Wait
from services.fallback_controller.core import backoff_s, decide
from tests.builders import (
    JOB,
    LADDER,
    START_S,
    artifact,
    assembly_requested,
    completed,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    soundtrack_mixed,
    spec,
    whole_history,
)
from tests.spec import given


def failed(
    reason: Reason = Reason.UNAVAILABLE,
    *,
    attempt: int = 1,
    retryable: bool = True,
    rung: int = 0,
    segment: int = 0,
) -> SegmentFailed:
    """A failed attempt."""
    return SegmentFailed(
        job_id=JOB,
        segment=segment,
        attempt=attempt,
        rung=LADDER[rung],
        reason=reason,
        retryable=retryable,
        detail="why",
        elapsed_s=1.0,
    )


def test_a_transient_failure_waits_before_it_is_tried_again() -> None:
    """The message is given back until the backoff is over."""
    past = (requested(), planned(), segment_requested(), failed())
    (wait,) = given(decide, *past).when(now_s=START_S + 3)
    assert isinstance(wait, Wait)
    assert START_S + 3.75 <= wait.until_s <= START_S + 4.25


def test_a_transient_failure_is_tried_again_on_its_rung() -> None:
    """After the backoff the same rung is asked."""
    past = (requested(), planned(), segment_requested(), failed())
    assert given(decide, *past).when(now_s=START_S + 60) == (segment_requested(0, 2),)


def test_retries_are_bounded() -> None:
    """The third transient failure in a row leads a rung down."""
    past = (
        requested(),
        planned(),
        segment_requested(),
        failed(),
        segment_requested(0, 2),
        failed(attempt=2),
        segment_requested(0, 3),
        failed(attempt=3),
    )
    descended, ask = given(decide, *past).when(now_s=START_S + 600)
    assert isinstance(descended, RungDescended)
    assert descended.segment == 0
    assert ask == segment_requested(0, 4, rung=1)


def test_a_permanent_failure_descends_at_once_and_says_why() -> None:
    """A moderated prompt is not sent again: the downgrade is told with its reason."""
    past = (requested(), planned(), segment_requested(), failed(Reason.MODERATED, retryable=False))
    descended, ask = given(decide, *past).when()
    assert descended == RungDescended(
        job_id=JOB,
        segment=0,
        rung_index=1,
        from_rung=LADDER[0],
        to_rung=LADDER[1],
        reason=Reason.MODERATED,
        detail="why",
    )
    assert ask == segment_requested(0, 2, rung=1)


def test_an_archetype_rung_falls_for_the_whole_film() -> None:
    """A film never mixes looks: the planner asks for every segment anew."""
    past = (
        requested(),
        planned(),
        segment_requested(),
        failed(retryable=False),
        RungDescended(
            job_id=JOB,
            segment=0,
            rung_index=1,
            from_rung=LADDER[0],
            to_rung=LADDER[1],
            reason=Reason.UNAVAILABLE,
        ),
        segment_requested(0, 2, rung=1),
        failed(attempt=2, retryable=False, rung=1),
    )
    (descended,) = given(decide, *past).when()
    assert isinstance(descended, RungDescended)
    assert descended.segment is None
    assert descended.to_rung == LADDER[2]


def test_the_static_template_is_a_film_rung() -> None:
    """The template looks like nothing else, so it replaces the whole film."""
    ladder = (
        Rung(engine="compositor", archetype=Archetype.MEME_TEXT),
        Rung(engine="template", archetype=Archetype.MEME_TEXT),
    )
    ask = segment_requested(0, 1, ladder=ladder)
    past = (requested(), planned(spec(ladder=ladder)), ask, failed(retryable=False))
    (descended,) = given(decide, *past).when()
    assert isinstance(descended, RungDescended)
    assert descended.segment is None


def test_below_the_last_rung_the_job_fails_with_the_reason() -> None:
    """The end of the ladder is the end of the job; what was made is kept."""
    ladder = (Rung(engine="template", archetype=Archetype.MEME_TEXT),)
    past = (
        requested(),
        planned(spec(ladder=ladder)),
        segment_requested(1, 1, ladder=ladder),
        segment_rendered(1, 1, ladder=ladder),
        segment_requested(0, 1, ladder=ladder),
        failed(Reason.INTERNAL, retryable=False),
    )
    expected = RenderFailed(
        job_id=JOB, reason=Reason.INTERNAL, detail="why", kept=(artifact("1"),)
    )
    assert given(decide, *past).when() == (expected,)


def test_a_crash_is_tried_again_at_once_with_the_same_seed() -> None:
    """The death of a worker says nothing about the segment; no backoff, same rung."""
    past = (requested(), planned(), segment_requested(), failed(Reason.CRASHED))
    assert given(decide, *past).when(now_s=START_S) == (segment_requested(0, 2),)


def test_three_crashes_are_a_crash_loop() -> None:
    """A segment that kills its worker three times leaves its rung."""
    past = (
        requested(),
        planned(),
        segment_requested(),
        failed(Reason.CRASHED),
        segment_requested(0, 2),
        failed(Reason.CRASHED, attempt=2),
        segment_requested(0, 3),
        failed(Reason.CRASHED, attempt=3),
    )
    descended, _ = given(decide, *past).when()
    assert isinstance(descended, RungDescended)
    assert descended.reason is Reason.CRASH_LOOP


def test_an_old_failure_is_moot() -> None:
    """A failure that was answered already is not answered again."""
    past = (requested(), planned(), segment_requested(), failed(), segment_requested(0, 2))
    assert given(decide, *past).when(failed(), now_s=START_S + 600) == ()


def test_a_cancel_ends_the_job() -> None:
    """What was rendered is kept and named."""
    cancel = RenderCancelRequested(job_id=JOB, why="changed my mind")
    past = (requested(), planned(), segment_requested(), segment_rendered(), cancel)
    expected = RenderCancelled(job_id=JOB, why="changed my mind", kept=(artifact("0"),))
    assert given(decide, *past).when() == (expected,)


def test_a_cancel_of_a_complete_job_changes_nothing() -> None:
    """A film that is there stands."""
    past = (*whole_history(), RenderCancelRequested(job_id=JOB))
    assert given(decide, *past).when() == ()


def test_a_cancel_of_an_unknown_job_is_ignored() -> None:
    """There is nothing to cancel."""
    assert given(decide, RenderCancelRequested(job_id=JOB)).when() == ()


def test_the_deadline_of_the_job_is_waited_for_and_kept() -> None:
    """Before it the timer waits, at it the job fails with the figure."""
    past = (requested(), planned(spec(deadline_s=100)))
    (wait,) = given(decide, *past).when(now_s=START_S + 95)
    assert wait == Wait(until_s=START_S + 100)
    (end,) = given(decide, *past).when(now_s=START_S + 100)
    assert isinstance(end, RenderFailed)
    assert end.reason is Reason.TIMEOUT
    assert "100 s" in end.detail


def test_a_timer_is_looked_at_again_before_it_is_due() -> None:
    """A job that ends early does not keep its timer pending for an hour."""
    (wait,) = given(decide, requested(), planned()).when(now_s=START_S)
    assert wait == Wait(until_s=START_S + Limits().timer_recheck_s)


def test_the_timer_of_a_finished_job_is_let_go() -> None:
    """Nothing is waited for any more."""
    past = whole_history()
    assert given(decide, *past).when(past[1]) == ()


def test_a_segment_that_nobody_takes_times_out() -> None:
    """Where an engine has such a bound the segment leaves its rung when it has passed."""
    limits = Limits(not_taken_s={"null": 5.0})
    past = (requested(), planned(), segment_requested())
    (wait,) = given(decide, *past).when(now_s=START_S + 3, limits=limits)
    assert wait == Wait(until_s=START_S + 7)
    (timed_out,) = given(decide, *past).when(now_s=START_S + 7, limits=limits)
    expected = SegmentTimedOut(
        job_id=JOB, segment=0, attempt=1, deadline=Deadline.NOT_TAKEN, rung=LADDER[0]
    )
    assert timed_out == expected
    descended, _ = given(decide, *past, expected).when(now_s=START_S + 8)
    assert isinstance(descended, RungDescended)
    assert descended.reason is Reason.TIMEOUT


def assembly_failed(
    attempt: int = 1,
    *,
    segment: int | None = None,
    others: tuple[int, ...] = (),
    reason: Reason = Reason.INTERNAL,
) -> AssemblyFailed:
    """A failed assembly."""
    return AssemblyFailed(
        job_id=JOB, attempt=attempt, reason=reason, detail="why", segment=segment, others=others
    )


ASSEMBLING = (
    requested(),
    planned(spec(1)),
    segment_requested(),
    segment_rendered(),
    soundtrack_mixed(),
    assembly_requested(),
)


def test_a_failed_assembly_is_tried_again_twice() -> None:
    """Then the job fails."""
    past: tuple[Stored, ...] = (*ASSEMBLING, assembly_failed())
    assert given(decide, *past).when() == (AssemblyRequested(job_id=JOB, attempt=2),)
    past = (*past, assembly_requested(2), assembly_failed(2), assembly_requested(3))
    (end,) = given(decide, *past, assembly_failed(3)).when()
    assert isinstance(end, RenderFailed)


def test_a_segment_at_fault_is_rendered_better_once_then_a_rung_down() -> None:
    """A fatal quality failure names its segment; it gets one try at a lower crf."""
    fault = assembly_failed(segment=0, reason=Reason.CORRUPT_OUTPUT)
    (ask,) = given(decide, *ASSEMBLING, fault).when()
    assert isinstance(ask, SegmentRequested)
    assert (ask.rung_index, ask.attempt, ask.quality) == (0, 2, 1)
    past = (*ASSEMBLING, fault, ask, segment_rendered(0, 2), assembly_requested(2))
    second = assembly_failed(2, segment=0, reason=Reason.CORRUPT_OUTPUT)
    descended, _ = given(decide, *past, second).when()
    assert isinstance(descended, RungDescended)
    assert descended.to_rung == LADDER[1]


STILL_LADDER = (
    Rung(engine="compositor", archetype=Archetype.PRODUCT_HERO),
    Rung(engine="compositor", archetype=Archetype.OVERLAY),
    Rung(engine="compositor", archetype=Archetype.OVERLAY, still=True),
    Rung(engine="compositor", archetype=Archetype.MEME_TEXT),
)


def _all_in(*attempts: int, rung: int = 0, quality: int = 0) -> list[Stored]:
    """Every segment asked for and rendered, each at its attempt."""
    events: list[Stored] = []
    for index, attempt in enumerate(attempts):
        ask = segment_requested(index, attempt, rung=rung, ladder=STILL_LADDER)
        events.append(msgspec.structs.replace(ask, quality=quality))
        events.append(segment_rendered(index, attempt, rung=rung, ladder=STILL_LADDER))
    return events


def test_a_product_that_cannot_be_proven_stands_still_and_then_the_film_fails() -> None:
    """All named segments at a lower crf, once; then the still overlay; then the end, told why."""
    plan = spec(3, ladder=STILL_LADDER)
    past: list[Stored] = [requested(), planned(plan), soundtrack_mixed(), *_all_in(1, 1, 1)]
    past += [assembly_requested()]
    past += [assembly_failed(segment=2, others=(0,), reason=Reason.CORRUPT_OUTPUT)]
    better = given(decide, *past).when()
    assert all(isinstance(ask, SegmentRequested) for ask in better)
    told = [(ask.segment, ask.attempt, ask.quality, ask.rung_index) for ask in better]  # type: ignore[union-attr]
    assert told == [(2, 2, 1, 0), (0, 2, 1, 0)]

    past += [*better]  # type: ignore[list-item]
    past += [segment_rendered(n, 2, ladder=STILL_LADDER) for n in (0, 2)]
    past += [assembly_requested(2)]
    past += [assembly_failed(2, segment=1, others=(0,), reason=Reason.CORRUPT_OUTPUT)]
    (fallen,) = given(decide, *past).when()
    assert isinstance(fallen, RungDescended)
    assert (fallen.segment, fallen.to_rung) == (None, STILL_LADDER[2])

    past += [fallen, *_all_in(3, 2, 3, rung=2, quality=1), assembly_requested(3)]
    past += [assembly_failed(3, segment=1, reason=Reason.CORRUPT_OUTPUT)]
    (end,) = given(decide, *past).when()
    assert isinstance(end, RenderFailed)
    assert (end.reason, end.detail) == (Reason.CORRUPT_OUTPUT, "why")


def test_what_fails_otherwise_does_not_come_to_stand_still() -> None:
    """A crash is not mended by less motion: the film goes on to a simpler archetype."""
    plan = spec(1, ladder=STILL_LADDER[1:])
    ask = segment_requested(ladder=STILL_LADDER[1:])
    end = failed(Reason.CORRUPT_OUTPUT, retryable=False)
    (fallen,) = given(decide, requested(), planned(plan), ask, end).when()
    assert isinstance(fallen, RungDescended)
    assert fallen.to_rung == STILL_LADDER[3]


def test_segments_that_were_not_rendered_better_yet_are_beside_one_that_was() -> None:
    """Below an engine's rung each goes its own way, and none is forgotten."""
    fault = assembly_failed(segment=0, reason=Reason.CORRUPT_OUTPUT)
    past: list[Stored] = [requested(), planned(spec(2)), soundtrack_mixed()]
    past += [segment_requested(0), segment_requested(1), segment_rendered(0), segment_rendered(1)]
    past += [assembly_requested(), fault]
    (ask,) = given(decide, *past).when()
    past += [ask, segment_rendered(0, 2), assembly_requested(2)]  # type: ignore[list-item]
    past += [assembly_failed(2, segment=0, others=(1,), reason=Reason.CORRUPT_OUTPUT)]
    fallen, lower, better = given(decide, *past).when()
    assert isinstance(fallen, RungDescended)
    assert isinstance(lower, SegmentRequested)
    assert isinstance(better, SegmentRequested)
    assert (fallen.segment, lower.segment, lower.rung_index) == (0, 0, 1)
    assert (better.segment, better.rung_index, better.quality) == (1, 0, 1)


def test_sound_that_cannot_be_mixed_fails_the_job() -> None:
    """Attempt 0 is the soundtrack's; there is no rung below it."""
    (end,) = given(decide, requested(), planned(), assembly_failed(0)).when()
    assert isinstance(end, RenderFailed)


def test_a_completed_job_fails_no_more() -> None:
    """The first end in the log wins."""
    past = (*ASSEMBLING, completed())
    assert given(decide, *past).when(assembly_failed()) == ()


@pytest.mark.parametrize("tries", [1, 2, 3, 10])
def test_backoff_grows_within_its_bounds(tries: int) -> None:
    """It doubles, is jittered by a quarter, and is bounded."""
    context = Context(now_s=0, limits=Limits())
    base = min(30.0, 2.0 ** (tries - 1))
    assert 0.75 * base <= backoff_s(JOB, 0, tries, context) <= 1.25 * base
