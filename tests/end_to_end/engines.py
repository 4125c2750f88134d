"""Homes with engines that generate: what is configured, asked and told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from adapters.files import FileStore
from config import Config, load
from events.job import End, Job, fold
from events.log import Recorded
from events.memory import MemoryLog
from events.types import RenderCompleted
from services.composition import SERVICES, Workshop, durables, run_services
from services.home import Home
from tests.painter import KIND, plugged_in

PLAIN: tuple[dict[str, Any], ...] = (
    {"name": "compositor", "kind": "compositor"},
    {"name": "template", "kind": "template"},
)
WITHIN_S = 240.0


def painter(folder: Path, name: str = "painter", slots: int = 4, **options: Any) -> dict[str, Any]:
    """An engine whose service is a folder (``tests.painter``)."""
    return {
        "name": name,
        "kind": KIND,
        "slots": slots,
        "options": {"folder": str(folder / name)} | options,
    }


def configured(folder: Path, engines: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    """A directory that is laid over the shipped configuration: these engines, then our own."""
    made = folder / "config"
    made.mkdir(exist_ok=True)
    # JSON is YAML.
    told = json.dumps({"engines": [*engines, *PLAIN]})
    (made / "engines.yaml").write_text(told, encoding="utf-8")
    (made / "defaults.yaml").write_text(json.dumps(more), encoding="utf-8")
    return made


@dataclass
class Works:
    """All four actors in this process, on a log in memory."""

    log: MemoryLog
    store: FileStore
    config: Config
    workshop: Workshop

    async def job(self, job_id: str, within_s: float = WITHIN_S, **ask: Any) -> Job:
        """A film, at its end."""
        await self.ask(job_id, **ask)
        return await self.ended(job_id, within_s)

    async def film(self, job_id: str, **ask: Any) -> tuple[Job, Path]:
        """A completed film, and its file."""
        job = await self.job(job_id, **ask)
        assert isinstance(job.end, RenderCompleted), job.end
        return job, await self.store.fetch(job.end.output)

    async def ask(self, job_id: str, **ask: Any) -> None:
        """Ask for a film; pictures are paths."""
        pictures = [
            f"sha256:{(await self.store.put_file(path, 'image/png')).sha256}"
            for path in ask.pop("pictures", ())
        ]
        body = {"prompt": "Good morning", "seed": 7, "image_uris": pictures or None} | ask
        await self.log.publish_ask(job_id, "render_requested", msgspec.json.encode(body))

    async def ended(self, job_id: str, within_s: float = WITHIN_S) -> Job:
        """A job at its end."""
        async with asyncio.timeout(within_s):
            async for recorded in self.log.follow(job_id):
                if isinstance(recorded.event, End):
                    break
        return fold(job_id, await self.log.read(job_id))

    async def history(self, job_id: str) -> tuple[Recorded, ...]:
        """What the log has of a job."""
        return await self.log.read(job_id)


@asynccontextmanager
async def works(
    folder: Path, engines: Sequence[Mapping[str, Any]], **more: Any
) -> AsyncIterator[Works]:
    """Services in a new home; the painter's plug-in must be on the path already."""
    home = Home(folder / "home")
    home.create()
    config = load(configured(folder, engines, **more), environ={})
    log, stop = MemoryLog(), asyncio.Event()
    await log.provision(durables(config))
    workshop = Workshop(SERVICES, home, config)
    services = asyncio.create_task(
        run_services(SERVICES, home=home, config=config, log=log, stop=stop, workshop=workshop)
    )
    try:
        yield Works(log, FileStore(home.artifacts), config, workshop)
    finally:
        stop.set()
        await services
        await workshop.close()


__all__ = ["KIND", "Works", "configured", "painter", "plugged_in", "works"]
