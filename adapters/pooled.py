"""The studio for real: the media toolkit in worker processes, artifacts in the store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from adapters.assets import AssetFetcher, AssetProblem
from adapters.base import ArtifactStore
from adapters.children import AssembledFiles, Refusal, assemble, mix, prepare
from adapters.compositor import drawn_from
from adapters.preparation import (
    PictureFile,
    PreparationAnswer,
    PreparationFiles,
    StillFacts,
)
from adapters.reuse import maker, sound_key
from adapters.studio import (
    AskedPicture,
    Assembled,
    AssemblyRefused,
    Mixed,
    Preparation,
    Prepared,
    Report,
    Unpreparable,
)
from adapters.workers import WorkerPool
from config import Config
from events.job import Job
from events.spec import Artifact, Asset, AssetRole, FontFile, RenderSpec
from events.types import Problem

MP4 = "video/mp4"
NOTE = "application/json"


class PooledStudio:
    """Prepares, mixes and assembles in a pool of worker processes."""

    def __init__(
        self, store: ArtifactStore, workers: WorkerPool, fetcher: AssetFetcher, config: Config
    ) -> None:
        self._store = store
        self._workers = workers
        self._fetcher = fetcher
        self._config = config
        # Now, and not at the first sound: the workers load the code as it is now, too.
        maker()

    async def prepare(self, job_id: str, preparation: Preparation) -> Prepared:
        """Fetch every file into the store, then decode, measure and set in a worker."""
        taken = await _Intake(self._fetcher, self._config).take(preparation)
        with tempfile.TemporaryDirectory(prefix="pytoon-plan-") as folder:
            files = await self._files(preparation, taken, Path(folder))
            answer: PreparationAnswer = await self._workers.run(
                prepare, files, deadline_s=self._config.limits.planning_s, film=job_id
            )
            if answer.problems:
                raise Unpreparable(answer.problems)
            return await self._prepared(preparation, taken, files, answer)

    async def _files(
        self, preparation: Preparation, taken: dict[str, Artifact], folder: Path
    ) -> PreparationFiles:
        pictures = [
            await self._picture(picture, taken, folder / f"still-{number}")
            for number, picture in enumerate(preparation.pictures)
        ]
        logo = None
        if preparation.logo_uri:
            asked = AskedPicture(field="logo_uri", uri=preparation.logo_uri, role=AssetRole.LOGO)
            logo = await self._picture(asked, taken, folder / "logo")
        sounds = [
            (field, await self._store.fetch(taken[field]))
            for field in ("music_uri", "voice_uri")
            if field in taken
        ]
        limits = self._config.limits
        return PreparationFiles(
            pictures=tuple(pictures),
            logo=logo,
            sounds=tuple(sounds),
            font=await self._store.fetch(taken["font_uri"]) if "font_uri" in taken else None,
            texts=preparation.texts,
            text_fields=preparation.text_fields,
            archetype=preparation.archetype,
            style=preparation.style,
            encoder=preparation.encoder,
            nvenc=preparation.nvenc,
            width=preparation.width,
            height=preparation.height,
            frames=preparation.frames,
            fps=preparation.fps,
            fonts_dir=self._config.fonts.directory,
            bytes_max=limits.asset_bytes_max,
            edge_px_max=limits.edge_px_max,
            pixels_max=limits.pixels_max,
            still_edge_px_max=limits.still_edge_px_max,
        )

    async def _picture(
        self, picture: AskedPicture, taken: dict[str, Artifact], out: Path
    ) -> PictureFile:
        mask = taken.get(picture.mask_field) if picture.mask_field else None
        return PictureFile(
            field=picture.field,
            uri=picture.uri,
            role=picture.role,
            path=await self._store.fetch(taken[picture.field]),
            mask=await self._store.fetch(mask) if mask else None,
            mask_field=picture.mask_field,
            out=out,
        )

    async def _prepared(
        self,
        preparation: Preparation,
        taken: dict[str, Artifact],
        files: PreparationFiles,
        answer: PreparationAnswer,
    ) -> Prepared:
        assert answer.encoder is not None
        assets = [
            await self._asset(picture, taken, facts)
            for picture, facts in zip(files.pictures, answer.stills, strict=True)
        ]
        logo = None
        if files.logo and answer.logo:
            logo = await self._asset(files.logo, taken, answer.logo)
        fonts = [
            FontFile(family=family, artifact=await self._store.put_file(path, "font/sfnt"))
            for family, path in answer.font_files
        ]
        return Prepared(
            assets=tuple(assets),
            logo=logo,
            fonts=tuple(fonts),
            captions=answer.captions,
            music=taken.get("music_uri"),
            voice=taken.get("voice_uri"),
            encoder=answer.encoder,
            style=preparation.style,
            warnings=answer.warnings,
        )

    async def _asset(
        self, picture: PictureFile, taken: dict[str, Artifact], facts: StillFacts
    ) -> Asset:
        return Asset(
            role=picture.role,
            uri=picture.uri,
            source=taken[picture.field],
            still=await self._store.put_file(picture.out, facts.media_type, move=True),
            width=facts.width,
            height=facts.height,
            has_alpha=facts.has_alpha,
            subject=facts.subject,
            palette=facts.palette,
        )

    async def mix(self, job: Job, cancel: asyncio.Event) -> Mixed:
        """Mix and encode the film's sound in a worker, or find it mixed."""
        assert job.spec is not None
        key = sound_key(job.spec)
        if self._config.limits.reuse_bodies and (found := await self._mixed_before(key)):
            return found
        mixed = await self._mixed_now(job.spec, cancel)
        if self._config.limits.reuse_bodies:
            note = await self._store.put_bytes(msgspec.json.encode(mixed), NOTE)
            await self._store.remember(key, note)
        return mixed

    async def _mixed_before(self, key: str) -> Mixed | None:
        """The same sound, if it has been mixed before and is still here."""
        note = await self._store.recall(key)
        if note is None:
            return None
        path = await self._store.fetch(note)
        mixed = msgspec.json.decode(path.read_bytes(), type=Mixed)
        if not await self._store.has(mixed.artifact):
            return None
        return msgspec.structs.replace(mixed, reused=True)

    async def _mixed_now(self, spec: RenderSpec, cancel: asyncio.Event) -> Mixed:
        sound = spec.sound
        sources = {
            artifact.sha256: await self._store.fetch(artifact)
            for artifact in (sound.music, sound.voice)
            if artifact
        }
        with tempfile.TemporaryDirectory(prefix="pytoon-sound-") as folder:
            out = Path(folder) / "sound.mp4"
            answer = await self._workers.run(
                mix,
                spec,
                sources,
                out,
                deadline_s=self._config.limits.too_long_s,
                cancel=cancel,
            )
            if isinstance(answer, Refusal):
                raise AssemblyRefused(answer.reason, answer.detail)
            return Mixed(
                artifact=await self._store.put_file(out, "audio/mp4", move=True),
                lufs=answer.lufs,
                true_peak_db=answer.true_peak_db,
                warnings=answer.warnings,
            )

    async def assemble(
        self, job: Job, facts: Mapping[str, Any], cancel: asyncio.Event, report: Report
    ) -> Assembled:
        """Draw the transitions, join and judge in a worker."""
        assert job.spec is not None
        assert job.soundtrack is not None
        sources = {
            sha256: await self._store.fetch(artifact)
            for sha256, artifact in drawn_from(job.spec).items()
        }
        bodies = {
            segment.index: await self._store.fetch(segment.rendered.artifact)
            for segment in job.segments
            if segment.rendered
        }
        clips = {
            segment.index: await self._store.fetch(segment.rendered.raw)
            for segment in job.segments
            if segment.rendered and segment.rendered.raw
        }
        soundtrack = await self._store.fetch(job.soundtrack.artifact)
        with tempfile.TemporaryDirectory(prefix="pytoon-film-") as folder:
            answer: AssembledFiles | Refusal = await self._workers.run(
                assemble,
                job.spec,
                job.rungs,
                bodies,
                soundtrack,
                sources,
                clips,
                Path(folder),
                dict(facts),
                deadline_s=self._config.limits.too_long_s,
                progress=report,
                cancel=cancel,
                film=job.job_id,
            )
            if isinstance(answer, Refusal):
                raise AssemblyRefused(answer.reason, answer.detail, *answer.segments)
            put = self._store.put_file
            return Assembled(
                output=await put(answer.output, MP4, move=True),
                thumbnail=await put(answer.thumbnail, "image/jpeg", move=True),
                metadata=await put(answer.metadata, "application/json", move=True),
                verdict=answer.verdict,
                warnings=answer.warnings,
            )

    async def close(self) -> None:
        """The workers belong to the composition root."""


class _Intake:
    """Fetches everything that a preparation names; its problems are told all at once."""

    def __init__(self, fetcher: AssetFetcher, config: Config) -> None:
        self._fetcher = fetcher
        self._limits = config.limits

    async def take(self, preparation: Preparation) -> dict[str, Artifact]:
        """An artifact for each field.  Raises ``Unpreparable``."""
        asked: list[tuple[str, str, int]] = []
        for picture in preparation.pictures:
            asked.append((picture.field, picture.uri, self._limits.asset_bytes_max))
            if picture.mask_uri:
                field = picture.mask_field
                asked.append((field, picture.mask_uri, self._limits.asset_bytes_max))
        for field, uri, bytes_max in (
            ("logo_uri", preparation.logo_uri, self._limits.asset_bytes_max),
            ("font_uri", preparation.font_uri, self._limits.font_bytes_max),
            ("music_uri", preparation.music_uri, self._limits.sound_bytes_max),
            ("voice_uri", preparation.voice_uri, self._limits.sound_bytes_max),
        ):
            if uri:
                asked.append((field, uri, bytes_max))
        taken: dict[str, Artifact] = {}
        problems: list[Problem] = []
        for field, uri, bytes_max in asked:
            try:
                taken[field] = await self._fetcher.fetch(uri, bytes_max)
            except AssetProblem as problem:
                problems.append(problem.problem(field, uri))
        if problems:
            raise Unpreparable(tuple(problems))
        return taken
