"""Everything that clients can hold is bounded, and the answer names the bound."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.app import create_app
from services.gateway.keys import Keyring
from services.gateway.serving import allow_files
from tests.patience import holds_once, others_go_on
from tests.services.gateway.conftest import ASK, House, house_of
from tests.services.gateway.test_connection import LATE_S, SOON_S, closed, sent, served

GET = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_more_connections_than_there_may_be_are_told(tmp_path: Path) -> None:
    """The one too many hears why, and is served once another has gone."""
    async with (
        house_of(tmp_path, actors=False, connections_max=2) as house,
        served(house.app) as port,
        sent(port, "") as (_, writer),
        sent(port, GET) as (reader, _),
    ):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with sent(port, GET) as (third, _):
            told = await closed(third)
            assert told.startswith(b"HTTP/1.1 503")
            assert b"application/problem+json" in told
            assert b"retry-after: 5" in told.lower()
            assert b"2 connections are under way already" in told
        writer.close()
        await others_go_on()
        async with sent(port, GET) as (fourth, _):
            assert (await fourth.readline()).startswith(b"HTTP/1.1 200")


async def test_an_answer_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    """A stream without end, and a reader who sips, are cut off; others are not touched."""
    bounds = {"answer_s": SOON_S}
    async with house_of(tmp_path, actors=False, **bounds) as house:  # type: ignore[arg-type]
        await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "waits"})
        ask = "GET /api/v1/jobs/waits/events HTTP/1.1\r\nHost: localhost\r\n"
        ask += "Accept: text/event-stream\r\n\r\n"
        async with served(house.app) as port:

            async def is_cut_off_alone(_: int) -> bool:
                async with sent(port, ask) as (reader, _writer), sent(port, "") as (other, writer):
                    answers = []
                    for _ in range(4):
                        await asyncio.sleep(SOON_S / 2)
                        writer.write(GET.encode())
                        with suppress(asyncio.IncompleteReadError, ConnectionError):
                            answers.append(await other.readuntil(b'"detail":""}'))
                    told = await closed(reader)
                assert house.app.state.desk.listening.ears == 0
                well = [answer.startswith(b"HTTP/1.1 200") for answer in answers]
                return b"render_requested" in told and well == [True] * 4

            assert await holds_once(is_cut_off_alone)


async def test_more_streams_than_there_may_be_are_told(tmp_path: Path) -> None:
    """Others are served as ever."""
    async with house_of(tmp_path, actors=False, streams_max=1) as house:
        await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "waits"})
        accept = {"Accept": "text/event-stream"}
        async with house.app.state.desk.listening.to("waits"):
            told = await house.client.get("/api/v1/jobs/waits/events", headers=accept)
            listed = await house.client.get("/api/v1/jobs/waits/events")
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert "1 streams" in told.json()["detail"]
    assert listed.status_code == 200


async def test_more_uploads_than_there_may_be_are_told(tmp_path: Path) -> None:
    """Whoever drips in a file holds a place for as long as a body may take, and no longer."""
    async with house_of(tmp_path, actors=False, uploads_max=1, body_s=SOON_S) as house:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}

        async def dripping(begun: asyncio.Event) -> AsyncIterator[bytes]:
            yield head
            begun.set()
            while True:
                await asyncio.sleep(SOON_S / 5)
                yield b"z"

        async def is_refused_meanwhile(_: int) -> bool:
            begun = asyncio.Event()
            drip = asyncio.create_task(
                house.client.post("/api/v1/assets", content=dripping(begun), headers=kind)
            )
            await begun.wait()
            other = await house.client.post("/api/v1/assets", files={"file": ("a", b"z")})
            assert (await drip).status_code == 408
            return (other.status_code, other.headers.get("retry-after")) == (503, "5")

        assert await holds_once(is_refused_meanwhile)
        stored = await house.client.post("/api/v1/assets", files={"file": ("a", b"z")})
        assert stored.status_code == 201


async def test_a_disk_that_is_full_takes_no_upload(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer names how much is free and how much is kept."""
    usage = shutil.disk_usage("/")._replace(free=3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    answer = await house.client.post("/api/v1/assets", files={"file": ("a", b"z")})
    assert answer.status_code == 507
    assert "3 MB free and keeps 500" in answer.json()["detail"]


async def test_more_dry_runs_than_there_may_be_are_told(tmp_path: Path) -> None:
    """They are planned one after the other, so a line of them is only so long."""
    async with house_of(tmp_path, actors=False, plans=True, plans_max=1) as house:
        begun, going_on = asyncio.Event(), asyncio.Event()
        plan = house.app.state.desk._dry_run

        async def slow(ask: Any) -> Any:
            begun.set()
            await going_on.wait()
            return await plan(ask)

        house.app.state.desk._dry_run = slow
        first = asyncio.create_task(house.client.post("/api/v1/jobs?dry_run=true", json=ASK))
        await begun.wait()
        refused = await house.client.post("/api/v1/jobs?dry_run=true", json=ASK)
        assert (refused.status_code, "1 dry runs" in refused.text) == (503, True)
        going_on.set()
        planned = await first
    assert planned.status_code == 200
    assert planned.json()["dry_run"] is True
    assert len(planned.json()["plan"]["segments"]) == 5
    assert planned.json()["warnings"] == planned.json()["plan"]["warnings"]


async def test_a_dry_run_starts_nothing(tmp_path: Path) -> None:
    """And tells what is wrong as the planner would."""
    async with house_of(tmp_path, actors=False, plans=True) as house:
        assert (await house.client.post("/api/v1/jobs?dry_run=true", json=ASK)).is_success
        wrong = {**ASK, "target_duration_seconds": 0}
        assert (await house.client.post("/api/v1/jobs?dry_run=1", json=wrong)).status_code == 422
        assert (await house.client.get("/api/v1/jobs")).json()["jobs"] == []
        assert (await house.log.usage()).messages == 0


async def test_a_client_that_waits_is_told_how_long(tmp_path: Path) -> None:
    """``Retry-After`` is when a request is free again."""
    async with house_of(tmp_path, actors=False, requests_a_minute=2) as house:
        answers = [await house.client.get("/health") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    wait_s = int(answers[-1].headers["retry-after"])
    assert 1 <= wait_s <= 120
    assert f"come again in {wait_s} s" in answers[-1].json()["detail"]
    assert answers[-1].headers["x-content-type-options"] == "nosniff"


async def test_a_body_that_is_no_http_is_a_problem_too(house: House) -> None:
    """The one answer that no route gives has the shape of all others."""
    async with served(house.app) as port, sent(port, "HOW DO YOU DO\r\n\r\n") as (reader, _):
        async with asyncio.timeout(LATE_S):
            told = await closed(reader)
    assert told.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in told
    assert told.endswith(b'"problems":[]}')


async def test_metrics_that_do_not_come_are_told(house: House) -> None:
    """Services that are busy may be asked again."""

    async def late() -> tuple[bytes, str]:
        raise TimeoutError

    app = create_app(house.app.state.desk, keys=Keyring(), metrics=late)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_files_are_allowed_as_far_as_they_may_be() -> None:
    """Never fewer than before, and never more than the hard limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
        allow_files(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
        allow_files(1 << 40)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
