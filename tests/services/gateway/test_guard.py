"""Who comes in, how often, and with how much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.guard import is_public
from tests.services.gateway.conftest import ASK, BODY_BYTES_MAX, House, house_of

KEYS = "shop:shop-secret-1,look:look-secret-1:read"
PROBLEM = "application/problem+json"


async def test_with_keys_a_request_without_one_is_refused(tmp_path: Path) -> None:
    """With keys a request without one is refused."""
    async with house_of(tmp_path, keys=KEYS, actors=False) as house:
        refused = await house.client.get("/api/v1/presets")
        wrong = await house.client.get("/api/v1/presets", headers={"X-API-Key": "shop-secret-2"})
        let_in = await house.client.get("/api/v1/presets", headers={"X-API-Key": "shop-secret-1"})
    assert (refused.status_code, wrong.status_code, let_in.status_code) == (401, 401, 200)
    assert refused.headers["content-type"] == PROBLEM
    assert "X-API-Key" in refused.json()["detail"]


async def test_a_key_does_only_what_its_scopes_say(tmp_path: Path) -> None:
    """A key does only what its scopes say."""
    headers = {"X-API-Key": "look-secret-1"}
    async with house_of(tmp_path, keys=KEYS, actors=False) as house:
        assert (await house.client.get("/api/v1/jobs", headers=headers)).status_code == 200
        refused = await house.client.post("/api/v1/jobs", headers=headers, json=ASK)
        session = await house.client.post("/api/v1/session", headers=headers)
    assert refused.status_code == 403
    assert "'write'" in refused.json()["detail"]
    # Whoever may only look looks in a browser, too.
    assert session.status_code == 204


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/openapi.json"])
async def test_what_is_public_needs_no_key(tmp_path: Path, path: str) -> None:
    """What is public needs no key."""
    async with house_of(tmp_path, keys=KEYS, actors=False) as house:
        assert (await house.client.get(path)).status_code == 200


def test_the_api_is_not_public() -> None:
    """The api is not public."""
    assert not any(is_public(path) for path in ("/api/v1/jobs", "/page", "/healthy", "//api"))


async def test_a_session_keeps_the_key_in_a_cookie(tmp_path: Path) -> None:
    """A session keeps the key in a cookie."""
    async with house_of(tmp_path, keys=KEYS, actors=False) as house:
        opened = await house.client.post("/api/v1/session", headers={"X-API-Key": "shop-secret-1"})
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await house.client.get("/api/v1/jobs")).status_code == 200
        other_site = await house.client.post(
            "/api/v1/jobs", json=ASK, headers={"Origin": "http://elsewhere.example"}
        )
        assert other_site.status_code == 403
        await house.client.delete("/api/v1/session")
        assert (await house.client.get("/api/v1/jobs")).status_code == 401


async def test_without_keys_only_this_machines_names_are_served(house: House) -> None:
    """Without keys only this machines names are served."""
    for host, status in (
        ("localhost", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("rebound.example", 403),
        ("127.0.0.1.rebound.example:8080", 403),
    ):
        answer = await house.client.get("/api/v1/presets", headers={"Host": host})
        assert answer.status_code == status, host


async def test_a_page_of_another_site_may_not_ask(house: House) -> None:
    """A page of another site may not ask."""
    theirs = {"Origin": "http://elsewhere.example"}
    ours = {"Origin": "http://localhost"}
    assert (await house.client.post("/api/v1/jobs", json=ASK, headers=theirs)).status_code == 403
    assert (await house.client.post("/api/v1/jobs", json=ASK, headers=ours)).status_code == 202


async def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    """Too many requests are told to wait."""
    async with house_of(tmp_path, actors=False, requests_a_minute=3) as house:
        statuses = [(await house.client.get("/api/v1/presets")).status_code for _ in range(5)]
        last = await house.client.get("/health")
    assert statuses == [200, 200, 200, 429, 429]
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) >= 1


async def test_a_large_body_is_refused_by_its_length_before_it_is_read(house: House) -> None:
    """A large body is refused by its length before it is read."""
    answer = await house.client.post("/api/v1/jobs", content=b"x" * (BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert "0.1 MB" in answer.json()["detail"]


async def test_a_large_body_is_refused_while_it_is_read(house: House) -> None:
    """A large body is refused while it is read."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 10_000
            yield b"x" * 10_000

    answer = await house.client.post("/api/v1/jobs", content=endless())
    assert answer.status_code == 413
    assert read <= BODY_BYTES_MAX + 20_000


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    """A body that does not come is not waited for."""

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    async with house_of(tmp_path, actors=False, body_s=0.3) as house:
        answer = await house.client.post("/api/v1/jobs", content=slow())
    assert answer.status_code == 408
