"""Frames to look at: of a film that was only planned, and of one under way.

They are drawn by what draws the film, so that nobody has to imagine how it will look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request, Response

from adapters.base import EngineFailure
from adapters.glances import Glances
from events.job import Job
from events.spec import Artifact, RenderSpec, Rung
from services.gateway.asking import desk_of, get, json_object, new_router
from services.gateway.desk import Desk
from services.gateway.document import JOB_BODY, refusals
from services.gateway.problems import Refused, away

FRAME = "image/jpeg"
WIDTH_MIN, WIDTH, WIDTH_MAX = 90, 540, 1080
router = new_router()

_PICTURE: Any = {
    "response_class": Response,
    "tags": ["films"],
    "responses": {
        HTTPStatus.OK.value: {
            "content": {FRAME: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The frame.",
        },
        **refusals(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED),
    },
}
Width = Annotated[int, Query(ge=WIDTH_MIN, le=WIDTH_MAX, description="Pixels of a row.")]


class Sketches:
    """Plans requests and draws frames of them; without ``glances`` nothing can be drawn here."""

    def __init__(self, desk: Desk, glances: Glances | None) -> None:
        self._desk = desk
        self._glances = glances

    async def of_request(self, ask: Mapping[str, Any], n: int, width: int) -> bytes:
        """Frame ``n`` of the film that a request would become; the last one has no later."""
        spec = (await self._desk.plan(ask)).spec
        # What an engine would generate nobody knows: it is shown as it is composed without.
        return await self._draw(spec, [composed(spec)] * len(spec.segments), n, width, {})

    async def of_job(self, job: Job, n: int, width: int) -> bytes:
        """Frame ``n`` of a job's film, before it is there; raises ``Refused`` where it is too
        early: before the plan, and while an engine generates what the frame shows.
        """
        spec = job.spec
        if spec is None:
            detail = f"{job.job_id} has no plan: it is {job.status.value}."
            raise Refused(HTTPStatus.NOT_FOUND, detail)
        clips = {
            segment.index: segment.rendered.raw
            for segment in job.segments
            if segment.rendered and segment.rendered.raw
        }
        waiting = [rung.generates and index not in clips for index, rung in enumerate(job.rungs)]
        if waiting[_segment_at(spec, n)]:
            detail = f"An engine generates what frame {n} of {job.job_id} shows; it is not done."
            raise Refused(HTTPStatus.NOT_FOUND, detail)
        rungs = [
            composed(spec) if early else rung
            for rung, early in zip(job.rungs, waiting, strict=True)
        ]
        return await self._draw(spec, rungs, n, width, clips)

    async def _draw(
        self,
        spec: RenderSpec,
        rungs: Sequence[Rung],
        n: int,
        width: int,
        clips: Mapping[int, Artifact],
    ) -> bytes:
        if self._glances is None:
            detail = "This gateway cannot draw; ask the one of `pytoon up`."
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, detail)
        try:
            return await self._glances.draw(spec, rungs, min(n, spec.frames - 1), width, clips)
        except EngineFailure as failure:
            raise away(failure.detail) from failure


def composed(spec: RenderSpec) -> Rung:
    """The rung on which a film is drawn without an engine that generates."""
    return next(rung for rung in spec.ladder if not rung.generates)


def _segment_at(spec: RenderSpec, n: int) -> int:
    later = (plan.index for plan in spec.segments if n < plan.start + plan.frames)
    return next(later, len(spec.segments) - 1)


@router.post("/frames", openapi_extra=JOB_BODY, **_PICTURE)
async def frame_of_request(
    request: Request,
    *,
    n: Annotated[int, Query(ge=0, le=100_000, description="Which; beyond the last: that.")] = 0,
    width: Width = WIDTH,
) -> Response:
    """A frame of the film that a request would become; nothing is started."""
    sketches: Sketches = request.app.state.sketches
    return Response(
        await sketches.of_request(await json_object(request), n, width), media_type=FRAME
    )


@get(router, "/jobs/{job_id}/frames/{n}", **_PICTURE)
async def frame_of_job(request: Request, job_id: str, n: int, *, width: Width = WIDTH) -> Response:
    """A frame of a job's film, before it is there."""
    sketches: Sketches = request.app.state.sketches
    job = await desk_of(request).job(job_id)
    if n < 0 or (job.spec is not None and n >= job.spec.frames):
        frames = job.spec.frames if job.spec else 0
        detail = f"frame: {n} must be 0 to {max(0, frames - 1)}"
        raise Refused(HTTPStatus.NOT_FOUND, detail)
    return Response(await sketches.of_job(job, n, width), media_type=FRAME)
