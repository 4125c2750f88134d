"""How an attempt at a ComfyUI server comes to nothing.

Work there costs no money, whatever becomes of it: every failure says ``cost=0``, so that no
reservation stands and another attempt may always be made.
"""

from __future__ import annotations

from adapters.base import EngineFailure
from events.types import Reason

DETAIL_CHARS_MAX = 600
"""A server's words are cut there: they stand in the log for ever."""


class Trouble(EngineFailure):
    """A failure of one try.

    ``again`` says that another try may do within the attempt, ``rest`` that the server had better
    be left alone for a while, ``elsewhere`` that it would answer the same again.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        retryable: bool = True,
        again: bool = False,
        rest: bool = False,
        elsewhere: bool = False,
    ) -> None:
        super().__init__(reason, cut(detail), retryable=retryable, cost=0.0)
        self.again = again
        self.rest = rest
        self.elsewhere = elsewhere


class OutOfMemory(Trouble):
    """The server's memory was not enough: once in an attempt, a smaller clip is tried."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.OUT_OF_MEMORY, detail, retryable=False)


class Stuck(Trouble):
    """The prompt runs on whatever is asked of it: its server is of no use until that ends."""

    def __init__(self, detail: str, prompt_id: str) -> None:
        super().__init__(Reason.TIMEOUT, detail, rest=True)
        self.prompt_id = prompt_id


def failed(reason: Reason, detail: str, *, retryable: bool = False) -> EngineFailure:
    """A failure that ends the attempt, of no server's making."""
    return EngineFailure(reason, cut(detail), retryable=retryable, cost=0.0)


def cut(text: str) -> str:
    """On one line, and not longer than a log should hold."""
    plain = " ".join(text.split())
    return plain if len(plain) <= DETAIL_CHARS_MAX else plain[: DETAIL_CHARS_MAX - 1] + "…"
