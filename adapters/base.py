"""The ports of what we call: engines and artifact stores.

An engine renders one segment's body.  It may fail in every way there is; each way is an
``EngineFailure`` with a reason from the closed set.  One contract suite runs against every engine
(``tests/contracts/test_engine.py``) and every store (``tests/contracts/test_artifact_store.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from events.spec import Archetype, Artifact, RenderSpec, Rung, Struct, Warned
from events.types import Reason


class StoreError(Exception):
    """An artifact is missing or does not have the content that its name says."""


class ArtifactStore(Protocol):
    """Files named by the sha256 of their content: written whole or not at all, never changed."""

    async def put_bytes(self, content: bytes, media_type: str) -> Artifact:
        """Store ``content``."""

    async def put_file(self, path: Path, media_type: str, *, move: bool = False) -> Artifact:
        """Store a file's content; with ``move`` the file may be taken instead of copied."""

    async def fetch(self, artifact: Artifact) -> Path:
        """A local, read-only path of the content.  Raises ``StoreError``."""

    async def has(self, artifact: Artifact) -> bool:
        """Whether the content is here, whole."""


class Capabilities(Struct, frozen=True, kw_only=True):
    """What an engine can do."""

    archetypes: frozenset[Archetype]
    generates: bool
    """It makes pictures that were not uploaded (and so may not touch a brand-safe product)."""
    local: bool
    """Nothing leaves this machine."""


class Health(Struct, frozen=True, kw_only=True):
    """Whether an engine can be asked now; ``detail`` says what to do when not."""

    ok: bool
    detail: str = ""


class SegmentWork(Struct, frozen=True, kw_only=True):
    """One segment to render; it depends on nothing but its fields."""

    job_id: str
    spec: RenderSpec
    segment: int
    attempt: int
    rung: Rung
    quality: int = 0


class SegmentResult(Struct, frozen=True, kw_only=True):
    """A rendered body, already in the store."""

    artifact: Artifact
    seed: int
    frames: int
    fingerprint: str = ""
    model: str = ""
    cost: float = 0.0
    raw: Artifact | None = None
    warnings: tuple[Warned, ...] = ()


class EngineFailure(Exception):
    """An attempt came to nothing; ``retryable`` says whether the same rung may do better."""

    def __init__(self, reason: Reason, detail: str, *, retryable: bool) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retryable = retryable


ProgressCallback = Callable[[int, int], None]
"""Called with frames done and frames in all; cheap, from the event loop's thread."""


class Engine(Protocol):
    """Renders segments."""

    name: str

    def capabilities(self) -> Capabilities:
        """What it can do; no I/O."""

    async def health(self) -> Health:
        """Whether it can be asked now."""

    async def render(
        self, work: SegmentWork, progress: ProgressCallback, cancel: asyncio.Event
    ) -> SegmentResult:
        """Render one body.  Raises ``EngineFailure``; with ``Reason.CANCELLED`` soon after
        ``cancel`` is set.
        """

    async def close(self) -> None:
        """Release processes and connections."""
