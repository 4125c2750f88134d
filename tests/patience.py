"""Tests of what takes time, on a machine that may stand still for a second or two at any moment.

What must come is waited for generously.  What must hold within a short time cannot be: a test of
it is tried again, for a pause spoils one try and a mistake spoils all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from events.stream import LogSettings

PATIENT = LogSettings(connect_timeout_s=10.0, request_timeout_s=10.0)
"""Of a log whose server may stand still, too."""
TRIES = 4
COMES_S = 20.0
"""How long is waited for what must come, at most."""


async def holds_once(attempt: Callable[[int], Awaitable[bool]]) -> bool:
    """Whether an attempt, which is told its number, holds at least once."""
    for number in range(TRIES):
        if await attempt(number):
            return True
    return False


async def comes_true(true: Callable[[], Awaitable[object]]) -> bool:
    """Whether something comes true in a time in which it must."""
    until_s = time.monotonic() + COMES_S
    while not await true():
        if time.monotonic() > until_s:
            return False
        await asyncio.sleep(0.02)
    return True


async def others_go_on() -> None:
    """Let the loop's other tasks do what they can.

    Many short sleeps: behind a pause one long one may be over before anybody else had a turn.
    """
    for _ in range(50):
        await asyncio.sleep(0.001)
