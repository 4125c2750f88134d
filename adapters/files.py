"""The artifact store on files: ``<root>/<2 hex>/<sha256>``, written whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from adapters.base import StoreError
from events.spec import Artifact

_CHUNK_BYTES = 1 << 20
_HEX_DIGITS = 64


class FileStore:
    """Artifacts in a folder that several processes may share.

    A file appears under its name only after its content is on the disk (temporary file, fsync,
    rename, fsync of the folder); the same content stored twice is stored once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    async def put_bytes(self, content: bytes, media_type: str) -> Artifact:
        """Store ``content``."""
        return await asyncio.to_thread(self._put_bytes, content, media_type)

    async def put_file(self, path: Path, media_type: str, *, move: bool = False) -> Artifact:
        """Store a file's content; with ``move`` the file is gone afterwards."""
        return await asyncio.to_thread(self._put_file, path, media_type, move=move)

    async def fetch(self, artifact: Artifact) -> Path:
        """The content's path, read-only.  Raises ``StoreError`` where it is missing or cut."""
        path = self._path(artifact.sha256)
        try:
            size = path.stat().st_size
        except OSError as error:
            msg = f"artifact sha256:{artifact.sha256} is not in {self.root}"
            raise StoreError(msg) from error
        if artifact.bytes and size != artifact.bytes:
            msg = f"artifact sha256:{artifact.sha256} has {size} bytes, not {artifact.bytes}"
            raise StoreError(msg)
        return path

    async def has(self, artifact: Artifact) -> bool:
        """Whether the content is here, whole."""
        try:
            await self.fetch(artifact)
        except StoreError:
            return False
        return True

    def _put_bytes(self, content: bytes, media_type: str) -> Artifact:
        sha256 = hashlib.sha256(content).hexdigest()
        artifact = Artifact(sha256=sha256, bytes=len(content), media_type=media_type)
        if self._path(sha256).exists():
            return artifact
        handle, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        self._settle(Path(name), sha256)
        return artifact

    def _put_file(self, path: Path, media_type: str, *, move: bool) -> Artifact:
        handle, name = tempfile.mkstemp(dir=self._incoming)
        os.close(handle)
        taken = Path(name)
        if move and path.stat().st_dev == taken.stat().st_dev:
            path.replace(taken)
        else:
            shutil.copyfile(path, taken)
            if move:
                path.unlink()
        with taken.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        artifact = Artifact(sha256=sha256, bytes=taken.stat().st_size, media_type=media_type)
        if self._path(sha256).exists():
            taken.unlink()
        else:
            self._settle(taken, sha256)
        return artifact

    def _settle(self, taken: Path, sha256: str) -> None:
        path = self._path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        with taken.open("rb") as file:
            os.fsync(file.fileno())
        taken.chmod(0o444)
        taken.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, sha256: str) -> Path:
        if len(sha256) != _HEX_DIGITS or set(sha256) - set("0123456789abcdef"):
            msg = f"not a sha256: {sha256[:80]!r}"
            raise StoreError(msg)
        return self.root / sha256[:2] / sha256
