"""What the gateway knows of a job where a copy of the log is behind, and where one is forged."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from adapters.files import FileStore
from events.job import fold
from events.link import advanced
from events.log import Tail
from events.memory import MemoryLog
from events.types import RenderCancelled
from services.gateway.desk import Desk
from services.gateway.streaming import job_events
from services.views import event_view
from tests.builders import JOB, planned, segment_requested
from tests.patience import COMES_S
from tests.services.gateway.conftest import ASK, House, null_config
from tests.signing import Keys


async def test_a_stale_copy_does_not_hide_a_job(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that a replica does not know yet is asked for at its leader."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "new"})
    desk = house.app.state.desk
    read = house.log.read

    async def behind(job_id: str, *, after: int = 0, at_least: int = 0, **_: int) -> object:
        return await read(job_id, after=after, at_least=at_least) if at_least else ()

    monkeypatch.setattr(house.log, "read", behind)
    desk._cache._jobs.clear()
    assert (await house.client.get("/api/v1/jobs/new")).json()["job_id"] == "new"
    assert (await house.client.get("/api/v1/jobs/nobody")).status_code == 404


@pytest.mark.parametrize("after", [0, 2, 3])
async def test_what_was_stored_again_is_told_as_foreign(after: int, tmp_path: Path) -> None:
    """Wherever a client goes on, and whether the second one is read or heard."""
    log = MemoryLog(settings=Keys().settings())
    await log.provision(())
    desk = Desk(log, FileStore(tmp_path), null_config())
    ask = await log.publish_ask(JOB, "render_requested", b"{}")
    tail = advanced(Tail(job_id=JOB), ask)
    events = (planned(), segment_requested(0))
    genuine = (await log.append(tail, events, source="pytoon/planner"))[-1]
    stored = log.message(genuine.seq)
    log.publish_raw(stored.subject, stored.body, stored.headers)
    expected = ["render_requested", "render_planned", "segment_requested", "foreign"][after:]
    assert expected == [event_view(item)["type"] for item in await desk.history(JOB, after)]
    told: list[str] = []
    async with asyncio.timeout(COMES_S), aclosing(job_events(desk, JOB, after)) as stream:  # type: ignore[type-var]
        told += [(await anext(stream))["event"] for _ in expected]
        log.publish_raw(stored.subject, stored.body, stored.headers)
        await log.publish_ask(JOB, "render_cancel_requested", b"{}")
        tail = fold(JOB, await log.read(JOB)).tail
        cancelled = RenderCancelled(job_id=JOB, why="", kept=())
        await log.append(tail, [cancelled], source="pytoon/fallback-controller")
        told += [item["event"] async for item in stream]
    live = ["foreign", "render_cancel_requested", "render_cancelled", "end"]
    assert [*expected, *live] == told
    await desk.close()
