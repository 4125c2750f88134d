"""One service over HTTP: what an answer tells, and what none does."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
from collections.abc import Callable

import httpx
import pytest

from adapters.hosted import client as module
from adapters.hosted.client import Client, Foreign, NoAnswer, told
from adapters.secret import Secret
from tests.hosted.bench import declared, settings
from tests.hosted.provider import KEY
from tests.simulation.world import in_jumping_time

Answers = Callable[[httpx.Request], httpx.Response]


def client(answers: Answers, base_url: str = "https://api.example.com/v1") -> Client:
    """A client of a service that answers so."""
    found, _ = declared(settings("runway", base_url=base_url))
    found = found.model_copy(update={"hosts": ("queue.example.com",)})
    return Client(found, Secret(KEY), transport=httpx.MockTransport(answers))


def fine(request: httpx.Request) -> httpx.Response:
    """Shows what it was asked."""
    return httpx.Response(200, json={"url": str(request.url), "headers": dict(request.headers)})


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("/x", "https://api.example.com/v1/x"),
        ("x", "https://api.example.com/v1/x"),
        ("https://api.example.com/y", "https://api.example.com/y"),
        ("https://api.example.com:443/y", "https://api.example.com/y"),
        ("https://queue.example.com/z", "https://queue.example.com/z"),
    ],
)
@in_jumping_time
async def test_our_key_is_shown_to_the_service(url: str, whole: str) -> None:
    """At its own host and those that are declared, with the declared headers."""
    answer = await client(fine).ask("GET", url, answer_s=1)
    assert whole == answer.content["url"]
    headers = answer.content["headers"]
    assert (f"Bearer {KEY}", "2024-11-06") == (
        headers["authorization"],
        headers["x-runway-version"],
    )
    assert KEY not in answer.seen


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/x",
        "https://api.example.com:8443/x",
        "https://evil.example/x",
        "https://api.example.com@evil.example/x",
        "https://api.example.com.evil.example/x",
        "https://api.example.com:no/x",
    ],
)
@in_jumping_time
async def test_and_to_nobody_else(url: str) -> None:
    """Neither without TLS, nor at another port or host."""
    asked: list[str] = []

    def noting(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200)

    with pytest.raises((Foreign, NoAnswer)):
        await client(noting).ask("GET", url, answer_s=1)
    assert [] == asked


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.ReadError("reset"), True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.WriteError("reset"), True),
        (httpx.RemoteProtocolError("cut"), True),
    ],
)
@in_jumping_time
async def test_what_no_answer_tells(error: Exception, sent: bool) -> None:
    """Only a connection that never stood carried nothing."""

    def failing(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(NoAnswer) as caught:
        await client(failing).ask("POST", "/x", answer_s=1)
    assert sent is caught.value.sent


@in_jumping_time
async def test_redirects_are_not_followed() -> None:
    """A create that is sent on would be sent twice."""

    def moved(request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"Location": "https://evil.example/"})

    assert 307 == (await client(moved).ask("POST", "/x", answer_s=1)).status


@in_jumping_time
async def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless one is none."""
    monkeypatch.setattr(module, "ANSWER_BYTES_MAX", 1000)

    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 2000)

    with pytest.raises(NoAnswer, match="more than 1000 bytes"):
        await client(endless).ask("GET", "/x", answer_s=1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff\xfe"])
@in_jumping_time
async def test_what_is_no_json(body: bytes) -> None:
    """It has no content, and is seen."""

    def odd(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    answer = await client(odd).ask("GET", "/x", answer_s=1)
    assert answer.content is None
    assert answer.seen.startswith("200")


def later(seconds: float) -> str:
    """A date as HTTP writes it."""
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return email.utils.format_datetime(when, usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("99999", 600, 600),
        ("inf", 600, 600),
        (60.0, 50, 60),
        (-60.0, 0, 0),
    ],
)
@in_jumping_time
async def test_retry_after(value: str | float, least: float, most: float) -> None:
    """A number or a date (here so many seconds from now), bounded."""
    told = value if isinstance(value, str) else later(value)

    def limited(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": told})

    found = (await client(limited).ask("GET", "/x", answer_s=1)).retry_after_s
    assert found is not None
    assert least <= found <= most


@pytest.mark.parametrize("value", ["soon", "nan", ""])
@in_jumping_time
async def test_no_retry_after(value: str) -> None:
    """Nonsense is none."""

    def limited(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": value} if value else {})

    assert None is (await client(limited).ask("GET", "/x", answer_s=1)).retry_after_s


async def test_creates_do_not_go_over_a_used_connection() -> None:
    """One that the service just closes would leave a create in doubt; looks may."""
    connections: list[str] = []
    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        name = f"{len(set(connections))}"
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                connections.append(name)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found, _ = declared(settings("runway", base_url=f"http://127.0.0.1:{port}"))
        made = Client(found, Secret(KEY))
        for fresh in (False, False, True, True, False):
            await made.ask("GET", "/x", answer_s=5, fresh=fresh)
        await made.close()
        await asyncio.gather(*serving)
    assert ["0", "0", "1", "2", "0"] == connections


def test_addresses_are_told_without_secrets() -> None:
    """Neither a signature nor a user."""
    assert "https://h:1/p" == told("https://user:pass@h:1/p?sig=abc#x")
