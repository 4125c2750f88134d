"""Artifacts in a bucket of the NATS server that has the log: nothing else needs to be run.

Objects are named by their sha256, notes ``index-<key>``.  For films of some megabytes it does;
S3 moves more at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from adapters.base import StoreAway, StoreError
from events.jetapi import NO_STREAM, Refused
from events.log import LogError
from events.objects import CHUNK_BYTES, Described, ObjectBucket, digest_from


class ObjectsRemote:
    """Objects of a bucket.

    The sum that the bucket holds must be the name's, and all chunks must be there: else it was
    not written by us, or not whole.
    """

    def __init__(self, bucket: ObjectBucket) -> None:
        self.name = f"nats://{bucket.name}"
        self._bucket = bucket

    async def is_whole(self, sha256: str, size: int) -> bool:
        """By the description and the number of chunks, without the content."""
        with self._told():
            found = await self._bucket.describe(sha256)
            if found is None or not _is_of(found, sha256) or (size and found.size != size):
                return False
            return await self._bucket.is_whole(found)

    async def upload(self, path: Path, sha256: str, media_type: str) -> None:
        """Write the object."""
        with self._told(), path.open("rb") as file:
            chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
            stored = await self._bucket.put(sha256, chunks, headers={"Content-Type": [media_type]})
        if not _is_of(stored, sha256):
            raise StoreAway(f"somebody else writes sha256:{sha256} in {self.name}")

    async def download(self, sha256: str) -> AsyncGenerator[bytes, None]:
        """The object's content, chunk by chunk."""
        with self._told():
            found = await self._bucket.describe(sha256)
        if found is None:
            msg = f"artifact sha256:{sha256} is not in {self.name}"
            raise StoreError(msg)
        with self._told():
            async with contextlib.aclosing(self._bucket.read(found)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def write_note(self, key: str, note: bytes) -> None:
        """Write ``index-<key>``."""
        with self._told():
            await self._bucket.note(f"index-{key}", note.decode())

    async def read_note(self, key: str) -> bytes | None:
        """Read ``index-<key>``."""
        with self._told():
            found = await self._bucket.describe(f"index-{key}")
        return found.description.encode() if found else None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The log's errors as the store's."""
        try:
            yield
        except LogError as error:
            why = str(error)
            if isinstance(error, Refused) and error.code == NO_STREAM:
                why = f"there is no such bucket; make it: pytoon init --store {self.name}"
            msg = f"the artifact store {self.name} cannot be used: {why}"
            raise StoreAway(msg) from error


def _is_of(described: Described, sha256: str) -> bool:
    return described.digest == digest_from(bytes.fromhex(sha256))
