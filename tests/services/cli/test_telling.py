"""What a person who waits is told."""

from __future__ import annotations

import sys

import msgspec
import pytest

from events.job import evolve, initial_state
from events.types import (
    Deadline,
    Foreign,
    Reason,
    SegmentFailed,
    SegmentRendered,
    SegmentTimedOut,
    SoundtrackMixed,
    Stored,
)
from services.cli.telling import Lines, Live, Silent, Teller
from tests.builders import JOB, LADDER, history, planned, requested, segment_requested, spec
from tests.builders import whole_history as whole


def _tell(teller: Teller, *events: Stored) -> None:
    job = initial_state(JOB)
    for stored in history(*events):
        job = evolve(job, stored)
        teller.event(job, stored)
    teller.close()


def test_a_job_is_told_line_by_line() -> None:
    """One line an event that is worth it, with the seconds since the request."""
    lines: list[str] = []
    _tell(Lines(lines.append), *whole())
    expected = [
        "    0.0 s  job-1 requested",
        "    1.0 s  planned: OVERLAY of 6 s, 180 frames in 2 segments",
        "    4.0 s  soundtrack mixed (-14.0 LUFS)",
        "    5.0 s  segment 1 of 2 rendered by null in 1.0 s",
        "    6.0 s  segment 2 of 2 rendered by null in 1.0 s",
        "    7.0 s  assembling",
        "    8.0 s  film complete",
    ]
    assert expected == lines


def test_what_is_reused_is_told() -> None:
    """Nobody is said to have rendered what was there."""
    lines: list[str] = []
    again = [
        msgspec.structs.replace(event, reused=True)
        if isinstance(event, SegmentRendered | SoundtrackMixed)
        else event
        for event in whole()
    ]
    _tell(Lines(lines.append), *again)
    assert [
        "soundtrack reused (-14.0 LUFS)",
        "segment 1 of 2 reused",
        "segment 2 of 2 reused",
    ] == [line[11:] for line in lines[2:5]]


def test_what_goes_wrong_is_told() -> None:
    """Failures, time-outs, new attempts and foreign messages are worth a line."""
    lines: list[str] = []
    failed = SegmentFailed(
        job_id=JOB, segment=0, attempt=1, rung=LADDER[0], reason=Reason.CRASHED,
        retryable=True, detail="signal 9", elapsed_s=1.0,
    )  # fmt: skip
    late = SegmentTimedOut(job_id=JOB, segment=0, attempt=2, deadline=Deadline.TOO_LONG)
    foreign = Foreign(seq=7, subject="s", why="not JSON")
    events = (segment_requested(), failed, segment_requested(attempt=2), late, foreign)
    _tell(Lines(lines.append), requested(), planned(), *events)
    expected = [
        "segment 1 failed on null: crashed, signal 9",
        "segment 1: attempt 2 on null",
        "segment 1 timed out (too_long)",
        "message 7 is not ours and changes nothing: not JSON",
    ]
    assert expected == [line[11:] for line in lines[2:]]


def test_a_terminal_gets_bars_and_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress of unknown or odd shape does no harm; the bars are gone at the end."""
    live = Live()
    for facts in ({}, {"frames_done": "x", "frames": 3}, {"segment": 9, "frames_done": 1}):
        live.progress(facts)
    job = initial_state(JOB)
    for stored in history(*whole(spec(1))):
        job = evolve(job, stored)
        live.event(job, stored)
        live.progress({"segment": 0, "frames_done": 30, "frames": 90})
        live.progress({"assembling": True, "frames_done": 1, "frames": 4})
    live.close()
    told = capsys.readouterr().err
    assert "segment 1 of 1 rendered by null" in told
    assert "film complete" in told


def test_silence_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Not a word."""
    _tell(Silent(), *whole())
    assert capsys.readouterr() == ("", "")


def test_rich_is_loaded_for_terminals_only() -> None:
    """A script's render does not pay for it."""
    from services.cli import commands, rendering, waiting

    for module in (commands, rendering, waiting):
        assert "rich" not in vars(module)
    assert sys.modules["services.cli.telling"] is not None
