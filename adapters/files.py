"""The artifact store on files: ``<root>/<2 hex>/<sha256>``, written whole or not at all.

Beside them ``<root>/index/<key>`` notes which artifact was made of which input.  A note is read
with distrust and not synced to the disk: one that is lost or cut costs work, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from adapters.base import StoreError
from events.spec import Artifact, Struct

_CHUNK_BYTES = 1 << 20
_HEX_DIGITS = 64


class Swept(Struct, frozen=True, kw_only=True):
    """How many artifacts a sweep removed, and how many bytes, half-written ones included."""

    artifacts: int
    bytes: int


class FileStore:
    """Artifacts in a folder that several processes may share.

    A file appears under its name only after its content is on the disk (temporary file, fsync,
    rename, fsync of the folder); the same content stored twice is stored once, and a file that
    has been damaged is replaced by it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._index = root / "index"

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

    async def remember(self, key: str, artifact: Artifact) -> None:
        """Note which artifact was made of the input that ``key`` names; the last note holds."""
        await asyncio.to_thread(self._remember, checked_sha256(key), artifact)

    async def recall(self, key: str) -> Artifact | None:
        """What was made of the input that ``key`` names, if it is still here, whole."""
        return await asyncio.to_thread(self._recall, checked_sha256(key))

    async def sweep(self, kept: frozenset[str], older_than_s: float, *, dry: bool) -> Swept:
        """Remove artifacts whose sha256 is not in ``kept``, notes on artifacts that are gone, and
        what a killed process has left half-written.

        What was written or taken again within the last ``older_than_s`` seconds stays: an event
        that names it may still be on its way.  ``dry``: only say what would be removed.
        """
        return await asyncio.to_thread(self._sweep, kept, time.time() - older_than_s, dry=dry)

    def _sweep(self, kept: frozenset[str], before_s: float, *, dry: bool) -> Swept:
        count = size = 0
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            found = path.stat()
            if path.name in kept or len(path.name) != _HEX_DIGITS or found.st_mtime >= before_s:
                continue
            count, size = count + 1, size + found.st_size
            if not dry:
                path.unlink()
        for half_done in self._incoming.iterdir():
            # A process that was killed while it wrote has left it; who writes now is younger.
            with contextlib.suppress(FileNotFoundError):
                found = half_done.stat()
                if found.st_mtime < before_s:
                    size += found.st_size
                    if not dry:
                        half_done.unlink()
        for note in [] if dry else self._index.glob("*"):
            if note.stat().st_mtime < before_s and not self._noted(note):
                note.unlink(missing_ok=True)
        return Swept(artifacts=count, bytes=size)

    def _noted(self, note: Path) -> bool:
        """Whether the artifact that a note names is here."""
        try:
            artifact = msgspec.json.decode(note.read_bytes(), type=Artifact)
            return self._path(artifact.sha256).exists()
        except (OSError, msgspec.DecodeError, StoreError):
            return False

    def _remember(self, key: str, artifact: Artifact) -> None:
        self._index.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(artifact))
        Path(name).replace(self._index / key)

    def _recall(self, key: str) -> Artifact | None:
        try:
            note = (self._index / key).read_bytes()
            artifact = msgspec.json.decode(note, type=Artifact)
            return artifact if self._is_whole(artifact.sha256) else None
        except (OSError, msgspec.DecodeError, StoreError):
            return None

    def _is_whole(self, sha256: str) -> bool:
        """Whether the file of that name is there and has the content that its name says."""
        try:
            with self._path(sha256).open("rb") as file:
                # It is about to be named again: a sweep must see that before it looks.
                with contextlib.suppress(PermissionError):
                    os.utime(file.fileno())
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except FileNotFoundError:
            return False

    def _put_bytes(self, content: bytes, media_type: str) -> Artifact:
        sha256 = hashlib.sha256(content).hexdigest()
        artifact = Artifact(sha256=sha256, bytes=len(content), media_type=media_type)
        if self._is_whole(sha256):
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
        if self._is_whole(sha256):
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
        return self.root / checked_sha256(sha256)[:2] / sha256


def checked_sha256(sha256: str) -> str:
    """The name itself, if it is 64 hex digits and so cannot lead out of a folder."""
    if len(sha256) != _HEX_DIGITS or set(sha256) - set("0123456789abcdef"):
        msg = f"not a sha256: {sha256[:80]!r}"
        raise StoreError(msg)
    return sha256
