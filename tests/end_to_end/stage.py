"""A gateway whose films stand at moments of our choosing: the page is looked at in states that a
real film is in for an instant, or once a year.

The gateway, the plans, the frames and the fold are the real ones; the log is in memory, and what
the services would append is appended here.  Bodies and films are the samples of the presets.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from fastapi import FastAPI

from adapters.files import FileStore
from adapters.glances import Glances
from adapters.preloaded import PRELOADED
from adapters.workers import WorkerPool
from config import load
from events.job import fold
from events.memory import MemoryLog
from events.spec import Archetype, Artifact, RenderSpec, Rung, Warned
from events.types import (
    AssemblyRequested,
    Downgrade,
    Event,
    GenerationIntended,
    GenerationSubmitted,
    Problem,
    Reason,
    RenderCancelled,
    RenderCancelRequested,
    RenderFailed,
    RenderPlanned,
    RenderRejected,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    SegmentRequested,
    SoundtrackMixed,
)
from services.gateway.addresses import bind
from services.gateway.app import create_app
from services.gateway.desk import Desk
from services.gateway.keys import Keyring
from services.gateway.serving import serve
from tests import builders
from tests.assembler.shots import Shots, shots
from tests.golden.frames import BOTTLE, presets
from tests.samples import SAMPLES

HOSTED = Rung(engine="runway", archetype=Archetype.OVERLAY, generates=True)
COMPOSED = Rung(engine="compositor", archetype=Archetype.OVERLAY)
TEMPLATE = Rung(engine="template", archetype=Archetype.MEME_TEXT)
WORDS: Mapping[str, Any] = {
    "hook": "Sleep does the rest",
    "beats": ["Rosehip. Squalane. Vitamin E."],
    "cta": "Try it tonight",
    "target_duration_seconds": 15,
}
ENVIRON = {"PYTOON_GATEWAY__REQUESTS_A_MINUTE": "10000"}
WAIT_S = 20.0


class Stage:
    """The gateway on a port of its own, in a loop of its own."""

    def __init__(self, folder: Path, began_s: float) -> None:
        """``began_s`` is when the first film was asked for; the clock steps a second an event."""
        self.folder = folder
        self._now_s = began_s
        self.store = FileStore(folder / "artifacts")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._log = self._do(self._made())
        self._pool = WorkerPool(1, preload=PRELOADED)
        first = bind("127.0.0.1", 0)
        self._port = first.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._serve(first)
        self._kept: dict[str, Artifact] = {}
        self._plans: dict[str, RenderSpec] = {}

    async def _made(self) -> MemoryLog:
        return MemoryLog(clock=lambda: self._now_s)

    async def _gateway(self) -> FastAPI:
        config = load(environ=ENVIRON)
        glances = Glances(self.store, self._pool, frame_s=config.gateway.frame_s, waiting_max=64)
        desk = Desk(self._log, self.store, config)
        return create_app(desk, keys=Keyring(), glances=glances)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def _serve(self, listening: Any) -> None:
        self._stop = asyncio.Event()
        self._serving = asyncio.run_coroutine_threadsafe(
            serve(self._do(self._gateway()), listening, self._stop), self._loop
        )

    def go(self) -> None:
        """The gateway goes away; its log stays."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._serving.result(WAIT_S)

    def come_back(self) -> None:
        """It is there again, at the same address."""
        self._serve(bind("127.0.0.1", self._port))

    def close(self) -> None:
        """End it."""
        self.go()
        self._do(self._pool.close())
        self._do(self._cancelled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    @staticmethod
    async def _cancelled() -> None:
        """What streams of events have left waiting."""
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    # Films -------------------------------------------------------------------------------------

    def ask(self, job_id: str, **ask: Any) -> None:
        """Somebody asks for a film."""
        body = {"preset_id": "overlay_classic", **WORDS, **ask}
        self._step()
        self._do(self._log.publish_ask(job_id, "render_requested", msgspec.json.encode(body)))

    def append(self, *events: Event, step_s: float = 1.0) -> None:
        """The services tell what happened, each event ``step_s`` after the other."""
        for event in events:
            self._step(step_s)
            self._do(self._appended(event))

    async def _appended(self, event: Event) -> None:
        tail = fold(event.job_id, await self._log.read(event.job_id)).tail
        await self._log.append(tail, [event], source="stage")

    def _step(self, seconds: float = 1.0) -> None:
        self._now_s += seconds

    def at(self, now_s: float) -> None:
        """It is later now."""
        self._now_s = max(self._now_s, now_s)

    def progress(self, job_id: str, **told: Any) -> None:
        """A service tells how far it is."""
        self._do(self._log.publish_progress(job_id, told))

    def keep(self, path: Path, media_type: str) -> Artifact:
        """A file in the store."""
        if path.name not in self._kept:
            self._kept[path.name] = self._do(self.store.put_file(path, media_type))
        return self._kept[path.name]

    def planned(
        self,
        job_id: str,
        *,
        preset: str = "overlay_classic",
        ladder: Sequence[Rung] = (COMPOSED, TEMPLATE),
    ) -> RenderSpec:
        """The film's plan, as the planner makes it; its sources are in the store."""
        if preset not in self._plans:
            shot: Shots = shots(preset, [BOTTLE], self.folder, **WORDS)
            for path in shot.sources.values():
                self.keep(path, "application/octet-stream")
            self._plans[preset] = shot.spec
        spec = msgspec.structs.replace(self._plans[preset], ladder=tuple(ladder))
        self.append(RenderPlanned(job_id=job_id, spec=spec))
        return spec

    def body(self, preset: str = "overlay_classic") -> Artifact:
        """What a segment looks like."""
        return self.keep(SAMPLES / f"{preset}.mp4", "video/mp4")

    def still(self, preset: str) -> Artifact:
        """A picture of a preset's sample."""
        path = self.folder / f"{preset}.jpg"
        if not path.exists():
            film = cv2.VideoCapture(str(SAMPLES / f"{preset}.mp4"))
            film.set(cv2.CAP_PROP_POS_FRAMES, 45)
            read, pixels = film.read()
            film.release()
            assert read
            _, content = cv2.imencode(".jpg", np.asarray(pixels))
            path.write_bytes(bytes(content))
        return self.keep(path, "image/jpeg")

    def drawing(
        self,
        job_id: str,
        *segments: int,
        rung: Rung = COMPOSED,
        rung_index: int = 0,
        attempt: int = 1,
    ) -> None:
        """Segments are asked for."""
        self.append(
            *(
                SegmentRequested(
                    job_id=job_id, segment=at, attempt=attempt, rung_index=rung_index, rung=rung
                )
                for at in segments
            ),
            step_s=0.1,
        )

    def drawn(self, job_id: str, *segments: int, rung: Rung = COMPOSED, attempt: int = 1) -> None:
        """Segments are rendered."""
        self.append(
            *(
                SegmentRendered(
                    job_id=job_id,
                    segment=at,
                    attempt=attempt,
                    rung=rung,
                    artifact=self.body(),
                    seed=at,
                    frames=90,
                    elapsed_s=6.2 + at,
                )
                for at in segments
            )
        )

    def completed(
        self,
        job_id: str,
        *,
        preset: str = "overlay_classic",
        frames: int = 450,
        downgrades: Sequence[Downgrade] = (),
        warnings: Sequence[Warned] = (),
    ) -> None:
        """The film is there."""
        film, still, done = self.body(preset), self.still(preset), builders.completed()
        verdict = msgspec.structs.replace(
            done.verdict, frames=frames, duration_s=frames / 30, bitrate_kbps=2100, bytes=3_900_000
        )
        self.append(
            msgspec.structs.replace(
                done,
                job_id=job_id,
                output=film,
                thumbnail=still,
                metadata=still,
                verdict=verdict,
                elapsed_s=3.4,
                downgrades=tuple(downgrades),
                warnings=tuple(warnings),
            )
        )

    # Scenes: a film each, named as what it shows -----------------------------------------------

    def planning(self) -> str:
        """Asked for, and not planned yet."""
        self.ask("planning")
        return "planning"

    def rendering(self, job_id: str, drawn: int, *under_way: int) -> str:
        """So many segments are drawn, others are under way."""
        self.ask(job_id)
        self.planned(job_id)
        self.drawing(job_id, *range(drawn), *under_way)
        self.append(
            SoundtrackMixed(job_id=job_id, artifact=self.body(), lufs=-14.1, true_peak_db=-1.4)
        )
        self.drawn(job_id, *range(drawn))
        return job_id

    def downgraded(self) -> str:
        """A hosted engine did not answer for some of its segments."""
        job = "downgraded"
        self.ask(job, engine_policy="local_preferred")
        self.planned(job, ladder=(HOSTED, COMPOSED, TEMPLATE))
        self.drawing(job, 0, 1, 2, rung=HOSTED)
        self.drawn(job, 0, rung=HOSTED)
        for segment in (1, 2):
            self._fell(job, segment, Reason.UNAVAILABLE, "no answer within 30 s")
        self.drawing(job, 1, 2, attempt=2, rung_index=1)
        self.drawn(job, 1, attempt=2)
        return job

    def _fell(self, job: str, segment: int, reason: Reason, detail: str) -> None:
        self.append(
            SegmentFailed(
                job_id=job,
                segment=segment,
                attempt=1,
                rung=HOSTED,
                reason=reason,
                retryable=False,
                detail=detail,
                elapsed_s=30.0,
            ),
            RungDescended(
                job_id=job,
                segment=segment,
                rung_index=1,
                from_rung=HOSTED,
                to_rung=COMPOSED,
                reason=reason,
                detail=detail,
            ),
        )

    def doubt(self) -> str:
        """Nobody knows what became of a create that may be billed."""
        job = "doubt"
        self.ask(job, engine_policy="api_only")
        self.planned(job, ladder=(HOSTED, COMPOSED, TEMPLATE))
        self.drawing(job, 0, 1, rung=HOSTED)
        self.append(
            GenerationIntended(
                job_id=job,
                segment=0,
                attempt=1,
                engine="runway",
                idempotency_key="k0",
                cost_reserved=0.5,
                currency="EUR",
            ),
            GenerationSubmitted(
                job_id=job, segment=0, attempt=1, engine="runway", handle="task-8f2c91"
            ),
            SegmentFailed(
                job_id=job,
                segment=0,
                attempt=1,
                rung=HOSTED,
                reason=Reason.OUTCOME_UNKNOWN,
                retryable=False,
                detail="no answer to the question for its state",
                elapsed_s=61.0,
            ),
        )
        self.drawn(job, 1, rung=HOSTED)
        return job

    def failed(self) -> str:
        """The last resort failed, too."""
        job = "failed"
        self.rendering(job, 3, 3)
        detail = "the film has 448 frames and not 450; tried twice"
        self.append(RenderFailed(job_id=job, reason=Reason.CORRUPT_OUTPUT, detail=detail))
        return job

    def rejected(self) -> str:
        """The request could not be met."""
        job = "rejected"
        self.ask(job, hook="Whatever it says", image_uris=["file:///data/uploads/label.tiff"])
        problems = (
            Problem(
                field="image_uris[0]",
                value="file:///data/uploads/label.tiff",
                limit="a picture that can be read",
                hint="the file is not a picture that can be decoded: send a PNG, JPEG, WebP, "
                "GIF or BMP picture",
            ),
            Problem(
                field="beats[1]",
                value="の (U+306E)",
                limit="characters that an installed font draws; none draws this one (Hiragana)",
                hint="install a font that has it (Debian: fonts-noto-cjk) on the machine of "
                "the services",
            ),
        )
        self.append(RenderRejected(job_id=job, problems=problems))
        return job

    def cancelled(self) -> str:
        """Somebody stopped it."""
        job = "cancelled"
        self.rendering(job, 1, 1, 2)
        why = "the campaign was called off"
        self.append(
            RenderCancelRequested(job_id=job, why=why), RenderCancelled(job_id=job, why=why)
        )
        return job

    def done(self) -> str:
        """The film is there."""
        self.ask("done")
        self._made_of("done", "overlay_classic")
        return "done"

    def _made_of(self, job_id: str, preset: str) -> None:
        spec = self.planned(job_id, preset=preset)
        segments = range(len(spec.segments))
        self.drawing(job_id, *segments)
        self.append(
            SoundtrackMixed(job_id=job_id, artifact=self.body(), lufs=-14.0, true_peak_db=-1.2)
        )
        self.drawn(job_id, *segments)
        self.append(AssemblyRequested(job_id=job_id, attempt=1))
        self.completed(job_id, preset=preset, frames=spec.frames)

    def remarked(self) -> str:
        """The film is there, and not as it was asked for."""
        job = "remarked"
        self.ask(job)
        spec = self.planned(job, ladder=(HOSTED, COMPOSED, TEMPLATE))
        segments = range(len(spec.segments))
        self.drawing(job, *segments, rung=HOSTED)
        for segment in segments:
            self._fell(job, segment, Reason.BUDGET, "0.5 EUR of 0 EUR")
        self.drawing(job, *segments, attempt=2, rung_index=1)
        self.drawn(job, *segments, attempt=2)
        self.append(
            SoundtrackMixed(job_id=job, artifact=self.body(), lufs=-16.2, true_peak_db=-4.0)
        )
        self.append(AssemblyRequested(job_id=job, attempt=1))
        remark = Warned(code="loudness", message="the sound is at -16.2 LUFS, not at -14")
        fell = fold(job, self._do(self._log.read(job))).downgrades
        self.completed(job, downgrades=fell, warnings=[remark])
        return job

    def many(self, count: int) -> None:
        """So many films of all looks, some with words that are hard to set."""
        names = presets()
        for at in range(count):
            words = _HOOKS[at % len(_HOOKS)]
            preset = names[at % len(names)]
            job = f"film-{at:03}"
            self.ask(job, preset_id=preset, hook=words)
            if at % 9 == 5:
                self.append(RenderCancelRequested(job_id=job), RenderCancelled(job_id=job, why=""))
            else:
                self._made_of(job, preset)
            self._step(3600.0)


_HOOKS = (
    "Sleep does the rest",
    "Coffee that waits for you",
    "مرحبا بالعالم",
    "An uncommonly long hook that goes on and on about everything that the product is and does",
    "50 % off, until Sunday",
    "שלום עולם",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
)
