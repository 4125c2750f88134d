"""What is waited for ends, also where it does not want to."""

from __future__ import annotations

import asyncio

import pytest

from events.inboxes import Inbox, within
from events.jetapi import Reply
from events.log import LogUnavailable


async def _deaf(times: int) -> str:
    """Swallow so many cancellations, as a loop of connecting does."""
    for _ in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    return "at last"


async def test_what_swallows_cancellations_ends_all_the_same() -> None:
    """It is told again until it listens; once would leave it going for ever."""
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await within(0.01, _deaf(3))
    assert before == asyncio.all_tasks()


async def test_what_is_in_time_is_returned_and_what_fails_is_raised() -> None:
    """As if it had been awaited."""
    assert "at last" == await within(5, _deaf(0))
    with pytest.raises(LogUnavailable, match="no answer within"):
        await within(5, Inbox("x", asyncio.Event().wait).next(0.01))  # type: ignore[arg-type]


async def test_an_inbox_ends_with_its_connection() -> None:
    """What came before is still read."""
    inbox = Inbox("x", asyncio.Event().wait)  # type: ignore[arg-type]
    reply = Reply("x", {}, b"", "")
    inbox.queue.put_nowait(reply)
    inbox.queue.put_nowait(None)
    assert reply == await inbox.next(1)
    with pytest.raises(LogUnavailable, match="the connection was lost"):
        await inbox.next(1)
