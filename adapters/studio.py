"""The studio: what planner and assembler need of the media toolkit, as a port.

``PooledStudio`` does it for real, in worker processes; ``adapters.null`` has one that makes
nothing but small deterministic files, for measuring the spine and for killing it at every event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from events.job import Job
from events.spec import (
    Archetype,
    Artifact,
    Asset,
    AssetRole,
    Caption,
    CaptionRole,
    EncoderProfile,
    FontFile,
    Struct,
    Style,
    Warned,
)
from events.types import Problem, Reason, Verdict


class AskedPicture(Struct, frozen=True, kw_only=True):
    """A picture of the request; ``field`` is where it stands there."""

    field: str
    uri: str
    role: AssetRole
    mask_uri: str | None = None
    mask_field: str = ""


class Preparation(Struct, frozen=True, kw_only=True):
    """What a request needs before its film can be fixed."""

    pictures: tuple[AskedPicture, ...]
    logo_uri: str | None
    font_uri: str | None
    music_uri: str | None
    voice_uri: str | None
    texts: tuple[tuple[CaptionRole, str], ...]
    text_fields: tuple[str, ...]
    """Where each text stands in the request."""
    archetype: Archetype
    style: Style
    encoder: EncoderProfile
    width: int
    """Pixels of the film as it is drawn and encoded; of a draft fewer than in its plan."""
    height: int
    frames: int
    fps: int
    nvenc: EncoderProfile | None = None
    """What is to encode where it works, instead of ``encoder``."""


class Prepared(Struct, frozen=True, kw_only=True):
    """Everything taken in, measured and set."""

    assets: tuple[Asset, ...] = ()
    logo: Asset | None = None
    fonts: tuple[FontFile, ...] = ()
    captions: tuple[Caption, ...] = ()
    music: Artifact | None = None
    voice: Artifact | None = None
    encoder: EncoderProfile
    style: Style
    warnings: tuple[Warned, ...] = ()


class Unpreparable(Exception):
    """The request's files or words cannot be made into a film."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.limit}" for p in problems))
        self.problems = problems


class Mixed(Struct, frozen=True, kw_only=True):
    """A soundtrack in the store."""

    artifact: Artifact
    lufs: float | None
    true_peak_db: float | None
    warnings: tuple[Warned, ...] = ()
    reused: bool = False


class Assembled(Struct, frozen=True, kw_only=True):
    """A finished film in the store."""

    output: Artifact
    thumbnail: Artifact
    metadata: Artifact
    verdict: Verdict
    warnings: tuple[Warned, ...] = ()


class AssemblyRefused(Exception):
    """The parts did not become a film that may be shipped."""

    def __init__(self, reason: Reason, detail: str, *segments: int) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.segments = segments
        """To be rendered again, the worst first."""


class Studio(Protocol):
    """Takes in, mixes and assembles.  Every method may raise ``adapters.base.EngineFailure``
    where a worker process died, hung or was told to stop.
    """

    async def prepare(self, job_id: str, preparation: Preparation) -> Prepared:
        """Take everything in for a job's film.  Raises ``Unpreparable`` with every problem."""

    async def mix(self, job: Job, cancel: asyncio.Event) -> Mixed:
        """Mix the job's soundtrack.  Raises ``AssemblyRefused``."""

    async def assemble(
        self, job: Job, facts: Mapping[str, Any], cancel: asyncio.Event, report: Report
    ) -> Assembled:
        """Draw the transitions, join, judge.  Raises ``AssemblyRefused``."""

    async def close(self) -> None:
        """Release processes."""


class Report(Protocol):
    """Told how far it is."""

    def __call__(self, done: int, total: int, /) -> None:
        """``done`` of ``total`` frames."""
