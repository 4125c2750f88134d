"""``permissions``: the NATS server's configuration, with a user for each service."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--tls",
    "folder",
    metavar="FOLDER",
    help="With TLS for clients and between servers. FOLDER is where each server has its own "
    "server.pem, server.key and ca.pem.",
)
@click.option(
    "--client-certificates",
    is_flag=True,
    help="With --tls: clients, too, need a certificate that the CA has signed.",
)
def permissions(*, folder: str | None, client_certificates: bool) -> None:
    """Write the configuration of a NATS server of your own: nats.conf.

    One user a service, each with the least that it needs, for the engines and the store that are
    configured here. Write it anew when you enable an engine: pytoon permissions > nats.conf
    """
    from pathlib import PurePosixPath

    from config import load
    from services.permissions import Tls, nats_conf

    if folder is None and client_certificates:
        raise click.UsageError("--client-certificates needs --tls FOLDER.")
    tls = None
    if folder is not None:
        tls = Tls(folder=PurePosixPath(folder), client_certificates=client_certificates)
    click.echo(nats_conf(load(), tls=tls), nl=False)
