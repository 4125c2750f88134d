"""A service that makes clips, and its plug-in: a folder is the service, each file in it a task.

What it is asked, it paints: drifting lights.  It bills as it creates, finishes what it began
whatever becomes of who asked, and answers polls; so a test can count what was billed, and kill
who asked wherever it likes.  ``plugged_in`` makes it known as other packages make theirs known.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from adapters.base import Capabilities, EngineFailure, Health, Ledger, ProgressCallback
from adapters.generation import Clip, ClipAsk
from adapters.registry import Resources
from config.models import EngineSettings
from events.job import Generation
from events.spec import Archetype, Warned
from events.types import Reason
from tests.assembler.takes import flat, make_clip, scenery

KIND = "painter"
MODEL = "painter-1"
POLL_S = 0.05
STEPS = ("intending", "intended", "created", "submitted", "polling", "downloading", "made")
"""Where it can be made to stop and wait (option ``stop_at``), to be killed there."""


class Notes:
    """A ledger in memory."""

    def __init__(self, known: Generation | None = None) -> None:
        """Begin with what an earlier process noted."""
        self.known = known

    async def intend(self, key: str, cost: float) -> None:
        """Note an intent."""
        self.known = Generation(attempt=1, engine="painter", key=key, cost_reserved=cost)

    async def submitted(self, handle: str) -> None:
        """Note a handle."""
        assert self.known is not None
        self.known = msgspec.structs.replace(self.known, handle=handle)


class Painter:
    """A ``Generator``.  Options:

    ``folder`` the service; ``is_local``; ``cost`` of a clip; ``takes_s``; ``fails`` a reason to
    refuse every create for (those of the segments ``fails_on``, if told); ``lost`` a create's
    answer never comes; ``flaw`` (black, frozen, short, broken); ``stop_at`` a step; ``width``,
    ``height``, ``fps`` of its clips.
    """

    def __init__(self, name: str, **options: Any) -> None:
        """Take its options; nothing is read or written yet."""
        self.name = name
        self._options = options
        self._folder = Path(options["folder"])

    def capabilities(self) -> Capabilities:
        """Everything, on this machine or not, as told."""
        local = bool(self._options.get("is_local", True))
        return Capabilities(archetypes=frozenset(Archetype), generates=True, local=local)

    def recipe(self, ask: ClipAsk) -> str:
        """Its model; a picture makes a difference only by its content."""
        return f"{MODEL} {'picture' if ask.still else 'words'}"

    async def health(self) -> Health:
        """Well, unless it refuses everything."""
        return Health(ok="fails" not in self._options)

    async def close(self) -> None:
        """Nothing is held."""

    async def generate(
        self,
        ask: ClipAsk,
        folder: Path,
        ledger: Ledger,
        progress: ProgressCallback,
        cancel: asyncio.Event,
    ) -> Clip:
        """Create unless it was done before, poll, download."""
        await self._step("intending")
        known = ledger.known
        if known is None:
            await ledger.intend(f"{ask.job_id}-{ask.segment}-{ask.attempt}", self._cost)
            await self._step("intended")
            handle = self._create(ask)
            await self._step("created")
            await ledger.submitted(handle)
        elif known.handle is None:
            raise EngineFailure(
                Reason.OUTCOME_UNKNOWN, "a create may have been sent", retryable=False
            )
        else:
            handle = known.handle
        await self._step("submitted")
        task = json.loads((self._folder / handle).read_text(encoding="utf-8"))
        while (left_s := task["ready_s"] - time.time()) > 0:
            await self._step("polling")
            if cancel.is_set():
                raise EngineFailure(Reason.CANCELLED, "nobody waits for it", retryable=False)
            takes_s = float(self._options.get("takes_s", 0.1))
            progress(round(100 * (1 - left_s / takes_s)), 100)
            await asyncio.sleep(min(POLL_S, left_s))
        await self._step("downloading")
        path = await asyncio.to_thread(self._painted, ask, folder)
        await self._step("made")
        told = (Warned(code="painted", message="a painter made it"),)
        return Clip(path=path, model=MODEL, cost=self._cost, warnings=told)

    @property
    def _cost(self) -> float:
        return float(self._options.get("cost", 0.0))

    def _create(self, ask: ClipAsk) -> str:
        why = self._options.get("fails")
        if why and ask.segment in self._options.get("fails_on", (ask.segment,)):
            raise EngineFailure(Reason(why), f"{self.name} refuses", retryable=False)
        handle = f"{ask.job_id}-{ask.segment}-{ask.attempt}-{time.time_ns()}"
        told = {
            "prompt": ask.prompt,
            "seed": ask.seed,
            "size": [ask.width, ask.height, ask.fps, ask.frames],
            "archetype": ask.archetype,
            "still": ask.still_sha256,
            "cost": self._cost,
            "ready_s": time.time() + float(self._options.get("takes_s", 0.1)),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / handle).write_text(json.dumps(told), encoding="utf-8")
        if self._options.get("lost"):
            raise EngineFailure(Reason.OUTCOME_UNKNOWN, "no answer came", retryable=False)
        return handle

    def _painted(self, ask: ClipAsk, folder: Path) -> Path:
        fps, flaw = int(self._options.get("fps", 24)), self._options.get("flaw", "")
        size = int(self._options.get("width", 180)), int(self._options.get("height", 320))
        frames = round(ask.seconds * fps) + 2
        draw = scenery(*size, ask.seed)
        if flaw == "black":
            draw = flat(*size, (0, 0, 0))
        if flaw == "frozen":
            still = draw(0.0)
            draw = lambda _: still  # noqa: E731
        if flaw == "short":
            frames = round(0.7 * frames)
        told = {"comment": ask.prompt}
        options = {"preset": "ultrafast", "crf": "20"}
        path = make_clip(
            folder / "made.mp4", draw, frames=frames, fps=fps, metadata=told, options=options
        )
        if flaw == "broken":
            path.write_bytes(path.read_bytes()[:3000])
        return path

    async def _step(self, step: str) -> None:
        """Say where it is; if it is to stop here, wait to be killed, the first time."""
        at = self._folder.with_name(f"{self._folder.name}-at-{step}")
        if self._options.get("stop_at") == step and not at.exists():
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_text(str(os.getpid()), encoding="ascii")
            await asyncio.sleep(3600)


def from_settings(settings: EngineSettings, resources: Resources) -> Painter:
    """The plug-in's factory."""
    return Painter(settings.name, **settings.options)


def tasks(folder: Path) -> list[dict[str, Any]]:
    """What the service was asked to make, and billed, in order."""
    found = sorted(folder.glob("*"), key=lambda path: path.name.rpartition("-")[2])
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def plugged_in(folder: Path) -> Path:
    """A folder that makes the plug-in known to a Python whose path it is on."""
    about = folder / "pytoon_painter-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pytoon-painter\nVersion: 1.0\n", encoding="ascii"
    )
    points = f"[pytoon.engines]\n{KIND} = tests.painter:from_settings\n"
    (about / "entry_points.txt").write_text(points, encoding="ascii")
    return folder


__all__ = ["KIND", "MODEL", "STEPS", "Notes", "Painter", "from_settings", "plugged_in", "tasks"]
