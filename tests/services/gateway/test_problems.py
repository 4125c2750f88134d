"""How a client is told what it did wrong."""

from __future__ import annotations

import pytest

from tests.services.gateway.conftest import ASK, House


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/jobs", "GET, HEAD, POST"),
        ("PUT", "/api/v1/jobs/nobody", "GET, HEAD"),
        ("GET", "/api/v1/assets", "POST"),
        ("GET", "/api/v1/jobs/nobody/cancel", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("GET", "/api/v1/session", "POST, DELETE"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    house: House, method: str, path: str, allowed: str
) -> None:
    """All of them, however many routes share the address."""
    answer = await house.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "named", "hint"),
    [
        ("statsu=failed", "statsu", "did you mean 'status'?"),
        ("limit=0", "limit", "at least 1"),
        ("limit=101", "limit", "at most 100"),
        ("limit=ten", "limit", "whole number"),
        ("status=done", "status", "'completed'"),
        ("after=nobody", "after", "a job that there is"),
        ("preset_id=a&preset_id=b", "preset_id", "there once"),
    ],
)
async def test_a_wrong_query_names_the_field(
    house: House, query: str, named: str, hint: str
) -> None:
    """What was sent, what it must be, what to do: nothing is passed over."""
    answer = await house.client.get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["field"] == named
    assert problem["value"] == query.rpartition("=")[2]
    assert hint in problem["message"]


async def test_what_takes_no_query_says_so(house: House) -> None:
    """An option that is none is not passed over either."""
    answer = await house.client.post("/api/v1/jobs/nobody/cancel?reason=x")
    assert answer.status_code == 422
    assert "one of why" in answer.json()["detail"]


async def test_an_id_and_a_request_that_are_wrong_are_told_together(house: House) -> None:
    """All that is wrong, at once."""
    ask = {**ASK, "job_id": "a b", "target_duration_seconds": 90}
    answer = await house.client.post("/api/v1/jobs", json=ask)
    assert answer.status_code == 422
    problems = {problem["field"]: problem for problem in answer.json()["problems"]}
    assert set(problems) == {"job_id", "target_duration_seconds"}
    assert problems["job_id"]["value"] == "a b"
