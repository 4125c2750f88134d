"""Taking ended jobs out of the log: the operator's act.

Of a pruned job its end stays, as a tombstone: it says what became of the job, and that its id is
used.  Left out: which jobs are pruned, and what becomes of their files.
"""

from __future__ import annotations

import re

from events import jetapi
from events.jetapi import Refused
from events.link import is_tombstone, record
from events.log import LogUnavailable, Tail, UnknownVersion
from events.pull import Connection, Follower
from events.stream import LogSettings
from events.subjects import STREAM, job_filter

_SHA256 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


async def prune_job(connection: Connection, job_id: str, end_seq: int) -> int:
    """Take out what is stored of a job before its end at ``end_seq``; returns how many messages.

    Raises ``LogUnavailable``, also where we may not.
    """
    request = {"filter": job_filter(job_id), "seq": end_seq}
    try:
        answer = await connection.api(f"STREAM.PURGE.{STREAM}", request)
    except Refused as error:
        raise LogUnavailable(f"job {job_id} cannot be pruned: {error}") from error
    return int(answer["purged"])


async def named(connection: Connection, settings: LogSettings) -> frozenset[str]:
    """All that may be the sha256 of an artifact in any message of a job that is not pruned.

    Any 64 hex digits count, in whatever field and of whatever type: what is kept in vain costs
    room, and what is removed wrongly costs a film.  Raises ``LogUnavailable``.
    """
    found: set[str] = set()
    pruned: dict[str, bool] = {}
    follower = Follower(connection, job_filter(None), 0)
    try:
        async for reply, place in follower.to_end():
            message = jetapi.consumed(reply, place)
            job_id = message.subject.split(".")[2]
            if job_id not in pruned:
                try:
                    first = record(message, settings.keyring)
                    pruned[job_id] = is_tombstone(Tail(job_id=job_id), first)
                except UnknownVersion:
                    pruned[job_id] = False
            if not pruned[job_id]:
                found.update(sha256.decode() for sha256 in _SHA256.findall(message.body))
    finally:
        await follower.end()
    return frozenset(found)
