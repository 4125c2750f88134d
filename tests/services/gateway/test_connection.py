"""Real sockets: who does not send, does not read or comes back after a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from fastapi import FastAPI

from events.job import fold, initial_state
from services.gateway.addresses import bind
from services.gateway.app import create_app
from services.gateway.desk import Desk
from services.gateway.keys import Keyring
from services.gateway.serving import serve
from tests import builders
from tests.patience import holds_once
from tests.services.gateway.conftest import House, house_of

HEAD = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
SOON_S = 0.3
LATE_S = 20.0


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """The application on a port of its own."""
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    stop = asyncio.Event()
    task = asyncio.create_task(serve(app, listening, stop))
    try:
        yield port
    finally:
        stop.set()
        await task


@asynccontextmanager
async def sent(
    port: int, text: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection over which a text was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What came until the other side closed."""
    try:
        async with asyncio.timeout(LATE_S):
            return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.fixture(name="hasty")
async def a_hasty_house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway that waits a moment only."""
    async with house_of(tmp_path, actors=False, head_s=SOON_S, stalled_s=SOON_S) as made:
        yield made


@pytest.mark.parametrize("text", ["", HEAD], ids=["silent", "half a head"])
async def test_a_head_that_does_not_come_is_not_waited_for(hasty: House, text: str) -> None:
    """A connection that sends nothing, or half a head, is closed."""
    async with served(hasty.app) as port, sent(port, text) as (reader, _):
        assert await closed(reader) == b""


async def test_bytes_now_and_then_keep_no_connection(hasty: House) -> None:
    """A head that comes one line at a time has no more time than any other."""
    async with served(hasty.app) as port, sent(port, HEAD) as (reader, writer):
        ended = asyncio.create_task(closed(reader))
        began_s = time.monotonic()
        while not ended.done():
            writer.write(b"X-More: 1\r\n")
            await asyncio.sleep(SOON_S / 5)
            assert time.monotonic() < began_s + LATE_S
        assert await ended == b""


async def test_a_connection_serves_until_it_is_idle(hasty: House) -> None:
    """Requests one after the other are answered; then the connection is closed."""
    async with served(hasty.app) as port:

        async def serves(_: int) -> bool:
            async with sent(port, HEAD + "\r\n") as (reader, writer):
                await asyncio.sleep(SOON_S / 2)
                writer.write((HEAD + "\r\n").encode())
                await asyncio.sleep(SOON_S / 2)
                writer.write((HEAD + "\r\n").encode() * 2)
                return (await closed(reader)).count(b"200 OK") == 4

        assert await holds_once(serves)


async def test_a_body_in_drips_is_refused_and_its_connection_closed(tmp_path: Path) -> None:
    """The body's time holds for the whole of it, and what comes afterwards is not read.

    A drop that meets the closed connection resets it, and the answer may be lost with it.
    """
    ask = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n"
    async with (
        house_of(tmp_path, actors=False, body_s=SOON_S) as house,
        served(house.app) as port,
    ):

        async def is_told(_: int) -> bool:
            async with sent(port, ask) as (reader, writer):
                ended = asyncio.create_task(_taken(reader))
                while not ended.done():
                    writer.write(b" ")
                    await asyncio.sleep(0.05)
                told = await ended
            if not told:
                return False
            assert told.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in told.lower()
            return True

        assert await holds_once(is_told)


async def _taken(reader: asyncio.StreamReader) -> bytes:
    """What is still there of an answer that was broken off."""
    parts = []
    with suppress(ConnectionResetError):
        while part := await reader.read(1 << 20):
            parts.append(part)
    return b"".join(parts)


async def _with_a_film(house: House, content: bytes) -> None:
    artifact = await house.store.put_bytes(content, "text/html")
    end = msgspec.structs.replace(builders.completed(), output=artifact)
    tail = initial_state(builders.JOB).tail
    events = (*builders.whole_history()[:-1], end)
    await house.log.append(tail, events, source="test")


async def test_a_reader_that_does_not_read_is_left(tmp_path: Path) -> None:
    """Of a film that nobody takes, no more is kept open for long."""
    async with house_of(tmp_path, actors=False, head_s=SOON_S, stalled_s=SOON_S) as house:
        await _with_a_film(house, bytes(40_000_000))
        async with served(house.app) as port:
            ask = f"GET /api/v1/jobs/{builders.JOB}/output HTTP/1.1\r\nHost: localhost\r\n\r\n"

            async def is_left(_: int) -> bool:
                async with sent(port, ask) as (reader, _writer):
                    with suppress(ConnectionResetError):
                        begun = (await reader.readline()).startswith(b"HTTP/1.1 200")
                        await asyncio.sleep(SOON_S * 3)
                        return begun and len(await _taken(reader)) < 40_000_000
                return False

            assert await holds_once(is_left)


async def test_a_film_is_served_as_a_film(tmp_path: Path) -> None:
    """Whatever an engine called its artifact: it is never a page."""
    async with house_of(tmp_path, actors=False) as house:
        await _with_a_film(house, b"<script>alert(1)</script>")
        answer = await house.client.get(f"/api/v1/jobs/{builders.JOB}/output")
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def _told(reader: asyncio.StreamReader, events_max: int) -> list[int]:
    """The ids of the next events of a stream, to its end at most."""
    seqs: list[int] = []
    async with asyncio.timeout(LATE_S):
        while len(seqs) < events_max and (line := await reader.readline()):
            if line.startswith(b"event: end"):
                break
            if line.startswith(b"id: "):
                seqs.append(int(line[4:]))
            if line.startswith(b"data: ") and seqs and b'"seq"' in line:
                assert json.loads(line[6:])["seq"] == seqs[-1]
    return seqs


async def test_a_stream_goes_on_over_a_restart(tmp_path: Path) -> None:
    """A client that comes back with the last id is told every event once."""
    events = builders.whole_history()
    async with house_of(tmp_path, actors=False) as house:
        tail = initial_state(builders.JOB).tail
        stored = await house.log.append(tail, events[:4], source="test")
        ask = f"GET /api/v1/jobs/{builders.JOB}/events HTTP/1.1\r\nHost: localhost\r\n"
        ask += "Accept: text/event-stream\r\n"
        async with served(house.app) as port, sent(port, ask + "\r\n") as (reader, _):
            first = await _told(reader, 3)
        tail = fold(builders.JOB, stored).tail
        stored += await house.log.append(tail, events[4:], source="test")
        desk = Desk(house.log, house.store, house.config)
        another = create_app(desk, keys=Keyring())
        ask += f"Last-Event-ID: {first[-1]}\r\n\r\n"
        async with served(another) as port, sent(port, ask) as (reader, _):
            rest = await _told(reader, len(events))
    assert first + rest == [recorded.seq for recorded in stored]
