"""What the gateway answers with, for the OpenAPI document and for whoever reads it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from events.job import JobStatus, SegmentStatus
from events.spec import Archetype, Motion

ID = Field(description="The job's id.", examples=["spring-sale"])
Time = Annotated[str, Field(examples=["2026-11-25T09:30:00.000+00:00"])]
Links = Annotated[
    dict[str, str],
    Field(
        description="What can be asked for now, by name: self, segments, events, cancel, and once "
        "there is a film output and thumbnail.",
        examples=[{"self": "/api/v1/jobs/spring-sale"}],
    ),
]
Told = list[dict[str, Any]]


class Open(BaseModel):
    """A shape to which later versions add."""

    model_config = {"extra": "allow"}


class Stored(BaseModel):
    """An upload."""

    uri: str = Field(
        description="What to name the file by in a request.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    sha256: str = Field(description="The sha256 of its content.")
    bytes: int = Field(description="Its size.")


class Accepted(BaseModel):
    """A job that was asked for, or was there already."""

    job_id: str = ID
    status: JobStatus
    links: Links


class Plan(BaseModel):
    """What a request would become: nothing was started."""

    dry_run: Literal[True] = True
    plan: dict[str, Any] = Field(
        description="The whole film, frame by frame, as the event render_planned has it."
    )
    warnings: Told = Field(description="What would be done otherwise than asked.")


class SegmentShape(Open):
    """A segment of a job."""

    index: int = Field(description="Its place in the film, from 0.")
    status: SegmentStatus
    engine: str = Field(description="What rendered it, or is to.", examples=["compositor"])
    archetype: Archetype
    attempts: int = Field(description="How often it was asked for.")
    failure: str | None = Field(description="Why the last attempt failed, while it is not done.")
    reused: bool = Field(description="Whether it was rendered before, from the same input.")
    generation: dict[str, Any] | None = Field(
        description="A paid create of which the outcome or the cost is not known."
    )
    body: str | None = Field(description="Where its own film is, once it is rendered.")


class JobShape(Open):
    """A job, as ``pytoon status --json`` tells it; `output` is an address here."""

    job_id: str = ID
    status: JobStatus
    seq: int = Field(description="The sequence of its last message in the log.")
    segments: list[SegmentShape] = Field(description="Empty until it is planned.")
    output: str | None = Field(
        description="Where the film is, once it is complete.",
        examples=["/api/v1/jobs/spring-sale/output"],
    )
    sha256: str | None = Field(description="The sha256 of the film.")
    downgrades: Told = Field(description="Each step down the ladder, and why.")
    warnings: Told = Field(description="What was done otherwise than asked; each once.")
    problems: Told = Field(description="Why it was rejected, and oddities of its history.")
    end: str | None = Field(description="Why it ended without a film, rejections aside.")
    cost: float = Field(description="What all attempts are known to have cost.")
    cost_unsettled: float = Field(description="What is reserved where that is not known.")
    currency: str = Field(description="Of both; empty where nothing cost anything.")
    preset_id: str | None = Field(description="The look that was asked for.")
    requested: Time = Field(description="When it was asked for.")
    ended: Time | None = Field(description="When it ended.")
    links: Links


class JobSummary(BaseModel):
    """A job in a listing."""

    job_id: str = ID
    status: JobStatus
    title: str | None = Field(description="The first words that were asked for.")
    preset_id: str | None
    requested: Time = Field(description="When it was asked for.")
    ended: Time | None = Field(description="When it ended.")
    seconds: float | None = Field(description="The length that was asked for.")
    segments: int = Field(description="How many segments it has; 0 until it is planned.")
    segments_rendered: int
    output: str | None = Field(description="Where the film is, once it is complete.")


class JobPage(BaseModel):
    """A page of the listing, newest first."""

    jobs: list[JobSummary]
    after: str | None = Field(
        description="What to ask the next page with; null on the last one.  A page that looked "
        "for a filter may have less jobs than its limit, or none, and still not be the last."
    )


class EventShape(BaseModel):
    """A stored message."""

    seq: int = Field(description="Its sequence in the log.")
    type: str = Field(examples=["segment_rendered"])
    id: str = Field(description="Its own id; empty for what is none of ours.")
    time: Time = Field(description="When it was stored.")
    data: dict[str, Any] = Field(description="What it carries, by its schema under schemas/.")
    signed_by: str | None = Field(
        default=None,
        description="The service and the key that signed it, where the log's events are signed.",
        examples=["planner/0123456789abcdef"],
    )


class PresetShape(Open):
    """A look."""

    preset_id: str = Field(description="What a request names it by.")
    title: str
    archetype: Archetype
    motion: Motion


class State(BaseModel):
    """How the gateway is."""

    status: str = Field(examples=["ok"])
    detail: str = ""
