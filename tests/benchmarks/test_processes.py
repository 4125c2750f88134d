"""What processes spend is read from the system as it tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.processes import (
    TICKS,
    Spent,
    Usage,
    below,
    busy_of,
    cpu_of,
    peak_of,
    role_of,
    run,
)
from tests.patience import TRIES


def test_cpu_survives_a_name_with_parentheses() -> None:
    """The name of a process may hold what the fields are separated by."""
    fields = ["S", *("0" for _ in range(10)), "150", "50", "0", "0"]
    assert 200 / TICKS == cpu_of(f"7 (a (b) c) {' '.join(fields)}\n")


def test_others_are_what_is_left() -> None:
    """Of what the machine has spent, ours is taken off; idling and waiting count for nothing."""
    assert 1111 / TICKS == busy_of("cpu  1000 100 10 99999 5000 0 1 0 0 0\ncpu0 1 1 1 1")
    usage = Usage(wall_s=4.0, machine_s=10.0, spent={1: Spent("cli", 4.0)})
    assert 1.5 == usage.others_cores


def test_peak_is_told_in_megabytes() -> None:
    """A zombie has no memory, hence no peak."""
    assert 2.0 == peak_of("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n")
    assert 0.0 == peak_of("Name:\tx\nState:\tZ (zombie)\n")


@pytest.mark.parametrize(
    ("expected", "command"),
    [
        ("server", ["/somewhere/nats-server", "-c", "nats.conf"]),
        ("worker", ["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"]),
        ("worker", ["python", "-c", "from multiprocessing.forkserver import main; main(9, 10)"]),
        ("services", ["python", "-P", "-m", "services.cli", "up", "--background"]),
        ("cli", ["python", "-m", "services.cli", "render"]),
    ],
)
def test_roles(expected: str, command: list[str]) -> None:
    """A process is known by its command line."""
    assert expected == role_of(command)


def test_usage_adds_up_by_role() -> None:
    """CPU is summed, memory is that of the largest process."""
    usage = Usage(spent={1: Spent("worker", 1.5, 100), 2: Spent("worker", 2.0, 150)})
    usage.spent[3] = Spent("server", 0.25, 20)
    assert (3.75, 3.5, 150) == (usage.cpu_s(), usage.cpu_s("worker"), usage.peak_mb("worker"))
    assert {"processes": 2, "cpu_s": 3.5, "peak_mb": 150} == usage.by_role()["worker"]


def test_this_process_is_below_itself() -> None:
    """A child is found below its parent."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in below([os.getpid()])
    finally:
        child.communicate(b"\n")


def test_a_command_is_measured(tmp_path: Path) -> None:
    """CPU, memory and output of a command; its failure is told with what it said."""
    work = "import time\nwhile time.process_time() < 0.2: pass\nprint('done')"
    command = [sys.executable, "-c", work]
    for _ in range(TRIES):
        usage, text = run(command, os.environ, cwd=tmp_path, wait_s=30, sample_s=0.1)
        assert "done\n" == text
        if 3 < usage.peak_mb():
            break
    assert 3 < usage.peak_mb()
    # Also of one that is gone before anybody looks.
    usage, _ = run(command, os.environ, cwd=tmp_path, wait_s=30, sample_s=20)
    assert 0.15 < usage.cpu_s()
    with pytest.raises(RuntimeError, match="ended with 3"):
        run([sys.executable, "-c", "exit(3)"], os.environ, cwd=tmp_path, wait_s=30)
