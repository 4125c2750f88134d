"""The gateway beside the services: where it listens, and what it must not do without keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from services.cli.exits import Refused

if TYPE_CHECKING:
    import asyncio

    from events.log import EventLog
    from services.composition import Beside, Workshop
    from services.home import Home
    from services.metrics import Metrics

GATEWAY = "gateway"
HTTP = "127.0.0.1:8080"


def gateway_beside(http: str, home: Home, metrics: Metrics) -> Beside | None:
    """What serves the gateway at ``HOST:PORT``; None where only the default is taken by others.

    Raises ``Refused`` for an address or keys that cannot be used.
    """
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

    async def beside(log: EventLog, workshop: Workshop, stop: asyncio.Event) -> None:
        from adapters.glances import Glances
        from services.composition import planning
        from services.gateway import serving
        from services.gateway.app import create_app
        from services.gateway.desk import Desk
        from services.gateway.guard import Bounds

        config = workshop.config
        desk = Desk(log, workshop.store, config, planning(workshop, home))
        limits = config.limits
        bounds = Bounds(
            requests_a_minute=config.gateway.requests_a_minute,
            body_bytes_max=config.gateway.body_bytes_max,
            upload_bytes_max=max(limits.asset_bytes_max, limits.sound_bytes_max),
            body_s=config.gateway.body_s,
        )
        glances = None
        if workshop.pool is not None:
            glances = Glances(
                workshop.store,
                workshop.pool,
                frame_s=config.gateway.frame_s,
                waiting_max=config.gateway.frames_waiting_max,
            )
        app = create_app(
            desk, keys=keys, bounds=bounds, metrics=metrics.exposition, glances=glances
        )
        # A copy: the next round, after a move of the log's server, listens on the same socket.
        await serving.serve(app, listening.dup(), stop)

    return beside
