"""Serving the application: uvicorn inside our own loop, stopped by our own event."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import resource
import socket
from collections.abc import Iterator
from typing import cast

import uvicorn
from fastapi import FastAPI

from services.gateway.connection import Connection
from services.gateway.desk import Desk

FILES_A_CONNECTION = 2
"""A client's connection, and the film that it is sent."""
FILES_BESIDES = 256


class _Server(uvicorn.Server):
    """Signals are our caller's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: FastAPI, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set; open requests get a few seconds to end."""
    desk: Desk = app.state.desk
    bounds = desk.config.gateway
    # Requests that are none and clients that go are no news; what fails here is logged by us, too.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    allow_files(FILES_A_CONNECTION * bounds.connections_max + FILES_BESIDES)
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", functools.partial(Connection, bounds=bounds)),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        # The connection's own timer says when.
        timeout_keep_alive=math.ceil(bounds.head_s) + 1,
        timeout_graceful_shutdown=math.ceil(bounds.stop_s),
        server_header=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await desk.close()
        await task
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
        listening.close()


def allow_files(wanted: int) -> None:
    """Have this process open so many files, as far as it may: shells often allow 1024."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
