"""``pytoon engines``: health, circuit, successes and failures, from the adapters and the log."""

from __future__ import annotations

import asyncio
import time

from events.jetstream import JetStreamLog
from events.notices import CircuitOpened, Posting
from events.types import Reason
from services.home import read_json
from tests.services.cli.conftest import Person


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


def test_the_log_tells_how_they_did(settled: Person) -> None:
    """Rendered segments are counted, an open circuit is shown with its end."""
    request = ("--preset", "overlay_classic", "--duration", "6")
    assert settled.call("render", *request, "--job-id", "done").code == 0
    told = engine(settled, "null")
    assert (2, 0, 1.0) == (told["rendered"], told["failed"], told["success"])
    until_s = time.time() + 3600

    async def post() -> None:
        run = read_json(settled.home.run_json)
        log = await JetStreamLog.connect(str(run["url"]), token=str(run["token"]))
        notice = CircuitOpened(
            engine="null", until_s=until_s, failures=3, counted=1, reason=Reason.TIMEOUT
        )
        await log.post(Posting(notice=notice, after=0), source="test")
        await log.close()

    asyncio.run(post())
    told = engine(settled, "null")
    assert ("open", 3) == (told["circuit"], told["failures_in_a_row"])
    assert str(told["circuit_until"]).startswith("20")
    assert "circuit open: 3 failures, left alone until" in settled.call("engines").out
