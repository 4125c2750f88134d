"""Appending so that trying again is always right, whatever became of the first try.

Each event has an id of its own and each append expects the job's last sequence, so a second try
cannot store anything twice; and when the broker refuses an append, what the leader has after the
tail tells whether that is because it was stored already.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from events import jetapi
from events.codec import Message
from events.jetapi import Refused
from events.link import Draft, already_stored, is_tombstone, record
from events.log import (
    Conflict,
    JobPruned,
    LogError,
    LogFull,
    LogUnavailable,
    Recorded,
    Tail,
    UnknownVersion,
)
from events.notices import Draft as NoticeDraft
from events.notices import Noted, noted, topic_filter
from events.reading import Reader, at_leader, last_seq
from events.stream import LogSettings
from events.subjects import STREAM, dead_letter, job_filter, matches, subject_of
from events.topics import is_posted, read_notice
from events.trace import headers_of
from events.types import Event, RenderRequested, event_id

ASKS_MAX = 1000
"""Among how many asks of one type and job a new one is looked for."""

BATCH_MAX = 1000
"""How many messages the broker takes in one batch (its own limit)."""

PAUSE_S = 0.05
"""Between two tries."""


async def append(
    connection: Reader,
    settings: LogSettings,
    tail: Tail,
    drafts: Sequence[Draft],
    told: Sequence[NoticeDraft] = (),
) -> tuple[Recorded, ...]:
    """Store the drafts after ``tail``, all or none, trying again within ``append_timeout_s``.

    The notices in ``told`` are stored with them or not at all.
    Raises ``Conflict``, ``LogFull``, and ``LogUnavailable`` when the time is over.
    """
    if not drafts:
        return ()
    until_s = time.monotonic() + settings.append_timeout_s
    while True:
        try:
            return await _append_once(connection, settings, tail, drafts, told)
        except LogUnavailable:
            if time.monotonic() >= until_s:
                raise
            await asyncio.sleep(PAUSE_S)


async def _append_once(
    connection: Reader,
    settings: LogSettings,
    tail: Tail,
    drafts: Sequence[Draft],
    told: Sequence[NoticeDraft],
) -> tuple[Recorded, ...]:
    row = (*_of_job(tail, drafts), *map(_of_topic, told))
    try:
        stored_seq = await _store(connection, settings, row)
    except Refused as error:
        return await _resolve(connection, settings, tail, drafts, error)
    first_seq = stored_seq - len(row) + 1
    now_s = time.time()
    return tuple(draft.stored(seq, now_s) for seq, draft in enumerate(drafts, first_seq))


class _Sent(NamedTuple):
    """A message as it is published, its id and its expectation among the headers."""

    subject: str
    body: bytes
    headers: dict[str, str]


def _of_job(tail: Tail, drafts: Sequence[Draft]) -> list[_Sent]:
    expected = jetapi.expecting(tail.seq, job_filter(tail.job_id))
    row: list[_Sent] = []
    for draft in drafts:
        headers = draft.headers | {"Nats-Msg-Id": draft.envelope.id}
        row.append(_Sent(draft.subject, draft.body, headers if row else headers | expected))
    return row


def _of_topic(draft: NoticeDraft) -> _Sent:
    expected = jetapi.expecting(draft.after, topic_filter(draft.topic))
    headers = draft.headers | {"Nats-Msg-Id": draft.id} | expected
    return _Sent(draft.subject, draft.body, headers)


async def _store(connection: Reader, settings: LogSettings, row: Sequence[_Sent]) -> int:
    """Publish the messages, several as one batch; returns the last one's sequence.

    All are sent before any answer is waited for.  The broker answers all but the last of a batch
    with nothing; the first answer that says something is the batch's, or what is wrong with it.
    """
    await connection.connected(settings.request_timeout_s)
    batch_id = uuid.uuid4().hex
    inbox = connection.replies()
    try:
        for number, sent in enumerate(row, 1):
            headers = sent.headers
            if len(row) > 1:
                headers = headers | jetapi.in_batch(batch_id, number, len(row))
            await connection.publish(sent.subject, sent.body, headers, reply=inbox.subject)
        for _ in row:
            reply = await inbox.next(settings.request_timeout_s)
            if reply.body or reply.status:
                break
    finally:
        await inbox.end()
    if reply.status:
        raise LogUnavailable(f"nobody stores events: {reply.status}")
    stored = jetapi.answer(reply.body)
    if stored.get("duplicate"):
        raise Refused(jetapi.DUPLICATE, "an event with this id is stored already")
    return int(stored["seq"])


async def _resolve(
    connection: Reader,
    settings: LogSettings,
    tail: Tail,
    drafts: Sequence[Draft],
    error: Refused,
) -> tuple[Recorded, ...]:
    """What a refused append means, by what the leader has after the tail."""
    wanted = job_filter(tail.job_id)
    found = await at_leader(connection, wanted, tail.seq, count_max=len(drafts))
    try:
        stored = tuple(record(message, settings.keyring) for message in found)
    except UnknownVersion as newer:
        raise Conflict(f"job {tail.job_id} went on with a newer build: {newer}") from error
    if already_stored(drafts, stored):
        return stored
    if stored or error.code in jetapi.CONFLICTS:
        raise Conflict(f"job {tail.job_id} does not end at {tail.seq}: {error}") from error
    raise _failure(error) from error


async def post(connection: Reader, settings: LogSettings, draft: NoticeDraft) -> Noted:
    """Store a notice where its writer knew its topic's last, or return it as it stands there.

    Raises ``Conflict``, ``LogFull``, and ``LogUnavailable`` when the time is over.
    """
    until_s = time.monotonic() + settings.append_timeout_s
    while True:
        try:
            seq = await _store(connection, settings, (_of_topic(draft),))
        except Refused as error:
            return await _posted(connection, settings, draft, error)
        except LogUnavailable:
            if time.monotonic() >= until_s:
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return noted(seq, draft.subject, draft.body, time.time())


async def _posted(
    connection: Reader, settings: LogSettings, draft: NoticeDraft, error: Refused
) -> Noted:
    """What a refused notice means, by what the leader has after the one that was expected."""
    wanted = topic_filter(draft.topic)
    for found in await at_leader(connection, wanted, draft.after, count_max=1):
        if is_posted(draft, found, settings.keyring):
            return read_notice(found)
        raise Conflict(f"{draft.topic} does not end at {draft.after}: {error}") from error
    if error.code in jetapi.CONFLICTS:
        raise Conflict(f"{draft.topic} does not end at {draft.after}: {error}") from error
    raise _failure(error) from error


def _failure(error: Refused) -> LogFull | LogUnavailable:
    kind = LogFull if error.code in jetapi.FULL else LogUnavailable
    return kind(str(error))


async def publish_ask(
    connection: Reader, settings: LogSettings, ask: Event, body: bytes, traceparent: str = ""
) -> Recorded:
    """Store a client's bare body, unlinked, or return what the same ask stored before."""
    subject = subject_of(ask)
    until_s = time.monotonic() + settings.append_timeout_s
    if isinstance(ask, RenderRequested):
        await _check_unused(connection, settings, ask.job_id)
    expected_seq, trace = 0, headers_of(traceparent)
    while True:
        try:
            headers = jetapi.expecting(expected_seq, subject) | trace
            return await _publish_ask_once(connection, settings, ask, body, headers)
        except (Conflict, LogUnavailable) as error:
            if time.monotonic() >= until_s:
                raise LogUnavailable(f"{subject} could not be stored: {error}") from error
            await asyncio.sleep(PAUSE_S)
        expected_seq = await last_seq(connection, subject)


async def _check_unused(connection: Reader, settings: LogSettings, job_id: str) -> None:
    """Raise ``JobPruned`` where only the end of an earlier job with this id is left."""
    for first in await at_leader(connection, job_filter(job_id), 0, count_max=1):
        if is_tombstone(Tail(job_id=job_id), record(first, settings.keyring)):
            raise JobPruned(f"job {job_id} was here and was pruned: use another id")


async def _publish_ask_once(
    connection: Reader,
    settings: LogSettings,
    ask: Event,
    body: bytes,
    headers: dict[str, str],
) -> Recorded:
    subject, ask_id = subject_of(ask), event_id(ask)
    headers = headers | {"Nats-Msg-Id": ask_id}
    try:
        stored = jetapi.answer((await connection.request(subject, body, headers)).body)
    except Refused as error:
        if error.code not in jetapi.CONFLICTS:
            raise _failure(error) from error
    else:
        if not stored.get("duplicate"):
            seq = int(stored["seq"])
            return record(
                Message(seq=seq, subject=subject, headers=headers, body=body, time_s=time.time())
            )
    for message in await at_leader(connection, subject, 0, count_max=ASKS_MAX):
        found = record(message, settings.keyring)
        if isinstance(found.event, type(ask)) and event_id(found.event) == ask_id:
            return found
    raise Conflict(f"{subject} has other asks")


async def keep_dead_letter(
    connection: Reader, recorded: Recorded, headers: Mapping[str, str], why: str
) -> None:
    """Store a message in the stream of dead letters, once.  Raises ``LogUnavailable``."""
    kept = {name: text for name, text in headers.items() if not name.startswith("Nats-")}
    kept |= {
        "Nats-Msg-Id": f"{STREAM}-{recorded.seq}",
        "Pytoon-Subject": recorded.subject,
        "Pytoon-Seq": str(recorded.seq),
        "Pytoon-Why": why,
    }
    text = dead_letter(recorded.subject)
    try:
        jetapi.answer((await connection.request(text, recorded.body, kept)).body)
    except Refused as error:
        raise LogUnavailable(f"no dead letter could be stored: {error}") from error


async def restore(
    connection: Reader, settings: LogSettings, job_id: str, messages: Sequence[Message]
) -> int:
    """Store messages of a job that has none, verbatim and in one batch; the last one's sequence.

    No reader ever sees a part of them.  What the old broker noted in its own headers is left out:
    it would be taken for this one's orders.  Raises ``Conflict``, ``LogFull``, ``LogUnavailable``.
    """
    if not 0 < len(messages) <= BATCH_MAX:
        raise LogError(f"{len(messages)} messages cannot be stored at once: 1 to {BATCH_MAX} can")
    wanted = job_filter(job_id)
    row: list[_Sent] = []
    for message in messages:
        if not matches(wanted, message.subject):
            raise LogError(f"{message.subject!r} is no subject of job {job_id}")
        headers = {
            name: text for name, text in message.headers.items() if not name.startswith("Nats-")
        }
        expected = {} if row else jetapi.expecting(0, wanted)
        row.append(_Sent(message.subject, message.body, headers | expected))
    until_s = time.monotonic() + settings.append_timeout_s
    while True:
        try:
            return await _store(connection, settings, row)
        except Refused as error:
            found = await at_leader(connection, wanted, 0, count_max=len(row))
            same = [(item.subject, item.body) for item in found]
            if same == [(sent.subject, sent.body) for sent in row]:
                return found[-1].seq
            if found or error.code in jetapi.CONFLICTS:
                raise Conflict(f"this log has a job {job_id} already") from error
            raise _failure(error) from error
        except LogUnavailable:
            if time.monotonic() >= until_s:
                raise
            await asyncio.sleep(PAUSE_S)
