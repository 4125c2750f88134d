"""A job as the gateway tells it."""

from __future__ import annotations

import httpx

from services.views import status_view
from tests.services.gateway.conftest import ASK, House


async def test_status_is_what_the_command_tells(house: House) -> None:
    """Each key of `pytoon status --json`, with addresses in the place of paths."""
    await house.client.post("/api/v1/jobs", json={**ASK, "job_id": "same"})
    told = await house.ended("same")
    expected = status_view(await house.app.state.desk.job("same"))
    assert isinstance(told.pop("output"), str)
    expected.pop("output")
    for segment, theirs in zip(told["segments"], expected["segments"], strict=True):
        assert {name: segment[name] for name in theirs} == theirs
        assert (await house.client.get(segment["body"])).status_code == 200
    told.pop("segments")
    expected.pop("segments")
    assert {name: told[name] for name in expected} == expected
    assert told["requested"] < told["ended"]
    for address in told["links"].values():
        found: httpx.Response = await house.client.get(address)
        assert found.status_code == 200
