"""Two ways to a provider: over a socket on loopback, and without any, for time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.comfy.wire import Request, Response, Wire
from tests.hosted.provider import Provider, Reply


class Killed(BaseException):
    """The process dies here: nothing of ours may handle it."""


Step = Callable[[str], None]
"""Called at each step with its name; may raise ``Killed``."""


def _nothing(step: str) -> None:
    return


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to a provider; ``step`` sees each before it is sent and before its answer."""

    def __init__(self, provider: Provider, step: Step = _nothing) -> None:
        self._provider = provider
        self._step = step

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange."""
        body = await request.aread()
        parts = urlsplit(str(request.url))
        asked = Request(
            request.method,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in request.headers.items()},
            body,
        )
        self._step(f"before {request.method} {parts.path}")
        await asyncio.sleep(0.01)
        reply = self._provider.answer(asked)
        self._step(f"after {request.method} {parts.path}")
        await asyncio.sleep(reply.delay_s)
        if reply.drop:
            raise httpx.ReadError("the connection was closed", request=request)
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        return httpx.Response(reply.status, headers=headers, stream=_Body(reply), request=request)


class _Body(httpx.AsyncByteStream):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body, or the part of it that comes."""
        yield self._reply.body[: self._reply.cut]
        if self._reply.cut is not None:
            raise httpx.RemoteProtocolError("peer closed connection without sending all of it")


@dataclass
class Listening:
    """A provider on a socket."""

    provider: Provider
    url: str
    wire: Wire
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def listening(provider: Provider) -> AsyncIterator[Listening]:
    """Serve a provider on loopback."""

    async def handle(request: Request) -> Response:
        reply = provider.answer(request)
        await asyncio.sleep(reply.delay_s)
        return Response(reply.status, reply.body, reply.headers, reply.cut, reply.drop)

    wire = Wire(handle, lambda *_: None, lambda _: None, lambda: False)
    await wire.start()
    provider.base = f"http://127.0.0.1:{wire.port}"
    try:
        yield Listening(provider, provider.base, wire)
    finally:
        await wire.abort()
