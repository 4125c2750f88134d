"""Films made by all four actors in this process: the log in memory, engine and workers real."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from adapters.files import FileStore
from config import load
from events.job import End, Job, fold
from events.memory import MemoryLog
from events.spec import RenderSpec
from events.types import Event, RenderCompleted
from services.composition import SERVICES, durables, run_services
from services.home import Home
from tests.end_to_end.film_checks import Pixels, frames_of

WITHIN_S = 240.0


@dataclass(frozen=True)
class Ended:
    """A job that has ended, well or not, and all its events."""

    job: Job
    events: tuple[Event, ...]
    path: Path | None


@dataclass(frozen=True)
class Film:
    """A finished film and its job."""

    path: Path
    job: Job

    @property
    def spec(self) -> RenderSpec:
        """Its plan."""
        assert self.job.spec is not None
        return self.job.spec

    def frame(self, number: int) -> Pixels:
        """One of its frames."""
        return frames_of(self.path, [number])[number]


def ask(preset: str, *pictures: Path, **changes: Any) -> dict[str, Any]:
    """A request of a second; paths in it become artifacts."""
    body: dict[str, Any] = {"preset_id": preset, "target_duration_seconds": 1, "seed": 7}
    return body | {"prompt": "Good morning", "image_uris": list(pictures)} | changes


def made(folder: Path, asks: Mapping[str, dict[str, Any]]) -> dict[str, Film]:
    """Every film that was asked for, by job id."""
    films = {}
    for job_id, end in ended(folder, asks).items():
        assert end.path is not None, end.job.end
        films[job_id] = Film(end.path, end.job)
    return films


def ended(
    folder: Path, asks: Mapping[str, dict[str, Any]], environ: Mapping[str, str] | None = None
) -> dict[str, Ended]:
    """What became of every request, in a new home; ``environ`` sets configuration."""
    return asyncio.run(_ended(folder, asks, environ or {}))


async def _ended(
    folder: Path, asks: Mapping[str, dict[str, Any]], environ: Mapping[str, str]
) -> dict[str, Ended]:
    home = Home(folder / "home")
    home.create()
    store = FileStore(home.artifacts)
    config = load(environ=environ)
    log = MemoryLog()
    await log.provision(durables(config))
    stop = asyncio.Event()
    services = asyncio.create_task(
        run_services(SERVICES, home=home, config=config, log=log, stop=stop)
    )
    try:
        for job_id, body in asks.items():
            published = msgspec.json.encode(await _stored(body, store))
            await log.publish_ask(job_id, "render_requested", published)
        async with asyncio.timeout(WITHIN_S):
            return {job_id: await _end_of(job_id, log, store) for job_id in asks}
    finally:
        stop.set()
        await services


async def _stored(body: Mapping[str, Any], store: FileStore) -> dict[str, Any]:
    async def uri(value: Any) -> Any:
        if isinstance(value, list):
            return [await uri(each) for each in value]
        if isinstance(value, Path):
            return f"sha256:{(await store.put_file(value, 'image/any')).sha256}"
        return value

    return {field: await uri(value) for field, value in body.items()}


async def _end_of(job_id: str, log: MemoryLog, store: FileStore) -> Ended:
    async for recorded in log.follow(job_id):
        if isinstance(recorded.event, End):
            break
    stored = await log.read(job_id)
    job = fold(job_id, stored)
    done = job.end if isinstance(job.end, RenderCompleted) else None
    path = await store.fetch(done.output) if done else None
    return Ended(job, tuple(each.event for each in stored), path)  # type: ignore[misc]
