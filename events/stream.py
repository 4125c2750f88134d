"""What both logs agree on beyond the port: limits, what is listed, and the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from events.spec import Struct

if TYPE_CHECKING:
    from events.keys import Keyring


class LogSettings(Struct, frozen=True, kw_only=True):
    """The bounds of a log, and whose signatures count in it.

    ``bytes_max`` is the stream's size; above ``asks_up_to`` (a fraction) of it no new job is
    taken, the rest is for jobs under way.  A request to the broker is waited for
    ``request_timeout_s`` and tried again until ``append_timeout_s`` have passed.
    ``newer_delay_s`` is how long a message is given back that only a newer build can read.
    With a ``keyring`` what is appended is signed and what is read must be.
    """

    bytes_max: int = 1 << 30
    asks_up_to: float = 0.9
    dead_letter_bytes_max: int = 1 << 26
    replicas: int = 1
    duplicate_window_s: float = 120.0
    request_timeout_s: float = 2.0
    append_timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    stale_reads_max: int = 3
    newer_delay_s: float = 30.0
    keyring: Keyring | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """How full the stream is, in bytes and messages; ``last_seq`` is the newest one's sequence."""

    messages: int
    bytes: int
    bytes_max: int
    last_seq: int = 0

    @property
    def fullness(self) -> float:
        """The used part, 0..1; 0 where there is no limit."""
        return self.bytes / self.bytes_max if self.bytes_max > 0 else 0.0

    @property
    def refusal(self) -> str:
        """What is said to whoever asks for a new job and finds no room for it."""
        return (
            f"the log is full: {self.bytes} of {self.bytes_max} bytes are used, and the rest is "
            "for jobs under way; prune ended jobs, or raise log.bytes_max and run pytoon init"
        )

    @property
    def removed(self) -> int:
        """How many messages have been taken out: jobs that were pruned are not listed."""
        return self.last_seq - self.messages


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that a consumer was handed and could not read.

    ``subject`` and ``seq`` are what it had in the stream of events; ``time_s`` is when it was put
    aside.
    """

    subject: str
    seq: int
    why: str
    body: bytes
    time_s: float
