"""Single frames of planned films, drawn in a worker process: what a person looks at beforehand.

One frame is drawn at a time, so that looking never takes more than one core from the films that
are being made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from adapters.base import ArtifactStore, EngineFailure
from adapters.children import glance
from adapters.compositor import drawn_from
from adapters.workers import WorkerPool
from events.spec import Artifact, RenderSpec, Rung
from events.types import Reason


class Glances:
    """Draws frames to look at."""

    def __init__(
        self, store: ArtifactStore, workers: WorkerPool, *, frame_s: float, waiting_max: int
    ) -> None:
        """``frame_s`` is how long one frame may take; more than ``waiting_max`` do not wait."""
        self._store = store
        self._workers = workers
        self._frame_s = frame_s
        self._waiting_max = waiting_max
        self._waiting = 0
        self._turn = asyncio.Semaphore(1)

    async def draw(
        self,
        spec: RenderSpec,
        rungs: Sequence[Rung],
        n: int,
        width: int,
        clips: Mapping[int, Artifact] | None = None,
    ) -> bytes:
        """Frame ``n`` as a JPEG; ``clips`` has what engines generated for its segments.

        Raises ``EngineFailure``, and ``StoreError`` where a picture is gone.
        """
        if self._waiting >= self._waiting_max:
            detail = f"{self._waiting} frames are waiting to be drawn"
            raise EngineFailure(Reason.UNAVAILABLE, detail, retryable=True)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._drawn(spec, rungs, n, width, clips or {})
        finally:
            self._waiting -= 1

    async def _drawn(
        self,
        spec: RenderSpec,
        rungs: Sequence[Rung],
        n: int,
        width: int,
        clips: Mapping[int, Artifact],
    ) -> bytes:
        sources = {
            sha256: await self._store.fetch(artifact)
            for sha256, artifact in drawn_from(spec).items()
        }
        files = {index: await self._store.fetch(clip) for index, clip in clips.items()}
        told: bytes | str = await self._workers.run(
            glance, spec, tuple(rungs), n, width, sources, files, deadline_s=self._frame_s
        )
        if isinstance(told, str):
            raise EngineFailure(Reason.INTERNAL, told, retryable=False)
        return told


__all__ = ["Glances"]
