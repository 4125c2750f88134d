"""The socket of a server, for one prompt: how far it is, how it looks, and that it may have ended.

All of it is a hint.  There is no replay after a break, a second socket with the same id can stay
deaf, a proxy may not let it through: work goes on without it, and the poll says what is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import struct
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from adapters.base import Preview

RETRY_S = 2.0
"""Seconds between two tries to open the socket again."""

MESSAGE_BYTES_MAX = 64_000_000
"""Previews are pictures; nothing else is as large."""

PREVIEW_BYTES_MAX = 200_000
"""A larger one is not handed on: it would not fit into a message about progress."""
PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png"}
"""How a preview may begin, and what it is then."""

_HEAD = struct.Struct(">II")
_PLAIN, _WITH_FACTS = 1, 4
"""Kinds of binary messages: a preview, and one with JSON before it that says of which prompt."""

ENDINGS = frozenset({"execution_success", "execution_error", "execution_interrupted"})


class Listener:
    """Listens for one prompt, from before it is queued until it has ended.

    ``share`` (0 to 1) is how much of the sampling is done, ``heard_s`` the monotonic time of the
    last word about the prompt, ``connected`` whether words could come at all.  ``preview`` is the
    last picture that was sent; servers send some only when they are started to.
    """

    def __init__(self, server: str, client_id: str, *, open_s: float) -> None:
        address = "ws" + server.removeprefix("http")
        self._address = f"{address}/ws?clientId={quote(client_id, safe='')}"
        self._open_s = open_s
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.prompt_id = ""
        self.share = 0.0
        self.heard_s = 0.0
        self.connected = False
        self.preview: Preview | None = None
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Wait until the socket is open, or cannot be opened now."""
        self._task = asyncio.create_task(self._listen())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), self._open_s)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, whatever it does: nobody waits for a word of it any more."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (mistake := self._task.exception()) is not None:
            raise mistake

    async def _listen(self) -> None:
        while True:
            try:
                async with connect(
                    self._address,
                    open_timeout=self._open_s,
                    close_timeout=0.5,
                    max_size=MESSAGE_BYTES_MAX,
                    proxy=None,
                ) as socket:
                    self.connected = True
                    self._ready.set()
                    await self._hear(socket)
            except (OSError, TimeoutError, WebSocketException):
                # It is a hint: the poll finds out what this means, if it means anything.
                self._ready.set()
            finally:
                self.connected = False
            await asyncio.sleep(RETRY_S)

    async def _hear(self, socket: ClientConnection) -> None:
        async for message in socket:
            if not isinstance(message, str):
                self._see(message)
                continue
            try:
                told = json.loads(message)
            except ValueError:
                continue
            data = told.get("data") if isinstance(told, dict) else None
            if isinstance(data, dict) and data.get("prompt_id") == self.prompt_id:
                self._note(str(told.get("type")), data)

    def _see(self, message: bytes) -> None:
        """Keep a preview.  One that does not say of which prompt it is comes to who asked for it
        alone, and we ask under another id for each prompt.
        """
        if len(message) <= _HEAD.size:
            return
        kind, number = _HEAD.unpack_from(message)
        content = message[_HEAD.size :]
        if kind == _WITH_FACTS:
            if self.prompt_id.encode() not in content[:number]:
                return
            content = content[number:]
        elif kind != _PLAIN:
            return
        media_type = next((PICTURES[head] for head in PICTURES if content.startswith(head)), "")
        if media_type and len(content) <= PREVIEW_BYTES_MAX:
            self.heard_s = time.monotonic()
            self.preview = Preview(media_type=media_type, content=content)

    def _note(self, kind: str, data: dict[str, Any]) -> None:
        self.heard_s = time.monotonic()
        if kind == "progress":
            done, total = data.get("value"), data.get("max")
            if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
                share = min(1.0, max(0.0, done / total))
                # A second sampler begins anew; what was told is not taken back.
                self.share = max(self.share, share if math.isfinite(share) else 0.0)
        elif kind in ENDINGS or (kind == "executing" and data.get("node") is None):
            self.ended.set()
