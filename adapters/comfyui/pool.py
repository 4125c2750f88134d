"""Several servers behind one name: the least loaded is asked first, one in trouble is left alone.

A server rests for ``cool_down_s`` after it has failed to answer.  One that holds on to a prompt
whatever it is asked rests until that prompt has left its queue: only its restart helps.  When all
rest, each is looked at once more before the work is given up.

All of it is memory of this process: whoever starts anew looks anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from adapters.comfyui.client import Client, Refused, ServerFault, ServerSilent
from adapters.comfyui.failures import Trouble
from adapters.comfyui.options import ComfyOptions
from events.types import Reason


class Server:
    """A server and what is known of it; ``ours`` counts what this process has given it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ours = 0
        self.asked = 0
        self.resting_until_s = 0.0
        self.why = ""
        self.stuck_on = ""

    @property
    def name(self) -> str:
        """Its address, without what proves who we are."""
        return self.client.name

    @property
    def resting(self) -> bool:
        """Whether it is better left alone now."""
        return time.monotonic() < self.resting_until_s

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Count a piece of work as given to it."""
        self.ours += 1
        try:
            yield
        finally:
            self.ours -= 1

    async def load(self) -> int | None:
        """How much it has to do; None, with ``why``, when it cannot be asked now."""
        try:
            if self.stuck_on:
                if self.stuck_on in (await self.client.queue()).running:
                    self.why = f"{self.name} hangs on {self.stuck_on}: restart that server"
                    return None
                self.stuck_on = ""
            return await self.client.waiting()
        except (ServerSilent, ServerFault, Refused) as error:
            self.why = str(error)
            return None


class Pool:
    """The servers of one engine."""

    def __init__(self, options: ComfyOptions) -> None:
        self._options = options
        self.servers = tuple(
            Server(Client(address, request_s=options.request_s, transfer_s=options.transfer_s))
            for address in options.servers
        )

    async def close(self) -> None:
        """Release every connection."""
        await asyncio.gather(*(server.client.close() for server in self.servers))

    def rest(self, server: Server, why: str, stuck_on: str = "") -> None:
        """Leave a server alone for a while."""
        server.resting_until_s = time.monotonic() + self._options.cool_down_s
        server.why = why
        server.stuck_on = stuck_on or server.stuck_on

    async def chosen(self, without: Sequence[Server] = ()) -> Server:
        """The server to ask next.  Raises ``Trouble`` (unavailable) when there is none."""
        candidates = [server for server in self.servers if server not in without]
        awake = [server for server in candidates if not server.resting]
        # When all rest, one may have come back before its time.
        for group in (awake, [server for server in candidates if server.resting]):
            loads = await asyncio.gather(*(server.load() for server in group))
            able = []
            for server, load in zip(group, loads, strict=True):
                if load is None:
                    self.rest(server, server.why)
                else:
                    # Ours may not have reached its queue yet.
                    able.append((max(load, server.ours), server.asked, server))
            if able:
                server = min(able, key=lambda item: item[:2])[2]
                server.asked = 1 + max(other.asked for other in self.servers)
                server.resting_until_s = 0.0
                return server
        why = "; ".join(server.why for server in candidates if server.why)
        raise Trouble(Reason.UNAVAILABLE, why or "no server is left to ask", rest=False)

    async def look(self) -> dict[str, str]:
        """Each server's name with why it cannot be asked now; empty text: it can."""
        loads = await asyncio.gather(*(server.load() for server in self.servers))
        return {
            server.name: server.why if load is None else ""
            for server, load in zip(self.servers, loads, strict=True)
        }
