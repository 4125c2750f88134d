"""A gateway under two hundred clients and some slow ones: beside null jobs, and beside films.

The clients run in this process, on the same machine: what they need of it is taken from what is
measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import jobs, processes
from tests.benchmarks.clients import Crowd, Link, Load, Plan
from tests.benchmarks.processes import Usage, below, role_of

HOST = "127.0.0.1"
READY_S = 30.0
LOOK_S = 0.1
LOOKS_MAX = 300
"""How often is looked for what is to come or to go."""
ASK = {"preset_id": "meme_fast", "prompt": "Sleep does the rest", "target_duration_seconds": 15}
FIRST = {**ASK, "job_id": "first", "target_duration_seconds": 2}
"""A film that is there before all others: for readers that are slow."""
FILMS = 4
NULL = Plan()
BESIDE_FILMS = Plan(looks=30)


@dataclass(frozen=True, slots=True)
class Served:
    """What the clients met, CPU seconds by role, and connections that were left of the crowd."""

    load: Load
    cpu_s: Mapping[str, float]
    left: int


def beside_null_jobs(folder: Path, plan: Plan = NULL) -> Served:
    """Each client asks for a job of five segments, hears of it to its end, and looks at it."""
    asks = [{**ASK, "job_id": f"load-{number}"} for number in range(plan.clients)]

    async def run(pid: int, port: int) -> Served:
        await _made(Link(HOST, port))
        return await _crowded(pid, Crowd(HOST, port, plan), asks)

    with _up(folder, PYTOON_ENGINES__NULL__ENABLED="true") as (pid, port):
        return asyncio.run(run(pid, port))


def beside_films(folder: Path, plan: Plan = BESIDE_FILMS, films: int = FILMS) -> Served:
    """All clients look at a few films that are being rendered, by both cores."""
    looked_at = [f"film-{number % films}" for number in range(plan.clients)]

    async def run(pid: int, port: int) -> Served:
        link = Link(HOST, port)
        await _made(link)
        for number in range(films):
            ask = {**ASK, "prompt": f"Film {number}", "job_id": f"film-{number}"}
            await link.ask("POST", "/api/v1/jobs", json.dumps(ask).encode())
        link.close()
        return await _crowded(pid, Crowd(HOST, port, plan), looked_at)

    with _up(folder) as (pid, port):
        return asyncio.run(run(pid, port))


async def _crowded(pid: int, crowd: Crowd, asks: Sequence[dict[str, Any] | str]) -> Served:
    """Let the crowd in, and see what is left of it afterwards."""
    (gateway,) = [one for one in below([pid]) if role_of(_command(one)) == "gateway"]
    before, after, idle = Usage(), Usage(), _files(gateway)
    processes.look(before, [pid])
    slow = ("/api/v1/jobs/first/events", "/api/v1/jobs/first/output")
    load = await crowd.run(asks, slow)
    processes.look(after, [pid])
    spent = {role: after.cpu_s(role) - before.cpu_s(role) for role in _roles(after)}
    for _ in range(LOOKS_MAX):
        if _files(gateway) <= idle:
            break
        await asyncio.sleep(LOOK_S)
    return Served(load, spent, max(0, _files(gateway) - idle))


async def _made(link: Link) -> None:
    """Ask for the first film and wait for it."""
    await link.ask("POST", "/api/v1/jobs", json.dumps(FIRST).encode())
    for _ in range(LOOKS_MAX):
        _, told = await link.ask("GET", "/api/v1/jobs/first")
        if b'"completed"' in told:
            link.close()
            return
        await asyncio.sleep(LOOK_S)
    raise RuntimeError(f"the first film is not made: {told!r}")


@contextmanager
def _up(folder: Path, **more: str) -> Iterator[tuple[int, int]]:
    """``pytoon up`` in a home of its own; its pid and the gateway's port.  Blocks."""
    home, told = folder / "home", folder / "up.txt"
    environ = jobs.environment(home, PYTOON_GATEWAY__REQUESTS_A_MINUTE="1000000", **more)
    command = (sys.executable, "-P", "-m", "services.cli", "up", "--http", f"{HOST}:0")
    with told.open("wb") as output:
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=output, stderr=output)
    try:
        yield process.pid, _port(told, home)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(READY_S)


def _port(told: Path, home: Path) -> int:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        found = re.search(rf"http://{HOST}:([0-9]+)/", told.read_text())
        if found and (home / "services.json").exists():
            return int(found.group(1))
        time.sleep(LOOK_S)
    raise RuntimeError(f"the services did not come up: {told.read_text()}")


def _roles(usage: Usage) -> list[str]:
    return sorted({one.role for one in usage.spent.values()})


def _command(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return []


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


__all__ = ["Served", "beside_films", "beside_null_jobs"]
