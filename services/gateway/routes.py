"""The REST addresses under ``/api/v1``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from sse_starlette import EventSourceResponse

from config import RenderRequest
from events.job import Job, JobStatus
from events.spec import Artifact
from events.types import RenderCompleted
from services.gateway import shapes, uploads
from services.gateway.desk import Desk, preset_of
from services.gateway.guard import COOKIE, HEADER
from services.gateway.problems import MEDIA_TYPE, ProblemDetails, Refused
from services.gateway.streaming import job_events
from services.views import event_view, is_over, status_view

PREFIX = "/api/v1"
VIDEO, STILL = "video/mp4", "image/jpeg"
PAGE_MAX = 100
TITLE_CHARS_MAX = 120
EVENTS_MAX = 1000
STREAMS_MAX = 256
"""Event streams that are open at once; each holds a reader of the log."""
STREAM_SEND_S = 30.0
"""Seconds in which a client takes an event; it comes back after the last one that it has."""
SEQ_MAX = 2**53
"""The largest number that every client counts exactly."""
_SEQ = re.compile(r"[0-9]{1,15}", re.ASCII)

REFUSALS: dict[int | str, dict[str, Any]] = {
    status.value: {
        "description": status.phrase,
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.NOT_IMPLEMENTED,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    )
}

router = APIRouter(prefix=PREFIX, responses=REFUSALS)

_REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": RenderRequest.model_json_schema(),
                "example": {
                    "preset_id": "overlay_classic",
                    "prompt": "Sleek product showcase",
                    "target_duration_seconds": 15,
                    "image_uris": ["file:///data/uploads/product.png"],
                },
            }
        },
    }
}
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [uploads.FIELD],
                    "properties": {
                        uploads.FIELD: {"type": "string", "contentMediaType": "image/*"}
                    },
                }
            }
        },
    }
}


@router.get("/presets")
async def presets(request: Request) -> list[shapes.PresetShape]:
    """The looks that a request can name."""
    return [
        shapes.PresetShape(preset_id=name, **preset.model_dump(mode="json"))
        for name, preset in _desk(request).config.presets.items()
    ]


@router.post("/assets", status_code=HTTPStatus.CREATED, openapi_extra=_UPLOAD_BODY)
async def upload(request: Request) -> shapes.Stored:
    """Store a picture, a sound or a font; name it in a request by the ``uri`` of the answer."""
    artifact = await uploads.take(request, _desk(request).store)
    uri = f"sha256:{artifact.sha256}"
    return shapes.Stored(uri=uri, sha256=artifact.sha256, bytes=artifact.bytes)


@router.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_REQUEST_BODY,
    responses={HTTPStatus.OK.value: {"model": shapes.Plan, "description": "The plan"}},
)
async def submit(
    request: Request,
    response: Response,
    *,
    dry_run: Annotated[bool, Query(description="Plan only; nothing is started.")] = False,
    idempotency_key: Annotated[str, Header(max_length=256)] = "",
) -> shapes.Accepted:
    """Ask for a film.  The same ``Idempotency-Key`` and body again is the same job."""
    desk = _desk(request)
    ask = await json_object(request)
    if dry_run:
        planned = await desk.plan(ask)
        spec = msgspec.to_builtins(planned.spec)
        plan = shapes.Plan(plan=spec, warnings=spec["warnings"])
        return JSONResponse(plan.model_dump())  # type: ignore[return-value]
    caller = request.state.caller
    job_id = await desk.submit(ask, caller=caller, idempotency=idempotency_key)
    job = await desk.job(job_id)
    response.headers["Location"] = _url(job_id)
    return shapes.Accepted(job_id=job_id, status=job.status.value, links=_links(job))


@router.get("/jobs")
async def listing(
    request: Request,
    *,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    after: Annotated[
        str | None, Query(max_length=64, description="The last page's `after`.")
    ] = None,
    status: JobStatus | None = None,
    preset_id: Annotated[str | None, Query(max_length=64)] = None,
) -> shapes.JobPage:
    """Jobs, newest first.  ``after`` of the answer is null on the last page."""
    page = await _desk(request).page(limit=limit, after=after, status=status, preset_id=preset_id)
    return shapes.JobPage(jobs=[_summary(job) for job in page.jobs], after=page.after)


@router.get("/jobs/{job_id}")
async def job_status(
    request: Request,
    job_id: str,
    at: Annotated[
        int | None, Query(ge=1, le=SEQ_MAX, description="A sequence: as it was then.")
    ] = None,
) -> shapes.JobShape:
    """A job as it stands, or as it stood after one of its messages."""
    desk = _desk(request)
    return _shape(await desk.job(job_id) if at is None else await desk.job_at(job_id, at))


@router.get("/jobs/{job_id}/segments")
async def segments(request: Request, job_id: str) -> list[shapes.SegmentShape]:
    """A job's segments: engine, attempts, what failed."""
    job = await _desk(request).job(job_id)
    return _shape(job).segments


@router.get(
    "/jobs/{job_id}/events",
    response_model=list[shapes.EventShape],
    responses={
        HTTPStatus.OK.value: {
            "description": "The events, or a stream of them",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def events(
    request: Request,
    job_id: str,
    *,
    after: Annotated[
        int, Query(ge=0, le=SEQ_MAX, description="A sequence; later events are told.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = EVENTS_MAX,
    last_event_id: Annotated[str, Header()] = "",
) -> Any:
    """A job's events: JSON, or server-sent events where the client accepts these.

    A stream goes on until the job has ended; ``Last-Event-ID`` is the sequence to go on after.
    """
    desk = _desk(request)
    if "text/event-stream" not in request.headers.get("accept", ""):
        history = await desk.history(job_id, after)
        return [event_view(recorded) for recorded in history[:limit]]
    await desk.job(job_id)
    if _SEQ.fullmatch(last_event_id):
        after = int(last_event_id)
    streams: set[object] = request.app.state.streams
    if len(streams) >= STREAMS_MAX:
        detail = f"{STREAMS_MAX} streams are open already."
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "5"})
    told = job_events(desk.log, job_id, after, streams)
    return EventSourceResponse(told, ping=15, send_timeout=STREAM_SEND_S)


@router.get("/jobs/{job_id}/output", response_class=FileResponse)
async def output(request: Request, job_id: str) -> FileResponse:
    """The film."""
    desk = _desk(request)
    end = await _completed(desk, job_id)
    return await _file(desk, end.output, f"{job_id}.mp4", VIDEO)


@router.get("/jobs/{job_id}/thumbnail", response_class=FileResponse)
async def thumbnail(request: Request, job_id: str) -> FileResponse:
    """A still of the film."""
    desk = _desk(request)
    end = await _completed(desk, job_id)
    return await _file(desk, end.thumbnail, f"{job_id}.jpg", STILL)


@router.get("/jobs/{job_id}/segments/{index}/body", response_class=FileResponse)
async def body(request: Request, job_id: str, index: int) -> FileResponse:
    """A rendered segment by itself, as soon as it is there: a preview."""
    desk = _desk(request)
    job = await desk.job(job_id)
    if not 0 <= index < len(job.segments):
        detail = f"segment: {index} must be 0 to {len(job.segments) - 1}"
        raise Refused(HTTPStatus.NOT_FOUND, detail)
    rendered = job.segments[index].rendered
    if rendered is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"Segment {index} of {job_id} is not rendered yet.")
    return await _file(desk, rendered.artifact, f"{job_id}-{index}.mp4", VIDEO)


@router.post("/jobs/{job_id}/cancel", status_code=HTTPStatus.ACCEPTED)
async def cancel(
    request: Request, job_id: str, why: Annotated[str, Query(max_length=500)] = ""
) -> shapes.JobShape:
    """Ask that no more be done; a film that is complete stays."""
    return _shape(await _desk(request).cancel(job_id, why))


@router.post("/session", status_code=HTTPStatus.NO_CONTENT)
async def open_session(request: Request, response: Response) -> None:
    """Keep the key of this request in a cookie, for a page that shows films and streams."""
    response.set_cookie(
        COOKIE,
        request.headers.get(HEADER, ""),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT)
async def close_session(response: Response) -> None:
    """Forget the key."""
    response.delete_cookie(COOKIE, path="/")


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def json_object(request: Request) -> dict[str, Any]:
    """A request's body; raises ``Refused`` where it is no object in JSON."""
    raw = await request.body()
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = f"The body must be a JSON object in UTF-8: {error}"
        raise Refused(HTTPStatus.BAD_REQUEST, detail) from error
    if not isinstance(found, dict):
        detail = f"The body must be a JSON object, not {type(found).__name__}."
        raise Refused(HTTPStatus.BAD_REQUEST, detail)
    return found


async def _completed(desk: Desk, job_id: str) -> RenderCompleted:
    job = await desk.job(job_id)
    if not isinstance(job.end, RenderCompleted):
        detail = f"There is no film of {job_id}: it is {job.status.value}."
        raise Refused(HTTPStatus.NOT_FOUND, detail)
    return job.end


async def _file(desk: Desk, artifact: Artifact, name: str, media_type: str) -> FileResponse:
    path = await desk.store.fetch(artifact)
    # The content's name is its best tag: it never changes.
    headers = {
        "ETag": f'"{artifact.sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    return FileResponse(
        path,
        # Ours, whatever an engine calls it: nothing that is fetched here is a page.
        media_type=media_type,
        filename=name,
        content_disposition_type="inline",
        headers=headers,
    )


def _shape(job: Job) -> shapes.JobShape:
    told = status_view(job)
    told["output"] = _links(job).get("output")
    return shapes.JobShape(**told)


def _summary(job: Job) -> shapes.JobSummary:
    asked = job.requested.ask.get("target_duration_seconds") if job.requested else None
    return shapes.JobSummary(
        job_id=job.job_id,
        status=job.status.value,
        title=_title(job),
        preset_id=preset_of(job),
        requested=_when(job.requested_s) or "",
        ended=_when(job.ended_s),
        seconds=float(asked) if isinstance(asked, int | float) else None,
        segments=len(job.segments),
        segments_rendered=sum(segment.rendered is not None for segment in job.segments),
        output=_links(job).get("output"),
    )


def _title(job: Job) -> str | None:
    """The first words that were asked for: what a person knows a film by."""
    ask = job.requested.ask if job.requested else {}
    words = (ask.get(name) for name in ("hook", "prompt"))
    return next((text[:TITLE_CHARS_MAX] for text in words if isinstance(text, str) and text), None)


def _when(time_s: float) -> str | None:
    if not time_s:
        return None
    return dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat(timespec="milliseconds")


def _url(job_id: str) -> str:
    return f"{PREFIX}/jobs/{job_id}"


def _links(job: Job) -> dict[str, str]:
    url = _url(job.job_id)
    names: Sequence[str] = ("segments", "events")
    if isinstance(job.end, RenderCompleted):
        names = (*names, "output", "thumbnail")
    elif not is_over(job):
        names = (*names, "cancel")
    return {"self": url, **{name: f"{url}/{name}" for name in names}}
