"""A worker's start is waited for: it loads what drawing needs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time

from adapters.preloaded import PRELOADED
from adapters.workers import WorkerPool


def test_workers_load_nothing_of_the_services() -> None:
    """Neither the configuration nor a way to any network."""
    code = (
        f"import sys, {', '.join(PRELOADED)}; "
        "print(*{'config', 'pydantic', 'httpx', 'nats', 'structlog'}.intersection(sys.modules))"
    )
    ran = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert "" == ran.stdout.strip()


async def test_nobody_waits_for_a_start() -> None:
    """Warming up takes no time; the first call comes after it, and closing waits for it."""
    pool = WorkerPool(2, preload=("adapters.children",))
    began_s = time.monotonic()
    pool.warm_up()
    assert time.monotonic() - began_s < 0.05
    assert await pool.run(_called, deadline_s=20.0) == "done"
    await pool.close()
    begun = WorkerPool(1)
    begun.warm_up()
    await begun.close()
    assert not begun._all[0]._pool.active


def _called(_report: object) -> str:
    return "done"
