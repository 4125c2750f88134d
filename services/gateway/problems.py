"""Errors as RFC 9457 has them: ``application/problem+json`` with title, status and detail.

Everything that goes wrong leaves the gateway in this one shape; ``problems`` names each field
that is wrong with its value, its limit and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sse_starlette.sse import SendTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match

from adapters.base import StoreAway, StoreError
from config.wording import limit_of, shown
from events.log import JobPruned, LogError, LogFull, UnknownVersion
from events.types import Problem
from services.actor import GiveBack
from services.views import problem_view

METHODS = ("GET", "HEAD", "POST", "DELETE")
"""Those of all addresses."""
MEDIA_TYPE = "application/problem+json"

logger = structlog.get_logger()


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="Its name, such as `image_uris[0]`.")
    value: str = Field(description="What was sent, shortened.")
    limit: str = Field(description="What it must be.")
    hint: str = Field(description="What to do next.")
    message: str = Field(description="All of that in one line for a person.")


class ProblemDetails(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(
        default="about:blank", description="Always `about:blank`: the status says it."
    )
    title: str = Field(description="The status in words.", examples=["Unprocessable Entity"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(
        description="What is wrong and what to do, for a person.",
        examples=["target_duration_seconds: must be 1 to 60 seconds"],
    )
    instance: str = Field(default="", description="The path that was asked for.")
    problems: list[FieldProblem] = Field(
        default=[], description="Each field that is wrong; empty where it is no matter of one."
    )


class Refused(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)
        self.headers = dict(headers or {})


def wrong(*problems: Problem) -> Refused:
    """The refusal of a request with fields that are wrong."""
    detail = "; ".join(f"{problem.field}: must be {problem.limit}" for problem in problems)
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems=problems)


def problem_response(refused: Refused, path: str = "") -> JSONResponse:
    """The answer to a request that is refused."""
    told = ProblemDetails(
        title=refused.status.phrase,
        status=refused.status.value,
        detail=refused.detail,
        instance=path,
        problems=[FieldProblem(**problem_view(problem)) for problem in refused.problems],
    )
    return JSONResponse(
        told.model_dump(),
        status_code=refused.status.value,
        media_type=MEDIA_TYPE,
        headers=refused.headers,
    )


def too_many(what: str, most: int) -> Refused:
    """The refusal of one more of what is bounded for everybody."""
    detail = f"{most} {what} are under way already, and more are not taken at once; try again."
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "5"})


def away(why: str) -> Refused:
    """The refusal of what may be done a moment later."""
    detail = f"That could not be done now: {why}. Try again."
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})


def install(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(LogError, _on_log)
    app.add_exception_handler(StoreError, _on_store)
    app.add_exception_handler(StoreAway, _on_given_back)
    app.add_exception_handler(GiveBack, _on_given_back)
    app.add_exception_handler(ClientDisconnect, _on_gone)
    app.add_exception_handler(SendTimeoutError, _on_gone)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return problem_response(error, request.url.path)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status, detail = HTTPStatus(error.status_code), str(error.detail)
    headers = dict(error.headers or {})
    if status is HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this address; /openapi.json names each that there is."
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed = ", ".join(_allowed(request))
        detail = f"{request.method} is not taken at this address; it takes {allowed}."
    return problem_response(Refused(status, detail, headers=headers), request.url.path)


def _allowed(request: Request) -> list[str]:
    """The methods that an address takes: several routes may share it."""
    routes: list[BaseRoute] = request.app.router.routes
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        Problem(
            field=str(told["loc"][-1]),
            value=shown(told.get("input", "")),
            limit=limit_of(told),
            hint=f"it stands in the {told['loc'][0]}; /openapi.json says what this address takes",
        )
        for told in error.errors()
    ]
    return problem_response(wrong(*problems), request.url.path)


async def _on_log(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, JobPruned):
        detail = f"{error}. Ask again under another job id or Idempotency-Key."
        refused = Refused(HTTPStatus.CONFLICT, detail)
    elif isinstance(error, UnknownVersion):
        detail = f"The job was written by a newer version: {error}. Upgrade this gateway."
        refused = Refused(HTTPStatus.NOT_IMPLEMENTED, detail)
    elif isinstance(error, LogFull):
        detail = f"No new job is taken: {error}."
        refused = Refused(HTTPStatus.INSUFFICIENT_STORAGE, detail)
    else:
        refused = away(f"the event log cannot be reached ({error})")
    return problem_response(refused, request.url.path)


async def _on_store(request: Request, error: Exception) -> JSONResponse:
    detail = f"The file is not in the artifact store: {error}."
    return problem_response(Refused(HTTPStatus.NOT_FOUND, detail), request.url.path)


async def _on_given_back(request: Request, error: Exception) -> JSONResponse:
    return problem_response(away(str(error)), request.url.path)


async def _on_gone(request: Request, error: Exception) -> JSONResponse:
    logger.info("a client is gone", path=request.url.path, why=type(error).__name__)
    detail = "The request did not come whole, or its answer was not taken."
    return problem_response(Refused(HTTPStatus.BAD_REQUEST, detail), request.url.path)


async def _on_unforeseen(request: Request, error: Exception) -> JSONResponse:
    logger.error("a request failed", path=request.url.path, exc_info=error)
    detail = "Something went wrong here; the gateway's log says what."
    return problem_response(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, detail), request.url.path)
