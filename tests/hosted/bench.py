"""A generator before a provider, and asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from adapters.base import EngineFailure
from adapters.generation import Clip, ClipAsk
from adapters.hosted import HostedGenerator
from adapters.hosted.declaration import Declaration
from adapters.hosted.options import HostedOptions, declared_for, options_of
from adapters.secret import Secret
from adapters.workers import WorkerPool
from config import Config
from config.loader import shipped
from config.models import EngineSettings
from events.spec import Archetype
from tests.adapters.ledgers import MemoryLedger
from tests.hosted.provider import KEY, PRICE

BASE = "http://127.0.0.1:1"
"""Where a provider is that no socket leads to."""


class HereWorkers(WorkerPool):
    """Runs what workers would in this process: nothing to wait for, so time may jump."""

    def __init__(self) -> None:
        self.workers = 1

    async def run(self, function: Callable[..., Any], *args: Any, **bounds: Any) -> Any:
        """Call it."""
        return function(*args, lambda done, total: None)


def config() -> Config:
    """The shipped configuration."""
    return shipped()


def settings(declaration: str, /, **options: Any) -> EngineSettings:
    """An entry of ``engines.yaml``, with a price and a base URL on loopback."""
    given = {"declaration": declaration, "base_url": BASE, "allow_private_addresses": True}
    price = {"price": {"per_clip": PRICE}}
    return EngineSettings(name="paid", kind="hosted", options={**given, **price, **options})


def declared(entry: EngineSettings, **environ: str) -> tuple[Declaration, HostedOptions]:
    """What is declared for an entry."""
    options = options_of(entry)
    return declared_for(entry, options, config(), environ), options


@cache
def _declared(declaration: str, options: str) -> tuple[Declaration, HostedOptions]:
    """Read once: simulations make a generator for every process that they kill."""
    return declared(settings(declaration, **json.loads(options)))


def generator(
    declaration: str,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    workers: WorkerPool | None = None,
    change: Callable[[Declaration], Declaration] = lambda declared: declared,
    **options: Any,
) -> HostedGenerator:
    """A generator that speaks as the shipped declaration says."""
    found, given = _declared(declaration, json.dumps(options))
    return HostedGenerator(
        "paid", change(found), given, Secret(KEY), workers or HereWorkers(), transport=transport
    )


def ask(**changes: Any) -> ClipAsk:
    """Three and a bit seconds of a vertical film, from words."""
    facts: dict[str, Any] = {
        "job_id": "job-1",
        "segment": 0,
        "attempt": 1,
        "archetype": Archetype.OVERLAY,
        "prompt": "A calm room. {camera} 100%",
        "seed": 2**62 + 5,
        "width": 1080,
        "height": 1920,
        "fps": 30,
        "frames": 98,
    }
    return ClipAsk(**(facts | changes))


def _made(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


async def generate(
    made: HostedGenerator,
    folder: Path,
    ledger: MemoryLedger,
    *,
    cancel: asyncio.Event | None = None,
    **changes: Any,
) -> Clip:
    """Ask for a clip."""
    _made(folder)
    return await made.generate(
        ask(**changes), folder, ledger, lambda done, total: None, cancel or asyncio.Event()
    )


async def failure(
    made: HostedGenerator, folder: Path, ledger: MemoryLedger, **more: Any
) -> EngineFailure:
    """The failure that asking ends in."""
    with pytest.raises(EngineFailure) as caught:
        await generate(made, folder, ledger, **more)
    return caught.value


def make_clip(path: Path, *, frames: int = 12, size: tuple[int, int] = (72, 128)) -> bytes:
    """A small film whose tags tell a prompt, as some services' films do."""
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = "a prompt that nobody else should read"
        stream: Any = container.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "35"}
        slope = np.add.outer(np.arange(size[1]), np.arange(size[0]))
        for number in range(frames):
            picture = np.repeat(((slope + 7 * number) % 200)[..., None], 3, 2).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def make_still(path: Path, *, noise: bool = False) -> Path:
    """An upright PNG; with ``noise`` one that is large."""
    shape = (1920, 1080, 3) if noise else (128, 72, 3)
    random = np.random.default_rng(1)
    picture = random.integers(0, 255, shape, np.uint8) if noise else np.full(shape, 90, np.uint8)
    cv2.imwrite(str(path), picture)
    return path
