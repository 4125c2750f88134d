"""Signatures: who an event is by, whoever had it stored.

A service signs what it appends with an Ed25519 key of its own, and every reader knows the public
keys of all services.  What is signed is the digest of the message as it is stored, its signature
aside: subject, ``ce-*`` and ``pytoon-*`` headers (among them the event's place in its job, and the
key) and body.  So a signed message is worth nothing under another subject or with another header;
that it is worth nothing at another place of its job is for the fold to see (``link.in_place``).

The one module that imports ``cryptography``, and imported only where keys are configured.  Left
out: files of keys (``keyfiles``), and which keys a process has (``services.signing``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from events.codec import Message
from events.link import digest
from events.log import LogError
from events.spec import Struct
from events.types import CLIENT_ASKS
from events.writers import SOURCE, WHO_SAYS

KEY = "pytoon-key"
"""The header that names the key: it is signed, too."""

SIGNATURE = "pytoon-signature"
"""The header with the signature, in base64: the one header of ours that it does not cover."""

KEPT_MAX = 4096
"""How many verified signatures are remembered: a message is read by several readers."""

_DOMAIN = b"pytoon-signature-1\n"
"""Stands before each signed digest, so that no signature of another protocol passes for ours."""

_ID_CHARS = 16
_SHOWN_CHARS = 80
_PUBLIC_BYTES = 32
_SIGNATURE_CHARS = 88
"""64 bytes in base64; anything else is not even looked at, nor remembered."""


class NoKey(LogError):
    """There is no key to sign with; the message says whose.  Name it in PYTOON_SIGNING_KEYS."""


class KeyRefused(ValueError):
    """The text is no key that we can use; the message says why, and never what the text is."""


class PrivateKey:
    """A service's own key; printing it shows nothing but its id."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = base64.b64encode(raw).decode()
        self.id = key_id(self.public)

    def __repr__(self) -> str:
        return f"PrivateKey({self.id})"

    def __reduce__(self) -> str:
        raise TypeError("a private key stays in its process")

    @classmethod
    def made(cls) -> PrivateKey:
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, pem: bytes) -> PrivateKey:
        """The key of a PEM text (PKCS #8, not encrypted).  Raises ``KeyRefused``."""
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise KeyRefused("it is encrypted, and services start without a password") from error
        except ValueError as error:
            raise KeyRefused("it is no private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyRefused("it is a private key of another kind than Ed25519")
        return cls(key)

    def pem(self) -> bytes:
        """The key as it is kept in a file."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, data: bytes) -> str:
        """The signature, in base64."""
        return base64.b64encode(self._key.sign(data)).decode()


class TrustedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service's public key (base64 of 32 bytes), as the file of keys has it.

    ``until`` is the last sequence of the log up to which it counts; None: it is in use.
    """

    service: str
    public: str
    until: int | None = None

    @property
    def id(self) -> str:
        """What it is called."""
        return key_id(self.public)


class Trust(Struct, frozen=True, kw_only=True):
    """Whose signatures count in a log.

    ``signed_from`` is the sequence from which on services must sign; what is stored before it is
    from the time before the keys, and counts unsigned.
    """

    keys: tuple[TrustedKey, ...]
    signed_from: int = 1

    def fingerprint(self) -> str:
        """What two processes that trust alike have in common: 64 hex digits."""
        rows = sorted(f"{key.service} {key.public} {key.until}" for key in self.keys)
        return hashlib.sha256("\n".join((str(self.signed_from), *rows)).encode()).hexdigest()

    def current(self, service: str) -> tuple[TrustedKey, ...]:
        """The keys of a service that are in use."""
        return tuple(key for key in self.keys if key.service == service and key.until is None)


class Checked(NamedTuple):
    """What a signature is worth: ``signer`` is its service and key, ``why`` what is wrong.

    Both are empty where none is needed: on a client's ask, and on what is older than the keys.
    """

    signer: str = ""
    why: str = ""


class Keyring:
    """The keys of a process: those it trusts, and its services' own by the service's name."""

    def __init__(self, trust: Trust, own: Mapping[str, PrivateKey] | None = None) -> None:
        self.trust = trust
        self._own = dict(own or {})
        self._trusted = {key.id: key for key in trust.keys}
        self._public = {key.id: _public(key.public) for key in trust.keys}
        self._is_genuine = lru_cache(maxsize=KEPT_MAX)(self._verify)

    def signed(
        self, source: str, subject: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[dict[str, str], str]:
        """The headers with those of the signature, and who the signer is.  Raises ``NoKey``."""
        service = source.removeprefix(SOURCE)
        own = self._own.get(service)
        if own is None:
            raise NoKey(f"nothing can be signed as {service}: its key is not here")
        named = {**headers, KEY: own.id}
        signature = own.sign(signed_bytes(subject, named, body))
        return {**named, SIGNATURE: signature}, f"{service}/{own.id}"

    def check(self, message: Message) -> Checked:
        """Who a stored message is by, or why it is not by whom it claims to be."""
        if message.seq < self.trust.signed_from:
            return Checked()
        kind = _said(message.subject)
        headers = message.headers
        claimed = _shown(headers.get("ce-source", "nobody").removeprefix(SOURCE))
        if kind in CLIENT_ASKS:
            if not any(name.startswith("pytoon-") for name in headers):
                return Checked()
            return Checked(why=f"{kind} is a client's ask, and no service's ({claimed} is named)")
        if KEY not in headers or SIGNATURE not in headers:
            return Checked(why=f"it is not signed ({claimed} is named): {_must(kind)}")
        key = self._trusted.get(headers[KEY])
        if key is None:
            named = _shown(headers[KEY])
            return Checked(why=f"the key {named} is nobody's here ({claimed} is named)")
        signer = f"{key.service}/{headers[KEY]}"
        named = f"{key.service} (key {headers[KEY]})"
        if key.until is not None and message.seq > key.until:
            return Checked(why=f"signed by {named}, whose key was retired after {key.until}")
        data = signed_bytes(message.subject, headers, message.body)
        signature = headers[SIGNATURE]
        looked_at = len(signature) == _SIGNATURE_CHARS
        genuine = looked_at and self._is_genuine(headers[KEY], data, signature)
        if not genuine:
            return Checked(
                why=f"the signature by {named} is not of this message: subject, header or body "
                "is another"
            )
        if key.service not in WHO_SAYS.get(kind, (key.service,)):
            return Checked(why=f"signed by {named}, which may not say it: {_must(kind)}")
        if claimed != key.service:
            return Checked(why=f"signed by {named} in the name of {claimed}")
        return Checked(signer=signer)

    def _verify(self, key: str, data: bytes, signature: str) -> bool:
        try:
            raw = base64.b64decode(signature, validate=True)
            self._public[key].verify(raw, data)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def key_id(public: str) -> str:
    """What a public key is called: the beginning of its sha256."""
    return hashlib.sha256(base64.b64decode(public)).hexdigest()[:_ID_CHARS]


def checked_public(text: str) -> str:
    """The text, if it is a public key.  Raises ``KeyRefused``."""
    try:
        _public(text)
    except ValueError as error:
        message = f"{text[:80]!r} is no Ed25519 public key: it must be 32 bytes in base64"
        raise KeyRefused(message) from error
    return text


def _public(text: str) -> Ed25519PublicKey:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != _PUBLIC_BYTES or base64.b64encode(raw).decode() != text:
        raise ValueError("not 32 bytes in base64")
    return Ed25519PublicKey.from_public_bytes(raw)


def signed_bytes(subject: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """What is signed: the message's digest (``link.digest``), its signature aside, in hex."""
    covered = {name: text for name, text in headers.items() if name != SIGNATURE}
    return _DOMAIN + digest(subject, covered, body).encode()


def _shown(text: str) -> str:
    """What somebody claims, as it may be told: it ends on terminals and in files of lines."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:_SHOWN_CHARS])


def _said(subject: str) -> str:
    """The name of the event or notice on a subject of the stream."""
    tokens = subject.split(".")
    return tokens[3] if tokens[1:2] == ["jobs"] and len(tokens) > 3 else tokens[-1]  # noqa: PLR2004 - pytoon.jobs.<job_id>.<type>


def _must(kind: str) -> str:
    services = WHO_SAYS.get(kind)
    return f"{kind} is signed by {' or '.join(services)}" if services else f"{kind} is signed"
