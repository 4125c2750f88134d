"""A clip that providers serve, and a provider with a generator before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hosted.bench import BASE, generator, make_clip
from tests.hosted.provider import Provider
from tests.hosted.transport import InProcess

Pair = tuple[Provider, Any]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small film."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture
def pair(clip: bytes) -> Callable[..., Pair]:
    """Makes a provider and a generator of its shipped declaration; only the base URL is ours."""

    def make(dialect: str, **options: Any) -> Pair:
        provider = Provider(dialect, clip, base=BASE, now=asyncio.get_running_loop().time)
        return provider, generator(dialect, InProcess(provider), **options)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where clips are put."""
    return tmp_path / "work"
