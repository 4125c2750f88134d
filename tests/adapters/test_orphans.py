"""What becomes of workers when the services that they work for are killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest


def _ends(pid: int) -> bool:
    """Whether the process ends within a few seconds."""
    for _ in range(100):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_worker_outlives_its_services(tmp_path: Path) -> None:
    """When the services are killed, a worker in the midst of a call ends, too."""
    told = tmp_path / "pid"
    command = [sys.executable, "-m", "tests.adapters.orphans", str(told)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as services:
        for _ in range(200):
            if told.exists() and told.read_text(encoding="utf-8"):
                break
            time.sleep(0.1)
        pid = int(told.read_text(encoding="utf-8"))
        services.kill()
    assert _ends(pid)
