"""The compositor takes a body from the store where an equal one has been drawn before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from adapters import children, compositor
from adapters.base import SegmentResult, SegmentWork
from adapters.compositor import CompositorEngine
from adapters.files import FileStore
from adapters.workers import WorkerPool
from assembler import produce
from assembler.encode import default_profile
from assembler.stills import StillError
from config import load
from events.spec import Archetype, RenderSpec, Rung, SoundPlan
from tests.builders import artifact, spec

FRAMES = 6
RUNG = Rung(engine="compositor", archetype=Archetype.MEME_TEXT)
WIDTH, HEIGHT = 216, 384

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    """One worker for all."""
    pool = WorkerPool(1, preload=("assembler.produce",))
    yield pool
    await pool.close()


def engine(workers: WorkerPool, folder: Path, *, reuse: bool = True) -> CompositorEngine:
    """The compositor on a store in a folder."""
    environ = {"PYTOON_LIMITS__REUSE_BODIES": str(reuse).lower()}
    limits = load(environ=environ).limits
    return CompositorEngine(FileStore(folder), workers, name="compositor", limits=limits)


def film(**changes: Any) -> RenderSpec:
    """A film of one short segment, small enough to draw at once."""
    encoder = default_profile(width=WIDTH, height=HEIGHT)
    planned = spec(
        1, archetype=Archetype.MEME_TEXT, width=WIDTH, height=HEIGHT, encoder=encoder, **changes
    )
    segment = msgspec.structs.replace(planned.segments[0], frames=FRAMES, body_frames=FRAMES)
    return msgspec.structs.replace(planned, frames=FRAMES, segments=(segment,))


async def render(
    engine: CompositorEngine, planned: RenderSpec, job_id: str = "job-1", **changes: Any
) -> SegmentResult:
    """Its segment, asked of the engine."""
    asked = SegmentWork(job_id=job_id, spec=planned, segment=0, attempt=1, rung=RUNG)
    work = msgspec.structs.replace(asked, **changes)
    return await engine.render(work, lambda *_: None, asyncio.Event())


async def test_a_job_that_differs_in_its_music_draws_nothing_again(
    workers: WorkerPool, tmp_path: Path
) -> None:
    """The body is the other job's, and all that is told of it is the same."""
    first = await render(engine(workers, tmp_path), film())
    other = film(sound=SoundPlan(music=artifact("b")), deadline_s=9.0, prompt="Other words")
    told: list[tuple[int, int]] = []
    asked = SegmentWork(job_id="job-2", spec=other, segment=0, attempt=1, rung=RUNG)
    again = await engine(workers, tmp_path).render(
        asked, lambda *counts: told.append(counts), asyncio.Event()
    )
    assert not first.reused
    assert msgspec.structs.replace(first, reused=True) == again
    assert [(FRAMES, FRAMES)] == told
    assert first.fingerprint == other.encoder.fingerprint


@pytest.mark.parametrize(
    "changes", [{"quality": 1}, {"rung": Rung(engine="template", archetype=Archetype.MEME_TEXT)}]
)
async def test_another_body_is_drawn(
    workers: WorkerPool, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Another quality or rung is another body."""
    drawing = engine(workers, tmp_path)
    first = await render(drawing, film())
    other = await render(drawing, film(), **changes)
    assert not other.reused
    assert first.artifact != other.artifact


async def test_a_later_attempt_is_drawn(workers: WorkerPool, tmp_path: Path) -> None:
    """What failed once is not answered from memory: the bytes that are stored may be why."""
    drawing = engine(workers, tmp_path)
    first = await render(drawing, film())
    again = await render(drawing, film(), attempt=2)
    assert (first, False) == (again, again.reused)


async def test_a_damaged_body_is_drawn_again(workers: WorkerPool, tmp_path: Path) -> None:
    """The store is whole afterwards."""
    drawing, store = engine(workers, tmp_path), FileStore(tmp_path)
    first = await render(drawing, film())
    path = await store.fetch(first.artifact)
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(whole[::-1])
    again = await render(drawing, film())
    assert (first, False) == (again, again.reused)
    assert whole == path.read_bytes()


async def test_a_body_of_another_encoder_is_not_kept_for_others(
    workers: WorkerPool, tmp_path: Path
) -> None:
    """It does not fit the films that the plan's encoder makes."""
    drawing = engine(workers, tmp_path)
    foreign = msgspec.structs.replace(film().encoder, fingerprint="another build's")
    planned = msgspec.structs.replace(film(), encoder=foreign)
    assert () == (await render(drawing, planned)).warnings
    assert not (await render(drawing, planned)).reused


async def test_a_body_without_the_planned_encoder_is_told(
    workers: WorkerPool, tmp_path: Path
) -> None:
    """On a machine without the card x264 encodes, and the segment's result says so."""
    card = msgspec.structs.replace(
        film().encoder, codec="h264_of_a_card", preset="p5", params="rc=vbr", fingerprint="card"
    )
    planned = msgspec.structs.replace(film(), encoder=card)
    drawing = engine(workers, tmp_path)
    for _ in range(2):
        result = await render(drawing, planned)
        assert ["encoder_downgraded"] == [warned.code for warned in result.warnings]
        assert FRAMES == result.frames
        assert not result.reused


async def test_reuse_can_be_switched_off(workers: WorkerPool, tmp_path: Path) -> None:
    """Nothing is noted and nothing recalled: measurements of rendering render."""
    drawing = engine(workers, tmp_path, reuse=False)
    await render(drawing, film())
    assert not (tmp_path / "index").exists()
    await render(engine(workers, tmp_path), film())
    assert not (await render(drawing, film())).reused


@pytest.mark.parametrize(
    ("segments", "cores", "alone"),
    [(5, 2, [4]), (2, 2, []), (1, 2, [0]), (3, 1, []), (5, 16, [0, 1, 2, 3, 4]), (7, 4, [])],
)
async def test_what_half_of_the_cores_leave_over_is_hurried(
    segments: int, cores: int, alone: list[int]
) -> None:
    """A segment takes a second core only where nobody else wants it."""
    assert alone == [n for n in range(segments) if compositor._alone(n, segments, cores)]


async def test_a_still_that_cannot_be_decoded_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the segment, and does not look like a death of the worker."""

    def render_body(*_: object, **__: object) -> None:
        raise StillError("a stored still cannot be decoded")

    monkeypatch.setattr(produce, "render_body", render_body)
    out = tmp_path / "body.mp4"
    told = children.render(film(), RUNG, 0, {}, {}, out, 0, False, lambda *_: None)
    assert "StillError: a stored still cannot be decoded" == told
    monkeypatch.setattr(produce, "draw_still", render_body)
    drawn = children.draw_still(film(), RUNG.archetype, 0, {}, out, lambda *_: None)
    assert told == drawn
