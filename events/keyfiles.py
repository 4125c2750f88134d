"""Files of keys: one with the public keys of a log's services, and one private key a service.

    trusted.json        whose signatures count, and from which message on; no secret
    <service>.key       a service's private key, PEM (PKCS #8), for its owner alone
    <service>.next.key  the one that is to take its place (``pytoon keys add``)

Every error names the file and what to do, and never says what is in a private one.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from events.keys import KeyRefused, PrivateKey, Trust, TrustedKey, checked_public
from events.spec import Struct
from events.writers import WRITERS

TRUSTED = "trusted.json"
"""The name of the file with the public keys, where ``pytoon keys make`` writes it."""

FORMAT = 1
"""The version of the file that this build writes, and the only one that it reads."""

BYTES_MAX = 1_000_000
KEYS_MAX = 1000
_PRIVATE_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(Exception):
    """A file of keys cannot be used: the message names it and says what to do."""


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of public keys as it is written."""

    format: int
    signed_from: int
    keys: tuple[TrustedKey, ...]


def private_path(folder: Path, service: str, *, following: bool = False) -> Path:
    """Where a service's private key lies; ``following`` is the one that is to take its place."""
    return folder / f"{service}{'.next' if following else ''}.key"


def read_trust(path: Path) -> Trust:
    """The public keys of a log.  Raises ``KeyFileError``."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise KeyFileError(f"{path} is larger than {BYTES_MAX} bytes: it is no list of keys")
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise KeyFileError(f"{path} is no list of keys: {error}") from error
    if file.format != FORMAT:
        raise KeyFileError(f"{path} has the format {file.format}, and this build reads {FORMAT}")
    _check(path, file)
    return Trust(keys=file.keys, signed_from=file.signed_from)


def _check(path: Path, file: _File) -> None:
    """Raise ``KeyFileError`` for what a list of keys may not say."""
    if not 0 < len(file.keys) <= KEYS_MAX:
        raise KeyFileError(f"{path} has {len(file.keys)} keys; it must have 1 to {KEYS_MAX}")
    if file.signed_from < 1:
        raise KeyFileError(f"{path}: signed_from is {file.signed_from}; it must be 1 or more")
    seen: dict[str, str] = {}
    for key in file.keys:
        if key.service not in WRITERS:
            known = ", ".join(WRITERS)
            raise KeyFileError(
                f"{path}: there is no service {key.service[:80]!r} that signs; there are {known}"
            )
        try:
            checked_public(key.public)
        except KeyRefused as error:
            raise KeyFileError(f"{path}: the key of {key.service}: {error}") from error
        if key.public in seen:
            raise KeyFileError(
                f"{path}: the key {key.id} is there twice (of {seen[key.public]} and of "
                f"{key.service}): each service needs keys of its own"
            )
        if key.until is not None and key.until < 0:
            raise KeyFileError(f"{path}: the key {key.id}: until is {key.until}, below 0")
        seen[key.public] = key.service


def write_trust(path: Path, trust: Trust) -> None:
    """Write the public keys, whole or not at all, readable by all.  Raises ``KeyFileError``."""
    file = _File(format=FORMAT, keys=trust.keys, signed_from=trust.signed_from)
    text = msgspec.json.format(msgspec.json.encode(file)) + b"\n"
    _write(path, text, 0o644)


def write_private(path: Path, key: PrivateKey) -> None:
    """Write a private key for its owner alone; one that is there is never written over.

    Raises ``KeyFileError``.
    """
    if path.exists():
        raise KeyFileError(f"{path} is there already, and is not written over: move it away first")
    _write(path, key.pem(), _PRIVATE_MODE)


def _write(path: Path, content: bytes, mode: int) -> None:
    scratch = ""
    try:
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).replace(path)
    except OSError as error:
        if scratch:
            Path(scratch).unlink(missing_ok=True)
        raise KeyFileError(f"{path} cannot be written: {error.strerror or error}") from error


def read_private(path: Path) -> PrivateKey:
    """A service's private key.  Raises ``KeyFileError``."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise KeyFileError(f"{path} holds no key: it is larger than {BYTES_MAX} bytes")
        return PrivateKey.read(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except KeyRefused as error:
        raise KeyFileError(f"{path} holds no key of ours: {error}") from error


def is_open(path: Path) -> bool:
    """Whether others than its owner may do anything with a private file."""
    return bool(path.stat().st_mode & _OTHERS)


def own_keys(folder: Path, services: Sequence[str], trust: Trust) -> Mapping[str, PrivateKey]:
    """The private key of each service, all of them among the trusted ones and in use.

    Raises ``KeyFileError``.
    """
    return {
        service: _own_key(private_path(folder, service), service, trust) for service in services
    }


def _own_key(path: Path, service: str, trust: Trust) -> PrivateKey:
    key = read_private(path)
    known = next((item for item in trust.keys if item.public == key.public), None)
    if known is None:
        raise KeyFileError(
            f"{path}: the key {key.id} is not among those that are trusted, so nobody would "
            f"believe {service}. Put the right file there, or let the operator add it"
        )
    if known.service != service:
        raise KeyFileError(f"{path}: the key {key.id} is {known.service}'s and not {service}'s")
    if known.until is not None:
        others = ", ".join(item.id for item in trust.current(service)) or "none"
        raise KeyFileError(f"{path}: the key {key.id} was retired; in use for {service}: {others}")
    return key
