"""Which artifact store a process uses, and whether the log's operator chose the same.

The stream of events names its store in its metadata; where it names none it is each home's own
folder.  A process with another store would ask for films that nobody finds, so it does not start.
What a store needs is imported when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.files import FileStore
from services.home import Home

if TYPE_CHECKING:
    from adapters.base import ArtifactStore
    from adapters.remote import Remote
    from config.models import StoreSettings
    from config.stores import StoreAddress
    from events.jetstream import JetStreamLog
    from events.objects import ObjectBucket

METADATA = "pytoon-store"
"""The key of the stream's metadata."""

HOME = "home"
"""The name of the default, as in ``config.stores``, which commands need not load for it."""

_SECTION = "PYTOON_STORE__"
_PROBE = b"Pytoon keeps films here.\n"


class StoreMismatch(Exception):
    """Our store is not the log's, or cannot be opened: the message says what to set."""


def chosen_store(environ: Mapping[str, str] | None = None) -> StoreSettings | None:
    """The settings of this process's store; None where nothing says other than the home.

    Without reading the configuration where nothing of it can matter: commands start fast.
    Raises ``ConfigError``.
    """
    environ = os.environ if environ is None else environ
    named = {"PYTOON_STORE", "PYTOON_CONFIG"} & environ.keys()
    if not named and not any(name.startswith(_SECTION) for name in environ):
        return None
    from config import load  # noqa: PLC0415 - start-up time

    return load(environ=environ).store


def folder_of(home: Home, settings: StoreSettings | None) -> Path:
    """The folder on whose disk artifacts (or copies of them) are written."""
    if settings is None or settings.address.kind != "file":
        return home.artifacts
    return Path(settings.address.path)


def open_store(
    home: Home, settings: StoreSettings | None, log: JetStreamLog | None
) -> ArtifactStore:
    """The store of these settings (None: the home's folder).

    Raises ``StoreMismatch`` where what it needs is not installed, or not there: a nats:// store
    needs the ``log`` of an operator's own server.
    """
    if settings is None or settings.address.kind in {"home", "file"}:
        folder = folder_of(home, settings)
        try:
            return FileStore(folder)
        except OSError as error:
            msg = f"The artifact store {folder} cannot be opened: {error.strerror}."
            raise StoreMismatch(msg) from error
    # Only now: a process that has a folder needs none of it.
    from adapters.cache import ReadCache  # noqa: PLC0415
    from adapters.remote import RemoteStore  # noqa: PLC0415

    cache = ReadCache(home.artifacts / "copies", settings.cache_bytes_max)
    return RemoteStore(_remote(settings, log), cache)


def _remote(settings: StoreSettings, log: JetStreamLog | None) -> Remote:
    address = settings.address
    if address.kind == "nats":
        from adapters.objects import ObjectsRemote  # noqa: PLC0415

        return ObjectsRemote(bucket_of(address, log))
    try:
        from adapters.s3 import S3Remote  # noqa: PLC0415
    except ModuleNotFoundError as error:
        msg = f"The artifact store {address.name} needs a library: pip install 'pytoon[s3]'."
        raise StoreMismatch(msg) from error
    return S3Remote(
        address.bucket, address.prefix, request_s=settings.request_s, retry_s=settings.retry_s
    )


def bucket_of(address: StoreAddress, log: JetStreamLog | None) -> ObjectBucket:
    """The bucket of a nats:// store.  Raises ``StoreMismatch`` without a server of one's own."""
    from events.objects import ObjectBucket  # noqa: PLC0415

    if log is None:
        raise StoreMismatch(
            f"The artifact store {address.name} lies on a NATS server of your own: "
            "name it with --nats or NATS_URL, or unset PYTOON_STORE."
        )
    timeout_s = log.settings.request_timeout_s
    return ObjectBucket(log.connection, address.bucket, request_timeout_s=timeout_s)


async def provide_store(
    log: JetStreamLog, settings: StoreSettings, *, choice: ArtifactStore | None = None
) -> None:
    """Make what the store needs, after ``log.provision``, and note which it is.

    It is noted where it is the operator's ``choice`` and can be written, or where the log is new:
    no message, and no store named.  Raises ``StoreMismatch`` where another one is noted.
    """
    told, name = await log.metadata(), settings.address.name
    is_new = METADATA not in told and not (await log.usage()).messages
    if choice is None and not is_new:
        await check_store(log, settings)
    if settings.address.kind == "nats":
        bucket = bucket_of(settings.address, log)
        await bucket.make(bytes_max=settings.bucket_bytes_max, replicas=log.settings.replicas)
    if choice is not None:
        await choice.put_bytes(_PROBE, "text/plain")
    if choice is not None or (is_new and name != HOME):
        await log.provision((), metadata={METADATA: name})
    await check_store(log, settings)


async def check_store(log: JetStreamLog, settings: StoreSettings | None) -> None:
    """Raise ``StoreMismatch`` if the log's operator chose another store than these settings."""
    wanted = (await log.metadata()).get(METADATA, HOME)
    ours = settings.address.name if settings else HOME
    if wanted == ours:
        return
    raise StoreMismatch(
        f"The log's films are kept in {shown(wanted)}, and this process would keep them in "
        f"{shown(ours)}. Set PYTOON_STORE={wanted} here, or let the operator choose anew: "
        f"pytoon init --store {ours}."
    )


def shown(name: str) -> str:
    """A store's name for a person."""
    if name == HOME:
        return "the folder of each PYTOON_HOME"
    return name
