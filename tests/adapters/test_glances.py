"""Frames to look at: the film's own, small, and never more than one worker's time at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pytest_asyncio

from adapters.base import EngineFailure
from adapters.files import FileStore
from adapters.glances import Glances
from adapters.workers import WorkerPool
from events.spec import Artifact
from events.types import Reason
from tests.assembler.shots import Shots, rgb, shots
from tests.golden.frames import BOTTLE, difference, picture

WIDTH, HEIGHT = 270, 480

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    """One worker for all."""
    pool = WorkerPool(1, preload=("assembler.glance",))
    yield pool
    await pool.close()


async def _stored(folder: Path, shown: Path = BOTTLE, **ask: Any) -> tuple[FileStore, Shots]:
    """A planned film, and a store that has what it is drawn from."""
    store = FileStore(folder / "artifacts")
    shot = shots("overlay_classic", [shown], folder, hook="Sleep does the rest", **ask)
    for path in shot.sources.values():
        await store.put_file(path, "application/octet-stream")
    return store, shot


def _pixels(content: bytes) -> Any:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[..., ::-1]


async def test_it_is_the_films_own_frame(workers: WorkerPool, tmp_path: Path) -> None:
    """Drawn elsewhere and made small, it differs from the film's by a picture format's loss."""
    store, shot = await _stored(tmp_path)
    glances = Glances(store, workers, frame_s=20.0, waiting_max=4)
    seen = _pixels(await glances.draw(shot.spec, shot.rungs, 45, WIDTH))
    assert (HEIGHT, WIDTH) == seen.shape[:2]
    assert difference(seen, rgb(shot.film(), 45, HEIGHT)).acceptable


async def test_a_draft_is_shown_as_it_is_drawn(workers: WorkerPool, tmp_path: Path) -> None:
    """Never larger than its film: a draft has half the width."""
    store, shot = await _stored(tmp_path, draft=True)
    glances = Glances(store, workers, frame_s=20.0, waiting_max=4)
    seen = _pixels(await glances.draw(shot.spec, shot.rungs, 45, 1080))
    assert (960, 540) == seen.shape[:2]


async def test_more_than_may_wait_are_refused(workers: WorkerPool, tmp_path: Path) -> None:
    """Whoever comes too many is told at once; the others get theirs."""
    store, shot = await _stored(tmp_path)
    glances = Glances(store, workers, frame_s=20.0, waiting_max=2)
    asked = [glances.draw(shot.spec, shot.rungs, n, WIDTH) for n in range(3)]
    drawn = await asyncio.gather(*asked, return_exceptions=True)
    assert [bytes, bytes, EngineFailure] == [type(one) for one in drawn]
    refused = drawn[2]
    assert isinstance(refused, EngineFailure)
    assert (Reason.UNAVAILABLE, True) == (refused.reason, refused.retryable)
    assert await glances.draw(shot.spec, shot.rungs, 3, WIDTH)


async def test_what_cannot_be_drawn_is_told(workers: WorkerPool, tmp_path: Path) -> None:
    """A picture that has become another file is no frame, and no dead worker."""
    # Another picture than the others': what a worker keeps of that is not read again.
    store, shot = await _stored(tmp_path, picture("hills", tmp_path))
    still = shot.spec.assets[0].still
    path = await store.fetch(Artifact(sha256=still.sha256, bytes=still.bytes, media_type=""))
    path.chmod(0o600)
    path.write_bytes(b"x" * still.bytes)
    glances = Glances(store, workers, frame_s=20.0, waiting_max=2)
    with pytest.raises(EngineFailure) as told:
        await glances.draw(shot.spec, shot.rungs, 45, WIDTH)
    assert Reason.INTERNAL is told.value.reason
    assert "still" in told.value.detail.lower()
