"""The event log as a port: what actors and clients need of a durable log.

Two implementations stand behind it, ``events.memory`` and ``events.jetstream``, and one contract
suite runs against both (``tests/contracts``).

The log is the queue, too: a durable consumer hands each message of its subjects to one of its
readers until it is acknowledged.  Any message may come again, even an acknowledged one; what
makes that harmless is the job's fold, never the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from events.notices import Noted, Posting
from events.spec import Struct
from events.stream import Usage
from events.types import Event, Stored


class LogError(Exception):
    """Base of what can go wrong between us and the log."""


class Conflict(LogError):
    """Another writer appended to this job first: load it again and decide again."""


class LogDenied(LogError):
    """The server's user may not do that; come as another, such as the operator."""


class LogUnavailable(LogError):
    """The server did not answer in time; the outcome of an append is unknown.  Try again: the
    same events have the same ids, so a second try cannot double them.
    """


class LogFull(LogError):
    """The stream is at its size limit: make room (``max_bytes``) or prune, then try again."""


class JobPruned(LogError):
    """The job was here, ended and was pruned: its id is used for ever.  Ask under another."""


class StaleRead(LogError):
    """A read did not reach the sequence that the caller knows to exist.  Read again."""


class UnknownVersion(LogError):
    """A stored event has a type or version newer than this build: upgrade this service."""


class Envelope(Struct, frozen=True, kw_only=True):
    """CloudEvents attributes in NATS binary mode, and ours.

    ``ordinal`` counts the job's stored messages from 1; ``prev`` is the digest of the one before
    (empty at the first); ``job_seq`` is the sequence of the job's first message (0 when this is
    it); ``causation`` the id of the event, or the sequence of the bare message, that led to this.
    """

    id: str
    type: str
    source: str
    time: str
    version: int
    ordinal: int
    prev: str
    job_seq: int
    causation: str = ""
    traceparent: str = ""


class Recorded(Struct, frozen=True, kw_only=True):
    """A stored message, read.

    ``time_s`` is when the server stored it, in seconds since the epoch; ``digest`` the sha256
    (hex) over subject, sorted ``ce-*`` and ``pytoon-*`` headers and body; ``envelope`` is None
    for a client's bare ask and for most of what is foreign; ``body`` is as it was stored.
    ``traceparent`` is the header of that name, unread: a bare ask may have one, too.
    ``signer`` is the service and the key that signed it, such as ``planner/0123456789abcdef``,
    where keys are configured and the signature is good; else it is empty.
    """

    seq: int
    subject: str
    job_id: str
    time_s: float
    event: Stored
    digest: str
    body: bytes
    envelope: Envelope | None = None
    traceparent: str = ""
    signer: str = ""


class Tail(Struct, frozen=True, kw_only=True):
    """Where a job's history ends, as far as its reader knows: what an append is linked to.

    ``signed`` is the ordinal of the last event whose signature was checked.
    """

    job_id: str
    seq: int = 0
    ordinal: int = 0
    digest: str = ""
    first_seq: int = 0
    signed: int = 0


class Delivery(Protocol):
    """One message of a durable consumer, to be settled by exactly one of ack, nak and term."""

    recorded: Recorded
    deliveries: int
    """How often it was handed out, this time included."""

    async def ack(self) -> None:
        """Settle it for good."""

    async def nak(self, delay_s: float = 0.0) -> None:
        """Give it back; it comes again after ``delay_s`` seconds."""

    async def in_progress(self) -> None:
        """Keep it ours for another ``ack_wait``."""

    async def dead_letter(self, why: str) -> None:
        """Store it in the dead-letter stream with the reason, then settle it."""


class Consumer(Protocol):
    """A reader of a durable pull consumer."""

    async def fetch(self, batch: int, wait_s: float) -> Sequence[Delivery]:
        """Up to ``batch`` messages; empty when none came within ``wait_s`` seconds (at most 2).

        A message that cannot be read comes as ``Foreign``; one of a newer version is given back
        with a delay by the log itself and never returned.
        """

    async def close(self) -> None:
        """Release what the reader holds.  The durable and its messages stay."""


class DurableSpec(Struct, frozen=True, kw_only=True):
    """A durable consumer: event-type tokens such as ``segment_requested.compositor``."""

    name: str
    types: tuple[str, ...]
    ack_wait_s: float = 5.0
    max_ack_pending: int = 1000
    """-1: no bound."""


class Queue(Struct, frozen=True, kw_only=True):
    """How many messages of a durable wait, and how many are handed out and not settled."""

    waiting: int
    handed_out: int

    @property
    def depth(self) -> int:
        """All that are not settled."""
        return self.waiting + self.handed_out


class JobListed(Struct, frozen=True, kw_only=True):
    """A job of the log, as a listing sees it: the sequence of its ask, and its messages' number.

    ``messages`` is 0 where nobody asked for it to be counted.
    """

    job_id: str
    messages: int
    seq: int = 0


class Heard(Struct, frozen=True, kw_only=True):
    """A message that a watch came by; ``recorded`` is None where it takes a newer build."""

    job_id: str
    seq: int
    recorded: Recorded | None


Subscriber = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


class EventLog(Protocol):
    """What actors and clients need of the log."""

    async def append(
        self,
        tail: Tail,
        events: Sequence[Event],
        *,
        source: str,
        causation: str = "",
        traceparent: str = "",
        notices: Sequence[Posting] = (),
    ) -> tuple[Recorded, ...]:
        """Append the events after ``tail``, all or none, linked to it and to one another.

        ``notices`` (with at least one event) stand or fall with them, each under its own
        expectation: whoever was overtaken on either side is refused as a whole.
        Returns them as stored.  When the very same events (id and body) already follow ``tail``,
        because an earlier try's acknowledgement was lost, that counts as done.
        Raises ``Conflict``, ``LogUnavailable`` or ``LogFull``.
        """

    async def publish_ask(
        self, job_id: str, type_token: str, body: bytes, *, traceparent: str = ""
    ) -> Recorded:
        """Publish a client's bare JSON body (``render_requested``, …), unlinked.

        Idempotent by job and type: asking again returns what was stored first.  ``traceparent`` is
        sent along as a header, and left out where it is none.
        """

    async def read(
        self, job_id: str, *, after: int = 0, at_least: int = 0, first_seq: int = 0
    ) -> tuple[Recorded, ...]:
        """The job's messages with a sequence above ``after``, in order.

        ``first_seq`` is a hint where the job begins, and is not believed where the messages from
        there on do not bear it out: it never hides a message.  Reads again, at last at the leader,
        until ``at_least`` is reached, else raises ``StaleRead``.  Raises ``UnknownVersion``.
        """

    async def tail_seq(self, job_id: str) -> int:
        """The job's last sequence, as the leader knows it; 0 where it has none."""

    async def post(self, posting: Posting, *, source: str) -> Noted:
        """Store a notice.  When the very same one stands there already, that counts as done.

        Raises ``Conflict`` where its topic went on, ``LogUnavailable`` or ``LogFull``.
        """

    async def last_notice(self, topic: str) -> Noted | None:
        """The last notice of a topic, as the leader knows it: its state."""

    async def recent(self, types: Sequence[str], *, messages_max: int) -> tuple[Recorded, ...]:
        """The messages of these types among the log's last ``messages_max``, in order.

        Those that only a newer build can read are left out.
        """

    async def jobs(self, *, after: int = 0, counted: bool = True) -> tuple[JobListed, ...]:
        """Every job of the log that was asked for above a sequence, oldest first.

        Counting the messages of each takes as long as the log is; the rest as there are jobs.
        """

    async def usage(self) -> Usage:
        """How full the log is, and where it ends."""

    async def consumer(self, durable: str) -> Consumer:
        """A reader of a durable that ``provision`` made."""

    async def provision(self, durables: Sequence[DurableSpec]) -> None:
        """Make or update the streams and the durable consumers (the operator's act)."""

    async def backlog(self) -> int:
        """Messages of all durables that are not settled yet: whether any work is left."""

    async def queues(self) -> Mapping[str, Queue]:
        """How each durable stands; raises ``LogUnavailable``, also where it may not be known."""

    def follow(self, job_id: str | None, *, after: int = 0) -> AsyncIterator[Recorded]:
        """The messages of one job (or of all), from after ``after``, then live, without end."""

    def watch(self, jobs: Container[str], *, after: int) -> AsyncIterator[Heard]:
        """The messages above ``after``, then live, without end: of what is in ``jobs`` by then.

        However many the jobs are, the log has one reader for them.
        """

    async def publish_progress(self, job_id: str, progress: dict[str, Any]) -> None:
        """Tell whoever listens how far a job is; lost without harm."""

    async def subscribe_progress(
        self, job_id: str, subscriber: Subscriber
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Call ``subscriber`` with each progress of the job; returns what ends it."""

    async def close(self) -> None:
        """Release the connection."""
