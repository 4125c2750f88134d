"""What the routes share: how an address is registered, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from itertools import islice
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from config.request import PROBLEMS_MAX
from config.wording import nearest, shown
from events.types import Problem
from services.gateway.desk import Desk
from services.gateway.links import PREFIX
from services.gateway.problems import Refused, wrong

Endpoint = Callable[..., Any]


def new_router() -> APIRouter:
    """Addresses under ``/api/v1`` that take no query but their own."""
    return APIRouter(prefix=PREFIX, dependencies=[Depends(_known_query)])


def get(router: APIRouter, path: str, **told: Any) -> Callable[[Endpoint], Endpoint]:
    """An address to GET, and so to HEAD."""

    def register(endpoint: Endpoint) -> Endpoint:
        router.head(path, include_in_schema=False)(endpoint)
        return router.get(path, **told)(endpoint)

    return register


def desk_of(request: Request) -> Desk:
    """The desk of the application that was asked."""
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


async def _known_query(request: Request) -> None:
    """Refuse what no address takes in its query: a filter that is mistyped would filter nothing.

    The same for one that stands there twice.  Raises ``Refused``.
    """
    route: APIRoute = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    asked = request.query_params
    problems = []
    for name in islice(asked, PROBLEMS_MAX):
        limit, hint = "", ""
        if name not in known:
            limit = f"one of {', '.join(known)}" if known else "left out"
            hint = f"this address takes no such parameter{nearest(name, known)}"
        elif len(asked.getlist(name)) > 1:
            limit, hint = "there once", "leave the others out"
        if limit:
            value = shown(asked[name])
            problems.append(Problem(field=shown(name), value=value, limit=limit, hint=hint))
    if problems:
        raise wrong(*problems)
