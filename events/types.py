"""The language of the system: everything that can happen to a job.

One frozen struct an event, in the past tense; a ``*Requested`` event records an ask.  ``Event`` is
the tagged union of them all, and every ``match`` over it ends in ``assert_never``.  These types
are storage formats: a field is added with a default, never renamed or re-used.

Each type declares its *natural key* (``key()``): two events of one job with the same type and key
are the same event, whoever wrote them and however often.  The event's id is made from it.

Left out here: how an event is written to the wire (``codec``), where it is published
(``subjects``), what a job becomes by it (``job``).
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

import msgspec

from events.spec import Archetype, Artifact, RenderSpec, Rung, Struct, Warned

NAMESPACE = uuid.UUID("6f0c1f0e-52d6-5d5e-9a70-3a4f1c8e7b21")
"""The name space of event ids; never change it: ids in old logs depend on it."""

Key = tuple[str | int, ...]


class Reason(StrEnum):
    """Why work failed: a closed set."""

    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    MODERATED = "moderated"
    BUDGET = "budget"
    CORRUPT_OUTPUT = "corrupt_output"
    CRASHED = "crashed"
    CRASH_LOOP = "crash_loop"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Deadline(StrEnum):
    """Which deadline of an attempt passed."""

    NOT_TAKEN = "not_taken"
    NO_PROGRESS = "no_progress"
    TOO_LONG = "too_long"


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a request: which field, its value, the limit, what to do."""

    field: str
    value: str
    limit: str
    hint: str


class Downgrade(Struct, frozen=True, kw_only=True):
    """A step down the ladder as the verdict tells it; ``segment`` None is the whole film."""

    segment: int | None
    from_rung: Rung
    to_rung: Rung
    reason: Reason
    detail: str = ""


class ProductProof(Struct, frozen=True, kw_only=True):
    """The product in the finished file against its lossless compositing: SSIM of luma, and the
    most by which the mean of a patch differs, in codes (None: of a version that did not look).
    """

    frames_sampled: int
    ssim_mean: float
    ssim_min: float
    difference_max: float | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What a probe of the finished file found."""

    width: int
    height: int
    fps: str
    frames: int
    duration_s: float
    video_codec: str
    pixel_format: str
    audio_codec: str
    audio_duration_s: float
    bitrate_kbps: int
    bytes: int
    lufs: float | None = None
    true_peak_db: float | None = None
    product: ProductProof | None = None
    warnings: tuple[Warned, ...] = ()


class _JobEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of the events; ``job_id`` may be left out of a client's ask: the subject has it."""

    job_id: str

    def key(self) -> Key:
        """Natural key within the job and type."""
        return ()


class RenderRequested(_JobEvent, frozen=True, kw_only=True, tag="render_requested"):
    """A client asks for a film.

    ``ask`` is the JSON object as it was published, judged by the planner alone; ``unreadable``
    says why the body is no JSON object (``ask`` is then empty).
    """

    ask: dict[str, Any]
    unreadable: str = ""


class RenderRejected(_JobEvent, frozen=True, kw_only=True, tag="render_rejected"):
    """The request cannot be met, for every reason that is named."""

    problems: tuple[Problem, ...]


class RenderPlanned(_JobEvent, frozen=True, kw_only=True, tag="render_planned"):
    """The film is fixed, frame by frame."""

    spec: RenderSpec


class SegmentRequested(_JobEvent, frozen=True, kw_only=True, tag="segment_requested"):
    """A segment's body is to be rendered.  ``attempt`` counts from 1 over all rungs.

    ``quality`` is how many times the segment has been asked for again at a lower crf.
    """

    segment: int
    attempt: int
    rung_index: int
    rung: Rung
    quality: int = 0

    def key(self) -> Key:
        """One ask an attempt."""
        return (self.segment, self.attempt)


class SegmentRendered(_JobEvent, frozen=True, kw_only=True, tag="segment_rendered"):
    """A segment's body is in the artifact store.

    ``reused`` tells that it had been rendered before, for this job or another, from equal input.
    """

    segment: int
    attempt: int
    rung: Rung
    artifact: Artifact
    seed: int
    frames: int
    elapsed_s: float
    cost: float = 0.0
    model: str = ""
    fingerprint: str = ""
    raw: Artifact | None = None
    warnings: tuple[Warned, ...] = ()
    reused: bool = False

    def key(self) -> Key:
        """One outcome an attempt."""
        return (self.segment, self.attempt)


class SegmentFailed(_JobEvent, frozen=True, kw_only=True, tag="segment_failed"):
    """An attempt at a segment came to nothing.

    ``cost`` is what it is known to have cost; None: not known.  ``tried`` is false where the
    engine was not asked at all, because its circuit was open.
    """

    segment: int
    attempt: int
    rung: Rung
    reason: Reason
    retryable: bool
    detail: str
    elapsed_s: float
    cost: float | None = None
    tried: bool = True

    def key(self) -> Key:
        """One failure an attempt."""
        return (self.segment, self.attempt)


class SegmentTimedOut(_JobEvent, frozen=True, kw_only=True, tag="segment_timed_out"):
    """A deadline of an attempt passed."""

    segment: int
    attempt: int
    deadline: Deadline
    rung: Rung | None = None

    def key(self) -> Key:
        """One time-out an attempt."""
        return (self.segment, self.attempt)


class RungDescended(_JobEvent, frozen=True, kw_only=True, tag="rung_descended"):
    """A downgrade: of one segment, or of the whole film (``segment`` None)."""

    segment: int | None
    rung_index: int
    from_rung: Rung
    to_rung: Rung
    reason: Reason
    detail: str = ""

    def key(self) -> Key:
        """One arrival a rung and a segment (-1: the film)."""
        return (-1 if self.segment is None else self.segment, self.rung_index)


class GenerationIntended(_JobEvent, frozen=True, kw_only=True, tag="generation_intended"):
    """A remote create is about to be made.

    ``claim`` is the writer's own: two processes that mean to make the same create write different
    bodies, so that only one of them is told that its intent is stored.  ``budget_date`` is the
    day (UTC, such as 2026-11-25) whose budget the cost is reserved from; empty: no budget.
    """

    segment: int
    attempt: int
    engine: str
    idempotency_key: str
    cost_reserved: float = 0.0
    currency: str = ""
    budget_date: str = ""
    claim: str = ""

    def key(self) -> Key:
        """One intent an attempt."""
        return (self.segment, self.attempt)


class GenerationSubmitted(_JobEvent, frozen=True, kw_only=True, tag="generation_submitted"):
    """The remote engine answered a create with a handle."""

    segment: int
    attempt: int
    engine: str
    handle: str

    def key(self) -> Key:
        """One handle an attempt."""
        return (self.segment, self.attempt)


class GenerationSettled(_JobEvent, frozen=True, kw_only=True, tag="generation_settled"):
    """A person says what became of a create with an unknown outcome; no handle gives it up."""

    segment: int
    handle: str | None = None

    def key(self) -> Key:
        """One settlement a segment."""
        return (self.segment,)


class SoundtrackMixed(_JobEvent, frozen=True, kw_only=True, tag="soundtrack_mixed"):
    """The film's whole sound is in the artifact store, encoded (AAC in MP4).

    ``lufs`` and ``true_peak_db`` are of the decoded AAC; None where not measurable.  ``reused``
    tells that it had been mixed before from equal input.
    """

    artifact: Artifact
    lufs: float | None
    true_peak_db: float | None
    elapsed_s: float = 0.0
    warnings: tuple[Warned, ...] = ()
    reused: bool = False


class AssemblyRequested(_JobEvent, frozen=True, kw_only=True, tag="assembly_requested"):
    """All parts are there: draw the transitions, join, judge."""

    attempt: int

    def key(self) -> Key:
        """One ask an attempt."""
        return (self.attempt,)


class RenderCompleted(_JobEvent, frozen=True, kw_only=True, tag="render_completed"):
    """The film is done.

    ``cost`` is what all its attempts are known to have cost, ``cost_unsettled`` what is reserved
    for those of which that is not known.
    """

    attempt: int
    output: Artifact
    thumbnail: Artifact
    metadata: Artifact
    verdict: Verdict
    elapsed_s: float
    downgrades: tuple[Downgrade, ...] = ()
    warnings: tuple[Warned, ...] = ()
    cost: float = 0.0
    cost_unsettled: float = 0.0
    currency: str = ""


class AssemblyFailed(_JobEvent, frozen=True, kw_only=True, tag="assembly_failed"):
    """The parts did not become a film that may be shipped.

    ``segment`` is the one at fault, where one is; ``others`` are at fault, too.
    """

    attempt: int
    reason: Reason
    detail: str
    segment: int | None = None
    others: tuple[int, ...] = ()

    def key(self) -> Key:
        """One failure an attempt."""
        return (self.attempt,)


class RenderCancelRequested(_JobEvent, frozen=True, kw_only=True, tag="render_cancel_requested"):
    """A client wants no film any more."""

    why: str = ""


class RenderCancelled(_JobEvent, frozen=True, kw_only=True, tag="render_cancelled"):
    """The job ended without a film, as asked."""

    why: str
    kept: tuple[Artifact, ...] = ()


class RenderFailed(_JobEvent, frozen=True, kw_only=True, tag="render_failed"):
    """The job ended without a film, as a last resort."""

    reason: Reason
    detail: str
    kept: tuple[Artifact, ...] = ()


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message that is none of ours: it counts in sequence and hash, and changes nothing.

    It is never written by us, so it has no tag, no key and no id.  ``forged`` tells that it claims
    to be a service's and is not: its signature, where keys are configured, does not bear it out.
    """

    seq: int
    subject: str
    why: str
    forged: bool = False


Event = (
    RenderRequested
    | RenderRejected
    | RenderPlanned
    | SegmentRequested
    | SegmentRendered
    | SegmentFailed
    | SegmentTimedOut
    | RungDescended
    | GenerationIntended
    | GenerationSubmitted
    | GenerationSettled
    | SoundtrackMixed
    | AssemblyRequested
    | RenderCompleted
    | AssemblyFailed
    | RenderCancelRequested
    | RenderCancelled
    | RenderFailed
)
"""What we append."""

Stored = Event | Foreign
"""What a log holds."""

EVENT_TYPES: tuple[type[Event], ...] = Event.__args__

CLIENT_ASKS: frozenset[str] = frozenset(
    {"render_requested", "render_cancel_requested", "generation_settled"}
)
"""The types that a client may publish as a bare JSON body, without an envelope."""

ENDS: frozenset[str] = frozenset(
    {"render_rejected", "render_completed", "render_cancelled", "render_failed"}
)
"""The types that end a job; the first of them in the log wins."""


def type_name(event: Event | type[Event]) -> str:
    """The event's name on the wire, such as ``segment_rendered``."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def event_id(event: Event) -> str:
    """The event's id: a UUIDv5 of its natural key, the same for every writer and every try."""
    name = "/".join(str(part) for part in (event.job_id, type_name(event), *event.key()))
    return str(uuid.uuid5(NAMESPACE, name))


__all__ = [
    "CLIENT_ASKS",
    "ENDS",
    "EVENT_TYPES",
    "NAMESPACE",
    "Archetype",
    "AssemblyFailed",
    "AssemblyRequested",
    "Deadline",
    "Downgrade",
    "Event",
    "Foreign",
    "GenerationIntended",
    "GenerationSettled",
    "GenerationSubmitted",
    "Problem",
    "ProductProof",
    "Reason",
    "RenderCancelRequested",
    "RenderCancelled",
    "RenderCompleted",
    "RenderFailed",
    "RenderPlanned",
    "RenderRejected",
    "RenderRequested",
    "RungDescended",
    "SegmentFailed",
    "SegmentRendered",
    "SegmentRequested",
    "SegmentTimedOut",
    "SoundtrackMixed",
    "Stored",
    "Verdict",
    "event_id",
    "type_name",
]
