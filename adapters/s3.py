"""Artifacts in a bucket that speaks S3: ``<prefix>/<2 hex>/<sha256>``, notes under ``index/``.

An object appears when its upload is complete, as S3 has it.  Its sha256 stands in its metadata,
too, so that an object which somebody else wrote under that name is told by a single question.
Credentials, region and endpoint come from the environment (``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, …) and are never told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from adapters.base import StoreAway, StoreError
from adapters.files import checked_sha256

_PIECE_BYTES = 1 << 20
_NOTE_BYTES_MAX = 64_000
"""A longer note is none of ours."""

_SHA256 = "sha256"
"""The name of an object's own metadata."""


class S3Remote:
    """Objects of a bucket, under a prefix.

    Each question is given ``request_s`` seconds and asked again until ``retry_s`` have passed.
    """

    def __init__(self, bucket: str, prefix: str, *, request_s: float, retry_s: float) -> None:
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        # The library reads this one variable only where no options are given.
        allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true", "yes"}
        self._store = S3Store(
            bucket,
            client_options={"timeout": timedelta(seconds=request_s), "allow_http": allow_http},
            retry_config={"retry_timeout": timedelta(seconds=retry_s)},
        )

    async def is_whole(self, sha256: str, size: int) -> bool:
        """By the size and the metadata, without the content."""
        try:
            with self._told():
                found = await obstore.get_async(
                    self._store, self._path(sha256), options={"head": True}
                )
        except FileNotFoundError:
            return False
        told = dict(found.attributes).get(_SHA256)
        return told == sha256 and (not size or found.meta["size"] == size)

    async def upload(self, path: Path, sha256: str, media_type: str) -> None:
        """Write the object, in parts where it is large."""
        attributes = {"Content-Type": media_type, _SHA256: sha256}
        with self._told():
            await obstore.put_async(self._store, self._path(sha256), path, attributes=attributes)

    async def download(self, sha256: str) -> AsyncGenerator[bytes, None]:
        """The object's content in pieces of about 1 MB."""
        try:
            with self._told():
                found = await obstore.get_async(self._store, self._path(sha256))
        except FileNotFoundError as error:
            msg = f"artifact sha256:{sha256} is not in {self.name}"
            raise StoreError(msg) from error
        with self._told():
            async for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)

    async def write_note(self, key: str, note: bytes) -> None:
        """Write ``index/<key>``."""
        with self._told():
            await obstore.put_async(self._store, f"{self._prefix}index/{key}", note)

    async def read_note(self, key: str) -> bytes | None:
        """Read ``index/<key>``."""
        try:
            with self._told():
                found = await obstore.get_async(self._store, f"{self._prefix}index/{key}")
                if found.meta["size"] > _NOTE_BYTES_MAX:
                    return None
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None

    def _path(self, sha256: str) -> str:
        return f"{self._prefix}{checked_sha256(sha256)[:2]}/{sha256}"

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The library's errors as ours; ``FileNotFoundError`` is the caller's matter."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            # Only the first line: what follows is the library's own view of its request.
            why = (str(error) or type(error).__name__).splitlines()[0]
            msg = f"the artifact store {self.name} cannot be used: {why}"
            raise StoreAway(msg) from None
