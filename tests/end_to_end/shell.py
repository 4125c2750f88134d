"""Somebody at a shell: real commands, services and engine, in a home of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.home import Home, read_json
from services.server import server_runs, stop_server

ROOT = Path(__file__).parents[2]
CALL_S = 60.0
LEAVE_S = 20.0


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


@dataclass
class Shell:
    """A folder, a home and an environment in which commands are called."""

    home: Home
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Begin a command; ``environ`` holds for it alone."""
        kept = {name: value for name, value in os.environ.items() if name != "NATS_URL"}
        command = subprocess.Popen(
            [sys.executable, "-P", "-m", "services.cli", *arguments],
            cwd=self.folder,
            env=kept
            | {"PYTHONPATH": str(ROOT), "PYTOON_HOME": str(self.home.path)}
            | {"PYTOON_IDLE_EXIT_S": "120"}
            | dict(self.environ)
            | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(command)
        return command

    def finish(self, command: subprocess.Popen[str], within_s: float = CALL_S) -> Called:
        """Wait for its end."""
        out, err = command.communicate(timeout=within_s)
        return Called(command.returncode, out, err)

    def call(self, *arguments: str, within_s: float = CALL_S, **environ: str) -> Called:
        """Run a command."""
        return self.finish(self.start(*arguments, **environ), within_s)

    def until(self, truth: Callable[[], object]) -> None:
        """Wait for it, as long as for a command."""
        until(truth, CALL_S)

    def log(self, job_id: str) -> list[dict[str, Any]]:
        """The events of a job."""
        told = self.call("log", job_id, "--json")
        assert told.code == 0, told.err
        return [json.loads(line) for line in told.out.splitlines()]

    def services_pid(self) -> int:
        """The pid of the services, once they are ready."""
        until(self.home.services_ready)
        return int(read_json(self.home.services_json)["pid"])

    def server_pid(self) -> int:
        """The pid of the home's NATS server."""
        return int(read_json(self.home.run_json)["pid"])

    def workers(self) -> list[int]:
        """The pids of the worker processes: children of the process that bears them."""
        return [
            worker for child in children_of(self.services_pid()) for worker in children_of(child)
        ]

    def leave(self) -> None:
        """End whatever runs in the home, also after a test that failed half-way."""
        for command in self.started:
            command.kill()
            with contextlib.suppress(ValueError):
                command.communicate()
        while self.home.services_run():
            until(lambda: self.home.services_ready() or not self.home.services_run())
            pid = read_json(self.home.services_json).get("pid")
            if isinstance(pid, int):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                until(lambda: not self.home.services_run())
        assert stop_server(self.home)
        assert not server_runs(self.home)


def told_of(pid: int, name: str) -> int:
    """A number of ``/proc/PID/status``, such as ``VmHWM`` (kB) or ``PPid``; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except (OSError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def children_of(pid: int) -> list[int]:
    """The children of a process that live now."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text(encoding="ascii").split()]
    return found


def until(truth: Callable[[], object], within_s: float = LEAVE_S) -> None:
    """Wait for it, within reason."""
    deadline = time.monotonic() + within_s
    while not truth():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def opened(folder: Path, **environ: str) -> Iterator[Shell]:
    """A shell in a new folder; whatever runs in its home ends with it."""
    home = Home(folder / "home")
    home.create()
    shell = Shell(home, folder, environ)
    try:
        yield shell
    finally:
        shell.leave()
