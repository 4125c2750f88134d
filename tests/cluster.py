"""NATS servers with the configuration that ships: a user a service, alone or three together."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import nats

from config import Config
from events.jetstream import JetStreamLog
from services import composition
from services.permissions import OPERATOR, USERS, Tls, nats_conf, password_variable
from tests.patience import PATIENT

PASSWORDS = {user: f"word-of-{user}" for user in USERS}
SETTLED_S = 20.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Cluster:
    """Servers on the loopback interface; the flags are those of ``compose.yaml``.

    With ``tls`` they speak nothing else, and ``raw`` needs the option of that name, too.
    """

    def __init__(
        self, folder: Path, config: Config, size: int = 1, *, tls: Tls | None = None
    ) -> None:
        self.names = [f"nats-{number + 1}" for number in range(size)]
        self._folder = folder
        # All at once: ports of one call are different, those of two need not be.
        free = free_ports(3 * size)
        self._ports = dict(zip(self.names, free, strict=False))
        self._routes = dict(zip(self.names, free[size:], strict=False))
        self._monitors = dict(zip(self.names, free[2 * size :], strict=True))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._scheme = "tls" if tls else "nats"
        (folder / "nats.conf").write_text(nats_conf(config, tls=tls), "utf-8")

    def url(self, user: str, *, scheme: str = "", host: str = "127.0.0.1") -> str:
        """The address of all servers for a user."""
        word, scheme = PASSWORDS[user], scheme or self._scheme
        return ",".join(f"{scheme}://{user}:{word}@{host}:{p}" for p in self._ports.values())

    @property
    def ports(self) -> list[int]:
        """Where clients are listened to."""
        return list(self._ports.values())

    def said(self, name: str) -> str:
        """What a server has written to its log."""
        return (self._folder / f"{name}.log").read_text("utf-8")

    def command(self, name: str) -> list[str]:
        """How a server is started."""
        binary = str(Path(sys.executable).with_name("nats-server"))
        command = [binary, "-c", str(self._folder / "nats.conf"), "--name", name]
        command += ["-a", "127.0.0.1", "-p", str(self._ports[name])]
        command += ["-m", str(self._monitors[name])]
        if len(self.names) > 1:
            routes = ",".join(
                f"nats://routes:word@127.0.0.1:{port}" for port in self._routes.values()
            )
            command += ["--cluster_name", "pytoon", "--routes", routes]
            command += ["--cluster", f"nats://routes:word@127.0.0.1:{self._routes[name]}"]
        return command

    async def start(self, **options: Any) -> Self:
        """Start all, and return when they have a leader; options are those of ``raw``."""
        for name in self.names:
            self.spawn(name)
        async with asyncio.timeout(SETTLED_S):
            while not await self._settled(options):  # noqa: ASYNC110 - servers have no bell for this
                await asyncio.sleep(0.1)
        return self

    def spawn(self, name: str) -> None:
        """Start one."""
        words = {password_variable(user): word for user, word in PASSWORDS.items()}
        # Its store lies where it is started, as in the container.
        (self._folder / name).mkdir(exist_ok=True)
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self.command(name),
                cwd=self._folder / name,
                env=os.environ | words,
                stdout=log,
                stderr=log,
            )

    def runs(self, name: str) -> bool:
        """Whether one is started and not killed."""
        return name in self._running

    def kill(self, name: str) -> None:
        """Kill -9 one."""
        process = self._running.pop(name)
        process.kill()
        process.wait(timeout=10)

    def stop(self) -> None:
        """Kill -9 all."""
        for name in list(self._running):
            self.kill(name)

    async def raw(self, user: str, **options: Any) -> Any:
        """A bare connection of a user, with an inbox of its own."""
        return await nats.connect(
            self.url(user).split(","), inbox_prefix=f"_INBOX_{user}", **options
        )

    async def _settled(self, options: dict[str, Any]) -> bool:
        async def silent(_: Exception) -> None:
            return

        try:
            client = await self.raw(
                OPERATOR,
                error_cb=silent,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.05,
                **options,
            )
        except (OSError, nats.errors.Error):
            return False
        try:
            await client.jetstream(timeout=2).account_info()
        except (nats.errors.Error, nats.js.errors.Error):
            return False
        finally:
            await client.close()
        return True


@asynccontextmanager
async def provisioned(folder: Path, config: Config) -> AsyncIterator[Cluster]:
    """A server with all users, its streams and durables made by the operator."""
    cluster = Cluster(folder, config)
    try:
        await cluster.start()
        log = await JetStreamLog.connect(cluster.url(OPERATOR), settings=PATIENT)
        await log.provision(composition.durables(config))
        await log.close()
        yield cluster
    finally:
        cluster.stop()
