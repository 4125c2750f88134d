"""A folder of copies of artifacts whose store is elsewhere: bounded, the longest unused go first.

A copy appears whole under its sha256 (temporary file, rename) and is read-only.  Nothing is lost
with the folder: what is not here is fetched again.  Several processes may share it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from adapters.files import checked_sha256

IN_USE_S = 600.0
"""A copy that was handed out within so many seconds may be open in a worker: it stays, even where
the folder is over its bound because of it.  No piece of work takes longer (``too_long_s``)."""


class _Copy(NamedTuple):
    used_s: float
    bytes: int
    path: Path


class ReadCache:
    """Copies under ``root``, in all at most ``bytes_max`` bytes and what is in use."""

    def __init__(self, root: Path, bytes_max: int) -> None:
        self._root = root
        self._bytes_max = bytes_max
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def blank(self) -> Path:
        """A new empty file beside the copies, to be filled and then given to ``take``."""
        handle, name = tempfile.mkstemp(dir=self._incoming)
        os.close(handle)
        return Path(name)

    def find(self, sha256: str, size: int) -> Path | None:
        """The copy, if it is here with that size (0: any); it counts as used now.

        Raises ``StoreError`` for a name that is no sha256.
        """
        path = self._path(sha256)
        try:
            found = path.stat().st_size
            if size and found != size:
                return None
            os.utime(path)
        except OSError:
            return None
        return path

    def take(self, filled: Path, sha256: str) -> Path:
        """Move a file with that content, which the caller has checked, under its name."""
        path = self._path(sha256)
        path.parent.mkdir(exist_ok=True)
        filled.chmod(0o444)
        os.utime(filled)
        filled.replace(path)
        self._make_room()
        return path

    def adopt(self, source: Path, *, move: bool) -> Path:
        """A file's content as a file beside the copies; with ``move`` the source is gone."""
        taken = self.blank()
        if move and source.stat().st_dev == taken.stat().st_dev:
            source.replace(taken)
        else:
            shutil.copyfile(source, taken)
            if move:
                source.unlink()
        return taken

    def _make_room(self) -> None:
        """Delete what was not used for longest, and what a killed process left half-done."""
        now_s = time.time()
        copies: list[_Copy] = []
        for path in self._root.rglob("*"):
            # Another process may have deleted it since.
            with contextlib.suppress(OSError):
                facts = path.stat()
                if path.is_file():
                    copies.append(_Copy(facts.st_mtime, facts.st_size, path))
        over = sum(copy.bytes for copy in copies) - self._bytes_max
        for copy in sorted(copies):
            half_done = copy.path.parent == self._incoming
            if now_s - copy.used_s < IN_USE_S or (over <= 0 and not half_done):
                continue
            with contextlib.suppress(OSError):
                copy.path.unlink()
                over -= copy.bytes

    def _path(self, sha256: str) -> Path:
        return self._root / checked_sha256(sha256)[:2] / sha256
