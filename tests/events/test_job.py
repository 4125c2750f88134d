"""The job's fold."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.job import Job, JobStatus, SegmentStatus, accepts, evolve, fold, initial_state
from events.link import chained
from events.types import (
    ENDS,
    EVENT_TYPES,
    Foreign,
    Reason,
    RenderCancelled,
    RenderCancelRequested,
    RenderFailed,
    RungDescended,
    Stored,
    type_name,
)
from tests.builders import (
    JOB,
    LADDER,
    assembly_requested,
    completed,
    history,
    job_after,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    soundtrack_mixed,
    spec,
    whole_history,
)

NOISE: tuple[Stored, ...] = (
    *whole_history(),
    Foreign(seq=1, subject="s", why="w"),
    RenderCancelRequested(job_id=JOB),
    RenderCancelled(job_id=JOB, why=""),
    RenderFailed(job_id=JOB, reason=Reason.INTERNAL, detail=""),
    segment_requested(99),
    segment_rendered(99),
    segment_requested(0, 2, rung=1),
    RungDescended(
        job_id=JOB,
        segment=None,
        rung_index=2,
        from_rung=LADDER[0],
        to_rung=LADDER[2],
        reason=Reason.INTERNAL,
    ),
)


def test_a_whole_history_completes() -> None:
    """The usual way of a job ends in a film."""
    job = job_after(*whole_history())
    assert job.status is JobStatus.COMPLETED
    assert job.end == completed()
    assert job.tail.ordinal == len(whole_history())


@pytest.mark.parametrize(
    ("count", "status"),
    [
        (0, JobStatus.UNKNOWN),
        (1, JobStatus.REQUESTED),
        (2, JobStatus.RENDERING),
        (8, JobStatus.ASSEMBLING),
        (9, JobStatus.COMPLETED),
    ],
)
def test_status_follows_the_events(count: int, status: JobStatus) -> None:
    """Each stage has its word."""
    assert job_after(*whole_history()[:count]).status is status


@given(st.lists(st.sampled_from(NOISE), max_size=40))
@settings(max_examples=200, deadline=None)
def test_the_fold_is_total(events: list[Stored]) -> None:
    """Any order of any events folds, counts each message, and never un-ends a job."""
    job = initial_state(JOB)
    for entry in history(*events):
        before = job
        job = evolve(job, entry)
        assert job.tail.seq == entry.seq
        assert job.tail.digest == chained(before.tail.digest, entry)
        if before.end is not None:
            assert job.end == before.end
    assert job.tail.ordinal == len(events)


def test_redelivered_messages_are_ignored() -> None:
    """Folding a message at or before the tail changes nothing."""
    entries = history(*whole_history())
    job = fold(JOB, entries)
    shuffled = list(entries)
    random.Random(1).shuffle(shuffled)
    for entry in shuffled:
        assert evolve(job, entry) is job


def test_the_first_end_wins() -> None:
    """A failure after the completion changes nothing."""
    failed = RenderFailed(job_id=JOB, reason=Reason.INTERNAL, detail="")
    assert job_after(*whole_history(), failed).status is JobStatus.COMPLETED


def test_after_a_cancel_only_the_cancel_ends() -> None:
    """A completion that slips in after the cancel does not count."""
    past = (*whole_history()[:-1], RenderCancelRequested(job_id=JOB), completed())
    job = job_after(*past)
    assert job.status is JobStatus.CANCELLING
    job = job_after(*past, RenderCancelled(job_id=JOB, why=""))
    assert job.status is JobStatus.CANCELLED


def test_a_second_request_with_another_body_is_a_problem() -> None:
    """The first one stands and the job says so."""
    job = job_after(requested(), requested(seed=9))
    assert job.requested == requested()
    assert "another body" in job.problems[0]


def test_the_trace_is_that_of_the_request_that_counts() -> None:
    """A second one, and whatever else a message came with, changes nothing of it."""
    asks = [
        msgspec.structs.replace(recorded, traceparent=f"t{number}")
        for number, recorded in enumerate(history(requested(), requested(seed=2), planned()))
    ]
    assert "t0" == fold(JOB, asks).traceparent
    assert "" == fold(JOB, history(requested())).traceparent


def test_the_same_request_again_is_no_problem() -> None:
    """Asking twice is how a client makes sure."""
    assert job_after(requested(), requested()).problems == ()


def test_a_foreign_message_changes_nothing_but_the_tail() -> None:
    """It counts in sequence, ordinal and digest."""
    past = whole_history()[:3]
    clean = job_after(*past)
    noisy = job_after(*past, Foreign(seq=4, subject="s", why="truncated"))
    assert noisy.tail.ordinal == clean.tail.ordinal + 1
    assert "truncated" in noisy.problems[0]
    same = msgspec.structs.replace(noisy, tail=clean.tail, problems=(), oddities=0)
    assert same == clean


def test_oddities_are_bounded() -> None:
    """A client that floods a job with garbage cannot make its state grow."""
    noise = [Foreign(seq=i, subject="s", why=f"w{i}") for i in range(1, 100)]
    job = job_after(requested(), *noise)
    assert (len(job.problems), job.oddities) == (10, 99)


def test_a_film_rung_makes_every_segment_pending() -> None:
    """After a downgrade of the film no body of the old look counts."""
    past = (
        requested(),
        planned(),
        segment_requested(0),
        segment_requested(1),
        segment_rendered(0),
    )
    fell = NOISE[-1]
    job = job_after(*past, fell)
    assert {s.status for s in job.segments} == {SegmentStatus.PENDING}
    late = job_after(*past, fell, segment_rendered(1))
    assert late.segments[1].status is SegmentStatus.PENDING


def test_downgrades_are_told() -> None:
    """The job lists each step down."""
    job = job_after(requested(), planned(), NOISE[-1])
    assert [(d.segment, d.to_rung) for d in job.downgrades] == [(None, LADDER[2])]


def test_assembly_needs_its_parts() -> None:
    """An ask for it that came too early does not count."""
    job = job_after(requested(), planned(), assembly_requested())
    assert job.status is JobStatus.RENDERING


def test_a_result_counts_once() -> None:
    """A second result of the same segment is not taken."""
    past = (requested(), planned(spec(1)), segment_requested())
    job = job_after(*past, segment_rendered())
    assert not accepts(job, segment_rendered())


def test_sound_is_taken_once() -> None:
    """The first soundtrack stands."""
    job = job_after(requested(), planned(), soundtrack_mixed())
    assert not accepts(job, soundtrack_mixed())


def test_every_end_is_an_event_type() -> None:
    """The names of the ends are names of events."""
    assert {type_name(kind) for kind in EVENT_TYPES} >= ENDS


def test_jobs_compare_by_value() -> None:
    """Two folds of one log are equal."""
    one: Job = job_after(*whole_history())
    assert one == job_after(*whole_history())
