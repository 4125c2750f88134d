"""A generator under test, with what it is asked and what it notes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from adapters.base import EngineFailure
from adapters.comfyui.generator import ComfyGenerator, from_settings
from adapters.comfyui.workflows import Graph, load_workflow
from adapters.generation import Clip, ClipAsk
from adapters.workers import WorkerPool
from config.models import EngineSettings
from events.spec import Archetype
from events.types import Reason
from tests.adapters.ledgers import MemoryLedger
from tests.comfy.server import ComfyServer
from tests.patience import COMES_S

TIMES: dict[str, Any] = {
    "poll_s": 0.05,
    "request_s": 10.0,
    "transfer_s": 10.0,
    "gone_s": 0.6,
    "queue_s": 20.0,
    "no_progress_s": 8.0,
    "too_long_s": 30.0,
    "cancel_s": 5.0,
    "cool_down_s": 60.0,
}
"""So long that a pause of this process looks like none of the server's.

Only who does not listen at all is given up soon.
"""

HASTY: dict[str, Any] = {"no_progress_s": 0.6, "cancel_s": 0.5}
"""For work that stands still."""

ASK = ClipAsk(
    job_id="job-1",
    segment=0,
    attempt=1,
    archetype=Archetype.OVERLAY,
    prompt="a lighthouse at night",
    seed=7,
    width=108,
    height=192,
    fps=30,
    frames=12,
)


class Bench:
    """One generator, its servers and its ledger."""

    def __init__(self, servers: Sequence[ComfyServer], workers: WorkerPool, folder: Path) -> None:
        self.servers = tuple(servers)
        self.server = servers[0]
        self.workers = workers
        self.folder = folder
        self.ledger = MemoryLedger()
        self.cancel = asyncio.Event()
        self.told: list[tuple[int, int]] = []
        self._made: list[ComfyGenerator] = []
        self._folders = itertools.count()
        self.generator = self.another()

    def another(self, **options: Any) -> ComfyGenerator:
        """A generator as another process would have it."""
        asked = {**TIMES, "servers": [server.url for server in self.servers], **options}
        settings = EngineSettings(name="local_comfyui", kind="comfyui", options=asked)
        made = from_settings(settings, self.workers)
        self._made.append(made)
        return made

    async def clip(
        self,
        ask: ClipAsk = ASK,
        *,
        ledger: MemoryLedger | None = None,
        generator: ComfyGenerator | None = None,
    ) -> Clip:
        """Ask for a clip."""
        folder = self.folder / f"clip{next(self._folders)}"
        folder.mkdir()
        return await (generator or self.generator).generate(
            ask,
            folder,
            ledger or self.ledger,
            lambda done, total: self.told.append((done, total)),
            self.cancel,
        )

    async def failure(self, ask: ClipAsk = ASK, **more: Any) -> EngineFailure:
        """Ask for a clip that cannot be made."""
        with pytest.raises(EngineFailure) as caught:
            await self.clip(ask, **more)
        # Work here costs nothing, and whoever counts has to know that.
        assert 0.0 == caught.value.cost
        return caught.value

    async def close(self) -> None:
        """Close every generator."""
        for made in self._made:
            await made.close()


def told_of(failure: EngineFailure) -> tuple[Reason, bool]:
    """What the ladder goes by."""
    return failure.reason, failure.retryable


async def until(true: Callable[[], object], within_s: float = COMES_S) -> None:
    """Wait for something to come true."""
    end_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end_s, "it did not come true"
        await asyncio.sleep(0.01)


def facts_of(path: Path) -> tuple[int, int, int, float]:
    """Width, height, frames that can be decoded, and rate of a clip."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        rate = stream.average_rate
        assert rate is not None
        return stream.width, stream.height, frames, float(rate)


def still(folder: Path, colour: int = 90) -> Path:
    """A picture to animate."""
    path = folder / f"still-{colour}.png"
    with av.open(str(path), "w", format="image2") as container:
        stream: Any = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 54, 96, "rgb24"
        plane = np.full((96, 54, 3), colour, np.uint8)
        frame: Any = av.VideoFrame.from_ndarray(plane, format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def asked(**changes: Any) -> ClipAsk:
    """The ask, otherwise."""
    return msgspec.structs.replace(ASK, **changes)


def of_somebody_else() -> Graph:
    """A graph that another client of the server has posted."""
    shape = {"width": 64, "height": 64, "frames": 3, "fps": 24.0}
    return load_workflow("proof_words").filled({**shape, "prefix": "theirs/still"})


def texts(graph: Graph, kind: str, name: str) -> list[Any]:
    """An input of every node of a class."""
    return [node["inputs"][name] for node in graph.values() if node["class_type"] == kind]
