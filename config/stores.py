"""The address of an artifact store, read: ``home``, ``file:///…``, ``s3://…`` or ``nats://…``.

Credentials have no place in it: an address is noted in the log, shown and logged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

HOME = "home"
"""The folder of each process's own home: for one machine, or a home that several share."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9._/-]{0,200}", re.ASCII)
_NATS_BUCKET = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where artifacts are.  ``bucket`` and ``prefix`` of s3 and nats, ``path`` of file."""

    kind: Literal["home", "file", "s3", "nats"]
    bucket: str = ""
    prefix: str = ""
    path: str = ""

    @property
    def name(self) -> str:
        """The one way to write it, by which two processes know that theirs is the same."""
        match self.kind:
            case "home":
                return HOME
            case "file":
                return f"file://{self.path}"
            case "s3":
                return f"s3://{self.bucket}/{self.prefix}".rstrip("/")
            case "nats":
                return f"nats://{self.bucket}"


def parse_store(text: str) -> StoreAddress:
    """The address.  Raises ``ValueError`` with what is allowed; it never repeats the text, in
    which somebody may have put a password.
    """
    if text == HOME:
        return StoreAddress("home")
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("a store's address without user, password or query: they belong in the "
                         "environment (AWS_ACCESS_KEY_ID, …)")  # fmt: skip
    match parts.scheme:
        case "file":
            path = PurePosixPath(unquote(parts.path))
            if parts.netloc in {"", "localhost"} and path.is_absolute() and ".." not in path.parts:
                return StoreAddress("file", path=str(path))
        case "s3":
            prefix = parts.path.strip("/")
            if (
                _BUCKET.fullmatch(parts.netloc)
                and _PREFIX.fullmatch(prefix)
                and (not {".", "..", ""} & set(prefix.split("/")) or not prefix)
            ):
                return StoreAddress("s3", bucket=parts.netloc, prefix=prefix)
        case "nats":
            if _NATS_BUCKET.fullmatch(parts.netloc) and parts.path in {"", "/"}:
                return StoreAddress("nats", bucket=parts.netloc)
        case _:
            pass
    raise ValueError("home, file:///path, s3://bucket/prefix or nats://bucket")
