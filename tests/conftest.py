"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from adapters import tracing
from tests.broker import NatsServer
from tests.recorder import MemoryRecorder

_loop = asyncio.new_event_loop()
"""The main thread's loop outside of tests: pytest-asyncio would make one and leave it open."""


def pytest_configure() -> None:
    """Give the main thread its loop; no example of Hypothesis's has to be quick."""
    asyncio.set_event_loop(_loop)
    patient = [HealthCheck.too_slow]
    settings.register_profile("patient", deadline=None, suppress_health_check=patient)
    settings.load_profile("patient")


def pytest_unconfigure() -> None:
    """Close it."""
    _loop.close()


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS server for one test, with ``url``, ``token``, ``kill()`` and ``await start()``."""
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    try:
        yield await server.start()
    finally:
        server.kill()


@pytest.fixture
def recorder() -> Iterator[MemoryRecorder]:
    """What records this test's spans."""
    made = MemoryRecorder()
    tracing.record_with(made)
    yield made
    tracing.record_with(None)
