"""``pytoon settle``: a person's word on a create in doubt, in a home with one such segment."""

from __future__ import annotations

import asyncio
import json

import pytest

from events.jetstream import JetStreamLog
from events.log import Tail
from events.types import Reason
from services.home import read_json
from tests.builders import JOB
from tests.events.test_state import PLANNED, ask, failed, intended
from tests.patience import PATIENT
from tests.services.cli.conftest import Person


@pytest.fixture(scope="module")
def doubtful(settled: Person) -> Person:
    """Somebody with a job whose two segments were created and never answered."""
    assert settled.call("render", "--preset", "overlay_classic", "--duration", "2",
                        "--job-id", "done").code == 0  # fmt: skip

    async def append() -> None:
        told = read_json(settled.home.run_json)
        log = await JetStreamLog.connect(
            str(told["url"]), token=str(told["token"]), settings=PATIENT
        )
        unknown = [failed(Reason.OUTCOME_UNKNOWN, segment=segment) for segment in (0, 1)]
        begun = [event for n in (0, 1) for event in (ask(segment=n), intended(segment=n))]
        await log.append(Tail(job_id=JOB), (*PLANNED, *begun, *unknown), source="test")
        await log.close()

    asyncio.run(append())
    return settled


def test_a_status_says_what_to_do(doubtful: Person) -> None:
    """The very command, and what is known of the create."""
    assert f"pytoon settle {JOB} 1 --accept HANDLE | --give-up" in doubtful.call("status", JOB).out
    told = doubtful.call("status", JOB, "--json").told
    assert told["segments"][0]["generation"]["in_doubt"]
    assert (told["cost"], told["cost_unsettled"], told["currency"]) == (0.0, 1.0, "EUR")
    assert ["unsettled_generation"] * 2 == [warned["code"] for warned in told["warnings"]]


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("There is no job 'nobody'", ("nobody", "1", "--give-up")),
        ("has ended (completed)", ("done", "1", "--give-up")),
        ("has 2 segments: 1 to 2", (JOB, "3", "--give-up")),
        ("either --accept HANDLE or --give-up", (JOB, "1")),
        ("either --accept HANDLE or --give-up", (JOB, "1", "--give-up", "--accept", "h")),
        ("1 to 2000 characters", (JOB, "1", "--accept", " ")),
        ("0 is not in the range", (JOB, "0", "--give-up")),
    ],
)
def test_what_cannot_be_settled(
    doubtful: Person, expected: str, arguments: tuple[str, ...]
) -> None:
    """Each error says why, with exit 2, and nothing is stored."""
    called = doubtful.call("settle", *arguments)
    assert 2 == called.code
    assert expected in called.err
    assert "generation_settled" not in doubtful.call("log", JOB).out


def test_a_handle_is_accepted_once(doubtful: Person) -> None:
    """The same rung is asked again; a second word finds nothing to settle."""
    told = doubtful.call("settle", JOB, "1", "--accept", "h-1", "--json").told
    assert (JOB, 0, "h-1") == (told["job_id"], told["segment"], told["handle"])

    def again() -> bool:
        lines = doubtful.call("log", JOB, "--json").out.splitlines()
        return any(
            (event["type"], event["data"].get("segment"), event["data"].get("attempt"))
            == ("segment_requested", 0, 2)
            for event in map(json.loads, lines)
        )

    doubtful.until(again)
    called = doubtful.call("settle", JOB, "1", "--give-up")
    assert (2, True) == (called.code, "waits for no word" in called.err)


def test_what_is_given_up_is_composed(doubtful: Person) -> None:
    """By the engine below, and the downgrade is told."""
    called = doubtful.call("settle", JOB, "2", "--give-up")
    assert (0, True) == (called.code, "given up" in called.out)
    doubtful.until(lambda: "given up)" in doubtful.call("status", JOB).out)
    told = doubtful.call("status", JOB, "--json").told
    (downgrade,) = told["downgrades"]
    assert (1, "null") == (downgrade["segment"], downgrade["to_rung"]["engine"])
