"""A pool of ComfyUI servers under a whole film: one dies in the midst of it, nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from config.loader import SHIPPED
from events.types import RenderCompleted, SegmentRendered
from tests.comfy.films import Ordered
from tests.comfy.item import Item
from tests.comfy.server import ComfyServer
from tests.end_to_end.engines import works

SEGMENTS = 20
PRODUCT = SHIPPED / "demo" / "product.png"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def test_a_film_outlives_a_server_of_its_pool(tmp_path: Path) -> None:
    """Twenty segments on three servers, one of which dies over its second run (90 s)."""
    servers = [await ComfyServer(tmp_path / f"server-{n}").start() for n in range(3)]
    for server in servers:
        server.step_s = 0.7
    deaths: list[asyncio.Task[None]] = []

    def dies(server: ComfyServer, _: Item, __: Ordered) -> None:
        deaths.append(asyncio.create_task(server.kill()))

    servers[1].runs = ["", dies]
    engine: dict[str, Any] = {
        "name": "comfy",
        "kind": "comfyui",
        "slots": 6,
        "options": {
            "servers": [server.url for server in servers],
            "poll_s": 0.2,
            "gone_s": 2.0,
            "cool_down_s": 600.0,
        },
    }
    try:
        async with works(tmp_path, [engine]) as made:
            job = await made.job(
                "film",
                within_s=500,
                preset_id="overlay_classic",
                pictures=[PRODUCT],
                target_duration_seconds=60,
                draft=True,
            )
            history = await made.history("film")
    finally:
        await asyncio.gather(*(server.kill() for server in servers))
    assert len(deaths) == 1
    assert isinstance(job.end, RenderCompleted), job.end
    assert [rung.engine for rung in job.rungs] == ["comfy"] * SEGMENTS
    assert job.downgrades == ()
    rendered = [each.event for each in history if isinstance(each.event, SegmentRendered)]
    assert sum(event.raw is not None for event in rendered) == SEGMENTS
    done = [len(server.history) for server in servers]
    posted = sum(len(server.posted) for server in servers)
    assert done == [0, 0, 0], "killed servers forget"
    # The dead one's work in progress and in its queue was posted again, and nothing else.
    assert SEGMENTS < posted <= SEGMENTS + 6
