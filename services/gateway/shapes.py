"""What the gateway answers with, for the OpenAPI document and for whoever reads it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Stored(BaseModel):
    """An upload."""

    uri: str = Field(
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    )
    sha256: str
    bytes: int


class Accepted(BaseModel):
    """A job that was asked for, or was there already."""

    job_id: str
    status: str
    links: dict[str, str]


class Plan(BaseModel):
    """What a request would become: nothing was started."""

    dry_run: bool = True
    plan: dict[str, Any]
    warnings: list[dict[str, Any]]


class SegmentShape(BaseModel):
    """A segment of a job."""

    model_config = {"extra": "allow"}

    index: int
    status: str
    engine: str
    archetype: str
    attempts: int
    failure: str | None


class JobShape(BaseModel):
    """A job, as ``pytoon status --json`` tells it."""

    model_config = {"extra": "allow"}

    job_id: str
    status: str
    seq: int
    segments: list[SegmentShape]
    output: str | None
    sha256: str | None
    downgrades: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    end: str | None


class JobSummary(BaseModel):
    """A job in a listing."""

    job_id: str
    status: str
    title: str | None
    preset_id: str | None
    requested: str
    ended: str | None
    seconds: float | None
    segments: int
    segments_rendered: int
    output: str | None


class JobPage(BaseModel):
    """A page of the listing, newest first; ``after`` begins the next one."""

    jobs: list[JobSummary]
    after: str | None


class EventShape(BaseModel):
    """A stored message."""

    seq: int
    type: str
    id: str
    time: str
    data: dict[str, Any]


class PresetShape(BaseModel):
    """A look."""

    model_config = {"extra": "allow"}

    preset_id: str
    title: str
    archetype: str
    motion: str


class State(BaseModel):
    """How the gateway is."""

    status: str
    detail: str = ""
