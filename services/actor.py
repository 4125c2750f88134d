"""What an actor is: a pure decider and a way to perform its commands.

The runtime (``services.runtime``) is the one shell around every actor; an actor's own package
holds its ``core`` (the decider) and its ``shell`` (what its commands do).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from events.job import Job
from events.log import DurableSpec, Recorded
from events.notices import CircuitState, Noted, Notice, Posting
from events.spec import Struct
from events.types import Event


class BudgetLimits(Struct, frozen=True, kw_only=True):
    """What may be spent on paid engines; None: no cap."""

    currency: str = "EUR"
    per_job: float | None = None
    per_day: float | None = None


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
    no_progress_s: dict[str, float] = msgspec.field(default_factory=dict)
    """By engine: how long a create may go without an answer; absent or 0: no bound."""
    too_long_s: dict[str, float] = msgspec.field(default_factory=dict)
    """By engine: how long one attempt may take since its create; absent or 0: no bound."""
    composing_s: float = 300.0
    """What is kept of a film's time for composing it, whatever its engines do; at most half."""
    circuit_failures: int = 3
    circuit_open_s: float = 300.0
    settle_wait_s: float | None = None
    """How long a create in doubt waits for a person; None: half of what the job has left."""
    budget: BudgetLimits = BudgetLimits()


class Context(Struct, frozen=True, kw_only=True):
    """What a decider may know besides the job: the clock, the bounds, the message's deliveries.

    ``circuits`` has those of the job's engines that generate, for actors that ask for them.
    """

    now_s: float
    limits: Limits
    deliveries: int = 1
    circuits: dict[str, CircuitState] = msgspec.field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether this is the last resort: the message came too often without being settled."""
        return self.deliveries >= self.limits.deliveries_max


def engines_until_s(job: Job, limits: Limits) -> float:
    """Until when (epoch seconds) a film's engines are asked and waited for.

    What is then not generated is composed: a film that is simpler is told, one that is late is no
    film.
    """
    assert job.spec is not None
    kept_s = min(limits.composing_s, job.spec.deadline_s / 2)
    return job.requested_s + job.spec.deadline_s - kept_s


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


PostingsOf = Callable[[Job], Awaitable[Sequence[Posting]]]
"""The notices that are to stand or fall with events, made anew for each state of the job."""


class Work(Protocol):
    """What a performer is told of the work around its command.

    ``job`` is as it was loaded for the work, or as ``record`` and ``refresh`` last found it.
    """

    job: Job
    cause: Recorded
    context: Context
    moot: asyncio.Event
    """Set when the job ended, was cancelled, or nobody waits for the outcome any more."""

    def progress(self, facts: dict[str, Any]) -> None:
        """Tell listeners how far it is; lost without harm."""

    async def record(self, *events: Event, notices: PostingsOf | None = None) -> bool:
        """Append events now, in mid-work; with them, all or none, what ``notices`` answers.

        Tried again on a conflict and while the log is away.  False: the job does not take them
        any more.  What ``notices`` raises ends it, with nothing appended.
        """

    async def refresh(self) -> Job:
        """The job as the leader has it now."""

    async def last_notice(self, topic: str) -> Noted | None:
        """The last notice of a topic: its state."""

    async def post(self, notice: Notice, *, after: int) -> bool:
        """Append a notice; False where its topic went on after ``after``."""


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
    own_slots: dict[str, int] = msgspec.field(default_factory=dict)
    """By durable: how much of that it does at once, where that is not ``slots``."""
    circuits: bool = False
    """Whether its decider looks at the circuits of engines."""
