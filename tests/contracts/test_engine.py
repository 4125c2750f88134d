"""One suite for every engine: what the segment-renderer may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from adapters.base import Engine, EngineFailure, SegmentWork
from adapters.compositor import CompositorEngine
from adapters.files import FileStore
from adapters.generated import GeneratedEngine
from adapters.null import NullEngine
from adapters.workers import WorkerPool
from config import load
from events.spec import Archetype, RenderSpec, Rung
from events.types import Reason
from tests.builders import JOB, spec
from tests.painter import Notes, Painter

ENGINES = ("null", "compositor", "template", "generated")
CLIP_S = 0.6
"""How long a generated clip takes, so that a cancel comes before it is there."""
FRAMES = 12


@dataclass
class Bench:
    """An engine under test and its store."""

    engine: Engine
    store: FileStore


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    """One worker for all."""
    pool = WorkerPool(1, preload=("assembler.produce",))
    yield pool
    await pool.close()


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, workers: WorkerPool, tmp_path: Path) -> Bench:
    """Each engine in turn."""
    store = FileStore(tmp_path)
    if request.param == "null":
        return Bench(NullEngine(store, frame_s=0.005), store)
    config = load(environ={})
    limits = config.limits
    if request.param == "generated":
        painter = Painter("generated", folder=str(tmp_path / "service"), takes_s=CLIP_S)
        settings = config.generation
        made = GeneratedEngine(painter, store, workers, settings=settings, limits=limits)
        return Bench(made, store)
    return Bench(CompositorEngine(store, workers, name=request.param, limits=limits), store)


pytestmark = pytest.mark.asyncio(loop_scope="module")


def plan(frames: int = FRAMES) -> RenderSpec:
    """A film of one short segment, small enough to draw at once."""
    found = spec(1, archetype=Archetype.MEME_TEXT, width=216, height=384)
    segment = msgspec.structs.replace(found.segments[0], frames=frames, body_frames=frames)
    return msgspec.structs.replace(found, frames=frames, segments=(segment,))


def work(engine: Engine, *, frames: int = FRAMES, **changes: Any) -> SegmentWork:
    """That segment, asked of the engine."""
    asked = SegmentWork(
        job_id=JOB,
        spec=plan(frames),
        segment=0,
        attempt=1,
        rung=Rung(
            engine=engine.name,
            archetype=Archetype.MEME_TEXT,
            generates=engine.capabilities().generates,
        ),
    )
    return msgspec.structs.replace(asked, **changes)


async def test_a_body_has_the_frames_that_were_asked_for(bench: Bench) -> None:
    """It is in the store, and its seed is the segment's."""
    result = await bench.engine.render(
        work(bench.engine), lambda *_: None, asyncio.Event(), Notes()
    )
    assert FRAMES == result.frames
    assert plan().segments[0].seed == result.seed
    assert await bench.store.has(result.artifact)


async def test_the_same_work_gives_the_same_bytes(bench: Bench) -> None:
    """Whatever the attempt: a body depends on the plan and the rung alone."""
    first, second = [
        await bench.engine.render(
            work(bench.engine, attempt=attempt), lambda *_: None, asyncio.Event(), Notes()
        )
        for attempt in (1, 2)
    ]
    assert first.artifact == second.artifact


async def test_progress_ends_at_the_whole(bench: Bench) -> None:
    """Listeners are told how far it is; counts never go back."""
    told: list[tuple[int, int]] = []

    def listen(done: int, total: int) -> None:
        told.append((done, total))

    await bench.engine.render(work(bench.engine, frames=240), listen, asyncio.Event(), Notes())
    assert told
    assert told == sorted(told)
    assert {240} == {total for _, total in told if total}


async def test_a_cancel_ends_it_soon(bench: Bench) -> None:
    """With the reason that says so."""
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, cancel.set)
    async with asyncio.timeout(10):
        with pytest.raises(EngineFailure) as caught:
            await bench.engine.render(
                work(bench.engine, frames=30_000), lambda *_: None, cancel, Notes()
            )
    assert caught.value.reason is Reason.CANCELLED


async def test_an_engine_knows_what_it_can_do(bench: Bench) -> None:
    """Without any I/O; and it is well."""
    capabilities = bench.engine.capabilities()
    assert capabilities.local
    assert capabilities.generates is (bench.engine.name == "generated")
    assert capabilities.archetypes == frozenset(Archetype)
    assert (await bench.engine.health()).ok
