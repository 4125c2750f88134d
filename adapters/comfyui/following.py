"""Following a prompt to its end: the poll decides, the socket hints, deadlines bound it.

What a server may do meanwhile: finish, fail, be silent, come back without its memory, or hang
with its worker dead while it answers as if nothing were (a *zombie*: in progress, no word on the
socket, and an interrupt without effect).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from adapters.comfyui.client import ENDED, Client, Refused, Seen, ServerFault, ServerSilent, Status
from adapters.comfyui.failures import OutOfMemory, Stuck, Trouble
from adapters.comfyui.listening import Listener
from adapters.comfyui.options import ComfyOptions
from events.types import Reason

ABSENT_TWICE = 2
"""Answers without the prompt, one after the other, before it is lost."""

_NO_MEMORY = ("out of memory", "allocate memory")


class Follower:
    """Follows one prompt on one server."""

    def __init__(
        self,
        client: Client,
        prompt_id: str,
        listener: Listener,
        options: ComfyOptions,
        *,
        started_s: float,
        resumed: bool,
        report: Callable[[float], None],
    ) -> None:
        self._client = client
        self._prompt_id = prompt_id
        self._listener = listener
        self._options = options
        self._started_s = started_s
        self._resumed = resumed
        self._report = report
        self._place: object = None
        self._moved_s = time.monotonic()
        self._status: Status | None = None

    async def to_end(self) -> Seen:
        """The prompt, completed.  Raises ``Trouble``, ``OutOfMemory`` or ``Stuck``.

        ``started_s`` (monotonic) is when the attempt began: ``too_long_s`` counts from there.
        """
        silent_s: float | None = None
        absent = 0
        while True:
            try:
                seen = await self._client.look_up(self._prompt_id)
            except (ServerSilent, ServerFault, Refused) as error:
                now_s = time.monotonic()
                silent_s = now_s if silent_s is None else silent_s
                if now_s - silent_s > self._options.gone_s:
                    detail = str(error)
                    raise Trouble(Reason.UNAVAILABLE, detail, again=True, rest=True) from error
            else:
                silent_s = None
                absent = absent + 1 if seen is None else 0
                if absent >= ABSENT_TWICE:
                    detail = f"{self._client.name} knows nothing of it any more: it was restarted"
                    raise Trouble(Reason.UNAVAILABLE, detail, again=True)
                if seen is not None:
                    if seen.status in ENDED:
                        return self._judged(seen)
                    await self._note(seen)
            passed = self._passed()
            if passed:
                return await self._given_up(passed)
            await self._rest()

    async def _rest(self) -> None:
        """Until the next look: soon, when the socket says that it has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._listener.ended.wait(), self._options.poll_s)
        self._listener.ended.clear()

    async def _note(self, seen: Seen) -> None:
        """Whether anything has moved since the last look."""
        self._status = seen.status
        place: object = (seen.status, self._listener.share)
        if seen.status is Status.PENDING:
            # Those before it in the queue are its progress.
            with contextlib.suppress(ServerSilent, ServerFault, Refused):
                queue = await self._client.queue()
                before = queue.pending.index(self._prompt_id) if self._waits(queue.pending) else 0
                place = (seen.status, queue.running, before)
        if place != self._place:
            self._place = place
            self._moved_s = time.monotonic()
        self._report(self._listener.share)

    def _waits(self, pending: tuple[str, ...]) -> bool:
        return self._prompt_id in pending

    def _passed(self) -> str:
        """The deadline that has passed, in words; empty while none has."""
        options = self._options
        now_s = time.monotonic()
        still_s = now_s - max(self._moved_s, self._listener.heard_s)
        if now_s - self._started_s > options.too_long_s:
            return f"not done within {options.too_long_s:g} s"
        if self._status is Status.PENDING and still_s > options.queue_s:
            return f"waited {options.queue_s:g} s in a queue that did not move"
        # Without a socket there is no word to miss, and the socket of work that another process
        # began may be deaf: then only the hard deadline holds.
        listening = self._listener.connected and (self._listener.heard_s or not self._resumed)
        running = self._status is Status.IN_PROGRESS
        if running and listening and still_s > options.no_progress_s:
            return f"no progress for {options.no_progress_s:g} s"
        return ""

    async def _given_up(self, passed: str) -> Seen:
        """Cancel it and see what has become of it: it may have been completed after all."""
        seen = await cancelled(self._client, self._prompt_id, self._options)
        if seen is not None and seen.status is Status.COMPLETED:
            return seen
        name = self._client.name
        if seen is not None and seen.status is Status.IN_PROGRESS:
            detail = f"{passed}, and {name} does not let go of it"
            with contextlib.suppress(ServerSilent, ServerFault, Refused):
                if (await self._client.queue()).pending:
                    detail += " while others wait: restart that server"
            raise Stuck(detail, self._prompt_id)
        raise Trouble(Reason.TIMEOUT, f"{passed} at {name}", rest=self._status is Status.PENDING)

    def _judged(self, seen: Seen) -> Seen:
        """What ended: completed, or the failure that it stands for."""
        name = self._client.name
        match seen.status:
            case Status.COMPLETED:
                return seen
            case Status.CANCELLED:
                # Nobody here asked for that: to the job it is a server that cannot be counted on.
                detail = f"somebody interrupted it at {name}"
                raise Trouble(Reason.UNAVAILABLE, detail, again=True, elsewhere=True)
            case _:
                kind = str(seen.error.get("exception_type", ""))
                message = str(seen.error.get("exception_message", ""))
                place = f"node {seen.error.get('node_id')} ({seen.error.get('node_type')})"
                detail = f"{name}: {place}: {kind}: {message}"
                if is_out_of_memory(kind, message):
                    raise OutOfMemory(detail)
                raise Trouble(Reason.INTERNAL, detail, again=True, elsewhere=True)


def is_out_of_memory(kind: str, message: str) -> bool:
    """Whether an execution error means that the memory was not enough."""
    return kind.endswith("OutOfMemoryError") or any(
        words in message.lower() for words in _NO_MEMORY
    )


async def cancelled(client: Client, prompt_id: str, options: ComfyOptions) -> Seen | None:
    """Cancel a prompt, and look what has become of it, for ``cancel_s`` at most.

    Returns it as it was last seen; None where the server knows nothing of it or does not answer.
    """
    seen: Seen | None = None
    until_s = time.monotonic() + options.cancel_s
    asked = False
    while True:
        try:
            if not asked:
                await client.cancel(prompt_id)
                asked = True
            seen = await client.look_up(prompt_id)
        except (ServerSilent, ServerFault, Refused):
            seen = None
        else:
            if seen is None or seen.status in ENDED:
                return seen
        if time.monotonic() >= until_s:
            return seen
        await asyncio.sleep(min(options.poll_s, max(0.0, until_s - time.monotonic())))
