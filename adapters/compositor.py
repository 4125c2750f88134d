"""The compositor as an engine: our own drawing, in worker processes, generating nothing.

The static template is the same machinery with a look that cannot fail; it is registered under a
name of its own because it is a rung of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from adapters.base import (
    ArtifactStore,
    Capabilities,
    EngineFailure,
    Health,
    ProgressCallback,
    SegmentResult,
    SegmentWork,
    StoreError,
)
from adapters.workers import Report, WorkerPool
from config.models import LimitSettings
from events.spec import Archetype, Artifact, RenderSpec, Rung
from events.types import Reason

MEDIA_TYPE = "video/mp4"


class CompositorEngine:
    """Draws and encodes bodies from the uploaded pixels."""

    def __init__(
        self, store: ArtifactStore, workers: WorkerPool, *, name: str, limits: LimitSettings
    ) -> None:
        self.name = name
        self._store = store
        self._workers = workers
        self._limits = limits

    def capabilities(self) -> Capabilities:
        """All archetypes, generating nothing, here."""
        return Capabilities(archetypes=frozenset(Archetype), generates=False, local=True)

    async def health(self) -> Health:
        """Well as long as this process is."""
        return Health(ok=True)

    async def render(
        self, work: SegmentWork, progress: ProgressCallback, cancel: asyncio.Event
    ) -> SegmentResult:
        """Draw and encode one body in a worker process."""
        try:
            sources = {
                sha256: await self._store.fetch(artifact)
                for sha256, artifact in drawn_from(work.spec).items()
            }
        except StoreError as error:
            raise EngineFailure(Reason.UNAVAILABLE, str(error), retryable=True) from error
        with tempfile.TemporaryDirectory(prefix="pytoon-body-") as folder:
            out = Path(folder) / "body.mp4"
            told = await self._workers.run(
                _render,
                work.spec,
                work.rung,
                work.segment,
                sources,
                out,
                work.quality,
                deadline_s=self._limits.too_long_s,
                no_progress_s=self._limits.no_progress_s,
                progress=progress,
                cancel=cancel,
            )
            if isinstance(told, str):
                raise EngineFailure(Reason.INTERNAL, told, retryable=False)
            frames, fingerprint = told
            artifact = await self._store.put_file(out, MEDIA_TYPE, move=True)
        return SegmentResult(
            artifact=artifact,
            seed=work.spec.segments[work.segment].seed,
            frames=frames,
            fingerprint=fingerprint,
        )

    async def close(self) -> None:
        """The workers belong to the composition root."""


def drawn_from(spec: RenderSpec) -> dict[str, Artifact]:
    """Every artifact that drawing the film reads, by sha256."""
    stills = [asset.still for asset in (*spec.assets, *([spec.logo] if spec.logo else []))]
    return {a.sha256: a for a in (*stills, *(font.artifact for font in spec.fonts))}


def _render(  # noqa: PLR0917 - all that a body depends on, across processes
    spec: RenderSpec,
    rung: Rung,
    segment: int,
    sources: dict[str, Path],
    out: Path,
    quality: int,
    report: Report,
) -> tuple[int, str] | str:
    """In the worker: frames and fingerprint, or what went wrong in words."""
    from assembler import produce  # noqa: PLC0415 - only workers load it

    rungs = (rung,) * len(spec.segments)
    try:
        info: Any = produce.render_body(spec, rungs, segment, sources, out, quality, report)
    except (ValueError, RuntimeError, OSError, ArithmeticError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    return info.frames, info.fingerprint
