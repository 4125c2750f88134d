"""The shapes that scripts rely on, and the words that people read."""

from __future__ import annotations

from pathlib import Path

import msgspec

from events.spec import Warned
from events.types import (
    Downgrade,
    Foreign,
    Problem,
    Reason,
    RenderCancelled,
    RenderCancelRequested,
    RenderFailed,
    RenderRejected,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    event_id,
)
from services.views import (
    cost_line,
    downgrade_lines,
    end_reason,
    event_view,
    option_of,
    problem_line,
    settle_hint,
    status_lines,
    status_view,
    steps,
    verdict_view,
)
from tests.builders import (
    JOB,
    LADDER,
    completed,
    history,
    job_after,
    planned,
    requested,
    segment_requested,
    whole_history,
)
from tests.events.test_state import PLANNED, ask, intended
from tests.events.test_state import failed as doubtful
from tests.events.test_state import rendered as paid_body

_PROBLEM = Problem(
    field="target_duration_seconds", value="61", limit="1 to 60", hint="ask for a shorter film"
)


def test_an_event_is_told_with_five_keys() -> None:
    """seq, type, id, time, data: what ``pytoon log --json`` promises."""
    (stored,) = history(segment_requested())
    view = event_view(stored)
    assert list(view) == ["seq", "type", "id", "time", "data"]
    assert (view["seq"], view["type"]) == (1, "segment_requested")
    assert view["id"] == event_id(segment_requested())
    assert view["time"] == "1970-01-12T13:46:40.000+00:00"
    assert view["data"]["rung"] == msgspec.to_builtins(LADDER[0])
    assert "type" not in view["data"]


def test_a_foreign_message_is_told_too() -> None:
    """It is in the log, so it is in the listing."""
    (stored,) = history(Foreign(seq=1, subject="s", why="not JSON"))
    view = event_view(stored)
    assert (view["type"], view["data"]["why"]) == ("foreign", "not JSON")


def test_a_status_has_what_scripts_ask_for() -> None:
    """The keys of ``pytoon status --json``."""
    view = status_view(job_after(*whole_history()), Path("/store/film"))
    expected = {"job_id", "status", "segments", "output", "downgrades", "warnings", "problems"}
    assert expected <= set(view)
    assert (view["job_id"], view["status"]) == (JOB, "completed")
    assert (view["output"], view["sha256"]) == ("/store/film", "d" * 64)
    first = view["segments"][0]
    told = {key: first[key] for key in ("index", "status", "engine", "attempts", "reused")}
    segment = {"index": 0, "status": "rendered", "engine": "null", "attempts": 1}
    assert told == segment | {"reused": False}
    msgspec.json.encode(view)


def test_a_failed_segment_says_why() -> None:
    """So does a downgrade: neither is hidden."""
    failed = SegmentFailed(
        job_id=JOB, segment=0, attempt=1, rung=LADDER[0], reason=Reason.OUT_OF_MEMORY,
        retryable=False, detail="600 MB", elapsed_s=1.0,
    )  # fmt: skip
    stepped = RungDescended(
        job_id=JOB, segment=None, rung_index=2, from_rung=LADDER[0], to_rung=LADDER[2],
        reason=Reason.OUT_OF_MEMORY, detail="600 MB",
    )  # fmt: skip
    at_failure = job_after(requested(), planned(), segment_requested(), failed)
    assert status_view(at_failure)["segments"][0]["failure"] == "out_of_memory: 600 MB"
    job = job_after(requested(), planned(), segment_requested(), failed, stepped)
    assert status_view(job)["downgrades"][0]["to_rung"]["archetype"] == "MEME_TEXT"
    expected = (
        "  downgrade: the film went from null OVERLAY to compositor MEME_TEXT "
        "(out_of_memory: 600 MB)"
    )
    assert expected in status_lines(job)


def test_segments_that_took_the_same_step_share_a_line() -> None:
    """A film whose engine is down is not told so once a segment."""

    def step(segment: int | None, detail: str) -> Downgrade:
        return Downgrade(
            segment=segment, from_rung=LADDER[0], to_rung=LADDER[2],
            reason=Reason.UNAVAILABLE, detail=detail,
        )  # fmt: skip

    told = [step(2, "away"), step(0, "away"), step(1, "left alone"), step(4, "away")]
    went = "went from null OVERLAY to compositor MEME_TEXT (unavailable"
    assert [
        f"segments 1, 3 and 5 {went}: away)",
        f"segment 2 {went}: left alone)",
        f"the film {went}: away)",
    ] == downgrade_lines([*told, step(None, "away")])


def test_a_rejection_names_field_option_value_limit_and_hint() -> None:
    """Whoever reads it knows what to type next."""
    job = job_after(requested(), RenderRejected(job_id=JOB, problems=(_PROBLEM,)))
    expected = "target_duration_seconds (--duration): '61' must be 1 to 60; ask for a shorter film"
    assert problem_line(_PROBLEM) == expected
    view = status_view(job)
    assert view["problems"] == [{"message": expected, **msgspec.to_builtins(_PROBLEM)}]
    assert (view["status"], view["segments"]) == ("rejected", [])


def test_a_second_request_with_another_body_is_a_problem() -> None:
    """The first one stands, and a person is told."""
    view = status_view(job_after(requested(), requested(target_duration_seconds=7)))
    assert "second request" in view["problems"][0]["message"]


def test_the_verdict_ends_a_render() -> None:
    """The keys of the last line of ``pytoon render --json``."""
    warned = Warned(code="quiet", message="the music is quiet")
    events = whole_history()
    end = msgspec.structs.replace(completed(), warnings=(warned,))
    view = verdict_view(job_after(*events[:-1], end), Path("out.mp4"))
    expected = {
        "job_id": JOB,
        "output": "out.mp4",
        "sha256": "d" * 64,
        "frames": 180,
        "duration_s": 6.0,
        "downgrades": [],
        "warnings": [{"code": "quiet", "message": "the music is quiet"}],
    }
    assert expected == {key: view[key] for key in expected}


def test_options_are_found_by_field() -> None:
    """Also of a list's entry."""
    found = [option_of(field) for field in ("image_uris[2]", "beats", "cta", "brand_safe", "")]
    assert found == ["--image", "--beat", "--cta", "--brand-safe", ""]


def test_steps_are_timed_by_their_events() -> None:
    """One second lies between any two events of the history."""
    stored = history(*whole_history())
    job = job_after(*whole_history())
    expected = [
        ("planning", 1.0),
        ("segments", 5.0),
        ("soundtrack", 3.0),
        ("assembly", 1.0),
        ("in all", 8.0),
    ]
    assert expected == steps(job, stored)


def test_an_end_without_a_film_has_a_reason() -> None:
    """Failed and cancelled say why."""
    failed = RenderFailed(job_id=JOB, reason=Reason.TIMEOUT, detail="3600 s are over")
    asked = RenderCancelRequested(job_id=JOB, why="typo")
    cancelled = RenderCancelled(job_id=JOB, why="typo")
    found = [
        end_reason(job_after(requested(), failed)),
        end_reason(job_after(requested(), asked, cancelled)),
        end_reason(job_after(requested())),
    ]
    assert found == ["timeout: 3600 s are over", "cancelled: typo", None]


def test_a_reused_segment_is_told() -> None:
    """In the view and in words."""
    again = [
        msgspec.structs.replace(event, reused=True)
        if isinstance(event, SegmentRendered)
        else event
        for event in whole_history()
    ]
    job = job_after(*again)
    assert [True, True] == [segment["reused"] for segment in status_view(job)["segments"]]
    assert "  segment 1: rendered null, reused" in status_lines(job)


def test_a_request_is_shown_as_it_was_published() -> None:
    """A script finds the request's fields where its client put them."""
    (entry,) = history(requested(seed=7))
    data = event_view(entry)["data"]
    assert (data["preset_id"], data["seed"]) == ("overlay_classic", 7)


def test_what_was_spent_is_told() -> None:
    """What is known, and what is reserved besides; nothing where nothing cost anything."""
    assert cost_line(job_after(*whole_history())) is None
    past = (*PLANNED, ask(), intended(), paid_body(), ask(segment=1), intended(segment=1))
    job = job_after(*past)
    assert "cost: 0.5 EUR, and perhaps 0.5 more" == cost_line(job)
    assert "  cost: 0.5 EUR, and perhaps 0.5 more" in status_lines(job)
    told = status_view(job)
    assert (0.5, 0.5, "EUR") == (told["cost"], told["cost_unsettled"], told["currency"])


def test_a_create_in_doubt_says_what_to_do() -> None:
    """Only while the job goes on and the segment waits."""
    doubt = (*PLANNED, ask(), intended(), doubtful(Reason.OUTCOME_UNKNOWN))
    job = job_after(*doubt)
    hint = settle_hint(job, 0)
    assert hint is not None
    assert f"pytoon settle {JOB} 1 --accept HANDLE | --give-up" in hint
    assert f"    {hint}" in status_lines(job)
    assert status_view(job)["segments"][0]["generation"]["in_doubt"]
    assert settle_hint(job, 1) is None
    assert settle_hint(job_after(*doubt, RenderCancelRequested(job_id=JOB)), 0) is None
