"""Appending so that trying again is always right, whatever became of the first try.

Each event has an id of its own and each append expects the job's last sequence, so a second try
cannot store anything twice; and when the broker refuses an append, what the leader has after the
tail tells whether that is because it was stored already.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence

from events import jetapi
from events.codec import Message
from events.jetapi import Refused
from events.link import Draft, already_stored, record
from events.log import Conflict, LogFull, LogUnavailable, Recorded, Tail, UnknownVersion
from events.reading import Reader, at_leader, last_seq
from events.stream import LogSettings
from events.subjects import job_filter, subject_of
from events.types import Event, event_id

ASKS_MAX = 1000
"""Among how many asks of one type and job a new one is looked for."""

PAUSE_S = 0.05
"""Between two tries."""


async def append(
    connection: Reader, settings: LogSettings, tail: Tail, drafts: Sequence[Draft]
) -> tuple[Recorded, ...]:
    """Store the drafts after ``tail``, all or none, trying again within ``append_timeout_s``.

    Raises ``Conflict``, ``LogFull``, and ``LogUnavailable`` when the time is over.
    """
    if not drafts:
        return ()
    until_s = time.monotonic() + settings.append_timeout_s
    while True:
        try:
            return await _append_once(connection, settings, tail, drafts)
        except LogUnavailable:
            if time.monotonic() >= until_s:
                raise
            await asyncio.sleep(PAUSE_S)


async def _append_once(
    connection: Reader, settings: LogSettings, tail: Tail, drafts: Sequence[Draft]
) -> tuple[Recorded, ...]:
    try:
        stored_seq = await _store(connection, settings, tail, drafts)
    except Refused as error:
        return await _resolve(connection, tail, drafts, error)
    first_seq = stored_seq - len(drafts) + 1
    now_s = time.time()
    return tuple(draft.stored(seq, now_s) for seq, draft in enumerate(drafts, first_seq))


async def _store(
    connection: Reader, settings: LogSettings, tail: Tail, drafts: Sequence[Draft]
) -> int:
    """Publish the drafts, several as one batch; returns the last one's sequence.

    All are sent before any answer is waited for.  The broker answers all but the last of a batch
    with nothing; the first answer that says something is the batch's, or what is wrong with it.
    """
    await connection.connected(settings.request_timeout_s)
    batch_id = uuid.uuid4().hex
    inbox = connection.replies()
    try:
        for number, draft in enumerate(drafts, 1):
            headers = draft.headers | {"Nats-Msg-Id": draft.envelope.id}
            if number == 1:
                headers |= jetapi.expecting(tail.seq, job_filter(tail.job_id))
            if len(drafts) > 1:
                headers |= jetapi.in_batch(batch_id, number, len(drafts))
            await connection.publish(draft.subject, draft.body, headers, reply=inbox.subject)
        for _ in drafts:
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
    connection: Reader, tail: Tail, drafts: Sequence[Draft], error: Refused
) -> tuple[Recorded, ...]:
    """What a refused append means, by what the leader has after the tail."""
    wanted = job_filter(tail.job_id)
    found = await at_leader(connection, wanted, tail.seq, count_max=len(drafts))
    try:
        stored = tuple(record(message) for message in found)
    except UnknownVersion as newer:
        raise Conflict(f"job {tail.job_id} went on with a newer build: {newer}") from error
    if already_stored(drafts, stored):
        return stored
    if stored or error.code in jetapi.CONFLICTS:
        raise Conflict(f"job {tail.job_id} does not end at {tail.seq}: {error}") from error
    raise _failure(error) from error


def _failure(error: Refused) -> LogFull | LogUnavailable:
    kind = LogFull if error.code in jetapi.FULL else LogUnavailable
    return kind(str(error))


async def publish_ask(
    connection: Reader, settings: LogSettings, ask: Event, body: bytes
) -> Recorded:
    """Store a client's bare body, unlinked, or return what the same ask stored before."""
    subject = subject_of(ask)
    until_s = time.monotonic() + settings.append_timeout_s
    expected_seq = 0
    while True:
        try:
            return await _publish_ask_once(connection, ask, body, expected_seq)
        except (Conflict, LogUnavailable) as error:
            if time.monotonic() >= until_s:
                raise LogUnavailable(f"{subject} could not be stored: {error}") from error
            await asyncio.sleep(PAUSE_S)
        expected_seq = await last_seq(connection, subject)


async def _publish_ask_once(
    connection: Reader, ask: Event, body: bytes, expected_seq: int
) -> Recorded:
    subject, ask_id = subject_of(ask), event_id(ask)
    headers = jetapi.expecting(expected_seq, subject) | {"Nats-Msg-Id": ask_id}
    try:
        stored = jetapi.answer((await connection.request(subject, body, headers)).body)
    except Refused as error:
        if error.code not in jetapi.CONFLICTS:
            raise _failure(error) from error
    else:
        if not stored.get("duplicate"):
            seq = int(stored["seq"])
            return record(
                Message(seq=seq, subject=subject, headers={}, body=body, time_s=time.time())
            )
    for message in await at_leader(connection, subject, 0, count_max=ASKS_MAX):
        found = record(message)
        if isinstance(found.event, type(ask)) and event_id(found.event) == ask_id:
            return found
    raise Conflict(f"{subject} has other asks")
