"""A worker's start is waited for: it loads what drawing needs, and nothing else."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pebble import ProcessPool

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


async def test_nobody_waits_for_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warming up returns before anything has started; closing waits for it."""
    gate, schedule = threading.Event(), ProcessPool.schedule

    def gated(pool: ProcessPool, *told: Any, **bounds: Any) -> Any:
        assert gate.wait(20)
        return schedule(pool, *told, **bounds)

    monkeypatch.setattr(ProcessPool, "schedule", gated)
    pool = WorkerPool(2)
    pool.warm_up()
    begun = [child._begun for child in pool._all]
    assert [False, False] == [each is None or each.done() for each in begun]
    gate.set()
    await pool.close()
    assert [False, False] == [child._pool.active for child in pool._all]


async def test_a_call_comes_after_the_start() -> None:
    """Warmed up or not."""
    for warm in (True, False):
        pool = WorkerPool(1, preload=("adapters.children",))
        if warm:
            pool.warm_up()
        assert "done" == await pool.run(_called, deadline_s=20.0)
        await pool.close()


def _called(_report: object) -> str:
    return "done"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and forks")
async def test_a_worker_begins_no_thread_for_algebra() -> None:
    """It would wait for work in a busy loop; what the fork brought is nothing to collect."""
    pool = WorkerPool(1, preload=("numpy",))
    threads_more, kept = await pool.run(_multiplied, deadline_s=20.0)
    await pool.close()
    assert 0 == threads_more
    assert kept > 1000


def _multiplied(_report: object) -> tuple[int, int]:
    """In the worker: threads that a large product began, and objects that are not looked at."""
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    product = np.ones((600, 600)) @ np.ones((600, 600))
    assert product[0, 0] == 600
    return len(list(tasks.iterdir())) - before, gc.get_freeze_count()
