"""A command and all the processes that it starts: their CPU time and their peak memory.

Read from ``/proc`` (Linux), because a detached process of services outlives the command that
started it and is not in the usage that the system accounts to its parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_S = 0.3
"""Looking at all processes takes some milliseconds: at each 0.05 s, 6 % of a core of the job's."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Spent:
    """What one process has spent so far: CPU in seconds, the peak of its memory in MB."""

    role: str
    cpu_s: float = 0.0
    peak_mb: float = 0.0


@dataclass(slots=True)
class Usage:
    """What a command and everything below it has spent, by process id.

    ``machine_s`` is what all processes of the machine have spent meanwhile.
    """

    wall_s: float = 0.0
    machine_s: float = 0.0
    spent: dict[int, Spent] = field(default_factory=dict)

    def cpu_s(self, *roles: str) -> float:
        """CPU seconds of the processes with these roles (all of them without any)."""
        return sum(one.cpu_s for one in self.spent.values() if not roles or one.role in roles)

    def peak_mb(self, role: str = "") -> float:
        """The largest peak of one process (of a role)."""
        return max(
            (one.peak_mb for one in self.spent.values() if role in {"", one.role}), default=0.0
        )

    @property
    def others_cores(self) -> float:
        """How many cores others kept busy meanwhile: with them, the wall time is not ours."""
        return max(0.0, self.machine_s - self.cpu_s()) / self.wall_s

    def by_role(self) -> dict[str, dict[str, float]]:
        """CPU, largest peak and number of processes of each role."""
        roles = sorted({one.role for one in self.spent.values()})
        return {
            role: {
                "processes": sum(one.role == role for one in self.spent.values()),
                "cpu_s": round(self.cpu_s(role), 2),
                "peak_mb": round(self.peak_mb(role)),
            }
            for role in roles
        }


def role_of(command: Sequence[str]) -> str:
    """What a process is, by its command line: server, gateway, services, worker or cli."""
    words = " ".join(command)
    if "nats-server" in words:
        return "server"
    if "gateway_process" in words:
        return "gateway"
    if "spawn_main" in words or "forkserver" in words:
        return "worker"
    if "resource_tracker" in words or "--background" in command or "up" in command:
        return "services"
    return "cli"


def cpu_of(stat: str) -> float:
    """CPU seconds (own, user and system) from the text of ``/proc/PID/stat``."""
    # The name, in parentheses, may hold spaces and parentheses of its own.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_of(stat: str) -> float:
    """CPU seconds that the whole machine has spent, from the text of ``/proc/stat``."""
    user, nice, system, _idle, _waiting, irq, soft, *_ = map(int, stat.split()[1:9])
    return (user + nice + system + irq + soft) / TICKS


def peak_of(status: str) -> float:
    """The peak of resident memory in MB from the text of ``/proc/PID/status``; 0 if untold."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def below(roots: Iterable[int]) -> list[int]:
    """The processes and all their descendants that live now."""
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting.extend(int(child) for child in task.read_text().split())
    return found


def look(usage: Usage, roots: Iterable[int]) -> None:
    """Bring ``usage`` up to date for all processes known or below ``roots``."""
    for pid in {*usage.spent, *below(roots)}:
        with contextlib.suppress(OSError):
            here = Path(f"/proc/{pid}")
            cpu_s, peak_mb = (
                cpu_of((here / "stat").read_text()),
                peak_of((here / "status").read_text()),
            )
            command = (here / "cmdline").read_bytes().decode().split("\0")
            one = usage.spent.setdefault(pid, Spent(role_of(command)))
            if peak_mb:
                # Not a zombie, which has given its memory back.
                one.role = role_of(command)
            one.cpu_s, one.peak_mb = max(one.cpu_s, cpu_s), max(one.peak_mb, peak_mb)


@contextlib.contextmanager
def _exit_of(pid: int) -> Iterator[int]:
    """A file that can be read once a process has ended, before anybody has waited for it."""
    exit_of = os.pidfd_open(pid)
    try:
        yield exit_of
    finally:
        os.close(exit_of)


def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    cwd: Path,
    wait_s: float,
    sample_s: float = SAMPLE_S,
    watch: Callable[[], None] | None = None,
) -> tuple[Usage, str]:
    """Run a command to its end; returns its usage and what it printed.

    ``watch`` is called at every look, every ``sample_s``.  What the command leaves running is not
    ended: it leaves by itself.  Raises RuntimeError with the output if the exit status is not 0
    or time is up.
    """
    usage = Usage()
    with (cwd / "output.txt").open("w+b") as output:
        began_s, before_s = time.monotonic(), busy_of(Path("/proc/stat").read_text())
        process = subprocess.Popen(
            list(command), env=dict(environ), cwd=cwd, stdout=output, stderr=output
        )
        with _exit_of(process.pid) as exit_of:
            while not select.select([exit_of], [], [], sample_s)[0]:
                look(usage, [process.pid])
                if watch is not None:
                    watch()
                if time.monotonic() - began_s > wait_s:
                    process.kill()
        usage.wall_s = time.monotonic() - began_s
        # It has ended and nobody has waited for it yet: what it spent in all can still be read.
        look(usage, [process.pid])
        process.wait()
        usage.machine_s = busy_of(Path("/proc/stat").read_text()) - before_s
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
    return usage, text


__all__ = ["Spent", "Usage", "below", "cpu_of", "look", "peak_of", "role_of", "run"]
