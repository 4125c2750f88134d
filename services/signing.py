"""Whose signatures a process believes, and which keys it signs with.

``PYTOON_TRUSTED_KEYS`` names the file with the public keys of all services, which everybody has
who reads a signed log; ``PYTOON_SIGNING_KEYS`` a folder with the private key of each service that
runs here.  Neither is set where nothing is signed, and then nothing of this is even imported.

The operator notes the fingerprint of the public keys in the metadata of the stream, and a process
with others refuses to start: two services that trust differently would come to different folds.
The note is against mistakes alone.  Whom to believe is what the file says, on each host, since
whoever can write to the server could write the note, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from events.jetstream import JetStreamLog
    from events.keys import Keyring, Trust

TRUSTED = "PYTOON_TRUSTED_KEYS"
SIGNING = "PYTOON_SIGNING_KEYS"

METADATA = "pytoon-keys"
"""The key of the stream's metadata: the fingerprint of the public keys."""

NONE = "none"
"""What is noted where nothing is signed (any more)."""

_SHOWN = 16

logger = structlog.get_logger(__name__)


class KeysRefused(Exception):
    """The keys cannot be used, or are not the log's: the message says what to set."""


def keyring_of(
    services: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Keyring | None:
    """The keys of a process that runs these services; None where none are configured.

    Raises ``KeysRefused``.
    """
    environ = os.environ if environ is None else environ
    trusted, folder = environ.get(TRUSTED, ""), environ.get(SIGNING, "")
    if not trusted:
        if folder and services:
            raise KeysRefused(
                f"{SIGNING} is set and {TRUSTED} is not: name the file with the public keys of "
                "all services there, trusted.json of `pytoon keys make`."
            )
        return None
    trust = trust_of(Path(trusted), named=f"{TRUSTED}: ")
    from events.keyfiles import KeyFileError, is_open, own_keys, private_path  # noqa: PLC0415
    from events.keys import Keyring  # noqa: PLC0415

    if not services:
        return Keyring(trust)
    if not folder:
        raise KeysRefused(
            f"{TRUSTED} is set, so {' and '.join(services)} must sign: name the folder with the "
            f"private keys in {SIGNING}, or unset both."
        )
    try:
        own = own_keys(Path(folder), services, trust)
        for path in (private_path(Path(folder), service) for service in services):
            if is_open(path):
                logger.warning("a private key is open to others: chmod 600", file=str(path))
    except KeyFileError as error:
        raise KeysRefused(f"{SIGNING}: {error}.") from error
    return Keyring(trust, own)


def trust_of(path: Path, *, named: str = "") -> Trust:
    """The public keys in a file, ``named`` as what.  Raises ``KeysRefused``."""
    need_library()
    from events.keyfiles import KeyFileError, read_trust  # noqa: PLC0415

    try:
        return read_trust(path)
    except KeyFileError as error:
        raise KeysRefused(f"{named}{error}.") from error


def need_library() -> None:
    """Raise ``KeysRefused`` where what signs, an extra, is not installed."""
    try:
        import events.keys  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise KeysRefused("Signatures need a library: pip install 'pytoon[sign]'.") from error


async def provide_keys(log: JetStreamLog, *, choice: bool = False) -> None:
    """Note which keys are trusted, after ``log.provision``.

    They are noted where that is the operator's ``choice``, or where the log is new: no message,
    and no keys named.  Raises ``KeysRefused`` where others are noted.
    """
    keyring, told = log.settings.keyring, await log.metadata()
    is_new = METADATA not in told and not (await log.usage()).messages
    if choice or (is_new and keyring is not None):
        await log.provision((), metadata={METADATA: _noted(keyring)})
    await check_keys(log)


async def check_keys(log: JetStreamLog) -> None:
    """Raise ``KeysRefused`` if the log's operator chose other keys than this process has."""
    noted = (await log.metadata()).get(METADATA, NONE)
    keyring = log.settings.keyring
    ours = _noted(keyring)
    if noted == ours:
        if keyring is not None:
            await _check_beginning(log, keyring.trust)
        return
    if ours == NONE:
        raise KeysRefused(
            f"The events of this log are signed, and nothing here says by whom: set {TRUSTED} to "
            "the file with the public keys, trusted.json, which the log's operator has."
        )
    if noted == NONE:
        raise KeysRefused(
            f"{TRUSTED} is set, and the events of this log are not signed: unset it, or let the "
            "operator choose: pytoon init --keys FILE."
        )
    raise KeysRefused(
        f"The log's keys are those with the fingerprint {noted[:_SHOWN]}, and {TRUSTED} has those "
        f"with {ours[:_SHOWN]}: get the file anew from the log's operator, who chooses by "
        "pytoon init --keys FILE."
    )


async def _check_beginning(log: JetStreamLog, trust: Trust) -> None:
    """Raise ``KeysRefused`` where services sign from a message on that is far from there yet.

    Until then nothing would have to be signed: it is a new log with the keys of an old one.
    """
    last_seq = (await log.usage()).last_seq
    if trust.signed_from > last_seq + 1:
        raise KeysRefused(
            f"By {TRUSTED} services sign from message {trust.signed_from} on, and the log's last "
            f"one is {last_seq}: they are another log's keys. Make this log its own: pytoon keys "
            "make."
        )


def _noted(keyring: Keyring | None) -> str:
    return keyring.trust.fingerprint() if keyring is not None else NONE
