"""Histories that were recorded once must fold for ever, to the same job."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from events.codec import Message
from events.job import Job, JobStatus, fold
from events.link import flaws, record
from events.log import Recorded

HERE = Path(__file__).parent
EXPECTED = {
    "v1_completed": (JobStatus.COMPLETED, 5),
    "v1_rejected": (JobStatus.REJECTED, 0),
    "v1_cancelled": (JobStatus.CANCELLED, 20),
}
"""Each history, how its job ended, and its segments."""


def history(name: str) -> tuple[Recorded, ...]:
    """A recorded history, read by today's code."""
    lines = (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(
        record(
            Message(
                seq=kept["seq"],
                subject=kept["subject"],
                headers=kept["headers"],
                body=base64.b64decode(kept["body"]),
                time_s=kept["time_s"],
            )
        )
        for kept in map(msgspec.json.decode, lines)
    )


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_recorded_history_folds_to_its_end(name: str) -> None:
    """Ended as then, with nothing foreign in it and the chain whole."""
    entries = history(name)
    job: Job = fold(entries[0].job_id, entries)
    assert EXPECTED[name] == (job.status, len(job.segments))
    assert job.oddities == 0
    assert flaws(entries) == ()
    assert len(entries) == job.tail.ordinal


def test_every_history_is_expected() -> None:
    """A file that nobody reads guards nothing."""
    assert sorted(EXPECTED) == sorted(path.stem for path in HERE.glob("*.jsonl"))
