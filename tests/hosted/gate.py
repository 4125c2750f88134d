"""A gate on the way to a NATS server, and what kills a process as it goes through.

The process behind it is what a user runs, unaltered: whether it dies before an event of it is
stored, or after and before it knows, is decided by what the gate lets through.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Self

CHUNK = 65_536

Strike = Callable[[], Awaitable[None]]
"""Kills the process; returns when it is dead."""


class Gate:
    """Listens on loopback, and hands on to the server.

    ``before`` and ``after`` name the subject of the publishing that is fatal, one at a time:
    before it, nothing of it reaches the server; after it, no word of the server gets back.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listening: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._muted = False
        self.before = ""
        self.after = ""
        self.strike: Strike | None = None
        self.passed = asyncio.Event()
        """Set when what is fatal has come, and was held or handed on."""

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._listening is not None
        return f"nats://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        """Open it."""
        self._listening = await asyncio.start_server(self._through, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it and break what goes through."""
        assert self._listening is not None
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listening.wait_closed()

    def harmless(self) -> None:
        """Let everything through from now on."""
        self.before = self.after = ""
        self._muted = False

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        ways = (self._asks(reader, up_writer), self._answers(up_reader, writer))
        directions = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            for each in (writer, up_writer):
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()
            self._tasks.discard(task)

    async def _asks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What the process says."""
        seen = b""
        while chunk := await reader.read(CHUNK):
            seen = seen[-200:] + chunk
            if self.before and _published(self.before) in seen:
                self.passed.set()
                assert self.strike is not None
                await self.strike()
                return
            if self.after and _published(self.after) in seen:
                self._muted = True
                self.passed.set()
            writer.write(chunk)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What the server says."""
        while chunk := await reader.read(CHUNK):
            if not self._muted:
                writer.write(chunk)
                await writer.drain()


def _published(subject: str) -> bytes:
    """How a publishing with headers begins on the wire."""
    return f"HPUB {subject} ".encode()
