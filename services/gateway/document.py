"""The OpenAPI document: what FastAPI writes, and what it cannot know."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from config import RenderRequest
from services.gateway.guard import HEADER, is_public
from services.gateway.problems import MEDIA_TYPE, ProblemDetails
from services.gateway.uploads import FIELD

REF = "#/components/schemas/{model}"
REQUEST, PROBLEM = "RenderRequest", "ProblemDetails"
SCHEME = "ApiKey"
ALWAYS = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""What any address under /api may be refused with."""
RETRIED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
OF_BODIES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INSUFFICIENT_STORAGE,
)
"""What an address that takes a body may refuse it with."""
DESCRIPTION = """\
Ask for films, watch them being made, fetch them.

The gateway publishes events and reads the log; it holds no state.  Errors are
`application/problem+json` (RFC 9457): `detail` says what is wrong and what to do, `problems` names
each field with its value and its limit.  With status 429 and 503, `Retry-After` says when to come
again.  Every GET takes HEAD, too.
"""
TAGS = [
    {"name": "films", "description": "Ask for a film, look after it, fetch it."},
    {"name": "looks", "description": "What a film can look like."},
    {"name": "files", "description": "Pictures, sounds and fonts for films."},
    {"name": "page", "description": "For the web page: its key in a cookie."},
    {"name": "operation", "description": "Whether it lives, and how it does."},
]

JOB_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REF.format(model=REQUEST)},
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
FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "string",
                            "format": "binary",
                            "description": "A picture, a sound or a font; what it is, is told by "
                            "decoding it and not by its name.",
                        }
                    },
                }
            }
        },
    }
}


def binary(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    """The answers of an address that serves a file."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        HTTPStatus.OK.value: {
            "description": what,
            "content": content,
            "headers": {
                "ETag": _header("The sha256 of its content."),
                "Accept-Ranges": _header("`bytes`: a part can be asked for by `Range`."),
            },
        },
        HTTPStatus.PARTIAL_CONTENT.value: {"description": "A part of it.", "content": content},
        HTTPStatus.NOT_MODIFIED.value: {"description": "It is what `If-None-Match` names."},
        **refusals(HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
    }


def refusals(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """How requests may be refused, for ``responses`` of a route."""
    return {status.value: _refusal(status) for status in statuses}


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": REF.format(model=PROBLEM)}}}
    told: dict[str, Any] = {"description": status.phrase, "content": content}
    if status in RETRIED:
        told["headers"] = {"Retry-After": _header("Seconds until it is worth trying again.")}
    if status is HTTPStatus.UNAUTHORIZED:
        told["headers"] = {"WWW-Authenticate": _header("Which key is wanted.")}
    return told


def _header(what: str) -> dict[str, Any]:
    return {"description": what, "schema": {"type": "string"}}


def install(app: FastAPI, presets: Collection[str], *, keys: bool) -> None:
    """Have the application tell all that its clients need to know.

    ``presets`` are the looks that there are here; ``keys``: whether one is asked for.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, presets, keys=keys)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way


def _document(app: FastAPI, presets: Collection[str], *, keys: bool) -> dict[str, Any]:
    told = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        tags=TAGS,
        routes=app.routes,
    )
    components = told.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name, found in ((REQUEST, _request(presets)), (PROBLEM, _schema(ProblemDetails))):
        schemas.update(found.pop("$defs", {}))
        schemas[name] = found
    # FastAPI's own shape of a refusal: ours are problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {
        SCHEME: {
            "type": "apiKey",
            "in": "header",
            "name": HEADER,
            "description": "A key of the gateway; without any, it serves its own machine alone.",
        }
    }
    for path, operations in told["paths"].items():
        for operation in operations.values():
            _complete(path, operation, keys=keys)
    return told


def _complete(path: str, operation: dict[str, Any], *, keys: bool) -> None:
    """Add what the guard and the handlers of errors answer with."""
    responses: dict[str, Any] = operation["responses"]
    statuses = [HTTPStatus.UNPROCESSABLE_ENTITY] if "422" in responses else []
    if not is_public(path):
        statuses += ALWAYS
        statuses.append(HTTPStatus.UNAUTHORIZED)
        operation["security"] = [{SCHEME: []}] if keys else [{}, {SCHEME: []}]
    else:
        statuses.append(HTTPStatus.TOO_MANY_REQUESTS)
    if "requestBody" in operation:
        statuses += OF_BODIES
    for status in statuses:
        responses[str(status.value)] = _refusal(status)
    operation["responses"] = dict(sorted(responses.items()))


def _request(presets: Collection[str]) -> dict[str, Any]:
    """The request's schema, with the looks that there are and the job's id, which may be in it."""
    found = _schema(RenderRequest)
    found["properties"]["preset_id"] |= {
        "enum": sorted(presets),
        "description": "Which look; `GET /api/v1/presets` describes them.",
    }
    found["properties"]["job_id"] = {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "description": "An id of your own for the job: asking again with it is the same job. "
        "Left out, it follows from the `Idempotency-Key`, or is made.",
        "title": "Job Id",
    }
    return found


def _schema(model: type[RenderRequest | ProblemDetails]) -> dict[str, Any]:
    return model.model_json_schema(ref_template=REF)
