"""HTTP/1.1 and WebSocket by hand, so that a test can break an answer at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.frames import Opcode
from websockets.http11 import Request as Opening
from websockets.server import ServerProtocol

HEAD_BYTES_MAX = 65_536
TEXT = "text/plain; charset=utf-8"


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Response:
    """What is answered; ``cut`` sends only so many bytes of the body, then closes.

    ``then`` is called when that much of it is on its way, and the connection still open.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False
    then: Callable[[], Awaitable[None]] | None = None


def json_response(value: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Response(status, json.dumps(value).encode(), headers)


class Socket:
    """A WebSocket of a client."""

    def __init__(self, protocol: ServerProtocol, writer: asyncio.StreamWriter) -> None:
        self._protocol = protocol
        self._writer = writer

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """Send one message."""
        self.send_text(json.dumps({"type": kind, "data": data}))

    def send_text(self, text: str) -> None:
        """Send any text; one that cannot be sent is lost."""
        with contextlib.suppress(Exception):
            self._protocol.send_text(text.encode())
            self.flush()

    def send_binary(self, content: bytes) -> None:
        """Send a preview."""
        with contextlib.suppress(Exception):
            self._protocol.send_binary(content)
            self.flush()

    def flush(self) -> None:
        """Write what the protocol has to say."""
        for chunk in self._protocol.data_to_send():
            if chunk:
                self._writer.write(chunk)


class Wire:
    """A listening port; ``handle`` answers requests, ``opened`` and ``closed`` see sockets."""

    def __init__(
        self,
        handle: Callable[[Request], Awaitable[Response]],
        opened: Callable[[Request, Socket], None],
        closed: Callable[[Socket], None],
        takes_sockets: Callable[[], bool],
    ) -> None:
        self._handle = handle
        self._opened = opened
        self._closed = closed
        self._takes_sockets = takes_sockets
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def abort(self) -> None:
        """Die: every connection breaks in the midst of whatever it carries."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        parts = urlsplit(target)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(method, unquote(parts.path), query, headers, body)
        if headers.get("upgrade", "").lower() == "websocket" and self._takes_sockets():
            await self._socket(request, head, reader, writer)
            return False
        response = await self._handle(request)
        if response.drop:
            writer.transport.abort()
            return False
        length = str(len(response.body))
        told = {"Content-Length": length, **response.headers}
        top = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"HTTP/1.1 {response.status} X\r\n{top}\r\n".encode("latin-1"))
        if method != "HEAD":
            writer.write(response.body[: response.cut])
        await writer.drain()
        if response.then is not None:
            await response.then()
        return response.cut is None

    async def _socket(
        self,
        request: Request,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        protocol = ServerProtocol()
        protocol.receive_data(head)
        opening = next(event for event in protocol.events_received() if isinstance(event, Opening))
        protocol.send_response(protocol.accept(opening))
        socket = Socket(protocol, writer)
        socket.flush()
        self._opened(request, socket)
        try:
            while chunk := await reader.read(65_536):
                protocol.receive_data(chunk)
                ended = any(
                    getattr(event, "opcode", None) is Opcode.CLOSE
                    for event in protocol.events_received()
                )
                socket.flush()
                if ended:
                    return
        finally:
            self._closed(socket)
