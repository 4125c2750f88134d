"""The services beside a cluster: a process each, under its own user, killed and started again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from services.composition import SERVICES
from services.home import Home
from tests.cluster import Cluster
from tests.end_to_end.world import QUICK

ROOT = Path(__file__).parents[2]
CLUSTER = {**QUICK, "PYTOON_LOG__REPLICAS": "3", "PYTOON_LOG__ACK_WAIT_S": "3.0"}


class Crew:
    """One process a service; ``told`` is what the environment of one says of its server."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        *,
        told: Callable[[str], Mapping[str, str]] | None = None,
        environ: Mapping[str, str] = CLUSTER,
    ) -> None:
        self._told = told or (lambda name: {"NATS_URL": cluster.url(name)})
        self._environ = environ
        self._home = Home(folder / "home")
        self._home.create()
        self._log = folder / "services.log"
        self._running = {name: self._spawned(name) for name in SERVICES}

    def kill(self, name: str) -> None:
        """Kill -9 one, and start another."""
        self._end(name)
        self._running[name] = self._spawned(name)

    def stop(self) -> None:
        """Kill -9 all."""
        for name in self._running:
            self._end(name)

    def said(self) -> str:
        """What all of them have logged."""
        return self._log.read_text("utf-8")

    def _end(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait(timeout=10)

    def _spawned(self, name: str) -> subprocess.Popen[bytes]:
        environ = {**os.environ, **self._environ, "PYTOON_HOME": str(self._home.path)}
        environ |= {**self._told(name), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-P", "-m", "services.cli", "serve", name]
        with self._log.open("ab") as out:
            return subprocess.Popen(command, env=environ, stdout=out, stderr=out)
