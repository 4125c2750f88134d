"""Every artifact store behind one handle: how to open it again, and how others harm it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import obstore
from nats.js.api import ObjectMeta
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore
from obstore.store import S3Store

from adapters.base import ArtifactStore
from adapters.cache import ReadCache
from adapters.files import FileStore
from adapters.objects import ObjectsRemote
from adapters.remote import RemoteStore
from adapters.s3 import S3Remote
from events.jetstream import JetStreamLog
from events.objects import ObjectBucket
from tests.broker import NatsServer
from tests.buckets import BUCKET
from tests.patience import PATIENT

CACHE_BYTES_MAX = 10_000_000


class House(Protocol):
    """A kind of store.  What ``write`` and ``names`` do goes past our own code."""

    def opened(self) -> ArtifactStore:
        """The store as another host opens it: with nothing at hand but what was stored."""

    async def write(self, name: str, content: bytes) -> None:
        """Put content under an artifact's name, or a note's (``index/…``)."""

    async def delete(self, name: str) -> None:
        """Delete an artifact."""

    async def names(self) -> list[str]:
        """What is stored: artifacts, notes, and anything half-done."""


class Folder:
    """``adapters.files``."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "store"

    def opened(self) -> ArtifactStore:
        """The same folder."""
        return FileStore(self._root)

    async def write(self, name: str, content: bytes) -> None:
        """As root could."""
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    async def delete(self, name: str) -> None:
        """Unlink it."""
        self._path(name).unlink()

    async def names(self) -> list[str]:
        """Every file."""
        return sorted(path.name for path in self._root.rglob("*") if path.is_file())

    def _path(self, name: str) -> Path:
        return self._root / (name if "/" in name else f"{name[:2]}/{name}")


class S3:
    """``adapters.s3``: each test has a prefix of its own, each opening a cache of its own."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._opened = 0
        self._raw = S3Store(BUCKET)

    def opened(self) -> ArtifactStore:
        """The same prefix, and no copies yet."""
        self._opened += 1
        remote = S3Remote(BUCKET, self._prefix, request_s=10, retry_s=2)
        cache = ReadCache(self._folder / f"copies-{self._opened}", CACHE_BYTES_MAX)
        return RemoteStore(remote, cache)

    async def write(self, name: str, content: bytes) -> None:
        """As any other client of the bucket could."""
        await obstore.put_async(self._raw, self._path(name), content)

    async def delete(self, name: str) -> None:
        """Delete it."""
        await obstore.delete_async(self._raw, self._path(name))

    async def names(self) -> list[str]:
        """Every object under the prefix."""
        found = await self._raw.list(f"{self._prefix}/").collect_async()
        return sorted(meta["path"].rpartition("/")[2] for meta in found)

    def _path(self, name: str) -> str:
        return f"{self._prefix}/" + (name if "/" in name else f"{name[:2]}/{name}")


class Objects:
    """``adapters.objects``; the raw side is the library's own client of object stores."""

    def __init__(self, folder: Path, log: JetStreamLog, server: NatsServer) -> None:
        self._folder = folder
        self._log = log
        self._server = server
        self._opened = 0

    def opened(self) -> ArtifactStore:
        """The same bucket, and no copies yet."""
        self._opened += 1
        bucket = ObjectBucket(self._log.connection, BUCKET, request_timeout_s=5)
        cache = ReadCache(self._folder / f"copies-{self._opened}", CACHE_BYTES_MAX)
        return RemoteStore(ObjectsRemote(bucket), cache)

    async def write(self, name: str, content: bytes) -> None:
        """As any other client of the bucket could; a note is kept in the description."""
        async with self._raw() as bucket:
            if name.startswith("index/"):
                meta = ObjectMeta(description=content.decode("latin-1"))
                await bucket.put(name.replace("/", "-"), b"", meta=meta)
            else:
                await bucket.put(name, content)

    async def delete(self, name: str) -> None:
        """Delete it."""
        async with self._raw() as bucket:
            await bucket.delete(name)

    async def names(self) -> list[str]:
        """Every object that is described, and a line for chunks that nothing describes."""
        async with self._raw() as bucket:
            try:
                found = await bucket.list()
            except NotFoundError:
                # The library's word for a bucket without objects; it may have chunks of one.
                found = []
            status = await bucket.status()
        described = sum((info.chunks or 0) + 1 for info in found)
        lost = status.stream_info.state.messages - described
        return sorted([info.name.removeprefix("index-") for info in found] + ["lost"] * lost)

    @contextlib.asynccontextmanager
    async def _raw(self) -> AsyncIterator[ObjectStore]:
        client = await self._server.raw()
        try:
            yield await client.jetstream().object_store(BUCKET)
        finally:
            await client.close()


@contextlib.asynccontextmanager
async def objects(folder: Path, server: NatsServer) -> AsyncIterator[Objects]:
    """A bucket that was made, on a server."""
    log = await JetStreamLog.connect(server.url, token=server.token, settings=PATIENT)
    try:
        bucket = ObjectBucket(log.connection, BUCKET, request_timeout_s=5)
        await bucket.make(bytes_max=1 << 26, replicas=1)
        yield Objects(folder, log, server)
    finally:
        await log.close()
