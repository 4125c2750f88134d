"""Errors as RFC 9457 has them: ``application/problem+json`` with title, status and detail.

Everything that goes wrong leaves the gateway in this one shape; ``problems`` names each field
that is wrong with its value, its limit and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from adapters.base import StoreAway, StoreError
from events.log import JobPruned, LogError, LogFull
from events.types import Problem
from services.actor import GiveBack
from services.views import problem_view

MEDIA_TYPE = "application/problem+json"

logger = structlog.get_logger()


class ProblemDetails(BaseModel):
    """An RFC 9457 problem."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    problems: list[dict[str, Any]] = []


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


def problem_response(refused: Refused, path: str = "") -> JSONResponse:
    """The answer to a request that is refused."""
    told = ProblemDetails(
        title=refused.status.phrase,
        status=refused.status.value,
        detail=refused.detail,
        instance=path,
        problems=[problem_view(problem) for problem in refused.problems],
    )
    return JSONResponse(
        told.model_dump(),
        status_code=refused.status.value,
        media_type=MEDIA_TYPE,
        headers=refused.headers,
    )


def install(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(LogError, _on_log)
    app.add_exception_handler(StoreError, _on_store)
    app.add_exception_handler(StoreAway, _on_given_back)
    app.add_exception_handler(GiveBack, _on_given_back)
    app.add_exception_handler(Exception, _on_unforeseen)


async def _on_refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return problem_response(error, request.url.path)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    refused = Refused(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)
    return problem_response(refused, request.url.path)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        Problem(
            field=".".join(str(part) for part in told["loc"]),
            value=str(told.get("input", ""))[:80],
            limit=told["msg"],
            hint="see /docs for what this address takes",
        )
        for told in error.errors()
    ]
    detail = "; ".join(f"{problem.field}: {problem.limit}" for problem in problems)
    refused = Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems=problems)
    return problem_response(refused, request.url.path)


async def _on_log(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, JobPruned):
        detail = f"{error}. Ask again under another job id or Idempotency-Key."
        refused = Refused(HTTPStatus.CONFLICT, detail)
    elif isinstance(error, LogFull):
        detail = f"No new job is taken: {error}."
        refused = Refused(HTTPStatus.INSUFFICIENT_STORAGE, detail)
    else:
        detail = f"The event log cannot be reached now: {error}. Try again."
        refused = Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})
    return problem_response(refused, request.url.path)


async def _on_store(request: Request, error: Exception) -> JSONResponse:
    detail = f"The file is not in the artifact store: {error}."
    return problem_response(Refused(HTTPStatus.NOT_FOUND, detail), request.url.path)


async def _on_given_back(request: Request, error: Exception) -> JSONResponse:
    detail = f"That could not be done now: {error}. Try again."
    refused = Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})
    return problem_response(refused, request.url.path)


async def _on_unforeseen(request: Request, error: Exception) -> JSONResponse:
    logger.error("a request failed", path=request.url.path, exc_info=error)
    detail = "Something went wrong here; the gateway's log says what."
    return problem_response(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, detail), request.url.path)
