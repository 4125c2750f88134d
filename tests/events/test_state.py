"""What becomes of a segment's create: intended, answered, in doubt, settled, paid for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from events.job import Job, SegmentStatus, accepts, evolve, initial_state
from events.spec import Archetype, Rung
from events.state import create_name
from events.types import (
    Deadline,
    Event,
    GenerationIntended,
    GenerationSettled,
    GenerationSubmitted,
    Reason,
    RenderCancelRequested,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    SegmentRequested,
    SegmentTimedOut,
    Stored,
)
from tests.builders import (
    JOB,
    artifact,
    history,
    job_after,
    planned,
    requested,
    spec,
)

PAID = Rung(engine="paid", archetype=Archetype.OVERLAY, generates=True)
OTHER = Rung(engine="other", archetype=Archetype.OVERLAY, generates=True)
COMPOSED = Rung(engine="null", archetype=Archetype.OVERLAY)
LADDER = (PAID, OTHER, COMPOSED)
PLANNED = (requested(), planned(spec(2, ladder=LADDER)))


def ask(attempt: int = 1, *, segment: int = 0, rung: int = 0) -> SegmentRequested:
    """An ask for a segment."""
    return SegmentRequested(
        job_id=JOB, segment=segment, attempt=attempt, rung_index=rung, rung=LADDER[rung]
    )


def intended(
    attempt: int = 1, *, cost: float = 0.5, segment: int = 0, engine: str = "paid"
) -> GenerationIntended:
    """An intent."""
    return GenerationIntended(
        job_id=JOB,
        segment=segment,
        attempt=attempt,
        engine=engine,
        idempotency_key=f"key-{attempt}",
        cost_reserved=cost,
        currency="EUR",
        claim="one",
    )


def submitted(attempt: int = 1, handle: str = "h", *, segment: int = 0) -> GenerationSubmitted:
    """A handle."""
    return GenerationSubmitted(
        job_id=JOB, segment=segment, attempt=attempt, engine="paid", handle=handle
    )


def settled(handle: str | None = "h", *, segment: int = 0) -> GenerationSettled:
    """A person's word."""
    return GenerationSettled(job_id=JOB, segment=segment, handle=handle)


def failed(reason: Reason, attempt: int = 1, *, rung: int = 0, **facts: Any) -> SegmentFailed:
    """A failed attempt."""
    return SegmentFailed(
        job_id=JOB,
        segment=facts.pop("segment", 0),
        attempt=attempt,
        rung=LADDER[rung],
        reason=reason,
        retryable=facts.pop("retryable", True),
        detail="why",
        elapsed_s=1.0,
        **facts,
    )


def rendered(
    attempt: int = 1, *, rung: int = 0, cost: float = 0.5, segment: int = 0
) -> SegmentRendered:
    """A body."""
    return SegmentRendered(
        job_id=JOB,
        segment=segment,
        attempt=attempt,
        rung=LADDER[rung],
        artifact=artifact("1"),
        seed=0,
        frames=90,
        elapsed_s=1.0,
        cost=cost,
    )


def timed_out(attempt: int = 1) -> SegmentTimedOut:
    """A passed deadline."""
    return SegmentTimedOut(
        job_id=JOB, segment=0, attempt=attempt, deadline=Deadline.TOO_LONG, rung=PAID
    )


DOUBT = (*PLANNED, ask(), intended(), failed(Reason.OUTCOME_UNKNOWN))


def taken(event: Event, *past: Stored) -> bool:
    """Whether the job takes the event after its past."""
    return accepts(job_after(*past), event)


@pytest.mark.parametrize(
    ("expected", "event", "past"),
    [
        (True, intended(), (ask(),)),
        (False, intended(), ()),
        (False, intended(2), (ask(),)),
        (False, intended(), (ask(), intended())),
        (False, intended(segment=7), (ask(),)),
        (False, intended(), (ask(), rendered(cost=0.0))),
        (True, intended(2), (ask(), intended(), failed(Reason.UNAVAILABLE, cost=0.0), ask(2))),
        (False, intended(2), (ask(), intended(), failed(Reason.UNAVAILABLE), ask(2))),
        (False, intended(2), (ask(), intended(), failed(Reason.OUTCOME_UNKNOWN), ask(2))),
        (False, intended(2), (ask(), intended(), failed(Reason.CORRUPT_OUTPUT, cost=0.5), ask(2))),
        (True, intended(2), (ask(), intended(cost=0.0), failed(Reason.CRASHED), ask(2))),
        (False, intended(2), (ask(), intended(), timed_out(), ask(2))),
    ],
)
def test_an_intent_has_its_place_where_nothing_may_be_paid_twice(
    expected: bool, event: Event, past: tuple[Stored, ...]
) -> None:
    """Of the present attempt, once, and never beside a create that may be billed."""
    assert expected is taken(event, *PLANNED, *past)


@pytest.mark.parametrize(
    ("expected", "event", "past"),
    [
        (True, submitted(), (ask(), intended())),
        (False, submitted(), (ask(),)),
        (False, submitted(2), (ask(), intended())),
        (False, submitted(handle="again"), (ask(), intended(), submitted())),
        # A handle that comes late is what a person needs.
        (True, submitted(), (ask(), intended(), timed_out())),
        (False, submitted(), (ask(), intended(), failed(Reason.OUTCOME_UNKNOWN), settled("x"))),
    ],
)
def test_a_handle_belongs_to_its_intent(
    expected: bool, event: Event, past: tuple[Stored, ...]
) -> None:
    """It is taken once, also after the attempt's time is over."""
    assert expected is taken(event, *PLANNED, *past)


@pytest.mark.parametrize(
    ("expected", "past"),
    [
        (False, (ask(), intended())),
        (True, (ask(), intended(), failed(Reason.OUTCOME_UNKNOWN))),
        (True, (ask(), failed(Reason.OUTCOME_UNKNOWN))),
        (True, (ask(), intended(), timed_out())),
        (False, (ask(), intended(cost=0.0), timed_out())),
        (False, (ask(), intended(), failed(Reason.UNAVAILABLE, cost=0.0))),
        (False, (ask(), intended(), failed(Reason.OUTCOME_UNKNOWN), settled())),
        (False, (ask(), intended(), failed(Reason.OUTCOME_UNKNOWN), ask(2))),
    ],
)
def test_a_word_is_taken_where_there_is_doubt(expected: bool, past: tuple[Stored, ...]) -> None:
    """Once, and only while the segment waits for it."""
    assert expected is taken(settled(), *PLANNED, *past)


def test_an_early_word_is_a_problem() -> None:
    """Whoever published it is told that it changed nothing."""
    job = job_after(*PLANNED, ask(), settled())
    assert "segment 1" in job.problems[0]


def test_an_accepted_handle_is_kept_for_the_next_attempt() -> None:
    """It is what the ledger knows then."""
    job = job_after(*DOUBT, settled("theirs"), ask(2))
    generation = job.segments[0].generation
    assert generation is not None
    assert (generation.handle, generation.settled) == ("theirs", True)
    job = job_after(*DOUBT, settled("theirs"), ask(2), rendered(2))
    assert job.segments[0].generation is None
    assert (job.cost, job.cost_unsettled) == (0.5, 0.0)


def test_an_accepted_create_is_paid_for_once() -> None:
    """Its clip came, its drawing failed: whoever draws over it again finds it paid for."""
    job = job_after(*DOUBT, settled("theirs"), ask(2), failed(Reason.CRASHED, 2, cost=0.5))
    segment = job.segments[0]
    assert (None, True) == (segment.generation, segment.paid)
    assert (0.5, 0.0) == (job.cost, job.cost_unsettled)
    unbilled = job_after(*DOUBT, settled("theirs"), ask(2), failed(Reason.TIMEOUT, 2, cost=0.0))
    # Nobody pays for another one: what a person accepted is a create of this segment for good.
    assert unbilled.segments[0].generation is not None


def test_a_late_body_ends_the_doubt() -> None:
    """The outcome is known after all, and so is its cost."""
    job = job_after(*DOUBT, rendered())
    assert job.segments[0].status is SegmentStatus.RENDERED
    assert (job.cost, job.cost_unsettled, job.unsettled) == (0.5, 0.0, ())


@pytest.mark.parametrize(
    ("expected", "past"),
    [
        ((0.0, 0.5), (intended(),)),
        ((0.25, 0.0), (intended(), rendered(cost=0.25))),
        ((0.0, 0.0), (intended(), failed(Reason.MODERATED, cost=0.0))),
        ((0.0, 0.5), (intended(), submitted(), failed(Reason.MODERATED))),
        ((0.0, 0.5), (intended(), failed(Reason.OUTCOME_UNKNOWN))),
        ((0.3, 0.0), (intended(), failed(Reason.OUTCOME_UNKNOWN, cost=0.3))),
        ((0.0, 0.5), (intended(), failed(Reason.OUTCOME_UNKNOWN), settled(None))),
    ],
)
def test_costs_are_summed(expected: tuple[float, float], past: tuple[Stored, ...]) -> None:
    """What is known to be spent, and what is reserved as long as that is not known."""
    job = job_after(*PLANNED, ask(), *past)
    assert expected == (job.cost, job.cost_unsettled)
    assert job.currency == "EUR"


def test_what_nobody_settled_is_a_warning() -> None:
    """It names the handle, where there is one, also when the film went on without it."""
    fell = RungDescended(
        job_id=JOB,
        segment=0,
        rung_index=2,
        from_rung=PAID,
        to_rung=COMPOSED,
        reason=Reason.OUTCOME_UNKNOWN,
    )
    past = (*PLANNED, ask(), intended(), submitted(handle="h-77"), timed_out(), fell)
    job = job_after(*past, ask(2, rung=2), rendered(2, rung=2, cost=0.0))
    (warned,) = job.unsettled
    assert "h-77" in warned.message
    assert "0.5 EUR" in warned.message
    assert warned in job.warnings
    assert job_after(*DOUBT, settled(None)).unsettled == ()


NOISE: tuple[Stored, ...] = (
    *(ask(attempt, rung=rung) for attempt in (1, 2, 3) for rung in (0, 2)),
    *(intended(attempt, cost=cost) for attempt in (1, 2, 3) for cost in (0.0, 0.5)),
    *(submitted(attempt) for attempt in (1, 2, 3)),
    settled("x"),
    settled(None),
    *(
        failed(reason, attempt, cost=cost)
        for attempt in (1, 2, 3)
        for reason in (Reason.OUTCOME_UNKNOWN, Reason.CRASHED, Reason.UNAVAILABLE)
        for cost in (None, 0.0, 0.5)
    ),
    *(timed_out(attempt) for attempt in (1, 2, 3)),
    *(rendered(attempt, cost=cost) for attempt in (1, 2) for cost in (0.0, 0.5)),
    RenderCancelRequested(job_id=JOB),
)


@given(st.lists(st.sampled_from(NOISE), max_size=40))
@example(
    [
        ask(),
        intended(),
        failed(Reason.OUTCOME_UNKNOWN, cost=0.3),
        settled("x"),
        ask(2),
        rendered(2),
    ]
)
@settings(max_examples=400, deadline=None)
def test_two_creates_are_never_open_at_once(events: list[Stored]) -> None:
    """Whatever comes in whatever order: an intent counts only where none before it may be billed,
    and what is reserved is never less than nothing.
    """
    job: Job = initial_state(JOB)
    open_cost = 0.0
    for entry in history(*PLANNED, *events):
        before, event = job, entry.event
        counts = accepts(job, event)
        job = evolve(job, entry)
        if counts and isinstance(event, GenerationIntended):
            assert open_cost == 0.0
            assert not before.segments[0].paid
            open_cost = event.cost_reserved
        if counts and isinstance(event, SegmentFailed | SegmentRendered):
            open_cost = open_cost if event.cost is None else 0.0
        assert open_cost == job.cost_unsettled
        if not counts:
            assert (before.segments, before.cost) == (job.segments, job.cost)


@pytest.mark.parametrize(
    ("expected", "handle"),
    [
        ("'h-1'", "h-1"),
        ("'task-7'", '{"id":"task-7","urls":{}}'),
        ("'[1]'", "[1]"),
        ("the create 'key-1'", None),
    ],
)
def test_a_create_is_named_by_what_a_person_finds_it_by(expected: str, handle: str | None) -> None:
    """A handle may hold more than the id that the service's own site shows."""
    past = (*PLANNED, ask(), intended())
    job = job_after(*past, submitted(handle=handle)) if handle else job_after(*past)
    generation = job.segments[0].generation
    assert generation is not None
    assert expected == create_name(generation)
