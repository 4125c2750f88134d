"""Clients of a gateway by the hundred: what each kind of request takes, and who gets no answer.

They speak HTTP over plain streams: a client library would need more of the two cores than the
gateway that is measured.  Beside them are some that send and read as slowly as they can.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

POST, JOB, JOBS, STREAM = "POST jobs", "GET job", "GET jobs", "SSE"
"""The kinds of waits."""
PATIENCE_S = 120.0
ERRORS_KEPT = 20
DRIP_S = 0.2
"""Seconds between two drips, and between two sips."""
SIP_BYTES = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clients do: each asks for (or looks at) a job, hears of it and looks again."""

    clients: int = 200
    slow: int = 20
    looks: int = 10
    listing_every: int = 5
    think_s: float = 0.5
    heard_s: float = PATIENCE_S


@dataclass(slots=True)
class Load:
    """What they met: the seconds of each kind of wait, what went wrong, and who was cut off."""

    waits_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    failed: int = 0
    ended: int = 0
    wall_s: float = 0.0
    slow: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def fail(self, what: str) -> None:
        """Count an error, and keep the first ones in words."""
        self.failed += 1
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append(what)

    def p50_s(self, kind: str) -> float:
        """The median of a kind."""
        return median(self.waits_s[kind])

    def p99_s(self, kind: str) -> float:
        """What 99 of 100 stay below."""
        return quantiles(self.waits_s[kind], n=100)[98]


class Link:
    """One connection that is kept, made again where the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request; tried a second time where an idle link was closed."""
        kept = self._streams is not None
        try:
            return await self._ask(method, path, body, headers or {})
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            if not kept:
                raise
        return await self._ask(method, path, body, headers or {})

    async def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(head_of(method, path, self._host, {**headers, "Content-Length": len(body)}))
        writer.write(body)
        status, told = await read_head(reader)
        content = await reader.readexactly(int(told.get("content-length", "0")))
        if told.get("connection", "").lower() == "close":
            self.close()
        return status, content

    def close(self) -> None:
        """Give the connection up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def head_of(method: str, path: str, host: str, headers: Mapping[str, object]) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def events(
    host: str, port: int, path: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[dict[str, str]]:
    """The server-sent events of a stream, to its end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        asked = {"Accept": "text/event-stream", **(headers or {})}
        writer.write(head_of("GET", path, host, asked))
        status, _ = await read_head(reader)
        if status != 200:
            raise ConnectionError(f"{path}: {status}")
        rest = b""
        while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
            rest += (await reader.readexactly(size + 2))[:size]
            *whole, rest = rest.split(b"\r\n\r\n")
            for block in whole:
                lines = (line.partition(": ") for line in block.decode().split("\r\n"))
                yield {name: value for name, _, value in lines if name}
    finally:
        writer.close()


class Crowd:
    """All clients of one gateway."""

    def __init__(self, host: str, port: int, plan: Plan) -> None:
        self.host, self.port, self.plan = host, port, plan
        self.load = Load()
        self._rest = random.Random(7)

    async def run(self, asks: Sequence[dict[str, Any] | str], slow_paths: Sequence[str]) -> Load:
        """Each client with its request (or the id of a job that is there); the slow ones beside.

        ``slow_paths`` are what the slow readers read.
        """
        began_s = time.monotonic()
        async with self._slow_ones(slow_paths):
            await asyncio.gather(*(self._client(ask) for ask in asks))
        self.load.wall_s = time.monotonic() - began_s
        return self.load

    async def _client(self, ask: dict[str, Any] | str) -> None:
        link = Link(self.host, self.port)
        await asyncio.sleep(self._rest.random() * self.plan.think_s)
        if isinstance(ask, str):
            job_id = ask
        else:
            job_id = str(ask["job_id"])
            body = json.dumps(ask).encode()
            await self._timed(link, POST, "/api/v1/jobs", body)
        hearing = asyncio.create_task(self._hear(job_id))
        for look in range(1, self.plan.looks + 1):
            await self._timed(link, JOB, f"/api/v1/jobs/{job_id}")
            if look % self.plan.listing_every == 0:
                await self._timed(link, JOBS, "/api/v1/jobs?limit=20")
            await asyncio.sleep(self.plan.think_s * (0.5 + self._rest.random()))
        link.close()
        await hearing

    async def _timed(self, link: Link, kind: str, path: str, body: bytes = b"") -> None:
        """Ask, with a body if there is one to POST, and note how long the answer took."""
        began_s = time.monotonic()
        method, wanted = ("POST", 202) if body else ("GET", 200)
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, told = await link.ask(method, path, body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.load.fail(f"{kind}: {type(error).__name__} {error}")
            return
        self.load.waits_s[kind].append(time.monotonic() - began_s)
        if status != wanted:
            self.load.fail(f"{kind}: {status} {told[:200]!r}")

    async def _hear(self, job_id: str) -> None:
        """Hear of a job to its end; an event's wait is counted from when the log stored it."""
        path = f"/api/v1/jobs/{job_id}/events"
        began_s = time.time()
        try:
            async with asyncio.timeout(self.plan.heard_s):
                async for event in events(self.host, self.port, path):
                    if event.get("event") == "end":
                        self.load.ended += 1
                        return
                    if "id" in event:
                        stored = dt.datetime.fromisoformat(json.loads(event["data"])["time"])
                        # What was stored before we came is no news.
                        if stored.timestamp() > began_s:
                            wait_s = time.time() - stored.timestamp()
                            self.load.waits_s[STREAM].append(wait_s)
            self.load.fail(f"{STREAM}: {job_id} ended too early")
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.load.fail(f"{STREAM}: {type(error).__name__} {error}")

    @asynccontextmanager
    async def _slow_ones(self, paths: Sequence[str]) -> AsyncIterator[None]:
        kinds = (self._drip_upload, self._drip_head, self._stare, self._sip)
        tasks = [
            asyncio.create_task(kinds[number % len(kinds)](paths[number % len(paths)]))
            for number in range(self.plan.slow)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def _slowly(
        self, name: str, send: bytes
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection on which nothing is read unless it is asked for, and a begin is sent."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1)
        self.load.slow[name] += 1
        try:
            writer.write(send)
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _again(self, name: str, send: bytes, drip: bytes) -> None:
        """Send a begin, then a drip now and then and read nothing, whenever we are let in."""
        while True:
            with suppress(OSError):
                async with self._slowly(name, send) as (reader, writer):
                    while not reader.at_eof():
                        writer.write(drip)
                        await writer.drain()
                        await asyncio.sleep(DRIP_S)
            await asyncio.sleep(DRIP_S)

    async def _drip_upload(self, _path: str) -> None:
        told = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": 1_000_000}
        begin = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        sent = head_of("POST", "/api/v1/assets", self.host, told) + begin
        await self._again("drip-fed upload", sent, b"z")

    async def _drip_head(self, _path: str) -> None:
        sent = b"GET /health HTTP/1.1\r\nHost: " + self.host.encode() + b"\r\n"
        await self._again("drip-fed head", sent, b"X: 1\r\n")

    async def _stare(self, path: str) -> None:
        sent = head_of("GET", path, self.host, {"Accept": "text/event-stream"})
        await self._again("stream that is not read", sent, b"")

    async def _sip(self, path: str) -> None:
        """Read a few bytes now and then."""
        while True:
            with suppress(OSError):
                send = head_of("GET", path, self.host, {})
                async with self._slowly("film that is sipped", send) as (reader, _):
                    while await self._sipped(reader):
                        self.load.slow["sips"] += 1
            await asyncio.sleep(DRIP_S)

    @staticmethod
    async def _sipped(reader: asyncio.StreamReader) -> bool:
        taken = await reader.read(SIP_BYTES)
        await asyncio.sleep(DRIP_S)
        return bool(taken)


__all__ = ["JOB", "JOBS", "POST", "STREAM", "Crowd", "Link", "Load", "Plan", "events", "head_of"]
