"""The listing of jobs: right, and no dearer than what is new."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from events.memory import MemoryLog
from events.stream import Usage
from services.gateway import listing
from tests.services.gateway.conftest import ASK, House, house_of


async def _ask(house: House, job_id: str, **more: Any) -> None:
    """A request by a client of the log itself."""
    await house.log.publish_ask(job_id, "render_requested", _body(**{**ASK, **more}))


def _body(**fields: Any) -> bytes:
    import json

    return json.dumps(fields).encode()


async def _ids(house: House, **query: Any) -> list[str]:
    answer = await house.client.get("/api/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["job_id"] for job in answer.json()["jobs"]]


@pytest.fixture(name="kept_for_ever")
def a_listing_that_does_not_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is asked for here makes it look again."""
    monkeypatch.setattr(listing, "KEPT_S", 1000.0)


@pytest.mark.usefixtures("kept_for_ever")
async def test_who_asks_finds_the_job_in_the_next_listing(tmp_path: Path) -> None:
    """However fresh the last listing was, also with other clients' jobs between."""
    async with house_of(tmp_path, actors=False) as house:
        assert await _ids(house) == []
        await _ask(house, "theirs")
        assert await _ids(house) == []
        await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "ours"})
        assert await _ids(house) == ["ours", "theirs"]


@pytest.mark.usefixtures("kept_for_ever")
async def test_who_cancels_finds_it_so(tmp_path: Path) -> None:
    """The line that is kept is not told any more."""
    async with house_of(tmp_path, actors=False) as house:
        await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "ours"})
        assert await _ids(house, status="requested") == ["ours"]
        await house.client.post("/api/v1/jobs/ours/cancel")
        assert await _ids(house, status="requested") == []
        assert await _ids(house, status="cancelling") == ["ours"]


async def test_a_page_costs_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred pages at once read each job once, and the log's listing once."""
    reads: list[str] = []
    listings: list[int] = []
    read, jobs = MemoryLog.read, MemoryLog.jobs

    async def counted_read(self: MemoryLog, job_id: str, **more: int) -> Any:
        reads.append(job_id)
        return await read(self, job_id, **more)

    async def counted_jobs(self: MemoryLog, *, after: int = 0, counted: bool = True) -> Any:
        listings.append(after)
        assert not counted
        return await jobs(self, after=after, counted=counted)

    monkeypatch.setattr(MemoryLog, "read", counted_read)
    monkeypatch.setattr(MemoryLog, "jobs", counted_jobs)
    async with house_of(tmp_path, actors=False) as house:
        for number in range(30):
            await _ask(house, f"job-{number}")
        pages = await asyncio.gather(*(_ids(house, limit=10) for _ in range(200)))
        assert all(page == [f"job-{number}" for number in range(29, 19, -1)] for page in pages)
        assert sorted(reads) == sorted(set(reads))
        assert (len(reads), listings) == (10, [0])
        monkeypatch.setattr(listing, "KEPT_S", 0.0)
        await _ask(house, "newest")
        assert (await _ids(house, limit=1)) == ["newest"]
        assert listings == [0, 30]


async def test_a_job_that_has_ended_is_read_once(house: House, monkeypatch: Any) -> None:
    """Its line cannot change any more."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "over"})
    await house.ended("over")
    monkeypatch.setattr(listing, "KEPT_S", 0.0)
    assert await _ids(house, status="completed") == ["over"]
    monkeypatch.setattr(house.app.state.desk.listing, "_load", None)
    assert await _ids(house, status="completed") == ["over"]


async def test_of_what_was_pruned_nothing_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that were taken out make the listing begin anew."""
    async with house_of(tmp_path, actors=False) as house:
        await _ask(house, "old")
        await _ask(house, "young")
        monkeypatch.setattr(listing, "KEPT_S", 0.0)
        assert await _ids(house) == ["young", "old"]
        usage = await house.log.usage()

        async def pruned() -> Usage:
            return Usage(messages=1, bytes=1, bytes_max=1, last_seq=usage.last_seq)

        jobs = await house.log.jobs()

        async def listed(*, after: int = 0, counted: bool = True) -> Any:
            assert (after, counted) == (0, False)
            return jobs[1:]

        monkeypatch.setattr(house.log, "usage", pruned)
        monkeypatch.setattr(house.log, "jobs", listed)
        assert await _ids(house) == ["young"]


async def test_a_filter_looks_at_so_many_and_says_where_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page without any job is not the last one while there are more."""
    monkeypatch.setattr(listing, "SCANNED_MAX", 4)
    async with house_of(tmp_path, actors=False) as house:
        for number in range(10):
            preset = "meme_fast" if number in {0, 7} else "overlay_classic"
            await _ask(house, f"job-{number}", preset_id=preset)
        pages, after = [], ""
        while True:
            query = {"limit": "3", "preset_id": "meme_fast"} | ({"after": after} if after else {})
            told = (await house.client.get("/api/v1/jobs", params=query)).json()
            pages.append([job["job_id"] for job in told["jobs"]])
            after = told["after"]
            if after is None:
                break
    assert pages == [["job-7"], [], ["job-0"]]


@pytest.mark.parametrize(
    "ask",
    [
        {"target_duration_seconds": 10**400},
        {"target_duration_seconds": True},
        {"target_duration_seconds": "long", "prompt": 7, "preset_id": []},
        {},
    ],
    ids=["endless", "true", "words", "nothing"],
)
async def test_what_nobody_judged_is_listed_all_the_same(
    tmp_path: Path, ask: dict[str, Any]
) -> None:
    """Any client may publish anything: the listing is not broken by it."""
    async with house_of(tmp_path, actors=False) as house:
        await house.log.publish_ask("odd", "render_requested", _body(**ask))
        house.log.publish_raw("pytoon.jobs.no token$.render_requested", b"{}")
        told = (await house.client.get("/api/v1/jobs")).json()["jobs"]
    assert [(job["job_id"], job["seconds"]) for job in told] == [("odd", None)]


async def test_lines_are_bounded(tmp_path: Path) -> None:
    """The oldest go; they are made again when they are asked for."""
    async with house_of(tmp_path, actors=False, rows_kept_max=3) as house:
        for number in range(5):
            await _ask(house, f"job-{number}")
        assert len(await _ids(house)) == 5
        assert len(house.app.state.desk.listing._rows) == 3
        assert len(await _ids(house)) == 5
