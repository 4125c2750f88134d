"""The gateway's application, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from adapters.glances import Glances
from events.log import LogError
from services.gateway import document, frames, problems, shapes
from services.gateway.desk import Desk
from services.gateway.guard import LOOPBACK_NAMES, Guard
from services.gateway.keys import Keyring
from services.gateway.problems import away
from services.gateway.routes import router
from services.gateway.tracing import Traced
from services.gateway.uploads import Uploads

PAGE = Path(__file__).with_name("page")
"""The web page's files, served as they are: no build step."""

Metrics = Callable[[], Awaitable[tuple[bytes, str]]]
"""The exposition of the metrics and its media type."""


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
    hosts: Collection[str] = LOOPBACK_NAMES,
    metrics: Metrics | None = None,
    glances: Glances | None = None,
) -> FastAPI:
    """An ASGI application on a desk; without ``glances`` it draws no frames to look at."""
    app = FastAPI(
        title="Pytoon",
        version="1",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    config, limits = desk.config.gateway, desk.config.limits
    app.state.desk = desk
    app.state.sketches = frames.Sketches(desk, glances)
    app.state.uploads = Uploads(
        desk.store, uploads_max=config.uploads_max, disk_free_mb_min=limits.disk_free_mb_min
    )
    app.include_router(router)
    app.include_router(frames.router)
    problems.install(app)
    document.install(app, desk.config.presets, keys=bool(keys))
    app.add_middleware(Traced)
    uploads = (limits.asset_bytes_max, limits.sound_bytes_max, limits.font_bytes_max)
    # The last one is asked first: who is not let in leaves no span.
    app.add_middleware(Guard, keys=keys, bounds=config, upload_bytes_max=max(uploads), hosts=hosts)
    page = _Page(directory=PAGE)
    app.mount("/page", page, name="page")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(request: Request) -> Response:
        desk.expect_plans()
        return await page.get_response("index.html", request.scope)

    _operation(app, desk, metrics)
    return app


def _operation(app: FastAPI, desk: Desk, metrics: Metrics | None) -> None:
    """What whoever operates it asks."""

    @app.head("/health", include_in_schema=False)
    @app.get("/health", tags=["operation"])
    async def health() -> shapes.State:
        """Whether the gateway lives."""
        return shapes.State(status="ok")

    @app.head("/ready", include_in_schema=False)
    @app.get(
        "/ready",
        tags=["operation"],
        responses={503: {"model": shapes.State, "description": "Not ready"}},
    )
    async def ready(response: Response) -> shapes.State:
        """Whether it can reach the log."""
        try:
            await desk.log.usage()
        except LogError as error:
            response.status_code = 503
            return shapes.State(status="not ready", detail=f"the event log: {error}")
        return shapes.State(status="ready")

    if metrics is not None:

        @app.head("/metrics", include_in_schema=False)
        @app.get(
            "/metrics",
            tags=["operation"],
            response_class=PlainTextResponse,
            responses={200: {"description": "The text that Prometheus reads."}},
        )
        async def exposition() -> Response:
            """How much was done, how fast, and what waits."""
            try:
                body, media_type = await metrics()
            except TimeoutError:
                raise away("the services did not tell their metrics in time") from None
            return Response(body, media_type=media_type)
