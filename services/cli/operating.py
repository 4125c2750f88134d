"""``up``, ``serve``, ``init``: what an operator runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys

import click

from services.cli.daemon import ACTORS, IDLE_EXIT_S, run_actors, run_services_of
from services.cli.visit import nats_option
from services.home import Home

level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What the services tell on stderr; JSON when it is not a terminal.",
)


@click.command()
@click.option("--background", is_flag=True, hidden=True, help="Log to a file; leave when idle.")
@level_option
@nats_option
def up(*, background: bool, log_level: str, nats_url: str) -> None:
    """Run all services until Ctrl-C.

    On the home's own NATS server, which is started, or on the one that --nats names.
    """
    home = Home.find()
    _log_to(home if background else None, log_level)
    if nats_url:
        click.echo("Services on your own NATS server; Ctrl-C stops them.", err=True)
        target = (nats_url, os.environ.get("NATS_TOKEN", ""))
        asyncio.run(run_actors(ACTORS, target, home, provision=True))
        return
    idle_exit_s = _idle_exit_s(background=background)
    try:
        run_services_of(home, background=background, idle_exit_s=idle_exit_s)
    except Exception:
        logging.getLogger("pytoon.services").exception("the services have failed")
        raise


@click.command()
@click.argument("name", type=click.Choice(ACTORS))
@level_option
@nats_option
def serve(name: str, *, log_level: str, nats_url: str) -> None:
    """Run one service.  More of the same share the work."""
    home = Home.find()
    _log_to(None, log_level)
    if nats_url:
        target = (nats_url, os.environ.get("NATS_TOKEN", ""))
        asyncio.run(run_actors([name], target, home, provision=False))
        return
    from services.server import ensure_server, leave_server, supervise

    async def run() -> None:
        over = asyncio.Event()
        supervisor = asyncio.create_task(supervise(home, over))
        try:
            await run_actors([name], (address.url, address.token), home, provision=True)
        finally:
            over.set()
            await supervisor

    with contextlib.ExitStack() as stack:
        stack.callback(leave_server, home, home.use_server())
        address = ensure_server(home)
        asyncio.run(run())


@click.command()
@nats_option
def init(*, nats_url: str) -> None:
    """Make streams and consumers on a server.

    Needed once on a server of your own (--nats), and again after an upgrade; `up` does it, too.
    """
    from config import load
    from services.cli.visit import arrive
    from services.composition import durables

    config = load()
    specs = durables(config)
    with arrive(nats_url, services=False) as arrival:

        async def run() -> None:
            from services.cli.visit import Visit

            async with Visit.open(arrival, settings=config.log.settings(), made=False) as visit:
                await visit.log.provision(specs)

        asyncio.run(run())
        click.echo(f"{arrival.shown_url}: streams and {len(specs)} durable consumers are there.")


def _log_to(home: Home | None, level: str) -> None:
    from services.logs import set_up

    file = home.logs / "services.log" if home else None
    set_up(level=os.environ.get("PYTOON_LOG_LEVEL", level), file=file)


def _idle_exit_s(*, background: bool) -> float | None:
    if not background:
        return None
    told = os.environ.get("PYTOON_IDLE_EXIT_S", "")
    try:
        return float(told) if told else IDLE_EXIT_S
    except ValueError:
        click.echo(f"PYTOON_IDLE_EXIT_S={told!r} is no number of seconds", err=True)
        sys.exit(2)
