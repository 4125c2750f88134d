"""API keys: who may look, who may ask.

Keys come from ``PYTOON_API_KEYS``, ``name:key`` or ``name:key:scope+scope`` with commas between,
or from the file that ``PYTOON_API_KEYS_FILE`` names, where line ends do as well.
Only digests are kept, and every comparison takes the same time whichever key is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from events.spec import Struct

VARIABLE = "PYTOON_API_KEYS"
FILE_VARIABLE = "PYTOON_API_KEYS_FILE"
KEY_CHARS_MIN = 8
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_.~+/=-]+", re.ASCII)


class KeysError(ValueError):
    """The keys cannot be used; the message names the entry, never the key."""


class Scope(StrEnum):
    """What a key is good for."""

    READ = "read"
    """Looking at jobs, presets and films."""
    WRITE = "write"
    """Uploading, asking for films, cancelling."""


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key by its name and the sha256 of its text."""

    name: str
    digest: bytes
    scopes: frozenset[Scope]


class Keyring:
    """The keys of a gateway; empty where none is asked for."""

    def __init__(self, keys: tuple[ApiKey, ...] = ()) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._keys)

    def find(self, text: str) -> ApiKey | None:
        """The key with this text."""
        digest = hashlib.sha256(text.encode()).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def keyring(environ: Mapping[str, str]) -> Keyring:
    """The keys that the environment names.  Raises ``KeysError``."""
    told = _told(environ).replace("\n", ",")
    entries = [entry.strip() for entry in told.split(",") if entry.strip()]
    keys = tuple(_key(number, entry) for number, entry in enumerate(entries, 1))
    names = [key.name for key in keys]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise KeysError(f"{VARIABLE}: named twice: {', '.join(twice)}; a name stands for one key")
    return Keyring(keys)


def _told(environ: Mapping[str, str]) -> str:
    """The entries as they are written, in the environment or in the file that it names."""
    file = environ.get(FILE_VARIABLE, "")
    if not file:
        return environ.get(VARIABLE, "")
    if environ.get(VARIABLE):
        raise KeysError(f"{VARIABLE} and {FILE_VARIABLE} are both set: unset one of them")
    try:
        told = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise KeysError(f"{FILE_VARIABLE}={file}: it cannot be read ({why})") from error
    if not told.strip():
        # Whoever names a file wants keys asked for: none in it must not open the door.
        raise KeysError(f"{FILE_VARIABLE}={file}: there is no key in it")
    return told


def _key(number: int, entry: str) -> ApiKey:
    name, _, rest = entry.partition(":")
    text, _, told = rest.partition(":")
    where = f"{VARIABLE}: entry {number}"
    if not _NAME.fullmatch(name) or not text:
        raise KeysError(
            f"{where} must be name:key with a name of 1 to 64 of A-Z a-z 0-9 _ . -; "
            "write it as shop:some-long-secret"
        )
    if len(text) < KEY_CHARS_MIN or not _KEY.fullmatch(text):
        raise KeysError(
            f"{where} ({name}): the key must have at least {KEY_CHARS_MIN} characters of "
            "A-Z a-z 0-9 _ . ~ + / = -; `openssl rand -hex 24` makes one"
        )
    try:
        scopes = frozenset(Scope(scope) for scope in told.split("+")) if told else frozenset(Scope)
    except ValueError:
        known = ", ".join(Scope)
        raise KeysError(f"{where} ({name}): the scopes are {known}, with + between") from None
    return ApiKey(name=name, digest=hashlib.sha256(text.encode()).digest(), scopes=scopes)
