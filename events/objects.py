"""A bucket of NATS's object store, over a ``Link``: as ADR-20 has it, so every client can read it.

An object is a run of messages with its chunks and one message that describes it, which comes last:
before it there is no object.  The digest and the size in it are checked by whoever reads.  Names
are ours to choose; an object is replaced only by the writer who knew what it replaces.

    stream OBJ_<bucket>
    $O.<bucket>.C.<id>             a chunk
    $O.<bucket>.M.<name, base64>   the description; the last one holds

Left out: watching, links, deleting.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import uuid
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from events import jetapi
from events.jetapi import Refused
from events.log import LogError
from events.reading import Reader, at_leader, direct_batch
from events.spec import Struct

CHUNK_BYTES = 128 * 1024
WINDOW = 16
"""Chunks that are sent before the first of them is acknowledged, and read at once."""

OBJECT_BYTES_MAX = 4 << 30
_BUCKET = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ROLLUP = {"Nats-Rollup": "sub"}


class Described(Struct, frozen=True, kw_only=True):
    """What a bucket says of an object; the names are the wire's.

    ``nuid`` names its chunks, ``digest`` is ``SHA-256=`` and the sum in URL-safe base64.
    """

    name: str
    description: str = ""
    bucket: str = ""
    nuid: str = ""
    size: int = 0
    chunks: int = 0
    digest: str = ""
    mtime: str = ""
    deleted: bool = False
    headers: dict[str, list[str]] = msgspec.field(default_factory=dict)
    options: dict[str, Any] = msgspec.field(default_factory=dict)


class ObjectBucket:
    """One bucket.  Every call raises ``LogUnavailable`` while the server is away, ``LogError``
    where it refuses: no such bucket, no room, no right.
    """

    def __init__(self, connection: Reader, bucket: str, *, request_timeout_s: float) -> None:
        self.name = checked_bucket(bucket)
        self._connection = connection
        self._timeout_s = request_timeout_s
        self._stream = f"OBJ_{bucket}"

    async def make(self, *, bytes_max: int, replicas: int) -> None:
        """Make the bucket; one that is there stays as it is."""
        config = {
            "name": self._stream,
            "subjects": [f"$O.{self.name}.C.>", f"$O.{self.name}.M.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_bytes": bytes_max,
            "num_replicas": replicas,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
        }
        try:
            await self._connection.api(f"STREAM.CREATE.{self._stream}", config)
        except Refused as error:
            if error.code != jetapi.STREAM_EXISTS:
                raise

    async def describe(self, name: str) -> Described | None:
        """What is said of an object at the leader; None where there is none, or none readable."""
        found, _ = await self._described(name)
        return found

    async def is_whole(self, described: Described) -> bool:
        """Whether all its chunks are there."""
        wanted = {"subjects_filter": self._chunks(described.nuid)}
        info = await self._connection.api(f"STREAM.INFO.{self._stream}", wanted)
        counts: dict[str, int] = info["state"].get("subjects") or {}
        return sum(counts.values()) == described.chunks

    async def put(
        self, name: str, chunks: Iterable[bytes], *, headers: dict[str, list[str]] | None = None
    ) -> Described:
        """Store an object of chunks of at most ``CHUNK_BYTES``, in place of what has its name.

        Where somebody else stored under the name meanwhile, theirs stays and is returned.
        """
        before, last = await self._described(name)
        nuid = uuid.uuid4().hex
        try:
            size, count, digest = await self._send(self._chunks(nuid), chunks)
            described = Described(
                name=name,
                bucket=self.name,
                nuid=nuid,
                size=size,
                chunks=count,
                digest=digest,
                mtime=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                headers=headers or {},
                options={"max_chunk_size": CHUNK_BYTES},
            )
            theirs = await self._describe_as(described, last)
        except BaseException:
            await self._forget(nuid)
            raise
        if theirs is not None:
            await self._forget(nuid)
            return theirs
        if before is not None and before.nuid:
            await self._forget(before.nuid)
        return described

    async def read(self, described: Described) -> AsyncGenerator[bytes, None]:
        """An object's chunks, in order; fewer of them where some are lost."""
        wanted, begin, left = self._chunks(described.nuid), 1, described.chunks
        while left > 0:
            batch = await direct_batch(
                self._connection,
                self._timeout_s,
                wanted,
                begin,
                stream=self._stream,
                count_max=min(WINDOW, left),
            )
            if not batch:
                # A replica may lag behind; the leader does not.
                batch = await at_leader(
                    self._connection, wanted, begin - 1, count_max=1, stream=self._stream
                )
            if not batch:
                return
            for message in batch:
                yield message.body
            begin, left = batch[-1].seq + 1, left - len(batch)

    async def note(self, name: str, text: str) -> None:
        """Store an object that is nothing but its description; the last one holds."""
        described = Described(
            name=name,
            bucket=self.name,
            nuid=uuid.uuid4().hex,
            digest=digest_of(hashlib.sha256()),
            mtime=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            description=text,
        )
        await self._publish(self._meta(name), msgspec.json.encode(described), _ROLLUP)

    async def _described(self, name: str) -> tuple[Described | None, int]:
        """An object's description and its sequence; 0 where there was none ever."""
        try:
            request = {"last_by_subj": self._meta(name)}
            answer = await self._connection.api(f"STREAM.MSG.GET.{self._stream}", request)
        except Refused as error:
            if error.code == jetapi.NO_MESSAGE:
                return None, 0
            raise
        message = jetapi.got(answer["message"])
        try:
            described = msgspec.json.decode(message.body, type=Described)
        except (msgspec.DecodeError, ValueError):
            return None, message.seq
        return (None if described.deleted else described), message.seq

    async def _describe_as(self, described: Described, last: int) -> Described | None:
        """Publish a description if ``last`` still is the name's last; else the one that is."""
        subject = self._meta(described.name)
        headers = _ROLLUP | {"Nats-Expected-Last-Subject-Sequence": str(last)}
        try:
            await self._publish(subject, msgspec.json.encode(described), headers)
        except Refused as error:
            if error.code not in jetapi.CONFLICTS:
                raise
            theirs, _ = await self._described(described.name)
            if theirs is None or theirs.nuid == described.nuid:
                return None
            return theirs
        return None

    async def _send(self, subject: str, chunks: Iterable[bytes]) -> tuple[int, int, str]:
        """Publish chunks, a window of them at a time; size, count and digest of all."""
        size, count, digest = 0, 0, hashlib.sha256()
        inbox = self._connection.replies()
        waiting = 0
        try:
            for chunk in chunks:
                if waiting == WINDOW:
                    waiting -= 1
                    jetapi.answer((await inbox.next(self._timeout_s)).body)
                await self._connection.publish(subject, chunk, reply=inbox.subject)
                waiting, count, size = waiting + 1, count + 1, size + len(chunk)
                if size > OBJECT_BYTES_MAX:
                    raise LogError(f"an object has at most {OBJECT_BYTES_MAX} bytes")
                digest.update(chunk)
            while waiting:
                waiting -= 1
                jetapi.answer((await inbox.next(self._timeout_s)).body)
        finally:
            # Whoever gives up deletes the chunks, and those under way must have come to count.
            with contextlib.suppress(LogError):
                for _ in range(waiting):
                    await inbox.next(self._timeout_s)
            await inbox.end()
        return size, count, digest_of(digest)

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        jetapi.answer((await self._connection.request(subject, body, headers)).body)

    async def _forget(self, nuid: str) -> None:
        """Delete chunks that no description names.  Where that fails they only take room."""
        request = {"filter": self._chunks(nuid)}
        try:
            await self._connection.api(f"STREAM.PURGE.{self._stream}", request)
        except LogError:
            return

    def _chunks(self, nuid: str) -> str:
        return f"$O.{self.name}.C.{nuid}"

    def _meta(self, name: str) -> str:
        return f"$O.{self.name}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def checked_bucket(bucket: str) -> str:
    """A bucket's name, if it is one; else ValueError."""
    if _BUCKET.fullmatch(bucket) is None:
        message = f"bucket {bucket[:80]!r} is not 1 to 64 characters of A-Z a-z 0-9 _ -"
        raise ValueError(message)
    return bucket


def digest_of(sha256: Any) -> str:
    """A sum as the wire has it."""
    return digest_from(sha256.digest())


def digest_from(raw: bytes) -> str:
    """32 bytes of a sum as the wire has them."""
    return f"SHA-256={base64.urlsafe_b64encode(raw).decode()}"
