"""``pytoon engines``: health, circuit, successes and failures, from the adapters and the log."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from events.jetstream import JetStreamLog
from events.log import Tail
from events.notices import CircuitOpened, Posting
from events.types import Reason
from services.home import read_json
from tests.builders import JOB
from tests.events.test_state import PLANNED, ask, failed
from tests.patience import PATIENT
from tests.services.cli.conftest import Called, Person


def engine(person: Person, name: str) -> dict[str, object]:
    """What is told of one of them."""
    found: dict[str, object] = next(
        told for told in person.call("engines", "--json").told if told["name"] == name
    )
    return found


def test_engines_of_a_fresh_home(person: Person) -> None:
    """Who is on, who is off, and whether they are well; nothing is known of them yet."""
    told = engine(person, "null")
    assert (True, True, False, True) == (
        told["enabled"],
        told["healthy"],
        told["generates"],
        told["local"],
    )
    assert (0, None, "closed") == (told["rendered"], told["success"], told["circuit"])
    assert "null: well" in person.call("engines").out
    assert "null: off" in person.call("engines", PYTOON_ENGINES__NULL__ENABLED="false").out


@pytest.mark.slow
def test_the_log_tells_how_they_did(settled: Person) -> None:
    """Rendered segments are counted, an open circuit is shown with its end."""
    request = ("--preset", "overlay_classic", "--duration", "6")
    assert settled.call("render", *request, "--job-id", "done").code == 0
    told = engine(settled, "null")
    assert (2, 0, 1.0) == (told["rendered"], told["failed"], told["success"])
    until_s = time.time() + 3600

    async def post() -> None:
        run = read_json(settled.home.run_json)
        log = await JetStreamLog.connect(
            str(run["url"]), token=str(run["token"]), settings=PATIENT
        )
        notice = CircuitOpened(
            engine="null", until_s=until_s, failures=3, counted=1, reason=Reason.TIMEOUT
        )
        await log.post(Posting(notice=notice, after=0), source="test")
        await log.close()

    asyncio.run(post())
    told = engine(settled, "null")
    assert ("open", 3) == (told["circuit"], told["failures_in_a_row"])
    assert str(told["circuit_until"]).startswith("20")
    assert str(told["last_rendered"]).startswith("20")
    assert [] == told["last_failures"]
    assert "circuit open: 3 failures, left alone until" in settled.call("engines").out


def test_the_last_failures_are_told(settled: Person) -> None:
    """When, of which segment, why and in which words."""
    # Whoever asks for a film has services and a server run for a while.
    assert settled.call("render", "--preset", "overlay_classic", "--duration", "2").code == 0

    async def append() -> None:
        run = read_json(settled.home.run_json)
        log = await JetStreamLog.connect(
            str(run["url"]), token=str(run["token"]), settings=PATIENT
        )
        doubt = failed(Reason.UNAVAILABLE, cost=0.0)
        await log.append(Tail(job_id=JOB), (*PLANNED, ask(), doubt), source="test")
        await log.close()

    asyncio.run(append())
    folder = settled.folder / "config"
    folder.mkdir()
    options = {"declaration": "luma", "price": {"per_clip": 0.5}}
    entries = [{"name": "paid", "kind": "hosted", "options": options}]
    entries += [{"name": name, "kind": name} for name in ("compositor", "null")]
    (folder / "engines.yaml").write_text(json.dumps({"engines": entries}))

    def call(*arguments: str) -> Called:
        return settled.call(
            *arguments, PYTOON_CONFIG=str(folder), PYTOON_ENGINES__NULL__ENABLED="false"
        )

    (told,) = (view for view in call("engines", "--json").told if view["name"] == "paid")
    (last,) = told["last_failures"]
    assert (JOB, 0, 1, "unavailable") == (
        last["job_id"],
        last["segment"],
        last["attempt"],
        last["reason"],
    )
    assert "set LUMA_AGENTS_API_KEY" in told["detail"]
    lines = call("engines").out
    assert f"{last['time']} {JOB}, segment 1: unavailable: {last['detail']}" in lines


def test_the_days_money(person: Person) -> None:
    """Spent, reserved and the caps; a day without a create has an empty account."""
    asked = ("engines", "budget", "--date", "2026-11-25")
    told = person.call(*asked, "--json", PYTOON_BUDGET__PER_DAY="20").told
    assert {
        "date": "2026-11-25",
        "currency": "EUR",
        "spent": 0.0,
        "reserved": 0.0,
        "per_day": 20.0,
        "per_job": None,
    } == told
    line = person.call(*asked, PYTOON_BUDGET__PER_DAY="20").out
    assert "budget of 2026-11-25 (UTC): 0 EUR spent, 0 reserved; 20 EUR a day" in line
    assert "no cap a film (PYTOON_BUDGET__PER_DAY" in line
