"""Reading the stream without a consumer: direct gets, the leader's own word, and listings.

A service may not make consumers (the right to make one is the right to re-point another's), so a
job is loaded by direct get: any replica answers it, and may be behind.  The leader is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from typing import Protocol

import msgspec

from events import jetapi
from events.codec import Message, foreign
from events.jetapi import Refused, Reply
from events.link import heard, placed_after, record
from events.log import (
    Heard,
    JobListed,
    LogUnavailable,
    Queue,
    Recorded,
    StaleRead,
    Tail,
    UnknownVersion,
)
from events.notices import Noted, topic_filter
from events.pull import Connection, Follower
from events.stream import DeadLetter, LogSettings
from events.subjects import DEAD_LETTERS, ROOT, STREAM, job_filter, parse, type_filter
from events.topics import claimed_before, flaw, last_genuine, read_notice
from events.types import Foreign

BATCH = 512
"""How many messages one direct get asks for."""

MESSAGES_MAX = 100_000
"""The longest history of a job that is read; no job of ours comes near it."""

PAGE = 100_000
"""How many subjects the broker lists at once (its own limit)."""

LISTED_MAX = 1000
"""How many dead letters are listed."""

_NO_MESSAGE = "404"
_END_OF_BATCH = "204"


class Inbox(Protocol):
    """The answers to one request."""

    subject: str

    async def next(self, timeout_s: float) -> Reply:
        """The next answer; raises ``LogUnavailable``."""

    async def end(self) -> None:
        """Take no more of them."""


class Reader(Connection, Protocol):
    """The connection, as far as reading needs it."""

    def replies(self) -> Inbox:
        """An inbox under the connection's own subscription."""

    async def request(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a message and wait for its answer; raises ``LogUnavailable``."""


async def read_job(
    connection: Reader, settings: LogSettings, job_id: str, begin: int, at_least: int
) -> tuple[Recorded, ...]:
    """The job's messages from sequence ``begin`` on, up to ``at_least`` at the least.

    A read that does not reach it is made again, at last at the leader.  Raises ``StaleRead`` if
    that does not reach it either, ``UnknownVersion`` and ``LogUnavailable``.
    """
    wanted = job_filter(job_id)
    pause_s = 0.005
    for _ in range(settings.stale_reads_max):
        found = await _direct(connection, settings, wanted, begin)
        if at_least < begin or (found and found[-1].seq >= at_least):
            return tuple(record(message, settings.keyring) for message in found)
        await asyncio.sleep(pause_s)
        pause_s *= 4
    found = await at_leader(connection, wanted, begin - 1, count_max=MESSAGES_MAX)
    if not found or found[-1].seq < at_least:
        reached = found[-1].seq if found else begin - 1
        raise StaleRead(f"job {job_id} was read up to {reached}, not to {at_least}")
    return tuple(record(message, settings.keyring) for message in found)


async def _direct(
    connection: Reader, settings: LogSettings, wanted: str, begin: int
) -> list[Message]:
    found: list[Message] = []
    while len(found) < MESSAGES_MAX:
        batch = await direct_batch(connection, settings.request_timeout_s, wanted, begin)
        found += batch
        if len(batch) < BATCH:
            return found
        begin = batch[-1].seq + 1
    raise LogUnavailable(f"{wanted} has more than {MESSAGES_MAX} messages")


async def direct_batch(
    connection: Reader,
    timeout_s: float,
    wanted: str,
    begin: int,
    *,
    stream: str = STREAM,
    count_max: int = BATCH,
) -> list[Message]:
    """One batch, whole: a message that was lost on the way is missed by the one after it."""
    await connection.connected(timeout_s)
    inbox = connection.replies()
    found: list[Message] = []
    request = {"seq": begin, "next_by_subj": wanted, "batch": count_max}
    try:
        subject = f"{jetapi.API}.DIRECT.GET.{stream}"
        await connection.publish(subject, msgspec.json.encode(request), reply=inbox.subject)
        while True:
            reply = await inbox.next(timeout_s)
            message = jetapi.direct(reply)
            if message is None:
                break
            before = int(reply.headers.get("Nats-Last-Sequence", "0"))
            if found and before != found[-1].seq:
                raise LogUnavailable(
                    f"a message between {found[-1].seq} and {message.seq} is lost"
                )
            found.append(message)
    finally:
        await inbox.end()
    if reply.status not in (_NO_MESSAGE, _END_OF_BATCH):
        why = f"{reply.status} {reply.headers.get('Description', '')}"
        raise LogUnavailable(f"{wanted} could not be read: {why}")
    last = int(reply.headers.get("Nats-Last-Sequence", "0"))
    if reply.status == _END_OF_BATCH and (not found or last != found[-1].seq):
        raise LogUnavailable(f"a batch of {wanted} came without its end")
    return found


async def at_leader(
    connection: Reader, wanted: str, after: int, *, count_max: int, stream: str = STREAM
) -> list[Message]:
    """Up to ``count_max`` messages under a filter, above ``after``, one by one at the leader."""
    found: list[Message] = []
    while len(found) < count_max:
        try:
            request = {"seq": after + 1, "next_by_subj": wanted}
            answer = await connection.api(f"STREAM.MSG.GET.{stream}", request)
        except Refused as error:
            if error.code == jetapi.NO_MESSAGE:
                break
            raise LogUnavailable(str(error)) from error
        message = jetapi.got(answer["message"])
        found.append(message)
        after = message.seq
    return found


async def last_seq(connection: Reader, wanted: str) -> int:
    """The last sequence under a filter, at the leader; 0 if there is none."""
    last = await _last(connection, wanted)
    return last.seq if last else 0


async def last_noted(connection: Reader, settings: LogSettings, topic: str) -> Noted | None:
    """The last notice of a topic, at the leader; with keys the last that is a service's.

    That is nearly always the topic's last message, and then whether another one lies between it
    and the one that it names is all there is to look at; else the whole topic is.
    """
    wanted, keyring = topic_filter(topic), settings.keyring
    last = await _last(connection, wanted)
    if last is None or keyring is None:
        return read_notice(last) if last else None
    before = max(0, claimed_before(last))
    after_it = await at_leader(connection, wanted, before, count_max=1)
    in_turn = bool(after_it) and after_it[0].seq == last.seq
    if not flaw(last, before if in_turn else last.seq, keyring):
        return read_notice(last)
    found = await _direct(connection, settings, wanted, 1)
    if not found or found[-1].seq < last.seq:
        raise LogUnavailable(f"{topic} could not be read up to {last.seq}")
    return last_genuine(found, keyring)


async def _last(connection: Reader, wanted: str) -> Message | None:
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{STREAM}", {"last_by_subj": wanted})
    except Refused as error:
        if error.code == jetapi.NO_MESSAGE:
            return None
        raise LogUnavailable(str(error)) from error
    return jetapi.got(answer["message"])


async def listed_jobs(
    connection: Connection, after: int, *, counted: bool
) -> tuple[JobListed, ...]:
    """Every job that was asked for above a sequence, oldest ask first.

    With the number of its messages if they are to be ``counted``.
    """
    counts = await _counts(connection) if counted else {}
    asks = Follower(connection, type_filter("render_requested"), after, headers_only=True)
    jobs: dict[str, int] = {}
    try:
        async for reply, place in asks.to_end():
            jobs.setdefault(parse(reply.subject).job_id, place.seq)
    finally:
        await asks.end()
    return tuple(
        JobListed(job_id=job, messages=counts.get(job, 0), seq=seq) for job, seq in jobs.items()
    )


async def watched(
    connection: Connection, settings: LogSettings, jobs: Container[str], after: int
) -> AsyncIterator[Heard]:
    """The messages above ``after``, live and without end, of what is in ``jobs`` by then."""
    follower = Follower(connection, job_filter(None), after)
    try:
        async for reply, place in follower.live():
            job_id = parse(reply.subject).job_id
            if job_id in jobs:
                yield heard(job_id, jetapi.consumed(reply, place), settings.keyring)
    finally:
        await follower.end()


async def recent(
    connection: Connection, settings: LogSettings, types: Sequence[str], after: int
) -> tuple[Recorded, ...]:
    """The messages of these types above ``after``, in order; not those of a newer build."""
    found: list[Recorded] = []
    for token in types:
        follower = Follower(connection, type_filter(token), after)
        try:
            async for reply, place in follower.to_end():
                with contextlib.suppress(UnknownVersion):
                    message = jetapi.consumed(reply, place)
                    found.append(record(message, settings.keyring))
        finally:
            await follower.end()
    return tuple(sorted(found, key=lambda item: item.seq))


async def forged(connection: Connection, settings: LogSettings, after: int) -> tuple[Foreign, ...]:
    """What claims to be a service's and is not among the messages above ``after``, in order.

    What was stored again is found where the first one is above ``after``, too.
    """
    keyring, found = settings.keyring, []
    tails: dict[str, Tail] = {}
    lasts: dict[str, int] = {}
    if keyring is None:
        return ()
    follower = Follower(connection, f"{ROOT.partition('.')[0]}.>", after)
    try:
        async for reply, place in follower.to_end():
            message = jetapi.consumed(reply, place)
            if not message.subject.startswith(f"{ROOT}."):
                topic = message.subject.rpartition(".")[0]
                if why := flaw(message, lasts.get(topic, 0), keyring):
                    found.append(foreign(message, why, forged=True))
                lasts[topic] = message.seq
                continue
            with contextlib.suppress(UnknownVersion):
                stored = record(message, keyring)
                tail = tails.get(stored.job_id, Tail(job_id=stored.job_id))
                tails[stored.job_id], recorded = placed_after(tail, stored)
                if isinstance(recorded.event, Foreign) and recorded.event.forged:
                    found.append(recorded.event)
    finally:
        await follower.end()
    return tuple(found)


async def _counts(connection: Connection) -> dict[str, int]:
    """How many messages each job has, from the broker's own index of subjects."""
    counts: dict[str, int] = {}
    offset, total = 0, 1
    while offset < total:
        request = {"subjects_filter": job_filter(None), "offset": offset}
        try:
            info = await connection.api(f"STREAM.INFO.{STREAM}", request)
        except Refused as error:
            raise LogUnavailable(str(error)) from error
        page = info["state"].get("subjects") or {}
        for subject, count in page.items():
            job_id = parse(subject).job_id
            counts[job_id] = counts.get(job_id, 0) + count
        offset += PAGE
        total = int(info.get("total", 0))
    return counts


async def queues(connection: Connection) -> dict[str, Queue]:
    """Of each durable, how many messages it has not handed out, and how many not seen settled."""
    found: dict[str, Queue] = {}
    offset, total = 0, 1
    while offset < total:
        try:
            page = await connection.api(f"CONSUMER.LIST.{STREAM}", {"offset": offset})
        except Refused as error:
            raise LogUnavailable(str(error)) from error
        consumers = page.get("consumers") or []
        for info in consumers:
            if info["config"].get("durable_name"):
                found[info["name"]] = Queue(
                    waiting=info["num_pending"], handed_out=info["num_ack_pending"]
                )
        offset += max(1, len(consumers))
        total = int(page.get("total", 0))
    return found


async def listed_dead_letters(connection: Connection) -> tuple[DeadLetter, ...]:
    """What was put aside as unreadable, oldest first, at most ``LISTED_MAX``."""
    letters: list[DeadLetter] = []
    seq = 1
    while len(letters) < LISTED_MAX:
        try:
            request = {"seq": seq, "next_by_subj": ">"}
            answer = await connection.api(f"STREAM.MSG.GET.{DEAD_LETTERS}", request)
        except Refused as error:
            if error.code == jetapi.NO_MESSAGE:
                break
            raise LogUnavailable(str(error)) from error
        message = jetapi.got(answer["message"])
        seq = message.seq + 1
        letters.append(
            DeadLetter(
                subject=message.headers.get("Pytoon-Subject", ""),
                seq=int(message.headers.get("Pytoon-Seq", "0")),
                why=message.headers.get("Pytoon-Why", ""),
                body=message.body,
                time_s=message.time_s,
            )
        )
    return tuple(letters)
