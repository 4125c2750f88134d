"""A command's connection: where it goes, what it needs there, and how it is kept.

``arrive`` does first what takes longest, without waiting: it starts the services' process, then
the server; the client's own imports run beside theirs.  ``Visit`` is the open connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from services.cli.exits import Unreachable
from services.cli.settings import note_on
from services.home import Home, read_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.base import ArtifactStore
    from events.jetstream import JetStreamLog
    from events.stream import LogSettings

CONNECT_S = 5.0
PATIENCE_S = 30.0
"""How long a connection may be away before a command gives up."""

nats_option = click.option(
    "--nats",
    "nats_url",
    envvar="NATS_URL",
    default="",
    metavar="URL",
    help="A NATS server of your own, such as nats://host:4222 or tls://user@host:4222, instead of "
    "the embedded one; its token in NATS_TOKEN, a user's password in NATS_PASSWORD_FILE.",
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a command's server is.  ``services``: the command waits for the services' work."""

    home: Home
    url: str
    token: str
    embedded: bool
    services: bool

    @property
    def shown_url(self) -> str:
        """The URL as it may be printed: without user, password or token."""
        return re.sub(r"//[^@/]*@", "//", self.url)


@contextlib.contextmanager
def arrive(nats_url: str, *, services: bool) -> Iterator[Arrival]:
    """Be a client of the home (or of ``nats_url``) for a block; blocks until a server is there.

    The services' process is started if it is needed, but not waited for.
    """
    home = Home.find()
    if nats_url:
        from services.access import logged_in

        token = os.environ.get("NATS_TOKEN", "")
        yield Arrival(home, logged_in(nats_url), token, embedded=False, services=False)
        return
    from services.server import ensure_server, leave_server

    with contextlib.ExitStack() as stack:
        if services:
            from services.cli.daemon import spawn_services

            stack.enter_context(home.enter_as_client())
            used = home.use_server()
            stack.callback(leave_server, home, used)
            spawn_services(home)
        else:
            used = home.use_server()
            stack.callback(leave_server, home, used)
        address = ensure_server(home)
        yield Arrival(home, address.url, address.token, embedded=True, services=services)


class Visit:
    """An open connection to the log, and the artifact store beside it."""

    def __init__(self, arrival: Arrival, log: JetStreamLog, store: ArtifactStore) -> None:
        self.arrival = arrival
        self.log = log
        self.store = store
        self.keeper: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise ``Unreachable`` if the services are beyond hope."""
        if self.keeper is not None and self.keeper.done():
            self.keeper.result()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, arrival: Arrival, *, settings: LogSettings | None = None, made: bool = True
    ) -> AsyncIterator[Self]:
        """Connect; with ``arrival.services`` wait until they are ready, and keep them so.

        Raises ``Unreachable``, also when there is no event log on the server, unless ``made``
        is false.
        """
        if arrival.services:
            from services.cli.daemon import ensure_services, keep_services

            connecting = asyncio.create_task(_connect(arrival, settings))
            await ensure_services(arrival.home)
            if (note := note_on(arrival.home)) is not None:
                click.echo(note, err=True)
            visit = cls._of(arrival, await connecting)
            visit.keeper = asyncio.create_task(keep_services(arrival.home))
        else:
            visit = cls._of(arrival, await _connect(arrival, settings))
        try:
            if made and not arrival.embedded:
                await _check_made(visit.log, arrival)
            if made:
                await visit.patiently(lambda: _check_choices(visit.log))
            yield visit
        finally:
            if visit.keeper is not None:
                visit.keeper.cancel()
                await asyncio.gather(visit.keeper, return_exceptions=True)
            await visit.log.close()

    @classmethod
    def _of(cls, arrival: Arrival, log: JetStreamLog) -> Self:
        # Not by services.composition, which loads every engine: a client needs none of them.
        from services.stores import chosen_store, open_store

        own = None if arrival.embedded else log
        return cls(arrival, log, open_store(arrival.home, chosen_store(), own))

    async def follow_move(self) -> bool:
        """Connect anew if the home's server came back elsewhere; whether it did."""
        told = read_json(self.arrival.home.run_json)
        url, token = told.get("url"), told.get("token")
        if not self.arrival.embedded or url in {None, self.arrival.url}:
            return False
        moved = Arrival(
            self.arrival.home,
            str(url),
            str(token),
            embedded=True,
            services=self.arrival.services,
        )
        log = await _connect(moved, self.log.settings)
        await self.log.close()
        self.arrival, self.log = moved, log
        return True

    async def patiently(self, ask: Callable[[], Any], *, wait_s: float = PATIENCE_S) -> Any:
        """Await ``ask()``, again while the server is away.  Raises ``Unreachable``."""
        from events.log import LogUnavailable

        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            try:
                return await ask()
            except LogUnavailable as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise Unreachable(f"{away(self.arrival, wait_s)} ({error})") from error
                await asyncio.sleep(0.2)
                await self.follow_move()


def away(arrival: Arrival, wait_s: float) -> str:
    """What is said when the server did not come back."""
    if arrival.embedded:
        hint = f"See {arrival.home.logs / 'server.log'} and run `pytoon doctor`."
    else:
        hint = "Check --nats (or NATS_URL) and that the server runs, with JetStream."
    return f"The NATS server at {arrival.shown_url} has not answered for {wait_s:g} s. {hint}"


async def _connect(arrival: Arrival, settings: LogSettings | None) -> JetStreamLog:
    import msgspec

    from events.jetstream import JetStreamLog
    from events.log import LogError
    from events.stream import LogSettings
    from services.signing import keyring_of

    _to_stderr()
    settings = settings or LogSettings(connect_timeout_s=CONNECT_S)
    settings = msgspec.structs.replace(settings, keyring=keyring_of())
    tls = None
    if not arrival.embedded:
        from services.access import tls_context

        tls = tls_context()
    try:
        return await JetStreamLog.connect(
            arrival.url, token=arrival.token or None, name="pytoon-cli", tls=tls, settings=settings
        )
    except (LogError, OSError) as error:
        hint = "Check --nats (or NATS_URL) and that the server runs, with JetStream."
        raise Unreachable(f"NATS: {error}. {hint}") from error


def _to_stderr() -> None:
    """What the connection reports is no part of a command's output."""
    import sys

    import structlog

    if not structlog.is_configured():
        # Looked up each time: whoever has called us in its own process may have changed it.
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


async def _check_made(log: JetStreamLog, arrival: Arrival) -> None:
    """Tell a server without an event log from one that is away."""
    from events.jetapi import NO_STREAM, Refused
    from events.log import LogUnavailable

    try:
        await log.usage()
    except LogUnavailable as error:
        if isinstance(error.__cause__, Refused) and error.__cause__.code == NO_STREAM:
            raise Unreachable(
                f"There is no event log at {arrival.shown_url} yet. Make it: pytoon init "
                f"--nats {arrival.shown_url} (or pytoon up, which does it, too)."
            ) from error
        raise


async def _check_choices(log: JetStreamLog) -> None:
    """Raise ``StoreMismatch`` or ``KeysRefused`` if the log's store or keys are not ours.

    Where no log is yet, none is chosen.
    """
    from events.jetapi import NO_STREAM, Refused
    from events.log import LogUnavailable
    from services.signing import check_keys
    from services.stores import check_store, chosen_store

    try:
        await check_store(log, chosen_store())
        await check_keys(log)
    except LogUnavailable as error:
        if not (isinstance(error.__cause__, Refused) and error.__cause__.code == NO_STREAM):
            raise
