"""The one process that runs the services of a home: started when needed, gone when not.

A command that needs work done starts it, detached; it serves every other command, too.  It leaves
when no client waits and no work is left, and then stops the server if it was its last user.  Who
waits starts another one when it dies (``keep_services``).

The order in which it leaves is what makes that free of races: the door is shut (no client can
enter), the services' lock is given up, the server is stopped, the door is opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

import services
from services.cli.exits import Unreachable
from services.cli.settings import fingerprints
from services.home import Home, Lock, Target, acquire, read_json, write_private
from services.server import (
    ServerAddress,
    ServerError,
    ensure_server,
    leave_server,
    supervise,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from config import Config
    from services.cli.serving import BesideAt
    from services.composition import Workshop
    from services.metrics import Metrics

ACTORS = ("planner", "segment-renderer", "fallback-controller", "assembler")
READY_S = 30.0
FAILURES_MAX = 2
"""How often services may fail before they are ready; killed ones do not count."""
DEATHS_MAX = 20
DEATHS_S = 60.0
"""Services that have died more often than that within that time are not started again."""
IDLE_EXIT_S = 10.0
NOISE_BYTES_MAX = 8 * 1024 * 1024
"""Of what libraries write to stderr by themselves; cut when it is more."""
_POLL_S = 0.02
_WATCH_S = 0.5
_PROBE_S = 0.3
_log = logging.getLogger("pytoon.services")
_spawned: dict[Path, subprocess.Popen[bytes]] = {}
"""The services that this process started last, by home: kept, so that no zombie is left."""


def spawn_services(home: Home) -> None:
    """Start the services' process unless one runs (or one of ours just starts); do not wait."""
    ours = _spawned.get(home.path)
    if home.services_run() or (ours is not None and ours.poll() is None):
        return
    root = str(Path(services.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with _noise(home).open("ab") as noise:
        # What earlier services had to say when they died stands in services.log.
        noise.truncate(0)
        # -P: a folder named `config` or `events` where the command was called is not ours.
        _spawned[home.path] = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.cli", "up", "--background"],
            stdin=subprocess.DEVNULL,
            stdout=noise,
            stderr=noise,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path, "PYTOON_HOME": str(home.path)},
        )


async def ensure_services(home: Home, *, wait_s: float = READY_S) -> None:
    """Have the home's services run, ready for clients; the caller is one (``enter_as_client``).

    Raises ``Unreachable`` with what they said when they do not come up.
    """
    deadline = time.monotonic() + wait_s
    failures = 0
    while not home.services_ready():
        ours = _spawned.get(home.path)
        if ours is not None and ours.poll() is not None and not home.services_run():
            failures += ours.returncode > 0
            del _spawned[home.path]
        if failures == FAILURES_MAX or time.monotonic() >= deadline:
            break
        spawn_services(home)
        await asyncio.sleep(_POLL_S)
    else:
        return
    raise Unreachable(
        f"The services of {home.path} did not come up: {_last_noise(home)}. "
        f"See {home.logs / 'services.log'} and run `pytoon doctor`."
    )


async def keep_services(home: Home) -> None:
    """Start the services again whenever they have died, until cancelled.

    Raises ``Unreachable`` when they die again and again within a short time.
    """
    deaths_s: list[float] = []
    while True:
        await asyncio.sleep(_WATCH_S)
        if home.services_run():
            continue
        now_s = time.monotonic()
        deaths_s = [*(died_s for died_s in deaths_s if now_s - died_s < DEATHS_S), now_s]
        if len(deaths_s) > DEATHS_MAX:
            raise Unreachable(
                f"The services of {home.path} have died {len(deaths_s)} times within "
                f"{DEATHS_S:g} s: {_last_noise(home)}. See {home.logs / 'services.log'}."
            )
        await ensure_services(home)


def run_services_of(
    home: Home,
    *,
    background: bool,
    idle_exit_s: float | None,
    beside: BesideAt | None = None,
    metrics: Metrics | None = None,
) -> None:
    """Be the services' process of the home until it is stopped or, with ``idle_exit_s``, idle."""
    lock = acquire(home.services_lock, wait_s=_PROBE_S)
    if lock is None and background:
        return
    if lock is None:
        click.echo("The services of this home run already; taking over when they leave.")
    while lock is None:
        time.sleep(_WATCH_S)
        lock = acquire(home.services_lock)
    home.services_json.unlink(missing_ok=True)
    used = home.use_server()
    door: Lock | None = None
    noise = _noise(home) if background else None
    daemon = _Daemon(home, idle_exit_s, noise, beside, metrics)
    try:
        # First of all: a client that comes with us needs it long before the imports are done.
        address = ensure_server(home)
        daemon.server_pid = address.pid
        if not background:
            click.echo(f"Services of {home.path} on {address.url}; Ctrl-C stops them.")
        door = asyncio.run(daemon.run())
    except FileNotFoundError:
        if home.run_json.exists():
            raise
    finally:
        home.services_json.unlink(missing_ok=True)
        lock.release()
        leave_server(home, used, pid=daemon.server_pid)
        if door is not None:
            door.release()


async def run_actors(
    names: Sequence[str],
    target: Target,
    home: Home,
    *,
    provision: bool,
    beside: BesideAt | None = None,
    metrics: Metrics | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run some actors against a server until ``stop``, or SIGINT or SIGTERM.

    With ``provision`` the streams and durables are made first, or brought up to date.
    """
    import msgspec

    from config import load
    from events.jetstream import JetStreamLog
    from services import composition
    from services.access import tls_context
    from services.signing import check_keys, keyring_of, provide_keys
    from services.stores import check_store, provide_store

    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    config = load()
    settings = msgspec.structs.replace(config.log.settings(), keyring=keyring_of(names))
    name = f"pytoon-{names[0]}" if len(names) == 1 else "pytoon-up" if names else "pytoon-gateway"
    log = await JetStreamLog.connect(
        target.url,
        token=target.token or None,
        name=name,
        tls=tls_context() if target.own else None,
        settings=settings,
    )
    try:
        if provision:
            await log.provision(composition.durables(config))
            await provide_store(log, config.store)
            await provide_keys(log)
        await _patiently(lambda: check_store(log, config.store), stop)
        await _patiently(lambda: check_keys(log), stop)
        workshop = composition.Workshop(names, home, config, log)
        try:
            await composition.run_services(
                names,
                home=home,
                config=config,
                log=log,
                stop=stop,
                workshop=workshop,
                beside=beside(target) if beside else None,
                metrics=metrics,
            )
        finally:
            await workshop.close()
    finally:
        await log.close()


async def _patiently(ask: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Ask again while the log does not answer: a cluster may be choosing its leader.

    What the server itself refuses is raised, and so is the last silence once ``stop`` is set.
    """
    from events.jetapi import Refused
    from events.log import LogUnavailable

    while True:
        try:
            return await ask()
        except LogUnavailable as error:
            if stop.is_set() or isinstance(error.__cause__, Refused):
                raise
            _log.warning("the log does not answer yet: %s", error)
            await asyncio.sleep(_WATCH_S)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let SIGINT and SIGTERM end the work in hand instead of breaking it."""
    loop = asyncio.get_running_loop()
    for order in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(order, stop.set)


class _Daemon:
    """Runs all actors on the home's server, wherever that is after a restart."""

    def __init__(
        self,
        home: Home,
        idle_exit_s: float | None,
        noise: Path | None,
        beside: BesideAt | None,
        metrics: Metrics | None,
    ) -> None:
        self._home = home
        self._beside = beside
        self._metrics = metrics
        self._idle_exit_s = idle_exit_s
        self._noise = noise
        self._stop = asyncio.Event()
        self._moved = False
        self.server_pid = 0

    async def run(self) -> Lock | None:
        """Until told to stop, or idle; returns the shut door when no client is left."""
        stop_on_signals(self._stop)
        chores = [
            asyncio.create_task(supervise(self._home, self._stop)),
            asyncio.create_task(self._cut_noise()),
        ]
        if _draws(os.environ):
            # Before anything else: workers load their libraries while we load ours and connect.
            from adapters.preloaded import load_ahead

            load_ahead()
        from config import load

        config = load()
        from services.composition import Workshop

        workshop = Workshop(ACTORS, self._home, config)
        try:
            while not self._stop.is_set():
                moved = await self._serve(config, workshop)
                if moved or self._stop.is_set():
                    continue
                door = self._home.shut_door()
                if door is not None:
                    return door
            return None
        finally:
            self._stop.set()
            chores[1].cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await workshop.close()

    async def _serve(self, config: Config, workshop: Workshop) -> bool:
        """Run the actors on one connection; whether the server has moved from under it."""
        import msgspec

        from events.jetstream import JetStreamLog
        from events.log import LogError
        from services import composition
        from services.signing import keyring_of, provide_keys
        from services.stores import provide_store

        # One server keeps one copy, whatever a cluster of the operator's has.
        settings = msgspec.structs.replace(
            config.log.settings(), replicas=1, keyring=keyring_of(ACTORS)
        )
        log: JetStreamLog | None = None
        watch: asyncio.Task[None] | None = None
        try:
            address = await asyncio.to_thread(ensure_server, self._home)
            log = await JetStreamLog.connect(
                address.url, token=address.token, name="pytoon-up", settings=settings
            )
            await log.provision(composition.durables(config))
            await provide_store(log, config.store)
            await provide_keys(log)
            round_over, self._moved = asyncio.Event(), False
            watch = asyncio.create_task(self._watch(address, round_over))
            told = {"pid": os.getpid(), "settings": fingerprints(os.environ)}
            write_private(self._home.services_json, json.dumps(told) + "\n")
            target = Target(address.url, address.token)
            await composition.run_services(
                ACTORS,
                home=self._home,
                config=config,
                log=log,
                stop=round_over,
                idle_exit_s=self._idle_exit_s,
                workshop=workshop,
                beside=self._beside(target) if self._beside else None,
                metrics=self._metrics,
            )
        except (ServerError, LogError) as error:
            # The server died under us; the supervisor brings it back.
            _log.warning("the log is away: %s", error)
            await asyncio.sleep(_WATCH_S)
            return True
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
            if log is not None:
                await log.close()
        return self._moved

    async def _watch(self, served: ServerAddress, round_over: asyncio.Event) -> None:
        """End the round when we are stopped, or when the server came back elsewhere."""
        while not round_over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _WATCH_S)
                round_over.set()
            told = read_json(self._home.run_json)
            self.server_pid = told.get("pid") or self.server_pid
            if told.get("url", served.url) != served.url:
                self._moved = True
                round_over.set()
            if not told:
                _log.error("%s was deleted: the services leave", self._home.path)
                self._stop.set()

    async def _cut_noise(self) -> None:
        """Keep what libraries write to stderr by themselves within its bound."""
        while self._noise is not None:
            await asyncio.sleep(READY_S)
            with contextlib.suppress(OSError):
                if self._noise.stat().st_size > NOISE_BYTES_MAX:
                    os.truncate(self._noise, 0)


def _draws(environ: Mapping[str, str]) -> bool:
    """Whether there will be media to work on, as far as that is known without the configuration.

    The null engine does without.  A configuration of one's own may ask for it, and is read first:
    workers are begun after that.
    """
    return not any(
        name == "PYTOON_CONFIG" or name.startswith("PYTOON_ENGINES__NULL__") for name in environ
    )


def _noise(home: Home) -> Path:
    return home.logs / "services.err"


def _last_noise(home: Home) -> str:
    with contextlib.suppress(OSError):
        lines = _noise(home).read_text("utf-8", "replace").strip().splitlines()
        if lines:
            return lines[-1][:500]
    return "they said nothing"
