"""What an actor is: a pure decider and a way to perform its commands.

The runtime (``services.runtime``) is the one shell around every actor; an actor's own package
holds its ``core`` (the decider) and its ``shell`` (what its commands do).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from events.job import Job
from events.log import DurableSpec, Recorded
from events.spec import Struct
from events.types import Event


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds that deciders know, from ``config/defaults.yaml``."""

    deliveries_max: int = 50
    crashes_max: int = 3
    retries_max: int = 2
    backoff_base_s: float = 1.0
    backoff_max_s: float = 30.0
    assembly_attempts_max: int = 3
    timer_recheck_s: float = 10.0
    not_taken_s: dict[str, float] = msgspec.field(default_factory=dict)
    """By engine: how long a segment may wait for somebody to take it; absent or 0: no bound."""


class Context(Struct, frozen=True, kw_only=True):
    """What a decider may know besides the job: the clock, the bounds, the message's deliveries."""

    now_s: float
    limits: Limits
    deliveries: int = 1

    @property
    def exhausted(self) -> bool:
        """Whether this is the last resort: the message came too often without being settled."""
        return self.deliveries >= self.limits.deliveries_max


class Command(Struct, frozen=True, kw_only=True):
    """Work to be done by the shell; never stored."""


class Wait(Command, frozen=True, kw_only=True):
    """Give the message back until then (seconds since the epoch), and decide again."""

    until_s: float


Decision = Event | Command


class GiveBack(Exception):
    """The work cannot be finished now; the message is to come again after ``delay_s``."""

    def __init__(self, why: str, delay_s: float) -> None:
        super().__init__(why)
        self.delay_s = delay_s


class Work(Protocol):
    """What a performer is told of the work around its command."""

    job: Job
    cause: Recorded
    context: Context
    moot: asyncio.Event
    """Set when the job ended, was cancelled, or nobody waits for the outcome any more."""

    def progress(self, facts: dict[str, Any]) -> None:
        """Tell listeners how far it is; lost without harm."""


class Performer(Protocol):
    """Does a command and answers with the events that tell its outcome."""

    async def __call__(self, command: Command, work: Work) -> Sequence[Event]:
        """Perform; raises ``GiveBack`` when it cannot be finished now."""


class Actor(Struct, frozen=True, kw_only=True):
    """One service: its durables, its decider, its performer, and how much it does at once."""

    name: str
    durables: tuple[DurableSpec, ...]
    decide: Callable[[Job, Recorded, Context], tuple[Decision, ...]]
    perform: Callable[..., Any]
    slots: int = 1
