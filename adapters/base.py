"""The ports of what we call: engines and artifact stores.

An engine renders one segment's body.  It may fail in every way there is; each way is an
``EngineFailure`` with a reason from the closed set.  One contract suite runs against every engine
(``tests/contracts/test_engine.py``) and every store (``tests/contracts/test_artifact_store.py``).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from events.job import Generation
from events.spec import Archetype, Artifact, RenderSpec, Rung, Struct, Warned
from events.types import Reason


class StoreError(Exception):
    """An artifact is missing or does not have the content that its name says."""


class StoreAway(OSError):
    """The store cannot be reached, lets nobody in or is full: the same may succeed later."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)

    def __str__(self) -> str:
        """The message alone: the number says nothing."""
        return str(self.strerror)


class ArtifactStore(Protocol):
    """Files named by the sha256 of their content: written whole or not at all, never changed.

    Every call may raise ``OSError``: the disk's own, or ``StoreAway`` of a store elsewhere.
    """

    async def put_bytes(self, content: bytes, media_type: str) -> Artifact:
        """Store ``content``."""

    async def put_file(self, path: Path, media_type: str, *, move: bool = False) -> Artifact:
        """Store a file's content; with ``move`` the file may be taken instead of copied."""

    async def fetch(self, artifact: Artifact) -> Path:
        """A local, read-only path of the content.  Raises ``StoreError``."""

    async def has(self, artifact: Artifact) -> bool:
        """Whether the content is here, whole."""

    async def remember(self, key: str, artifact: Artifact) -> None:
        """Note which artifact was made of an input; the last note of a key holds.

        ``key`` is 64 hex digits that name the whole input.  Losing a note costs work, nothing
        else.  Raises ``StoreError`` for another key, ``OSError`` where it cannot be written.
        """

    async def recall(self, key: str) -> Artifact | None:
        """The artifact that was made of an input before, if it is still here, whole.

        Raises ``StoreError`` for a key that is not 64 hex digits.
        """


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
    reused: bool = False
    """It was not rendered now: the same input had been rendered before."""


class EngineFailure(Exception):
    """An attempt came to nothing; ``retryable`` says whether the same rung may do better.

    ``cost`` is what the attempt is known to have cost (0: it is known to be unbilled).  None, the
    default, is "not known" once a service has answered a create for which a cost was reserved:
    the reservation then stands, and nothing is created for the segment again.
    """

    def __init__(
        self, reason: Reason, detail: str, *, retryable: bool, cost: float | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retryable = retryable
        self.cost = cost


ProgressCallback = Callable[[int, int], None]
"""Called with frames done and frames in all; cheap, from the event loop's thread."""


class Preview(Struct, frozen=True, kw_only=True):
    """A picture of work that is not done: what an engine sent, for a browser to decode."""

    media_type: str
    content: bytes


class Showing:
    """A progress callback that previews may be shown to as well; others are only told numbers."""

    def __init__(self, tell: ProgressCallback, show: Callable[[Preview], None]) -> None:
        self._tell = tell
        self.show = show

    def __call__(self, done: int, total: int) -> None:
        """As any progress callback."""
        self._tell(done, total)


class Ledger(Protocol):
    """What the log knows of an attempt's generation, and where more of it is noted."""

    @property
    def known(self) -> Generation | None:
        """The segment's create at this engine of which the outcome or the cost is not known, with
        the handle if one was answered: this attempt's, an earlier one's that failed without a
        word on its cost, or one whose handle a person accepted.  None: there is none.
        """

    async def intend(self, key: str, cost: float) -> None:
        """Store that a create with this key is about to be sent, and reserve its cost.

        Only when it returns may the create be sent.  Raises ``EngineFailure``: ``BUDGET`` where a
        cap does not allow the cost, ``CANCELLED`` where nobody waits for the outcome any more.
        """

    async def submitted(self, handle: str) -> None:
        """Store what the service answered to the create: all that polling it needs."""


class Engine(Protocol):
    """Renders segments."""

    name: str

    def capabilities(self) -> Capabilities:
        """What it can do; no I/O."""

    async def health(self) -> Health:
        """Whether it can be asked now."""

    async def render(
        self,
        work: SegmentWork,
        progress: ProgressCallback,
        cancel: asyncio.Event,
        ledger: Ledger | None = None,
    ) -> SegmentResult:
        """Render one body.  Raises ``EngineFailure``; with ``Reason.CANCELLED`` soon after
        ``cancel`` is set.  An engine that generates needs the ``ledger``; others leave it alone.
        """

    async def close(self) -> None:
        """Release processes and connections."""
