"""An engine around a generator: a clip is made once, kept, and drawn over as often as it takes.

What a generator makes is an artifact of its own, named by all that it depends on; words, product
and watermark are drawn over it by the compositor.  So another caption, another encoder setting or
a worker that died costs no generating, and no money, again.

With brand-safe no generator ever sees a picture: it is asked for what lies behind the product.
Else it may be given the segment's first picture, composed as the compositor would, without words.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

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
    Showing,
    StoreError,
)
from adapters.children import Judged, Unfit, draw_still, take_in
from adapters.compositor import CompositorEngine, drawn_from
from adapters.generation import Clip, ClipAsk, Generator
from adapters.workers import WorkerPool
from assembler.timeline import shown
from config.models import GenerationSettings, LimitSettings
from events.spec import (
    Archetype,
    Artifact,
    Box,
    Caption,
    CaptionPosition,
    CaptionRole,
    Card,
    Motion,
    RenderSpec,
    Struct,
    Warned,
)
from events.types import Reason

NOTE = "application/json"
GENERATING_SHARE = 0.8
"""How much of a segment's work is the clip, as far as listeners are told."""
WORDS_PX = 240
"""How high the place of words is that a picture leaves free before they are known; of 1920."""
TAKING_TRIES = 2
"""A worker that dies over a clip may have been killed; a second one that does, died of it."""


class ClipNote(Struct, frozen=True, kw_only=True):
    """What is remembered of a clip: the clip, what made it, what it cost, what was odd."""

    raw: Artifact
    model: str
    cost: float
    warnings: tuple[Warned, ...] = ()


class GeneratedEngine:
    """Segments whose picture a generator makes."""

    def __init__(
        self,
        generator: Generator,
        store: ArtifactStore,
        workers: WorkerPool,
        *,
        settings: GenerationSettings,
        limits: LimitSettings,
    ) -> None:
        self.name = generator.name
        self._generator = generator
        self._store = store
        self._workers = workers
        self._settings = settings
        self._limits = limits
        self._compositor = CompositorEngine(store, workers, name=self.name, limits=limits)
        self._under_way: dict[str, tuple[asyncio.Lock, int]] = {}
        # One worker is left to who plans and assembles: many clips may come at once.
        self._drawing = asyncio.Semaphore(max(1, workers.workers - 1))

    def capabilities(self) -> Capabilities:
        """The generator's."""
        return self._generator.capabilities()

    async def health(self) -> Health:
        """The generator's."""
        return await self._generator.health()

    async def close(self) -> None:
        """Release the generator's connections; the workers belong to the composition root."""
        await self._generator.close()

    async def render(
        self,
        work: SegmentWork,
        progress: ProgressCallback,
        cancel: asyncio.Event,
        ledger: Ledger | None = None,
    ) -> SegmentResult:
        """Find or make the clip, then draw the body over it."""
        assert ledger is not None, "what is generated is noted in the log first"
        frames = work.spec.segments[work.segment].body_frames
        generated = round(GENERATING_SHARE * frames)
        with tempfile.TemporaryDirectory(prefix="pytoon-clip-") as folder:
            ask = await self._asked(work, Path(folder), cancel)
            key = clip_key(self.name, self._generator.recipe(ask), ask)
            async with self._alone(key, cancel):
                note = await self._recalled(key, ledger)
                if note is None:
                    part = _part_of(progress, 0, generated, frames)
                    errand = _Errand(ask, Path(folder), moving(work.spec), cancel)
                    note = await self._made(key, errand, ledger, part)
        try:
            part = _part_of(progress, generated, frames, frames)
            async with self._drawing:
                drawn = await self._compositor.draw(work, note.raw, part, cancel)
        except EngineFailure as failure:
            if failure.cost is None:
                # The clip is paid for, and kept: another attempt finds it.
                failure.cost = note.cost
            raise
        return msgspec.structs.replace(
            drawn,
            raw=note.raw,
            model=note.model,
            cost=note.cost,
            warnings=(*note.warnings, *drawn.warnings),
        )

    async def _asked(self, work: SegmentWork, folder: Path, cancel: asyncio.Event) -> ClipAsk:
        """The clip that a segment needs, with the spare frames of its transitions."""
        spec, archetype = work.spec, work.rung.archetype
        still = None
        if animates(spec, work.segment, archetype):
            still = folder / "still.png"
            await self._draw_still(work, still, cancel)
        _, frames = shown(spec, spec.segments[work.segment])
        return ClipAsk(
            job_id=work.job_id,
            segment=work.segment,
            attempt=work.attempt,
            archetype=archetype,
            prompt=self._prompt(spec, archetype),
            seed=spec.segments[work.segment].seed,
            width=spec.width,
            height=spec.height,
            fps=spec.fps,
            frames=frames,
            still=still,
            still_sha256=await asyncio.to_thread(_digest, still) if still else "",
        )

    def _prompt(self, spec: RenderSpec, archetype: Archetype) -> str:
        prompts = self._settings.prompts
        if archetype is Archetype.OVERLAY or spec.brand_safe:
            template = prompts.background
        elif archetype is Archetype.PRODUCT_HERO:
            template = prompts.hero
        else:
            template = prompts.meme
        told = " ".join(spec.prompt.split()).rstrip(".") or prompts.nothing
        camera = self._settings.camera[spec.style.motion]
        # The request's words last: what looks like a mark in them is none.
        return template.replace("{camera}", camera).replace("{prompt}", told)

    async def _draw_still(self, work: SegmentWork, out: Path, cancel: asyncio.Event) -> None:
        spec = msgspec.structs.replace(
            work.spec, captions=room_for_words(work.spec), logo=None, fonts=(), ladder=()
        )
        try:
            sources = {
                sha256: await self._store.fetch(artifact)
                for sha256, artifact in drawn_from(spec).items()
            }
        except StoreError as error:
            raise EngineFailure(Reason.UNAVAILABLE, str(error), retryable=True) from error
        told = await self._workers.run(
            draw_still,
            spec,
            work.rung.archetype,
            work.segment,
            sources,
            out,
            deadline_s=self._limits.too_long_s,
            cancel=cancel,
        )
        if told:
            raise EngineFailure(Reason.INTERNAL, told, retryable=False, cost=0.0)

    async def _recalled(self, key: str, ledger: Ledger) -> ClipNote | None:
        """A clip that was made of the same ask before."""
        found = await self._store.recall(key)
        if found is None:
            return None
        try:
            path = await self._store.fetch(found)
            note = msgspec.json.decode(path.read_bytes(), type=ClipNote)
        except (StoreError, OSError, msgspec.DecodeError):
            return None
        if not await self._store.has(note.raw):
            return None
        if ledger.known is not None:
            # A create of this segment made it, before its process or its drawing died: its cost
            # is still to be told.
            return note
        message = f"a clip that {self.name} made before was used again: nothing was generated"
        reused = Warned(code="clip_reused", message=message)
        return msgspec.structs.replace(note, cost=0.0, warnings=(*note.warnings, reused))

    async def _made(
        self, key: str, errand: _Errand, ledger: Ledger, progress: ProgressCallback
    ) -> ClipNote:
        """Have a clip made, judge it and keep it."""
        clip = await self._generator.generate(
            errand.ask, errand.folder, ledger, progress, errand.cancel
        )
        raw, warnings = await self._taken(clip, errand)
        note = ClipNote(
            raw=raw, model=clip.model, cost=clip.cost, warnings=(*clip.warnings, *warnings)
        )
        kept = await self._store.put_bytes(msgspec.json.encode(note), NOTE)
        await self._store.remember(key, kept)
        return note

    async def _taken(self, clip: Clip, errand: _Errand) -> tuple[Artifact, tuple[Warned, ...]]:
        """The clip in the store, without what does not belong there; or why it is not fit."""
        size, most = clip.path.stat().st_size, self._settings.clip_bytes_max
        if size > most:
            detail = f"the clip has {size} bytes; at most {most} are taken in"
            raise _failure(clip, Unfit(why=detail, again=False))
        out = errand.folder / "raw"
        told = await self._judged(clip, errand, out)
        if isinstance(told, Unfit):
            raise _failure(clip, told)
        media_type, warnings = told
        return await self._store.put_file(out, media_type, move=True), warnings

    async def _judged(self, clip: Clip, errand: _Errand, out: Path) -> Judged | Unfit:
        """What a worker says of the clip."""
        ask = errand.ask
        for left in reversed(range(TAKING_TRIES)):
            try:
                told: Judged | Unfit = await self._workers.run(
                    take_in,
                    clip.path,
                    out,
                    (ask.width, ask.height, ask.fps, ask.frames),
                    errand.moving,
                    clip.untagged_matrix,
                    deadline_s=self._settings.taking_s,
                    cancel=errand.cancel,
                )
            except EngineFailure as failure:
                if failure.reason is Reason.CANCELLED:
                    failure.cost = clip.cost
                    raise
                if failure.reason is Reason.CRASHED and left:
                    continue
                return Unfit(why=f"the clip could not be read: {failure.detail}", again=False)
            return told
        raise AssertionError("the last try answers")

    @asynccontextmanager
    async def _alone(self, key: str, cancel: asyncio.Event) -> AsyncIterator[None]:
        """One at a time for a clip: whoever asks for the same finds it made."""
        lock, users = self._under_way.get(key, (asyncio.Lock(), 0))
        self._under_way[key] = (lock, users + 1)
        try:
            await _acquired(lock, cancel)
            try:
                yield
            finally:
                lock.release()
        finally:
            lock, users = self._under_way[key]
            if users == 1:
                del self._under_way[key]
            else:
                self._under_way[key] = (lock, users - 1)


class _Errand(NamedTuple):
    """One clip to be made: what is wanted, where its files go, what ends it."""

    ask: ClipAsk
    folder: Path
    moving: bool
    cancel: asyncio.Event


def clip_key(engine: str, recipe: str, ask: ClipAsk) -> str:
    """All that a clip depends on, as one key; not the job, the attempt or the words over it."""
    return hashlib.sha256(
        msgspec.json.encode(
            (
                "clip",
                engine,
                recipe,
                ask.prompt,
                ask.seed,
                ask.still_sha256,
                (ask.width, ask.height, ask.fps, ask.frames),
                ask.archetype,
            )
        )
    ).hexdigest()


def animates(spec: RenderSpec, segment: int, archetype: Archetype) -> bool:
    """Whether an engine is given the segment's picture; never with brand-safe."""
    return (
        not spec.brand_safe
        and archetype is not Archetype.OVERLAY
        and spec.segments[segment].asset is not None
    )


def room_for_words(spec: RenderSpec) -> tuple[Caption, ...]:
    """What keeps a picture's product out of the words' way: a place, whatever the words are."""
    if not spec.captions:
        return ()
    safe, height = spec.style.safe_box, WORDS_PX
    top = {
        CaptionPosition.UPPER_THIRD: safe.y,
        CaptionPosition.CENTER: safe.y + (safe.height - height) / 2,
        CaptionPosition.LOWER_THIRD: safe.y + safe.height - height,
    }[spec.style.caption_position]
    unit = spec.width / 1080
    box = Box(x=safe.x * unit, y=top * unit, width=safe.width * unit, height=height * unit)
    card = Card(start=0, frames=0, lines=(), size_px=0.0, box=box)
    return (Caption(role=CaptionRole.HOOK, text="", cards=(card,)),)


def moving(spec: RenderSpec) -> bool:
    """Whether a picture that stands still would be wrong in this film."""
    return spec.style.motion is not Motion.MINIMAL


def _failure(clip: Clip, unfit: Unfit) -> EngineFailure:
    # What was paid for is not tried again by itself: the same ask would be paid twice.
    again = unfit.again and not clip.cost
    return EngineFailure(Reason.CORRUPT_OUTPUT, unfit.why, retryable=again, cost=clip.cost)


def _part_of(progress: ProgressCallback, first: int, last: int, whole: int) -> ProgressCallback:
    """Tell the progress of a part as that of the whole."""

    def tell(done: int, total: int) -> None:
        if total > 0:
            progress(first + (last - first) * min(done, total) // total, whole)

    return Showing(tell, progress.show) if isinstance(progress, Showing) else tell


async def _acquired(lock: asyncio.Lock, cancel: asyncio.Event) -> None:
    """Acquire, unless it is cancelled before."""
    waiting = asyncio.ensure_future(cancel.wait())
    acquiring = asyncio.ensure_future(lock.acquire())
    try:
        await asyncio.wait({acquiring, waiting}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        if acquiring.done() and not acquiring.cancelled():
            lock.release()
        raise
    finally:
        waiting.cancel()
        acquired = acquiring.done()
        acquiring.cancel()
    if not acquired:
        detail = "nobody waits for it any more"
        raise EngineFailure(Reason.CANCELLED, detail, retryable=False)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
