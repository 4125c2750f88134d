"""Waiting with a bound: for the answers to a request, and for what does not stop when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from events.addresses import denied_subject
from events.jetapi import Reply
from events.log import LogDenied, LogUnavailable

_DENIED = "denied"
"""Our own status, in place of an answer: the server has said that we may not ask this."""

CANCELS_MAX = 100
_CANCEL_S = 0.05
_T = TypeVar("_T")


class Inbox:
    """Where answers come; ``None`` in the queue is the end of the connection.

    ``end`` gives back what the inbox holds.
    """

    def __init__(self, subject: str, end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.subject = subject
        self.end = end
        self.queue: asyncio.Queue[Reply | None] = asyncio.Queue()

    async def next(self, timeout_s: float) -> Reply:
        """The next answer; raises ``LogUnavailable``, ``LogDenied``."""
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self.queue.get()
        except TimeoutError as error:
            raise LogUnavailable(f"no answer within {timeout_s:g} s") from error
        if reply is None:
            raise LogUnavailable("the connection was lost")
        if reply.status == _DENIED:
            raise LogDenied(f"the NATS user may not publish to {reply.subject}")
        return reply


class Asked:
    """The requests under way, so that a refusal, which names the subject, finds who waits."""

    def __init__(self) -> None:
        self._waiting: set[tuple[str, Inbox]] = set()

    @contextlib.contextmanager
    def under_way(self, subject: str, inbox: Inbox) -> Iterator[None]:
        """Its answers come to ``inbox`` for as long as the block lasts."""
        entry = (subject, inbox)
        self._waiting.add(entry)
        try:
            yield
        finally:
            self._waiting.discard(entry)

    def deny(self, error: Exception) -> None:
        """If the error refuses us a subject, nobody need wait for an answer on it."""
        denied = denied_subject(error)
        for subject, inbox in self._waiting:
            if subject.lower() == denied:
                inbox.queue.put_nowait(Reply(subject, {"Status": _DENIED}, b"", ""))


async def within(timeout_s: float, doing: Coroutine[Any, Any, _T]) -> _T:
    """What it returns; TimeoutError when it takes longer.

    It is cancelled until it has ended: the client library, while it connects again and again to
    a server that sends it away, swallows a cancellation now and then, and would go on for ever.
    """
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        for _ in range(CANCELS_MAX):
            if task.done():
                break
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_S)
