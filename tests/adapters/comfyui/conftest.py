"""Servers, a worker, and a generator that is set to small times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.workers import WorkerPool
from tests.adapters.comfyui.bench import Bench
from tests.comfy.server import ComfyServer


@pytest.fixture(scope="session")
def workers() -> Iterator[WorkerPool]:
    """The process that reads clips."""
    pool = WorkerPool(1, preload=("assembler.remux",))
    yield pool
    loop = asyncio.new_event_loop()
    loop.run_until_complete(pool.close())
    loop.close()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[ComfyServer]:
    """One server."""
    made = await ComfyServer(tmp_path / "comfy").start()
    yield made
    await made.kill()


@pytest_asyncio.fixture
async def bench(server: ComfyServer, workers: WorkerPool, tmp_path: Path) -> AsyncIterator[Bench]:
    """A generator for that server."""
    made = Bench((server,), workers, tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def three(workers: WorkerPool, tmp_path: Path) -> AsyncIterator[Bench]:
    """A generator for three servers."""
    servers = [await ComfyServer(tmp_path / f"comfy{n}").start() for n in range(3)]
    made = Bench(tuple(servers), workers, tmp_path)
    yield made
    await made.close()
    for one in servers:
        await one.kill()
