"""``up``, ``serve``, ``init``: what an operator runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.daemon import ACTORS, IDLE_EXIT_S, run_actors, run_services_of
from services.cli.exits import Refused
from services.cli.keys import begin_signing
from services.cli.serving import GATEWAY, HTTP, gateway_apart, gateway_here
from services.cli.visit import nats_option
from services.home import Home, Target

if TYPE_CHECKING:
    from services.metrics import Metrics

level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What the services tell on stderr; JSON when it is not a terminal.",
)


http_option = click.option(
    "--http",
    default=HTTP,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the gateway and its page are served; port 0 takes a free one.",
)

metrics_option = click.option(
    "--metrics",
    "metrics_at",
    metavar="HOST:PORT",
    help="Serve this process's metrics there, too, for Prometheus; the gateway has /metrics.",
)


@click.command()
@click.option("--background", is_flag=True, hidden=True, help="Log to a file; leave when idle.")
@http_option
@click.option("--no-http", is_flag=True, help="Serve no gateway.")
@metrics_option
@level_option
@nats_option
def up(
    *,
    background: bool,
    http: str,
    no_http: bool,
    metrics_at: str | None,
    log_level: str,
    nats_url: str,
) -> None:
    """Run all services until Ctrl-C, and the gateway with its page.

    On the home's own NATS server, which is started, or on the one that --nats names.
    """
    home = Home.find()
    _log_to(home if background else None, log_level)
    _trace()
    metrics = None if background else _metrics(metrics_at)
    beside = gateway_apart(http, home, metrics) if metrics and not no_http else None
    if nats_url:
        click.echo("Services on your own NATS server; Ctrl-C stops them.", err=True)
        target = _own_server(nats_url)
        running = run_actors(ACTORS, target, home, provision=True, beside=beside, metrics=metrics)
        asyncio.run(running)
        return
    try:
        run_services_of(
            home,
            background=background,
            idle_exit_s=_idle_exit_s(background=background),
            beside=beside,
            metrics=metrics,
        )
    except Exception:
        # A terminal shows what is raised; services in the background have services.log alone.
        logging.getLogger("pytoon.services").exception("the services have failed")
        raise


@click.command()
@click.argument("name", type=click.Choice((*ACTORS, GATEWAY)))
@http_option
@metrics_option
@level_option
@nats_option
def serve(name: str, *, http: str, metrics_at: str | None, log_level: str, nats_url: str) -> None:
    """Run one service.  More of the same share the work."""
    home = Home.find()
    _log_to(None, log_level)
    _trace()
    metrics = _metrics(metrics_at) if name == GATEWAY or metrics_at else None
    beside = gateway_here(http, home, metrics) if metrics and name == GATEWAY else None
    names = [] if name == GATEWAY else [name]
    if nats_url:
        target = _own_server(nats_url)
        asyncio.run(
            run_actors(names, target, home, provision=False, beside=beside, metrics=metrics)
        )
        return
    from services.server import ensure_server, leave_server, supervise

    async def run() -> None:
        over = asyncio.Event()
        supervisor = asyncio.create_task(supervise(home, over))
        try:
            target = Target(address.url, address.token)
            await run_actors(names, target, home, provision=True, beside=beside, metrics=metrics)
        finally:
            over.set()
            await supervisor

    with contextlib.ExitStack() as stack:
        stack.callback(leave_server, home, home.use_server())
        address = ensure_server(home)
        asyncio.run(run())


@click.command()
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Where the films of this log are kept from now on: home, file:///folder, "
    "s3://bucket/prefix or nats://bucket. It is noted in the log, and who has another refuses "
    "to start. Default: what PYTOON_STORE names, where the log is new.",
)
@click.option(
    "--keys",
    "keys_file",
    metavar="FILE",
    help="Who signs the events of this log: trusted.json of `pytoon keys make`, or none. It is "
    "noted in the log, and who has another refuses to start. Default: what PYTOON_TRUSTED_KEYS "
    "names, where the log is new.",
)
@click.option(
    "--from-now",
    is_flag=True,
    help="With --keys in a log that was never signed: what it has counts as it is, and FILE is "
    "told from which message on services sign.",
)
@click.option("--mirror", is_flag=True, help="Keep a second copy of every event, for `audit`.")
@nats_option
def init(
    *,
    store_url: str | None,
    keys_file: str | None,
    from_now: bool,
    mirror: bool,
    nats_url: str,
) -> None:
    """Make streams and consumers on a server.

    Needed once on a server of your own (--nats), and again after an upgrade; `up` does it, too.
    """
    from config import load
    from services.cli.visit import arrive
    from services.composition import durables
    from services.signing import NONE, TRUSTED, provide_keys
    from services.stores import provide_store, shown

    # For everything that this command does: a choice is tried before it is noted.
    if store_url is not None:
        os.environ["PYTOON_STORE"] = store_url
    if keys_file is not None:
        os.environ[TRUSTED] = "" if keys_file == NONE else keys_file
    config = load()
    specs = durables(config)
    with arrive(nats_url, services=False) as arrival:

        async def run() -> str | None:
            from services.cli.visit import Visit

            async with Visit.open(arrival, settings=config.log.settings(), made=False) as visit:
                await visit.log.provision(specs)
                choice = visit.store if store_url is not None else None
                await provide_store(visit.log, config.store, choice=choice)
                told = None
                if keys_file not in {None, NONE}:
                    told = await begin_signing(visit.log, Path(str(keys_file)), from_now=from_now)
                await provide_keys(visit.log, choice=keys_file is not None)
                if mirror:
                    await visit.log.mirror()
                return told

        told = asyncio.run(run())
        click.echo(f"{arrival.shown_url}: streams and {len(specs)} durable consumers are there.")
        click.echo(f"Films are kept in {shown(config.store.address.name)}.")
        if told is not None:
            click.echo(told)


def _own_server(nats_url: str) -> Target:
    """The operator's own server."""
    from services.access import logged_in

    return Target(logged_in(nats_url), os.environ.get("NATS_TOKEN", ""), own=True)


def _metrics(at: str | None) -> Metrics:
    """The metrics of this process, served at ``HOST:PORT`` if one is given."""
    from services.gateway.addresses import AddressError, parse_address
    from services.metrics import Metrics

    metrics = Metrics()
    if at is not None:
        try:
            host, port = parse_address(at)
            server, _ = metrics.serve(host, port)
        except (AddressError, OSError) as error:
            raise Refused(f"--metrics {at}: {error}") from error
        click.echo(f"Metrics: http://{host}:{server.server_port}/metrics", err=True)
    return metrics


def _log_to(home: Home | None, level: str) -> None:
    from services.logs import set_up

    file = home.logs / "services.log" if home else None
    set_up(level=os.environ.get("PYTOON_LOG_LEVEL", level), file=file)


def _trace() -> None:
    """Send traces until the command ends, if the environment names a collector."""
    from services.traces import set_up

    click.get_current_context().call_on_close(set_up(os.environ))


def _idle_exit_s(*, background: bool) -> float | None:
    if not background:
        return None
    told = os.environ.get("PYTOON_IDLE_EXIT_S", "")
    try:
        return float(told) if told else IDLE_EXIT_S
    except ValueError:
        click.echo(f"PYTOON_IDLE_EXIT_S={told!r} is no number of seconds", err=True)
        sys.exit(2)
