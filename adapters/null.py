"""The null engine and the null studio: every event of a job, and next to no pixels.

For measuring the spine and for killing it at every event boundary.  They keep the ports'
contracts: deterministic content, real artifacts, progress, cancel, failures; a ``NullFault``
makes the engine fail in any way there is.  What comes out is no film, and says so: its media
type is ``application/x-pytoon-null``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from adapters.base import (
    ArtifactStore,
    Capabilities,
    EngineFailure,
    Health,
    Ledger,
    ProgressCallback,
    SegmentResult,
    SegmentWork,
)
from adapters.studio import Assembled, Mixed, Preparation, Prepared, Report
from events.job import Job
from events.spec import Archetype, Artifact, Box, Caption, Card
from events.types import Reason, Verdict

MEDIA_TYPE = "application/x-pytoon-null"

NullFault = Callable[[SegmentWork], EngineFailure | None]
"""Asked before each segment; answers with the failure to raise, or None."""


class NullEngine:
    """Renders a segment to one line of text that depends on all that a real one depends on."""

    def __init__(
        self,
        store: ArtifactStore,
        *,
        name: str = "null",
        frame_s: float = 0.0,
        fault: NullFault | None = None,
    ) -> None:
        self.name = name
        self._store = store
        self._frame_s = frame_s
        self._fault = fault

    def capabilities(self) -> Capabilities:
        """All archetypes, generating nothing, here."""
        return Capabilities(archetypes=frozenset(Archetype), generates=False, local=True)

    async def health(self) -> Health:
        """Always well."""
        return Health(ok=True)

    async def render(
        self,
        work: SegmentWork,
        progress: ProgressCallback,
        cancel: asyncio.Event,
        ledger: Ledger | None = None,  # noqa: ARG002 - the port's
    ) -> SegmentResult:
        """Take ``frame_s`` a frame, then store a digest of the work's fields."""
        if self._fault is not None and (failure := self._fault(work)) is not None:
            raise failure
        plan = work.spec.segments[work.segment]
        for done in range(plan.body_frames if self._frame_s else 0):
            if cancel.is_set():
                detail = "nobody waits for it any more"
                raise EngineFailure(Reason.CANCELLED, detail, retryable=False)
            progress(done, plan.body_frames)
            await asyncio.sleep(self._frame_s)
        progress(plan.body_frames, plan.body_frames)
        basis = msgspec.json.encode((work.spec, work.segment, work.rung, work.quality))
        content = f"{work.segment} {plan.body_frames} {hashlib.sha256(basis).hexdigest()}\n"
        artifact = await self._store.put_bytes(content.encode(), MEDIA_TYPE)
        return SegmentResult(
            artifact=artifact, seed=plan.seed, frames=plan.body_frames, fingerprint="null"
        )

    async def close(self) -> None:
        """Nothing is held."""


class NullStudio:
    """Plans, mixes and assembles without any media."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def prepare(
        self,
        job_id: str,  # noqa: ARG002 - the port's
        preparation: Preparation,
    ) -> Prepared:
        """Captions one after the other, each on one card; no files are read."""
        texts = preparation.texts
        share = preparation.frames // max(1, len(texts))
        box = Box(x=120, y=288, width=768, height=120)
        captions = tuple(
            Caption(
                role=role,
                text=text,
                cards=(Card(start=i * share, frames=share, lines=(text,), size_px=48.0, box=box),),
            )
            for i, (role, text) in enumerate(texts)
        )
        return Prepared(captions=captions, encoder=preparation.encoder, style=preparation.style)

    async def mix(self, job: Job, cancel: asyncio.Event) -> Mixed:  # noqa: ARG002 - the port
        """A line of text for a soundtrack."""
        assert job.spec is not None
        artifact = await self._store.put_bytes(f"silence {job.spec.frames}\n".encode(), MEDIA_TYPE)
        return Mixed(artifact=artifact, lufs=None, true_peak_db=None)

    async def assemble(
        self,
        job: Job,
        facts: Mapping[str, Any],  # noqa: ARG002 - the port's
        cancel: asyncio.Event,  # noqa: ARG002 - the port's
        report: Report,
    ) -> Assembled:
        """The bodies and the soundtrack, one after the other."""
        assert job.spec is not None
        assert job.soundtrack is not None
        parts = [s.rendered.artifact for s in job.segments if s.rendered]
        content = b"".join([await self._read(part) for part in (*parts, job.soundtrack.artifact)])
        report(job.spec.frames, job.spec.frames)
        output = await self._store.put_bytes(content, MEDIA_TYPE)
        verdict = Verdict(
            width=job.spec.width,
            height=job.spec.height,
            fps=f"{job.spec.fps}/1",
            frames=job.spec.frames,
            duration_s=job.spec.frames / job.spec.fps,
            video_codec="null",
            pixel_format="",
            audio_codec="null",
            audio_duration_s=job.spec.frames / job.spec.fps,
            bitrate_kbps=0,
            bytes=len(content),
        )
        metadata = await self._store.put_bytes(msgspec.json.encode(verdict), "application/json")
        return Assembled(output=output, thumbnail=output, metadata=metadata, verdict=verdict)

    async def _read(self, artifact: Artifact) -> bytes:
        return (await self._store.fetch(artifact)).read_bytes()

    async def close(self) -> None:
        """Nothing is held."""
