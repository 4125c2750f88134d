"""Requests as spans: a client's own trace goes on through the gateway, and into the log.

Inside of the guard: who is not let in leaves no span.  Without anybody who records spans a
client's ``traceparent`` is handed on as it came, so that its job is a part of its trace.

Left out: FastAPI's own spans, which would tell a request's query.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters import tracing
from adapters.spans import REQUEST, Attribute
from events.trace import HEADER, TraceContext, parse

SERVICE = "gateway"
PATHS = "/api/"
"""What is traced: not the page's files, nor who looks whether we live."""
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "_OTHER"
"""OpenTelemetry's word for a method that a client made up."""
FAULT = 500


class Traced:
    """Has each request of the API be in a span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(PATHS):
            await self._app(scope, receive, send)
            return
        parent = _told(scope)
        if tracing.is_recorded():
            await self._recorded(parent, scope, receive, send)
            return
        with tracing.within(parent):
            await self._app(scope, receive, send)

    async def _recorded(
        self, parent: TraceContext | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER
        span = tracing.begin(
            REQUEST,
            service=SERVICE,
            context=tracing.new_context(parent),
            parent=parent,
            name=method,
        )
        span.note({Attribute.METHOD: method, Attribute.SCHEME: scope.get("scheme", "http")})
        span.note({Attribute.PATH: scope["path"]})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.note({Attribute.STATUS: message["status"]})
                if message["status"] >= FAULT:
                    span.fail(str(message["status"]))
            await send(message)

        token = tracing.enter(span)
        try:
            await self._app(scope, receive, told)
        except BaseException as error:
            tracing.ended_by(span, error)
            raise
        finally:
            tracing.leave(token)
            route = getattr(scope.get("route"), "path_format", "")
            if route:
                span.rename(f"{method} {route}")
                span.note({Attribute.ROUTE: route})
            span.end()


def _told(scope: Scope) -> TraceContext | None:
    """The client's own span; of several headers none holds."""
    found = Headers(scope=scope).getlist(HEADER)
    return parse(found[0]) if len(found) == 1 else None
