"""Whole films with a hosted engine: real services, real workers, real HTTP on loopback.

A key is planted, and the service shows it in its errors as badly written ones do.  Afterwards it
is in no file, no log line, no event and no error.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.loader import SHIPPED as CONFIG
from events.notices import Account, account_state, budget_topic, day_of
from events.types import (
    GenerationSubmitted,
    Reason,
    RenderCancelled,
    RenderCompleted,
    SegmentFailed,
    SegmentRendered,
)
from tests.end_to_end.engines import Works, works
from tests.hosted.bench import make_clip
from tests.hosted.provider import KEY, PRICE, Provider
from tests.hosted.quick import engine
from tests.hosted.transport import listening
from tests.logged import logged

ENCODED = base64.b64encode(KEY.encode()).decode().rstrip("=")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Where every line is logged to."""
    with logged(tmp_path / "service.log") as file:
        yield file


def asked(**changes: Any) -> dict[str, Any]:
    """A draft of one segment."""
    return {
        "preset_id": "overlay_classic",
        "pictures": [CONFIG / "demo" / "product.png"],
        "draft": True,
        "target_duration_seconds": 2,
    } | changes


@pytest.mark.slow
async def test_a_key_is_nowhere_to_be_found(
    tmp_path: Path, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a film that is paid for, one that is refused, and one that is left in doubt."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    clip = make_clip(tmp_path / "served.mp4", frames=80, size=(288, 512))
    provider = Provider("replicate", clip)
    async with listening(provider) as place:
        entry = engine("paid", place, tmp_path)
        async with works(tmp_path, [entry], settle={"wait_s": 0.5}) as made:
            found = await _films(made, provider)
    texts = {
        str(path): path.read_bytes()
        for folder in (tmp_path / "home", log_file.parent)
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert b"engine" in texts[str(log_file)]
    assert any("[secret]" in failure.detail for failure in found)
    planted = (KEY.encode(), ENCODED.encode())
    assert [] == [name for name, text in texts.items() if any(key in text for key in planted)]


async def _films(made: Works, provider: Provider) -> list[SegmentFailed]:
    """The films; what failed on the way.  Looks for the key in every event."""
    faults: dict[str, dict[str, tuple[str, ...]]] = {
        "paid": {"poll": ("500", "503")},
        "refused": {"create": ("400",)},
        "in-doubt": {"create": ("500 after",)},
        "hidden": {"poll": ("401", "401", "401")},
    }
    failures = []
    for number, (job_id, wrong) in enumerate(faults.items()):
        provider.faults = {kind: deque(each) for kind, each in wrong.items()}
        job, _ = await made.film(job_id, **asked(prompt=f"Good morning {number}"))
        history = [recorded.event for recorded in await made.history(job_id)]
        text = msgspec.json.encode([msgspec.to_builtins(event) for event in history])
        assert KEY.encode() not in text
        assert ENCODED.encode() not in text
        failures += [event for event in history if isinstance(event, SegmentFailed)]
        assert isinstance(job.end, RenderCompleted)
        if job_id == "paid":
            rendered = [event for event in history if isinstance(event, SegmentRendered)]
            assert [("paid", PRICE)] == [(e.rung.engine, e.cost) for e in rendered]
            assert 1 == sum(isinstance(event, GenerationSubmitted) for event in history)
            assert (PRICE, 0.0) == (job.end.cost, job.end.cost_unsettled)
        else:
            assert ["compositor"] == [rung.engine for rung in job.rungs]
            unsettled = 0.0 if job_id == "refused" else PRICE
            assert (0.0, unsettled) == (job.end.cost, job.end.cost_unsettled)
    reasons = [failure.reason for failure in failures]
    assert [Reason.INVALID_REQUEST, Reason.OUTCOME_UNKNOWN, Reason.OUTCOME_UNKNOWN] == reasons
    assert 3 == len(provider.bills)
    return failures


async def test_an_engine_without_a_key_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film is composed, and whoever asks is told which variable is missing."""
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    async with (
        listening(Provider("replicate", b"")) as place,
        works(tmp_path, [engine("paid", place, tmp_path)]) as made,
    ):
        assert "set REPLICATE_API_TOKEN" in made.workshop.left_out["paid"]
        job, _ = await made.film("without", **asked())
    assert ["compositor"] == [rung.engine for rung in job.rungs]
    assert job.spec is not None
    assert "paid" not in {rung.engine for rung in job.spec.ladder}


@pytest.mark.slow
async def test_a_service_that_never_ends_leaves_time_to_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked once, waited for, settled by nobody, and the film is composed in time (20 s)."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    provider = Provider("replicate", make_clip(tmp_path / "served.mp4"))
    provider.end = "deaf"
    async with (
        listening(provider) as place,
        works(tmp_path, [engine("paid", place, tmp_path)]) as made,
    ):
        job, _ = await made.film("film", **asked(deadline_seconds=24))
    assert job.ended_s - job.requested_s < 24
    assert ["compositor"] == [rung.engine for rung in job.rungs]
    assert [Reason.OUTCOME_UNKNOWN] == [down.reason for down in job.downgrades]
    assert (0.0, PRICE, 1) == (job.cost, job.cost_unsettled, len(provider.bills))
    assert "unsettled_generation" in [warned.code for warned in job.warnings]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expected", "billed", "end"),
    [((0.0, 0.0), False, "never"), ((0.0, PRICE), None, "never"), ((PRICE, 0.0), None, "done")],
)
async def test_what_a_cancelled_film_did_cost_is_told_to_its_day(
    expected: tuple[float, float],
    billed: bool | None,
    end: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A free cancel costs nothing; what nobody knows stays reserved; what was done is spent."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    provider = Provider("replicate", make_clip(tmp_path / "served.mp4"))
    provider.end = end
    provider.fault("file", *["hung"] * 5)
    # What the renderer is at when the cancel comes, and how it is seen to have noticed.
    at = "file" if end == "done" else "poll"
    async with listening(provider) as place:
        entry = engine("paid", place, tmp_path, cancel_billed=billed)
        async with works(tmp_path, [entry]) as made:
            await made.ask("film", **asked())
            async with asyncio.timeout(60):
                while not provider.count(at):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.02)
            await made.log.publish_ask("film", "render_cancel_requested", b"{}")
            job = await made.ended("film")
            account = await _settled(made, job.ended_s, expected, within_s=5)
    assert isinstance(job.end, RenderCancelled)
    assert expected == (account.spent, account.reserved)
    assert (1, int(end == "never")) == (len(provider.bills), provider.count("cancel"))


async def _settled(
    made: Works, time_s: float, expected: tuple[float, float], within_s: float
) -> Account:
    """The day's account, when it is as expected, or at the last."""
    topic = budget_topic("eur", day_of(time_s))
    for _ in range(int(within_s / 0.1)):
        await asyncio.sleep(0.1)
        account = account_state(await made.log.last_notice(topic))
        if expected == (account.spent, account.reserved) != (0.0, PRICE):
            break
    return account


@pytest.mark.slow
async def test_work_that_a_person_found_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer was lost, its id is on the service's site: accepted, it is followed and shown."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    clip = make_clip(tmp_path / "served.mp4", frames=80, size=(288, 512))
    provider = Provider("replicate", clip)
    provider.fault("create", "lost")
    async with (
        listening(provider) as place,
        works(tmp_path, [engine("paid", place, tmp_path)]) as made,
    ):
        await made.ask("doubt", **asked())
        async for recorded in made.log.follow("doubt"):
            if isinstance(recorded.event, SegmentFailed):
                assert Reason.OUTCOME_UNKNOWN is recorded.event.reason
                break
        body = msgspec.json.encode({"segment": 0, "handle": provider.bills[0].id})
        await made.log.publish_ask("doubt", "generation_settled", body)
        job = await made.ended("doubt")
    assert ["paid"] == [rung.engine for rung in job.rungs]
    assert isinstance(job.end, RenderCompleted)
    assert (PRICE, 0.0, 1) == (job.end.cost, job.end.cost_unsettled, len(provider.bills))
