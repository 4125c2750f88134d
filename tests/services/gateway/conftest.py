"""A gateway on a log in memory, with the four actors and the null engine behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from adapters.files import FileStore
from adapters.null import NullEngine, NullStudio
from config import Config, load
from events.memory import MemoryLog
from services import composition
from services.gateway.app import create_app
from services.gateway.desk import Desk
from services.gateway.keys import Keyring, keyring
from services.home import Home
from services.runtime import Runtime

ASK = {
    "preset_id": "overlay_classic",
    "prompt": "Sleek product showcase",
    "target_duration_seconds": 15,
}
BODY_BYTES_MAX = 100_000
UPLOAD_BYTES_MAX = 300_000


@dataclass
class House:
    """What stands behind the addresses."""

    log: MemoryLog
    store: FileStore
    config: Config
    app: FastAPI
    client: httpx.AsyncClient

    async def ended(self, job_id: str, wait_s: float = 30.0) -> dict[str, Any]:
        """The job's status once it is over."""
        async with asyncio.timeout(wait_s):
            while True:
                told = (await self.client.get(f"/api/v1/jobs/{job_id}")).json()
                if told["status"] in {"completed", "failed", "cancelled", "rejected"}:
                    return dict(told)
                await asyncio.sleep(0.02)


Open = Callable[..., Awaitable[House]]


def null_config(**bounds: float) -> Config:
    """A configuration in which nothing touches any media, with other bounds of the gateway."""
    told = {"requests_a_minute": 10_000, "body_bytes_max": BODY_BYTES_MAX, "body_s": 10.0} | bounds
    largest = ("asset_bytes_max", "sound_bytes_max", "font_bytes_max")
    return load(
        environ={
            "PYTOON_ENGINES__NULL__ENABLED": "true",
            "PYTOON_RUNTIME__FETCH_WAIT_S": "0.02",
            **{f"PYTOON_LIMITS__{name.upper()}": str(UPLOAD_BYTES_MAX) for name in largest},
            **{f"PYTOON_GATEWAY__{name.upper()}": str(most) for name, most in told.items()},
        }
    )


@asynccontextmanager
async def house_of(
    folder: Path,
    *,
    keys: str = "",
    actors: bool = True,
    plans: bool = False,
    draws: bool = False,
    **bounds: float,
) -> AsyncIterator[House]:
    """A gateway, with services unless told otherwise, and with these of its bounds.

    With ``plans`` it can say what a request would become; where it ``draws``, too, both are the
    real thing and only the films are not.
    """
    config, home = null_config(**bounds), Home(folder / "home")
    log, store = MemoryLog(settings=config.log.settings()), FileStore(home.artifacts)
    await log.provision(composition.durables(config))
    workshop = composition.Workshop((), home, load(environ={}) if draws else config)
    desk = Desk(log, store, config, composition.Planning(workshop, home) if plans else None)
    ring = keyring({"PYTOON_API_KEYS": keys}) if keys else Keyring()
    app = create_app(desk, keys=ring, glances=composition.glances_of(workshop))
    stop = asyncio.Event()
    runtimes = [
        Runtime(
            actor,
            log,
            limits=composition.limits_of(config),
            settings=composition.settings_of(config),
        )
        for name in (composition.SERVICES if actors else ())
        for actor in composition.actors_of(
            [name],
            config=config,
            engines={"null": NullEngine(store)},
            studio=workshop.studio if name == "planner" else NullStudio(store),
        )
    ]
    tasks = [asyncio.create_task(runtime.run(stop)) for runtime in runtimes]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield House(log, store, config, app, client)
    stop.set()
    await desk.close()
    await asyncio.gather(*tasks)
    await workshop.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway that asks for no key."""
    async with house_of(tmp_path) as made:
        yield made
