"""The gateway beside the services: where it listens, and what it must not do without keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from services.cli.exits import Refused

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from events.log import EventLog
    from services.composition import Beside, Workshop
    from services.gateway.app import Metrics as Exposition
    from services.gateway.keys import Keyring
    from services.home import Home, Target
    from services.metrics import Metrics

    BesideAt = Callable[[Target], Beside]
    """What runs beside the services on a server."""

GATEWAY = "gateway"
HTTP = "127.0.0.1:8080"


def gateway_apart(http: str, home: Home, metrics: Metrics) -> BesideAt | None:
    """A gateway at ``HOST:PORT`` in a process of its own; None where only the default is taken.

    Raises ``Refused`` for an address or keys that cannot be used.
    """
    from services.cli.gateway_process import Keeper

    found = _listen(http)
    return Keeper(found[0], home, metrics.exposition).at if found else None


def gateway_here(http: str, home: Home, metrics: Metrics) -> BesideAt | None:
    """The same in this process, which does nothing else."""
    found = _listen(http)
    if found is None:
        return None

    async def exposition() -> tuple[bytes, str]:
        return metrics.exposition()

    return serving_at(*found, home, exposition)


def serving_at(
    listening: socket.socket, keys: Keyring, home: Home, exposition: Exposition
) -> BesideAt:
    """What serves the gateway on a socket."""

    async def beside(log: EventLog, workshop: Workshop, stop: asyncio.Event) -> None:
        from services.composition import Planning, glances_of
        from services.gateway import serving
        from services.gateway.app import create_app
        from services.gateway.desk import Desk

        config = workshop.config
        desk = Desk(log, workshop.store, config, Planning(workshop, home))
        app = create_app(desk, keys=keys, metrics=exposition, glances=glances_of(workshop))
        await serving.serve(app, listening, stop)

    return lambda _target: beside


def _listen(http: str) -> tuple[socket.socket, Keyring] | None:
    from services.gateway import addresses
    from services.gateway.keys import VARIABLE, KeysError, keyring

    try:
        host, port = addresses.parse_address(http)
        keys = keyring(os.environ)
    except (addresses.AddressError, KeysError) as error:
        raise Refused(str(error)) from error
    if not keys and not addresses.is_loopback(host):
        raise Refused(
            f"--http {http}: without API keys only this machine is served; "
            f"set {VARIABLE}=name:key to serve others."
        )
    try:
        listening = addresses.bind(host, port)
    except addresses.AddressError as error:
        if http == HTTP:
            click.echo(f"No gateway: {error}", err=True)
            return None
        raise Refused(str(error)) from error
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Gateway: http://{shown}:{listening.getsockname()[1]}/", err=True)
    return listening, keys
