"""A connection that nobody can hold for nothing: heads that do not come, readers that do not read.

Uvicorn bounds the time between two requests and nothing else.  The body's time is the guard's.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from config.models import GatewaySettings
from services.gateway.problems import Refused, problem_response, too_many


class Connection(H11Protocol):
    """Uvicorn's, closed when its client keeps it waiting or takes too long in all."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def __init__(self, *, bounds: GatewaySettings, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._bounds = bounds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its request must come."""
        connections_max = self._bounds.connections_max
        if len(self.connections) >= connections_max:
            # Told once its request has come, so that it hears it: of a connection that is closed
            # at once it would only know that it broke.
            refused = too_many("connections", connections_max)
            refused.headers["Connection"] = "close"
            self.app = problem_response(refused)
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        for timer in (self._head, self._stall, self._answer):
            _off(timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came; the head's time goes on until all of it is there."""
        super().data_received(data)
        self._begin_answer()

    def on_response_complete(self) -> None:
        """The next request must come; that of a client that pipelines may have come already."""
        _off(self._answer)
        self._answer = None
        self._await_head()
        super().on_response_complete()
        self._begin_answer()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP: told as a problem, as everything is."""
        detail = f"{msg.rstrip('.')}: it is no HTTP/1.1 that can be read."
        answer = problem_response(Refused(HTTPStatus.BAD_REQUEST, detail))
        headers = [*answer.raw_headers, (b"connection", b"close")]
        head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """The reader is slower than we are."""
        super().pause_writing()
        _off(self._stall)
        self._stall = self.loop.call_later(self._bounds.stalled_s, self._give_up)

    def resume_writing(self) -> None:
        """It read."""
        _off(self._stall)
        super().resume_writing()

    def _begin_answer(self) -> None:
        """Count the time of an answer that is under way now, if it is not counted yet."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete and self._answer is None:
            _off(self._head)
            self._answer = self.loop.call_later(self._bounds.answer_s, self._give_up)

    def _await_head(self) -> None:
        _off(self._head)
        self._head = self.loop.call_later(self._bounds.head_s, self._give_up)

    def _give_up(self) -> None:
        # Not a close: that would wait for the very bytes that nobody takes.
        self.transport.abort()


def _off(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
