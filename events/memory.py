"""The event log in memory: for tests, simulations, and whoever needs no durability.

It keeps the contract of ``events.log`` as the broker does, down to what is unpleasant about it:
a message that is not acknowledged comes again, an acknowledgement may be lost, a read be stale.
How often is told by ``Faults``, and the same seed misbehaves in the same way.

Several actors share one log by sharing the instance.  Left out: durability, and any limit on the
number of jobs; this is no store for production.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_right
from collections.abc import (
    AsyncIterator,
    Callable,
    Container,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any

import msgspec
import structlog

from events.codec import Message, decode_ask
from events.faults import Fault, Faults
from events.handing import Bell, Durable, MemoryConsumer, MemoryDelivery
from events.link import Draft, already_stored, begins, heard, is_tombstone, link, record
from events.log import (
    Conflict,
    DurableSpec,
    Heard,
    JobListed,
    JobPruned,
    LogFull,
    LogUnavailable,
    Queue,
    Recorded,
    StaleRead,
    Subscriber,
    Tail,
    UnknownVersion,
)
from events.notices import Draft as NoticeDraft
from events.notices import Noted, Posting, drafted, topic_filter
from events.stream import DeadLetter, LogSettings, Usage
from events.subjects import (
    ROOT,
    checked_job_id,
    job_filter,
    matches,
    parse,
    stream_subjects,
    subject,
    type_filter,
)
from events.topics import is_posted, last_genuine, read_notice
from events.trace import headers_of
from events.types import Event, RenderRequested, event_id

_logger = structlog.get_logger(__name__)


class MemoryLog:
    """An event log in memory, as ``events.log.EventLog`` has it.

    ``clock`` gives seconds since the epoch and never goes back; whoever steps it by hand calls
    ``wake`` afterwards.  ``faults`` may be changed at any time.
    """

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
        settings: LogSettings | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.clock = clock
        self.settings = settings or LogSettings()
        self.bell = Bell()
        self._messages: list[Message] = []
        self._by_job: dict[str, list[int]] = {}
        self._by_topic: dict[str, int] = {}
        self._read: dict[int, Recorded] = {}
        self._ids: set[str] = set()
        self._bytes = 0
        self._durables: dict[str, Durable] = {}
        self._metadata: dict[str, str] = {}
        self._dead_letters: list[DeadLetter] = []
        self._subscribers: dict[str, list[Subscriber]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # What the consumers and the tests use.

    @property
    def last_seq(self) -> int:
        """The sequence of the newest message; 0 while there is none."""
        return len(self._messages)

    def message(self, seq: int) -> Message:
        """A message as it is stored."""
        return self._messages[seq - 1]

    def recorded(self, seq: int) -> Recorded:
        """A message as it is read; raises ``UnknownVersion``."""
        found = self._read.get(seq)
        if found is None:
            found = self._read[seq] = record(self.message(seq), self.settings.keyring)
        return found

    def wake(self) -> None:
        """Let whoever waits look again: something was stored or settled, or the clock moved."""
        self.bell.ring()

    def keep_dead_letter(self, recorded: Recorded, why: str) -> None:
        """Put a message aside; putting it aside again changes nothing."""
        if all(letter.seq != recorded.seq for letter in self._dead_letters):
            letter = DeadLetter(
                subject=recorded.subject,
                seq=recorded.seq,
                why=why,
                body=recorded.body,
                time_s=self.clock(),
            )
            self._dead_letters.append(letter)

    def publish_raw(self, text: str, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Store what any client may publish, unread; returns its sequence.

        ValueError for a subject that the stream does not take (a type of a newer build's, with a
        name that begins with ``x_``, is taken, as if that build had been here).
        """
        known = any(matches(wanted, text) for wanted in stream_subjects())
        if not known and not parse(text).type.startswith("x_"):
            message = f"no stream takes {text!r}"
            raise ValueError(message)
        return self._store(text, dict(headers or {}), body)

    def _store(self, text: str, headers: dict[str, str], body: bytes) -> int:
        size = len(text) + len(body) + sum(len(item) for pair in headers.items() for item in pair)
        if self._bytes + size > self.settings.bytes_max:
            message = f"the log holds {self._bytes} bytes of {self.settings.bytes_max}"
            raise LogFull(message)
        self._bytes += size
        seq = self.last_seq + 1
        stored = Message(seq=seq, subject=text, headers=headers, body=body, time_s=self.clock())
        self._messages.append(stored)
        if text.startswith(f"{ROOT}."):
            self._by_job.setdefault(text.split(".")[2], []).append(seq)
        else:
            self._by_topic[text.rpartition(".")[0]] = seq
        self.wake()
        return seq

    # The port.

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
        """Append all or none; the fault of a lost acknowledgement strikes after the storing."""
        await asyncio.sleep(0)
        if self.faults.strikes(Fault.REFUSED_APPEND):
            message = "a fault was asked for: the append did not reach the log"
            raise LogUnavailable(message)
        drafts = link(
            tail,
            events,
            source=source,
            time_s=self.clock(),
            causation=causation,
            traceparent=traceparent,
            keyring=self.settings.keyring,
        )
        told = [self._drafted(posting, source) for posting in notices]
        stored = self._append(tail, drafts, told)
        if self.faults.strikes(Fault.LOST_ACKNOWLEDGEMENT):
            message = "a fault was asked for: the append's acknowledgement was lost"
            raise LogUnavailable(message)
        return stored

    def _append(
        self, tail: Tail, drafts: Sequence[Draft], told: Sequence[NoticeDraft]
    ) -> tuple[Recorded, ...]:
        following = self._of_job(tail.job_id, tail.seq)
        last = (self._by_job.get(tail.job_id) or [0])[-1]
        repeated = any(draft.envelope.id in self._ids for draft in drafts)
        if last != tail.seq or repeated:
            stored = tuple(self.recorded(seq) for seq in following[: len(drafts)])
            if already_stored(drafts, stored):
                return stored
            message = f"job {tail.job_id} stands at {last}, not at {tail.seq}, or has these events"
            raise Conflict(message)
        self._check(told)
        before, held, topics = self.last_seq, self._bytes, dict(self._by_topic)
        try:
            seqs = [self._store(draft.subject, draft.headers, draft.body) for draft in drafts]
            for notice in told:
                self._store(notice.subject, notice.headers, notice.body)
        except LogFull:
            self._take_back(tail.job_id, before, held)
            self._by_topic = topics
            raise
        self._ids.update(draft.envelope.id for draft in drafts)
        return tuple(self.recorded(seq) for seq in seqs)

    def _take_back(self, job_id: str, last_seq: int, held_bytes: int) -> None:
        """Undo a batch that did not fit as a whole; no one can have seen a part of it yet."""
        del self._messages[last_seq:]
        self._bytes = held_bytes
        self._by_job[job_id] = [seq for seq in self._by_job.get(job_id, []) if seq <= last_seq]

    def _check(self, told: Sequence[NoticeDraft]) -> None:
        for notice in told:
            last = self._by_topic.get(notice.topic, 0)
            if last != notice.after:
                message = f"{notice.topic} stands at {last}, not at {notice.after}"
                raise Conflict(message)

    async def tail_seq(self, job_id: str) -> int:
        """The job's last sequence; 0 where it has none."""
        await asyncio.sleep(0)
        return (self._by_job.get(checked_job_id(job_id)) or [0])[-1]

    async def post(self, posting: Posting, *, source: str) -> Noted:
        """Store a notice; the same faults strike as at an append."""
        await asyncio.sleep(0)
        if self.faults.strikes(Fault.REFUSED_APPEND):
            message = "a fault was asked for: the notice did not reach the log"
            raise LogUnavailable(message)
        draft = self._drafted(posting, source)
        found = next(self._of_topic(draft.topic, posting.after), None)
        if found is None:
            self._check((draft,))
            found = self.message(self._store(draft.subject, draft.headers, draft.body))
        elif not is_posted(draft, found, self.settings.keyring):
            message = f"{draft.topic} does not end at {posting.after}"
            raise Conflict(message)
        if self.faults.strikes(Fault.LOST_ACKNOWLEDGEMENT):
            message = "a fault was asked for: the notice's acknowledgement was lost"
            raise LogUnavailable(message)
        return read_notice(found)

    async def last_notice(self, topic: str) -> Noted | None:
        """The last notice of a topic."""
        await asyncio.sleep(0)
        seq, keyring = self._by_topic.get(topic, 0), self.settings.keyring
        if not seq or keyring is None:
            return read_notice(self.message(seq)) if seq else None
        return last_genuine(self._of_topic(topic, 0), keyring)

    def _of_topic(self, topic: str, after: int) -> Iterator[Message]:
        wanted = topic_filter(topic)
        return (stored for stored in self._messages[after:] if matches(wanted, stored.subject))

    def _drafted(self, posting: Posting, source: str) -> NoticeDraft:
        keyring = self.settings.keyring
        return drafted(posting, source=source, time_s=self.clock(), keyring=keyring)

    async def publish_ask(
        self, job_id: str, type_token: str, body: bytes, *, traceparent: str = ""
    ) -> Recorded:
        """Publish a client's bare body, or return what this ask stored before."""
        await asyncio.sleep(0)
        ask = decode_ask(job_id, type_token, body)
        text = subject(job_id, type_token)
        for seq in self._of_job(job_id, 0):
            if self.message(seq).subject == text:
                found = self.recorded(seq)
                if isinstance(found.event, type(ask)) and event_id(found.event) == event_id(ask):
                    return found
        first = self._of_job(job_id, 0)[:1]
        if isinstance(ask, RenderRequested) and any(
            is_tombstone(Tail(job_id=job_id), self.recorded(seq)) for seq in first
        ):
            message = f"job {job_id} was here and was pruned: use another id"
            raise JobPruned(message)
        usage = await self.usage()
        if isinstance(ask, RenderRequested) and usage.fullness >= self.settings.asks_up_to:
            raise LogFull(usage.refusal)
        return self.recorded(self._store(text, headers_of(traceparent), body))

    async def read(
        self, job_id: str, *, after: int = 0, at_least: int = 0, first_seq: int = 0
    ) -> tuple[Recorded, ...]:
        """The job's messages above ``after`` and from ``first_seq`` on."""
        await asyncio.sleep(0)
        seqs = self._of_job(checked_job_id(job_id), after)
        if not after and 1 < first_seq <= at_least:
            hinted = self._of_job(job_id, first_seq - 1)
            seqs = hinted if begins([self.recorded(seq) for seq in hinted]) else seqs
        reached = after
        for _ in range(self.settings.stale_reads_max):
            stale = self.faults.strikes(Fault.STALE_READ)
            missing = self.faults.random.randint(1, len(seqs)) if stale and seqs else 0
            seen = seqs[: len(seqs) - missing]
            reached = seen[-1] if seen else after
            if reached >= at_least:
                return tuple(self.recorded(seq) for seq in seen)
        reached = seqs[-1] if seqs else after
        if reached < at_least:
            message = f"job {job_id} was read up to {reached}, not to {at_least}"
            raise StaleRead(message)
        return tuple(self.recorded(seq) for seq in seqs)

    def _of_job(self, job_id: str, after: int) -> list[int]:
        seqs = self._by_job.get(job_id, [])
        return seqs[bisect_right(seqs, after) :]

    async def recent(self, types: Sequence[str], *, messages_max: int) -> tuple[Recorded, ...]:
        """The messages of these types among the last ones."""
        await asyncio.sleep(0)
        wanted = tuple(map(type_filter, types))
        found: list[Recorded] = []
        for seq in range(max(0, self.last_seq - messages_max) + 1, self.last_seq + 1):
            if any(matches(pattern, self.message(seq).subject) for pattern in wanted):
                with contextlib.suppress(UnknownVersion):
                    found.append(self.recorded(seq))
        return tuple(found)

    async def jobs(self, *, after: int = 0, counted: bool = True) -> tuple[JobListed, ...]:
        """Every job that was asked for above a sequence, oldest ask first."""
        await asyncio.sleep(0)
        asked = type_filter("render_requested")
        firsts: dict[str, int] = {}
        for stored in self._messages[after:]:
            if matches(asked, stored.subject):
                firsts.setdefault(parse(stored.subject).job_id, stored.seq)
        return tuple(
            JobListed(job_id=job, messages=len(self._by_job[job]) if counted else 0, seq=seq)
            for job, seq in firsts.items()
        )

    async def consumer(self, durable: str) -> MemoryConsumer:
        """A reader of a durable; raises ``LogUnavailable`` if ``provision`` did not make it."""
        found = self._durables.get(durable)
        if found is None:
            message = f"durable {durable} is not there yet"
            raise LogUnavailable(message)
        return MemoryConsumer(self, found)

    async def provision(
        self, durables: Sequence[DurableSpec], *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Make the durables, or change those that are there without losing their place."""
        self._metadata.update(metadata or {})
        for spec in durables:
            made = Durable(spec)
            kept = self._durables.get(spec.name)
            if kept is None:
                self._durables[spec.name] = made
            else:
                kept.spec, kept.filters = made.spec, made.filters

    async def metadata(self) -> dict[str, str]:
        """What the operator noted about the stream."""
        return dict(self._metadata)

    async def usage(self) -> Usage:
        """How full the log is."""
        return Usage(
            messages=self.last_seq,
            bytes=self._bytes,
            bytes_max=self.settings.bytes_max,
            last_seq=self.last_seq,
        )

    async def backlog(self) -> int:
        """The messages of all durables that are not settled yet."""
        return sum(queue.depth for queue in (await self.queues()).values())

    async def queues(self) -> dict[str, Queue]:
        """How each durable stands."""
        return {
            name: Queue(
                waiting=sum(map(durable.wants, self._messages[durable.next_seq - 1 :])),
                handed_out=len(durable.pending),
            )
            for name, durable in self._durables.items()
        }

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """What was put aside as unreadable, oldest first."""
        return tuple(self._dead_letters)

    async def follow(self, job_id: str | None, *, after: int = 0) -> AsyncIterator[Recorded]:
        """The messages of a job (or of all) after ``after``, then live, without end."""
        wanted = job_filter(job_id)
        seq = after
        while True:
            while seq < self.last_seq:
                seq += 1
                if matches(wanted, self.message(seq).subject):
                    yield self.recorded(seq)
            await self.bell.wait(None)

    async def watch(self, jobs: Container[str], *, after: int) -> AsyncIterator[Heard]:
        """The messages after ``after``, then live, without end, of what is in ``jobs`` by then."""
        wanted = job_filter(None)
        seq = after
        while True:
            while seq < self.last_seq:
                seq += 1
                text = self.message(seq).subject
                if matches(wanted, text) and (job_id := parse(text).job_id) in jobs:
                    yield heard(job_id, self.message(seq), self.settings.keyring)
            await self.bell.wait(None)

    async def publish_progress(self, job_id: str, progress: dict[str, Any]) -> None:
        """Tell each subscriber, each in a task of its own."""
        body = msgspec.json.encode(progress)
        for subscriber in self._subscribers.get(checked_job_id(job_id), []):
            task = asyncio.create_task(subscriber(msgspec.json.decode(body)))
            self._tasks.add(task)
            task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("a subscriber to progress failed", exc_info=error)

    async def subscribe_progress(
        self, job_id: str, subscriber: Subscriber
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Call ``subscriber`` with each progress; returns what ends it."""
        subscribers = self._subscribers.setdefault(checked_job_id(job_id), [])
        subscribers.append(subscriber)

        async def unsubscribe() -> None:
            if subscriber in subscribers:
                subscribers.remove(subscriber)

        return unsubscribe

    async def close(self) -> None:
        """Do nothing: the log is its users' as long as one of them has it."""


__all__ = ["Fault", "Faults", "MemoryConsumer", "MemoryDelivery", "MemoryLog"]
