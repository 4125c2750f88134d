"""The gateway's application, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles

from adapters.glances import Glances
from events.log import LogError
from services.gateway import frames, problems, shapes
from services.gateway.desk import Desk
from services.gateway.guard import LOOPBACK_NAMES, Bounds, Guard
from services.gateway.keys import Keyring
from services.gateway.routes import router

PAGE = Path(__file__).with_name("page")
"""The web page's files, served as they are: no build step."""

Metrics = Callable[[], tuple[bytes, str]]
"""The exposition of this process's metrics and its media type."""


class _Page(StaticFiles):
    """Asked for anew each time, and sent only where it changed: a page of one version."""

    def file_response(self, *given: Any, **named: Any) -> Response:
        response = super().file_response(*given, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    desk: Desk,
    *,
    keys: Keyring,
    bounds: Bounds,
    hosts: Collection[str] = LOOPBACK_NAMES,
    metrics: Metrics | None = None,
    glances: Glances | None = None,
) -> FastAPI:
    """An ASGI application on a desk; without ``glances`` it draws no frames to look at."""
    app = FastAPI(
        title="Pytoon",
        version="1",
        description="Ask for films, watch them being made, fetch them. "
        "The gateway publishes events and reads the log; it holds no state.",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk = desk
    app.state.streams = set()
    app.state.sketches = frames.Sketches(desk, glances)
    app.include_router(router)
    app.include_router(frames.router)
    problems.install(app)
    app.add_middleware(Guard, keys=keys, bounds=bounds, hosts=hosts)
    page = _Page(directory=PAGE)
    app.mount("/page", page, name="page")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(request: Request) -> Response:
        return await page.get_response("index.html", request.scope)

    @app.get("/health")
    async def health() -> shapes.State:
        """Whether the gateway lives."""
        return shapes.State(status="ok")

    @app.get("/ready", responses={503: {"model": shapes.State, "description": "Not ready"}})
    async def ready(response: Response) -> shapes.State:
        """Whether it can reach the log."""
        try:
            await desk.log.backlog()
        except LogError as error:
            response.status_code = 503
            return shapes.State(status="not ready", detail=f"the event log: {error}")
        return shapes.State(status="ready")

    if metrics is not None:

        @app.get("/metrics", include_in_schema=False)
        async def exposition() -> Response:
            body, media_type = metrics()
            return Response(body, media_type=media_type)

    return app
