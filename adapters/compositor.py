"""The compositor as an engine: our own drawing, in worker processes, generating nothing.

The static template is the same machinery with a look that cannot fail; it is registered under a
name of its own because it is a rung of its own.

A body that was drawn before from the same input is taken from the store instead (``reuse``).
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from adapters.base import (
    ArtifactStore,
    Capabilities,
    EngineFailure,
    Health,
    Ledger,
    ProgressCallback,
    SegmentResult,
    SegmentWork,
    StoreError,
)
from adapters.children import render
from adapters.reuse import body_key, maker, seen_by
from adapters.workers import WorkerPool
from config.models import LimitSettings
from events.spec import Archetype, Artifact, RenderSpec, Warned
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
        # Now, and not at the first body: the workers load the code as it is now, too.
        maker()

    def capabilities(self) -> Capabilities:
        """All archetypes, generating nothing, here."""
        return Capabilities(archetypes=frozenset(Archetype), generates=False, local=True)

    async def health(self) -> Health:
        """Well as long as this process is."""
        return Health(ok=True)

    async def render(
        self,
        work: SegmentWork,
        progress: ProgressCallback,
        cancel: asyncio.Event,
        ledger: Ledger | None = None,  # noqa: ARG002 - the port's
    ) -> SegmentResult:
        """Draw and encode one body in a worker process, or find it drawn."""
        return await self.draw(work, None, progress, cancel)

    async def draw(
        self,
        work: SegmentWork,
        clip: Artifact | None,
        progress: ProgressCallback,
        cancel: asyncio.Event,
    ) -> SegmentResult:
        """The same; if there is a ``clip`` it is the picture, over which the rest is drawn."""
        spec = seen_by(work.spec, work.segment)
        key = body_key(spec, work.segment, work.rung, work.quality, clip)
        if self._limits.reuse_bodies and work.attempt == 1:
            # Only at first: where an attempt came to nothing, what was stored may be why.
            artifact = await self._store.recall(key)
            if artifact is not None:
                frames = spec.segments[work.segment].body_frames
                progress(frames, frames)
                return _result(work, artifact, frames, spec.encoder.fingerprint, reused=True)
        artifact, frames, fingerprint = await self._drawn(work, spec, clip, progress, cancel)
        if self._limits.reuse_bodies and fingerprint == spec.encoder.fingerprint:
            await self._store.remember(key, artifact)
        return _result(work, artifact, frames, fingerprint, reused=False)

    async def _drawn(
        self,
        work: SegmentWork,
        spec: RenderSpec,
        clip: Artifact | None,
        progress: ProgressCallback,
        cancel: asyncio.Event,
    ) -> tuple[Artifact, int, str]:
        """The body as ``spec`` has it, its frames, and the fingerprint of its encoder."""
        try:
            sources = {
                sha256: await self._store.fetch(artifact)
                for sha256, artifact in drawn_from(spec).items()
            }
            clips = {work.segment: await self._store.fetch(clip)} if clip else {}
        except StoreError as error:
            raise EngineFailure(Reason.UNAVAILABLE, str(error), retryable=True) from error
        alone = _alone(work.segment, len(spec.segments), max(1, self._workers.workers - 1))
        with tempfile.TemporaryDirectory(prefix="pytoon-body-") as folder:
            out = Path(folder) / "body.mp4"
            told = await self._workers.run(
                render,
                spec,
                work.rung,
                work.segment,
                sources,
                clips,
                out,
                work.quality,
                alone,
                deadline_s=self._limits.too_long_s,
                no_progress_s=self._limits.no_progress_s,
                progress=progress,
                cancel=cancel,
                film=work.job_id,
            )
            if isinstance(told, str):
                raise EngineFailure(Reason.INTERNAL, told, retryable=False)
            frames, fingerprint = told
            return await self._store.put_file(out, MEDIA_TYPE, move=True), frames, fingerprint

    async def close(self) -> None:
        """The workers belong to the composition root."""


def _result(
    work: SegmentWork, artifact: Artifact, frames: int, fingerprint: str, *, reused: bool
) -> SegmentResult:
    return SegmentResult(
        artifact=artifact,
        seed=work.spec.segments[work.segment].seed,
        frames=frames,
        fingerprint=fingerprint,
        warnings=_substituted(work, fingerprint),
        reused=reused,
    )


def _substituted(work: SegmentWork, fingerprint: str) -> tuple[Warned, ...]:
    """A warning where another encoder than the planned one had to do."""
    planned = work.spec.encoder
    if planned.codec == "libx264" or fingerprint == planned.fingerprint:
        return ()
    message = (
        f"segment {work.segment + 1} was to be encoded by {planned.codec}, which does not work "
        "on the machine that drew it: x264 encoded it instead"
    )
    return (Warned(code="encoder_downgraded", message=message),)


def _alone(segment: int, segments: int, cores: int) -> bool:
    """Whether half of the cores have no segment left when this one is drawn."""
    last_round = segments % cores or cores
    return segment >= segments - last_round and 2 * last_round <= cores


def drawn_from(spec: RenderSpec) -> dict[str, Artifact]:
    """Every artifact that drawing the film reads, by sha256."""
    stills = [asset.still for asset in (*spec.assets, *([spec.logo] if spec.logo else []))]
    return {a.sha256: a for a in (*stills, *(font.artifact for font in spec.fonts))}
