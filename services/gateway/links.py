"""Where a job and what belongs to it is found."""

from __future__ import annotations

from collections.abc import Sequence

from events.job import Job
from events.types import RenderCompleted
from services.views import is_over

PREFIX = "/api/v1"


def job_url(job_id: str) -> str:
    """A job's address."""
    return f"{PREFIX}/jobs/{job_id}"


def links(job: Job) -> dict[str, str]:
    """What can be asked for now, by name."""
    url = job_url(job.job_id)
    names: Sequence[str] = ("segments", "events")
    if isinstance(job.end, RenderCompleted):
        names = (*names, "output", "thumbnail")
    elif not is_over(job):
        names = (*names, "cancel")
    return {"self": url, **{name: f"{url}/{name}" for name in names}}
