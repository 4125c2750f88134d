"""The gateway in a process of its own, beside services that it must neither slow nor end.

A *cord* holds the two together, a pair of sockets.  Over it the services tell the gateway where
the log is, and their metrics when it asks for them; when it breaks, by whatever death, the other
side knows.  The listening socket stays open here: while a gateway that has died is started again,
clients wait and are not refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import services
from services.home import Home, Target

if TYPE_CHECKING:
    from events.log import EventLog
    from services.composition import Beside, Workshop

RESTART_S = 0.1
"""Seconds before a gateway that has died is started again; they double each time."""
SETTLED_S = 30.0
"""One that lived so long had not died of how it was started."""
LEAVE_S = 5.0
"""Seconds in which it has to end, besides those that it gives its clients."""
TOLD_S = 5.0
"""Seconds to wait for the services' metrics."""
_ASK = b"metrics\n"
_log = logging.getLogger("pytoon.services")
Exposition = Callable[[], tuple[bytes, str]]
"""The metrics of a process, and their media type."""


class Keeper:
    """Keeps a gateway running on a listening socket, in a process of its own."""

    def __init__(self, listening: socket.socket, home: Home, exposition: Exposition) -> None:
        self._listening = listening
        self._home = home
        self._exposition = exposition

    def at(self, target: Target) -> Beside:
        """What keeps one on a server (its url and token) until the services stop."""

        async def beside(log: EventLog, workshop: Workshop, stop: asyncio.Event) -> None:
            del log
            bounds = workshop.config.gateway
            delay_s = RESTART_S
            while not stop.is_set():
                began_s = time.monotonic()
                code = await self._live(target, stop, bounds.stop_s + LEAVE_S)
                if time.monotonic() - began_s >= SETTLED_S:
                    delay_s = RESTART_S
                if stop.is_set() or await _is_set_within(delay_s, stop):
                    return
                _log.error("the gateway has died (exit code %d): starting it again", code)
                delay_s = min(2 * delay_s, bounds.restart_delay_max_s)

        return beside

    async def _live(self, target: Target, stop: asyncio.Event, leave_s: float) -> int:
        """Run one gateway until it ends or ``stop`` is set; returns its exit code."""
        process, cord = await self._start()
        reader, writer = await asyncio.open_connection(sock=cord)
        level = logging.getLevelName(logging.getLogger().level).lower()
        order = {"target": target, "level": level}
        writer.write(json.dumps(order).encode() + b"\n")
        telling = asyncio.create_task(_tell(reader, writer, self._exposition))
        telling.add_done_callback(_say_why)
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
            stopping.cancel()
            # That is the order to leave.
            writer.close()
            await asyncio.wait({ended}, timeout=leave_s)
            if not ended.done():
                _log.warning("the gateway does not end: it is killed")
                process.kill()
            await asyncio.gather(ended, telling, stopping, return_exceptions=True)
        return await ended

    async def _start(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        """A new process, and our end of the cord to it."""
        ours, theirs = socket.socketpair()
        root = str(Path(services.__file__).parents[1])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        files = (theirs.fileno(), self._listening.fileno())
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "services.cli.gateway_process", *map(str, files)),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=files,
                # Ctrl-C is meant for the services: they end the gateway in order.
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path, "PYTOON_HOME": str(self._home.path)},
            )
        return process, ours


async def _tell(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    exposition: Exposition,
) -> None:
    """Answer each question with the metrics of this process, until the cord breaks."""
    try:
        while await reader.readline() == _ASK:
            body, _ = exposition()
            writer.write(b"%d\n" % len(body) + body)
            await writer.drain()
    except ConnectionError:
        # Whoever waits for the process's end is told that.
        return


def _say_why(telling: asyncio.Task[None]) -> None:
    """Nobody waits for it: why it broke off would not be heard."""
    error = None if telling.cancelled() else telling.exception()
    if error is not None:
        _log.error("the gateway is told no metrics any more", exc_info=error)


async def _is_set_within(seconds: float, stop: asyncio.Event) -> bool:
    try:
        return await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False


class Cord:
    """The gateway's end of the cord."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: deque[asyncio.Future[bytes]] = deque()

    @classmethod
    async def take(cls, cord: socket.socket) -> tuple[Cord, dict[str, Any]]:
        """The cord, and what the services order."""
        reader, writer = await asyncio.open_connection(sock=cord)
        return cls(reader, writer), json.loads(await reader.readline())

    async def hold(self, stop: asyncio.Event) -> None:
        """Take the answers until the cord breaks: then the gateway is to leave."""
        try:
            while size := await self._reader.readline():
                body = await self._reader.readexactly(int(size))
                asked = self._asked.popleft()
                if not asked.done():
                    asked.set_result(body)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            _log.info("the services went in the midst of an answer: %s", error)
        finally:
            stop.set()
            self._writer.close()
            for asked in self._asked:
                asked.cancel()

    async def metrics(self) -> tuple[bytes, str]:
        """What the services count, and its media type.  Raises TimeoutError."""
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._writer.write(_ASK)
        async with asyncio.timeout(TOLD_S):
            return await asked, CONTENT_TYPE_LATEST


async def _run(cord_fd: int, listening_fd: int) -> None:
    from services import logs, traces
    from services.cli.daemon import run_actors
    from services.cli.serving import serving_at
    from services.gateway.keys import keyring

    cord, order = await Cord.take(socket.socket(fileno=cord_fd))
    logs.set_up(level=order["level"])
    end_traces = traces.set_up(os.environ)
    stop = asyncio.Event()
    holding = asyncio.create_task(cord.hold(stop))
    home, listening = Home.find(), socket.socket(fileno=listening_fd)
    listening.setblocking(False)  # noqa: FBT003 - the standard library's own
    beside = serving_at(listening, keyring(os.environ), home, cord.metrics)
    try:
        target = Target(*order["target"])
        await run_actors((), target, home, provision=False, beside=beside, stop=stop)
    finally:
        holding.cancel()
        end_traces()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2])))
