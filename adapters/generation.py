"""The port of engines that generate: one clip from words, or from words and a picture.

A ``Generator`` knows one service and nothing of films: it is asked for a clip and answers with a
file.  ``adapters.generated`` makes an ``Engine`` of it: looks whether the clip is there already,
keeps the clip as an artifact of its own, and has the compositor draw captions, product and
watermark over it.

What must not happen twice goes through the ``Ledger``, which is the job's log: an intent is stored
before a create is sent, and the handle that the service answered with before it is first used.
Whoever comes after a crash finds both there.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from adapters.base import Capabilities, Health, Ledger, ProgressCallback
from events.spec import Archetype, Struct, Warned


class ClipAsk(Struct, frozen=True, kw_only=True):
    """One clip that is wanted.

    ``width``, ``height`` (pixels), ``fps`` and ``frames`` (spare ones for the transitions
    included) are the film's: a service that offers other sizes, rates or lengths gives the
    nearest that covers them, and the clip is fitted when it is drawn.  ``still`` is the upright
    sRGB PNG to animate; None asks for a clip from words alone.
    """

    job_id: str
    segment: int
    attempt: int
    archetype: Archetype
    prompt: str
    seed: int
    width: int
    height: int
    fps: int
    frames: int
    still: Path | None = None
    still_sha256: str = ""

    @property
    def seconds(self) -> float:
        """How long the clip has to be."""
        return self.frames / self.fps


class Clip(Struct, frozen=True, kw_only=True):
    """A clip as the service made it; ``cost`` is what it is known to have cost.

    ``untagged_matrix`` is the matrix of its colours (H.273's number) for a file that does not
    tell; 0: what players take it for.
    """

    path: Path
    model: str
    cost: float = 0.0
    untagged_matrix: int = 0
    warnings: tuple[Warned, ...] = ()


class Generator(Protocol):
    """Makes clips.  Never creates where ``ledger.known`` says that it may have done so before:
    with a handle it goes on polling; without one it looks the work up by its key, and raises
    ``EngineFailure`` with ``OUTCOME_UNKNOWN`` where the service cannot be asked for it.
    """

    name: str

    def capabilities(self) -> Capabilities:
        """What it can do; no I/O."""

    def recipe(self, ask: ClipAsk) -> str:
        """Model and settings: all that a clip depends on besides the ask.  It is a part of the
        clip's key, so that another model or workflow never gets an old clip.
        """

    async def health(self) -> Health:
        """Whether it can be asked now."""

    async def generate(
        self,
        ask: ClipAsk,
        folder: Path,
        ledger: Ledger,
        progress: ProgressCallback,
        cancel: asyncio.Event,
    ) -> Clip:
        """Make one clip, whole, in ``folder``.  Raises ``EngineFailure``; with ``CANCELLED`` soon
        after ``cancel`` is set, the work at the service cancelled as far as it allows.
        """

    async def close(self) -> None:
        """Release connections."""
