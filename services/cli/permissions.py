"""``permissions``: the NATS server's configuration, with a user for each service."""

from __future__ import annotations

import click


@click.command()
def permissions() -> None:
    """Write the configuration of a NATS server of your own: nats.conf.

    One user a service, each with the least that it needs, for the engines and the store that are
    configured here. Write it anew when you enable an engine: pytoon permissions > nats.conf
    """
    from config import load
    from services.permissions import nats_conf

    click.echo(nats_conf(load()), nl=False)
