"""What the gateway knows of a job where a copy of the log is behind."""

from __future__ import annotations

import pytest

from tests.services.gateway.conftest import ASK, House


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
