"""The artifact store of several hosts: objects at a ``Remote``, and copies of them here.

What is common to every store that is not a folder.  An object's content is checked against its
name when it is fetched, and kept in a ``ReadCache``, since callers want a path.  Left out: how a
remote keeps objects (``adapters.s3``, ``adapters.objects``).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from adapters.base import StoreError
from adapters.cache import ReadCache
from adapters.files import checked_sha256
from events.spec import Artifact


class Remote(Protocol):
    """Where the objects are.  Every call may raise ``StoreAway``."""

    name: str
    """As it may be shown: without credentials."""

    async def is_whole(self, sha256: str, size: int) -> bool:
        """Whether an object of that name was written whole and has that size (0: any)."""

    async def upload(self, path: Path, sha256: str, media_type: str) -> None:
        """Write the object, whole or not at all; what has its name is replaced."""

    def download(self, sha256: str) -> AsyncGenerator[bytes, None]:
        """The object's content.  Raises ``StoreError`` where there is none."""

    async def write_note(self, key: str, note: bytes) -> None:
        """Store a few bytes under a key; the last ones hold."""

    async def read_note(self, key: str) -> bytes | None:
        """What was stored under a key."""


class RemoteStore:
    """A remote behind the port of artifact stores."""

    def __init__(self, remote: Remote, cache: ReadCache) -> None:
        self.remote = remote
        self._cache = cache
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def put_bytes(self, content: bytes, media_type: str) -> Artifact:
        """Store ``content``."""
        taken = await asyncio.to_thread(self._cache.blank)
        try:
            await asyncio.to_thread(taken.write_bytes, content)
            return await self._stored(taken, media_type)
        finally:
            taken.unlink(missing_ok=True)

    async def put_file(self, path: Path, media_type: str, *, move: bool = False) -> Artifact:
        """Store a file's content; with ``move`` the file is gone afterwards."""
        taken = await asyncio.to_thread(self._cache.adopt, path, move=move)
        try:
            return await self._stored(taken, media_type)
        finally:
            taken.unlink(missing_ok=True)

    async def fetch(self, artifact: Artifact) -> Path:
        """The path of a copy that was checked.  Raises ``StoreError``, ``StoreAway``."""
        # One download a file: all segments of a film ask for its pictures at once.
        lock = self._fetching.setdefault(artifact.sha256, asyncio.Lock())
        async with lock:
            found = await asyncio.to_thread(self._cache.find, artifact.sha256, artifact.bytes)
            return found or await self._downloaded(artifact)

    async def has(self, artifact: Artifact) -> bool:
        """Whether the content is at the remote, whole: a copy here is of no use to others."""
        try:
            return await self.remote.is_whole(checked_sha256(artifact.sha256), artifact.bytes)
        except StoreError:
            return False

    async def remember(self, key: str, artifact: Artifact) -> None:
        """Note which artifact was made of the input that ``key`` names; the last note holds."""
        await self.remote.write_note(checked_sha256(key), msgspec.json.encode(artifact))

    async def recall(self, key: str) -> Artifact | None:
        """What was made of the input that ``key`` names, if it is still there, whole."""
        note = await self.remote.read_note(checked_sha256(key))
        try:
            artifact = msgspec.json.decode(note or b"", type=Artifact)
        except msgspec.DecodeError:
            return None
        return artifact if await self.has(artifact) else None

    async def _stored(self, taken: Path, media_type: str) -> Artifact:
        """Upload what is not there yet, and keep the file as the copy."""
        sha256, size = await asyncio.to_thread(_digest, taken)
        if not await self.remote.is_whole(sha256, size):
            await self.remote.upload(taken, sha256, media_type)
        await asyncio.to_thread(self._cache.take, taken, sha256)
        return Artifact(sha256=sha256, bytes=size, media_type=media_type)

    async def _downloaded(self, artifact: Artifact) -> Path:
        taken = await asyncio.to_thread(self._cache.blank)
        try:
            digest, size = hashlib.sha256(), 0
            with taken.open("wb") as file:
                async with contextlib.aclosing(self.remote.download(artifact.sha256)) as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(digest.update, piece)
                        size += await asyncio.to_thread(file.write, piece)
            if artifact.bytes and size != artifact.bytes:
                msg = f"artifact sha256:{artifact.sha256} has {size} bytes, not {artifact.bytes}"
                raise StoreError(msg)
            if digest.hexdigest() != artifact.sha256:
                msg = f"sha256:{artifact.sha256} in {self.remote.name} has other content"
                raise StoreError(msg)
            return await asyncio.to_thread(self._cache.take, taken, artifact.sha256)
        finally:
            taken.unlink(missing_ok=True)


def _digest(path: Path) -> tuple[str, int]:
    """The sha256 of a file, and its bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
