"""The REST addresses under ``/api/v1``."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import Header, Query, Request, Response
from fastapi.responses import FileResponse
from sse_starlette import EventSourceResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from events.job import JobStatus
from events.spec import Artifact
from events.types import RenderCompleted
from services.gateway import shapes
from services.gateway.asking import desk_of, get, json_object, new_router
from services.gateway.desk import Desk
from services.gateway.document import FILE_BODY, JOB_BODY, binary, refusals
from services.gateway.guard import COOKIE, HEADER
from services.gateway.links import job_url, links
from services.gateway.problems import Refused, too_many
from services.gateway.streaming import job_events
from services.gateway.told import job_told
from services.views import event_view, is_over

VIDEO, STILL = "video/mp4", "image/jpeg"
PAGE_MAX = 100
BAD = 400
"""Statuses from here on are refusals."""
EVENTS_MAX = 1000
SEQ_MAX = 2**53
"""The largest number that every client counts exactly."""
PING_S = 15
"""Seconds after which a stream says that it lives."""
_SEQ = re.compile(r"[0-9]{1,15}", re.ASCII)
_NO_JOB = refusals(HTTPStatus.NOT_FOUND)

router = new_router()


@get(router, "/presets", tags=["looks"], response_model=list[shapes.PresetShape])
async def presets(request: Request) -> list[shapes.PresetShape]:
    """The looks that a request can name."""
    return [
        shapes.PresetShape(preset_id=name, **preset.model_dump(mode="json"))
        for name, preset in desk_of(request).config.presets.items()
    ]


@router.post(
    "/assets",
    status_code=HTTPStatus.CREATED,
    tags=["files"],
    openapi_extra=FILE_BODY,
    responses=refusals(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
)
async def upload(request: Request) -> shapes.Stored:
    """Store a picture, a sound or a font; name it in a request by the ``uri`` of the answer.

    The same file again is stored once, and has the same ``uri``.
    """
    artifact = await request.app.state.uploads.take(request)
    uri = f"sha256:{artifact.sha256}"
    return shapes.Stored(uri=uri, sha256=artifact.sha256, bytes=artifact.bytes)


@router.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    tags=["films"],
    response_model=shapes.Accepted,
    openapi_extra=JOB_BODY,
    responses={
        HTTPStatus.OK.value: {"model": shapes.Plan, "description": "The plan of a dry run."},
        HTTPStatus.ACCEPTED.value: {
            "description": "The job is in the log.",
            "headers": {"Location": {"description": "Its address.", "schema": {"type": "string"}}},
        },
        **refusals(HTTPStatus.CONFLICT, HTTPStatus.NOT_IMPLEMENTED),
    },
)
async def submit(
    request: Request,
    *,
    dry_run: Annotated[bool, Query(description="Plan only; nothing is started.")] = False,
    idempotency_key: Annotated[
        str,
        Header(
            max_length=256,
            description="Any text of your own: with it the request can be sent again, and the "
            "same body is the same job. Another body under it is refused (409).",
        ),
    ] = "",
) -> Response:
    """Ask for a film.  The answer comes as soon as the request is in the log."""
    desk = desk_of(request)
    ask = await json_object(request)
    if dry_run:
        planned = await desk.plan(ask)
        spec = msgspec.to_builtins(planned.spec)
        return _json({"dry_run": True, "plan": spec, "warnings": spec["warnings"]})
    job = await desk.submit(ask, caller=request.state.caller, idempotency=idempotency_key)
    told = {"job_id": job.job_id, "status": job.status.value, "links": links(job)}
    return _json(told, HTTPStatus.ACCEPTED, {"Location": job_url(job.job_id)})


@get(router, "/jobs", tags=["films"], response_model=shapes.JobPage)
async def listing(
    request: Request,
    *,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Jobs of a page.")] = 20,
    after: Annotated[
        str | None, Query(max_length=64, description="The last page's `after`.")
    ] = None,
    status: Annotated[JobStatus | None, Query(description="Only jobs that are so.")] = None,
    preset_id: Annotated[
        str | None, Query(max_length=64, description="Only jobs in this look.")
    ] = None,
) -> shapes.JobPage:
    """Jobs, newest first, at most a second old.  ``after`` is null on the last page."""
    page = await desk_of(request).listing.page(
        limit=limit, after=after, status=status, preset_id=preset_id
    )
    return shapes.JobPage(jobs=list(page.jobs), after=page.after)


@get(router, "/jobs/{job_id}", tags=["films"], response_model=shapes.JobShape, responses=_NO_JOB)
async def job_status(
    request: Request,
    job_id: str,
    at: Annotated[
        int | None, Query(ge=1, le=SEQ_MAX, description="A sequence: as it was then.")
    ] = None,
) -> Response:
    """A job as it stands, or as it stood after one of its messages."""
    desk = desk_of(request)
    return _json(job_told(await desk.job(job_id) if at is None else await desk.job_at(job_id, at)))


@get(
    router,
    "/jobs/{job_id}/segments",
    tags=["films"],
    response_model=list[shapes.SegmentShape],
    responses=_NO_JOB,
)
async def segments(request: Request, job_id: str) -> Response:
    """A job's segments: engine, attempts, what failed."""
    return _json(job_told(await desk_of(request).job(job_id))["segments"])


@get(
    router,
    "/jobs/{job_id}/events",
    tags=["films"],
    response_model=list[shapes.EventShape],
    responses={
        HTTPStatus.OK.value: {
            "description": "The events, or a stream where `text/event-stream` is accepted.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **_NO_JOB,
    },
)
async def events(
    request: Request,
    job_id: str,
    *,
    after: Annotated[
        int, Query(ge=0, le=SEQ_MAX, description="A sequence; later events are told.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX, description="Of JSON.")] = EVENTS_MAX,
    last_event_id: Annotated[
        str, Header(description="Of a stream: the sequence to go on after.")
    ] = "",
) -> Response:
    """A job's events: JSON, or server-sent events where the client accepts these.

    A stream tells what there is, then each event as it comes, with its sequence as its id; between
    them ``progress`` without an id; and ``end`` when the job has ended.
    """
    desk = desk_of(request)
    if "text/event-stream" not in request.headers.get("accept", ""):
        history = await desk.history(job_id, after)
        return _json([event_view(recorded) for recorded in history[:limit]])
    await desk.job(job_id)
    if _SEQ.fullmatch(last_event_id):
        after = int(last_event_id)
    bounds = desk.config.gateway
    if desk.listening.ears >= bounds.streams_max:
        raise too_many("streams", bounds.streams_max)
    told = job_events(desk, job_id, after)
    return EventSourceResponse(told, ping=PING_S, send_timeout=bounds.stream_send_s)


@get(
    router,
    "/jobs/{job_id}/output",
    tags=["films"],
    response_class=FileResponse,
    responses=binary(VIDEO, "The film."),
)
async def output(request: Request, job_id: str) -> Response:
    """The film."""
    end = await _completed(desk_of(request), job_id)
    return await _file(request, end.output, f"{job_id}.mp4", VIDEO)


@get(
    router,
    "/jobs/{job_id}/thumbnail",
    tags=["films"],
    response_class=FileResponse,
    responses=binary(STILL, "A still of the film."),
)
async def thumbnail(request: Request, job_id: str) -> Response:
    """A still of the film."""
    end = await _completed(desk_of(request), job_id)
    return await _file(request, end.thumbnail, f"{job_id}.jpg", STILL)


@get(
    router,
    "/jobs/{job_id}/segments/{index}/body",
    tags=["films"],
    response_class=FileResponse,
    responses=binary(VIDEO, "The segment without its transitions and its sound."),
)
async def body(request: Request, job_id: str, index: int) -> Response:
    """A rendered segment by itself, as soon as it is there: a preview."""
    job = await desk_of(request).job(job_id)
    if not job.segments:
        raise Refused(HTTPStatus.NOT_FOUND, f"{job_id} has no segments: it is {job.status.value}.")
    if not 0 <= index < len(job.segments):
        detail = f"segment: {index} must be 0 to {len(job.segments) - 1}"
        raise Refused(HTTPStatus.NOT_FOUND, detail)
    rendered = job.segments[index].rendered
    if rendered is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"Segment {index} of {job_id} is not rendered yet.")
    return await _file(request, rendered.artifact, f"{job_id}-{index}.mp4", VIDEO)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    tags=["films"],
    response_model=shapes.JobShape,
    responses={
        HTTPStatus.OK.value: {
            "model": shapes.JobShape,
            "description": "It was over already, and stays what it is.",
        },
        **_NO_JOB,
    },
)
async def cancel(
    request: Request,
    job_id: str,
    why: Annotated[str, Query(max_length=500, description="Kept with the job.")] = "",
) -> Response:
    """Ask that no more be done; a film that is complete stays."""
    job = await desk_of(request).cancel(job_id, why)
    return _json(job_told(job), HTTPStatus.OK if is_over(job) else HTTPStatus.ACCEPTED)


@router.post("/session", status_code=HTTPStatus.NO_CONTENT, tags=["page"])
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


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT, tags=["page"])
async def close_session(response: Response) -> None:
    """Forget the key."""
    response.delete_cookie(COOKIE, path="/")


class _Film(FileResponse):
    """A file, of which a part that is not there is refused as everything is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.  Raises ``Refused``."""

        async def judged(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= BAD:
                headers = dict(Headers(raw=message["headers"]))
                kept = {name: text for name, text in headers.items() if name == "content-range"}
                detail = "Range: must be bytes=FIRST-LAST within the file; without it all is sent."
                raise Refused(HTTPStatus(message["status"]), detail, headers=kept)
            await send(message)

        await super().__call__(scope, receive, judged)


def _json(
    told: Any, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    # What is told is built here and by the views: to judge it once more at each request would
    # cost more than making it.  That it is as the document says is what tests are for.
    content = msgspec.json.encode(told)
    return Response(content, status, headers, media_type="application/json")


async def _completed(desk: Desk, job_id: str) -> RenderCompleted:
    job = await desk.job(job_id)
    if not isinstance(job.end, RenderCompleted):
        detail = f"There is no film of {job_id}: it is {job.status.value}."
        raise Refused(HTTPStatus.NOT_FOUND, detail)
    return job.end


async def _file(request: Request, artifact: Artifact, name: str, media_type: str) -> Response:
    # The content's name is its best tag: it never changes.
    tag = f'"{artifact.sha256}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=31536000, immutable"}
    asked = request.headers.get("if-none-match", "")
    known = {one.strip().removeprefix("W/") for one in asked.split(",")}
    if known & {tag, "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    path = await desk_of(request).store.fetch(artifact)
    return _Film(
        path,
        # Ours, whatever an engine calls it: nothing that is fetched here is a page.
        media_type=media_type,
        filename=name,
        content_disposition_type="inline",
        headers=headers,
    )
