"""Tests of ``events.subjects``: the tree of subjects."""

from __future__ import annotations

import pytest

from events import subjects
from events.notices import NOTICE_TYPES
from events.spec import Archetype, Rung
from events.types import EVENT_TYPES, RenderCancelRequested, SegmentRequested, type_name

REQUESTED = SegmentRequested(
    job_id="a",
    segment=0,
    attempt=1,
    rung_index=0,
    rung=Rung(engine="compositor", archetype=Archetype.OVERLAY),
)


def test_an_event_has_its_subject() -> None:
    """Job and type, and the engine where a worker is to pull only its own."""
    cancel = RenderCancelRequested(job_id="a-B_1")
    assert "pytoon.jobs.a-B_1.render_cancel_requested" == subjects.subject_of(cancel)
    expected = "pytoon.jobs.a.segment_requested.compositor"
    assert expected == subjects.subject_of(REQUESTED)
    parsed = subjects.Parsed(job_id="a", type="segment_requested", engine="compositor")
    assert parsed == subjects.parse(expected)


@pytest.mark.parametrize("job_id", ["", "a.b", "*", ">", "a b", "ä", "x" * 65, "a\n"])
def test_a_job_id_is_a_token(job_id: str) -> None:
    """Nothing that a broker reads as more than a token is a job id."""
    with pytest.raises(ValueError, match="job id"):
        subjects.subject_of(RenderCancelRequested(job_id=job_id))
    with pytest.raises(ValueError, match="job id"):
        subjects.job_filter(job_id)


@pytest.mark.parametrize(
    "text",
    [
        "pytoon.jobs.a",
        "pytoon.job.a.render_failed",
        "pytoon.jobs.a.render_failed.x",
        "pytoon.jobs.a.segment_requested",
    ],
)
def test_other_subjects_are_refused(text: str) -> None:
    """What has too few tokens, or too many for its type, is no subject of an event."""
    with pytest.raises(ValueError, match="pytoon"):
        subjects.parse(text)


@pytest.mark.parametrize(
    ("kind", "engine"), [("segment_requested", None), ("render_failed", "x"), ("a b", None)]
)
def test_other_tokens_are_refused(kind: str, engine: str | None) -> None:
    """An engine stands where the type has one, and nowhere else."""
    with pytest.raises(ValueError, match="subject"):
        subjects.subject("a", kind, engine)
    with pytest.raises(ValueError, match="engine"):
        subjects.subject("a", "segment_requested", "a.b")


def test_the_stream_takes_each_type_once() -> None:
    """Every type is enumerated, and no two of the stream's subjects overlap."""
    taken = subjects.stream_subjects()
    assert len(EVENT_TYPES) + len(NOTICE_TYPES) == len(taken)
    for kind in EVENT_TYPES:
        engine = "x" if type_name(kind) == "segment_requested" else None
        text = subjects.subject("a", type_name(kind), engine)
        assert 1 == sum(subjects.matches(wanted, text) for wanted in taken)


def test_filters_by_type() -> None:
    """A type's filter may name the engine; a type that is none is refused."""
    assert "pytoon.jobs.*.render_failed" == subjects.type_filter("render_failed")
    assert "pytoon.jobs.*.segment_requested.*" == subjects.type_filter("segment_requested")
    expected = "pytoon.jobs.*.segment_requested.x"
    assert expected == subjects.type_filter("segment_requested.x")
    for token in ("render_faild", "render_failed.x", "segment_requested.>"):
        with pytest.raises(ValueError, match="type"):
            subjects.type_filter(token)


@pytest.mark.parametrize(
    ("expected", "pattern", "text"),
    [
        (True, "a.*.c", "a.b.c"),
        (False, "a.*.c", "a.b.d"),
        (False, "a.*", "a.b.c"),
        (True, "a.>", "a.b.c"),
        (False, "a.>", "a"),
        (False, "a.b", "a"),
    ],
)
def test_filters_match_as_the_brokers_do(expected: bool, pattern: str, text: str) -> None:
    """A star is one token, an arrow one or more."""
    assert expected is subjects.matches(pattern, text)


def test_what_lies_beside_the_stream() -> None:
    """Progress and dead letters have roots of their own."""
    assert "pytoon.progress.a" == subjects.progress("a")
    assert "pytoon.dlq.jobs.a.x" == subjects.dead_letter("pytoon.jobs.a.x")
