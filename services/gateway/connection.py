"""A connection that nobody can hold for nothing: heads that do not come, readers that do not read.

Uvicorn bounds the time between two requests and nothing else.  The body's time is the guard's.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_S = 10.0
"""Seconds in which a request's head has to come whole, the first one's and each later one's."""
STALLED_S = 60.0
"""Seconds that a full buffer waits for its reader; a browser that comes back asks for the rest."""


class Connection(H11Protocol):
    """Uvicorn's, closed when its client keeps it waiting."""

    head_s = HEAD_S
    stalled_s = STALLED_S
    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its request must come."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        _off(self._head)
        _off(self._stall)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came; the head's time goes on until all of it is there."""
        super().data_received(data)
        if self._under_way():
            _off(self._head)

    def on_response_complete(self) -> None:
        """The next request must come; that of a client that pipelines may have come already."""
        self._await_head()
        super().on_response_complete()
        if self._under_way():
            _off(self._head)

    def pause_writing(self) -> None:
        """The reader is slower than we are."""
        super().pause_writing()
        _off(self._stall)
        self._stall = self.loop.call_later(self.stalled_s, self._give_up)

    def resume_writing(self) -> None:
        """It read."""
        _off(self._stall)
        super().resume_writing()

    def _under_way(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _await_head(self) -> None:
        _off(self._head)
        self._head = self.loop.call_later(self.head_s, self._give_up)

    def _give_up(self) -> None:
        # Not a close: that would wait for the very bytes that nobody takes.
        self.transport.abort()


def _off(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
