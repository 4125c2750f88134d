"""A home with the null engine, and ``pytoon`` called in it as a person would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.home import Home, read_json
from services.server import server_runs, stop_server

_ROOT = Path(__file__).parents[3]
_LIMIT_S = 30.0


@dataclass(frozen=True)
class Called:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """The JSON of its last line."""
        return json.loads(self.out.splitlines()[-1])


@dataclass(frozen=True)
class Person:
    """Somebody at a shell, in a folder, with a home."""

    home: Home
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Begin a command."""
        command = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.cli", *arguments],
            cwd=self.folder,
            env=self._environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(command)
        return command

    def finish(self, command: subprocess.Popen[str]) -> Called:
        """Wait for its end."""
        out, err = command.communicate(timeout=_LIMIT_S)
        return Called(command.returncode, out, err)

    def call(self, *arguments: str, **environ: str) -> Called:
        """Run a command."""
        return self.finish(self.start(*arguments, **environ))

    def services_pid(self) -> int:
        """The pid of the services, once they are ready."""
        self.until(self.home.services_ready)
        return int(read_json(self.home.services_json)["pid"])

    def until(self, truth: Callable[[], bool]) -> None:
        """Wait for it, within reason."""
        deadline = time.monotonic() + _LIMIT_S
        while not truth():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    def leave(self) -> None:
        """End whatever runs in the home, also after a test that failed half-way."""
        for command in self.started:
            command.kill()
            with contextlib.suppress(ValueError):
                command.communicate()
        while self.home.services_run():
            self.until(lambda: self.home.services_ready() or not self.home.services_run())
            pid = read_json(self.home.services_json).get("pid")
            if isinstance(pid, int):
                os.kill(pid, signal.SIGKILL)
                self.until(lambda: not self.home.services_run())
        assert stop_server(self.home)
        assert not server_runs(self.home)

    @property
    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "NATS_URL"}
        return kept | {
            "PYTHONPATH": str(_ROOT),
            "PYTOON_HOME": str(self.home.path),
            "PYTOON_ENGINES__NULL__ENABLED": "true",
            "PYTOON_IDLE_EXIT_S": "60",
            "PYTOON_LIMITS__TIMER_RECHECK_S": "0.3",
            "PYTOON_LOG__ACK_WAIT_S": "1",
            "PYTOON_LOG__HEARTBEAT_S": "0.3",
        }


def _person(folder: Path) -> Person:
    home = Home(folder / "home")
    home.create()
    return Person(home, folder)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody with a home of their own."""
    person = _person(tmp_path)
    yield person
    person.leave()


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody whose services run already; shared by a module's tests."""
    person = _person(tmp_path_factory.mktemp("settled"))
    yield person
    person.leave()
