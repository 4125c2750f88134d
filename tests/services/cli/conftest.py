"""A home with the null engine, and ``pytoon`` called in it as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.shell import Called, Shell, opened

__all__ = ["Called", "Person"]

Person = Shell
"""Somebody at a shell, in a folder, with a home."""

_ENVIRON = {
    "PYTOON_ENGINES__NULL__ENABLED": "true",
    "PYTOON_IDLE_EXIT_S": "60",
    "PYTOON_LIMITS__TIMER_RECHECK_S": "0.3",
    "PYTOON_LOG__ACK_WAIT_S": "1",
    "PYTOON_LOG__HEARTBEAT_S": "0.3",
}


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody with a home of their own."""
    with opened(tmp_path, **_ENVIRON) as shell:
        yield shell


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody whose services run already; shared by a module's tests."""
    with opened(tmp_path_factory.mktemp("settled"), **_ENVIRON) as shell:
        yield shell
