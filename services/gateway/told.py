"""A job as a client of the gateway is told it: what ``pytoon status`` tells, with addresses."""

from __future__ import annotations

import datetime as dt
from typing import Any

from events.job import Job
from services.gateway.links import job_url, links
from services.views import status_view


def job_told(job: Job) -> dict[str, Any]:
    """A job; ``shapes.JobShape`` documents it."""
    told = status_view(job)
    of_job = links(job)
    told["output"] = of_job.get("output")
    for segment, state in zip(told["segments"], job.segments, strict=True):
        address = f"{job_url(job.job_id)}/segments/{state.index}/body"
        segment["body"] = address if state.rendered else None
    told |= {
        "preset_id": preset_of(job),
        "requested": when(job.requested_s) or "",
        "ended": when(job.ended_s),
        "links": of_job,
    }
    return told


def preset_of(job: Job) -> str | None:
    """The look that a job was asked for in."""
    if job.spec is not None:
        return job.spec.preset_id
    asked = job.requested.ask.get("preset_id") if job.requested else None
    return asked if isinstance(asked, str) else None


def when(time_s: float) -> str | None:
    """A time in ISO 8601; None for none."""
    if not time_s:
        return None
    return dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat(timespec="milliseconds")
