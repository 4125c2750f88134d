"""Waiting for a job: follow its events until it ends, through restarts of server and services."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from events.job import Job, evolve, initial_state
from events.log import LogUnavailable
from events.types import RenderCompleted
from services.cli.exits import Refused, Unreachable
from services.cli.visit import PATIENCE_S, away

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

    from events.log import EventLog, Recorded
    from services.cli.telling import Teller
    from services.cli.visit import Visit

_TICK_S = 0.5
_QUEUED_MAX = 1000


async def follow(visit: Visit, job_id: str, *, after: int = 0) -> AsyncGenerator[Recorded, None]:
    """The job's messages, without end, from whichever server has the home's log.

    Raises ``Unreachable`` when the server stays away.
    """
    lost_s: float | None = None
    while True:
        queue: asyncio.Queue[Recorded | None] = asyncio.Queue(_QUEUED_MAX)
        pump = asyncio.create_task(_pump(visit.log, job_id, after, queue))
        try:
            while True:
                try:
                    recorded = await asyncio.wait_for(queue.get(), _TICK_S)
                except TimeoutError:
                    visit.check()
                    if pump.done() or await _moved(visit):
                        break
                    continue
                if recorded is None:
                    break
                lost_s = None
                after = recorded.seq
                yield recorded
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        if not pump.cancelled():
            pump.result()
        now_s = asyncio.get_running_loop().time()
        lost_s = now_s if lost_s is None else lost_s
        if now_s - lost_s > PATIENCE_S:
            raise Unreachable(away(visit.arrival, PATIENCE_S))
        await asyncio.sleep(_TICK_S)


async def watch(visit: Visit, job_id: str, teller: Teller) -> tuple[Job, tuple[Recorded, ...]]:
    """Follow a job to its end, telling of it; returns it with its history."""
    job = initial_state(job_id)
    history: list[Recorded] = []
    async with (
        _progress(visit.log, job_id, teller),
        contextlib.aclosing(follow(visit, job_id)) as messages,
    ):
        async for recorded in messages:
            job = evolve(job, recorded)
            history.append(recorded)
            teller.event(job, recorded)
            if job.end is not None:
                break
    return job, tuple(history)


async def load(visit: Visit, job_id: str, *, until: int | None = None) -> Job:
    """The job as its log tells it now, or as it was after the message ``until``.

    Raises ``Refused`` when nobody ever asked for it.
    """
    history = await visit.patiently(lambda: visit.log.read(job_id))
    if not history:
        raise Refused(f"There is no job {job_id!r}. `pytoon jobs` lists those there are.")
    job = initial_state(job_id)
    for recorded in history:
        if until is None or recorded.seq <= until:
            job = evolve(job, recorded)
    return job


async def film_path(visit: Visit, job: Job) -> Path | None:
    """Where the film lies in the artifact store; None when there is none here."""
    from adapters.base import StoreError

    if not isinstance(job.end, RenderCompleted):
        return None
    try:
        return await visit.store.fetch(job.end.output)
    except StoreError:
        return None


async def save_film(visit: Visit, job: Job, out: Path) -> Path:
    """Copy the film to ``out``, whole or not at all; a folder gets ``<job_id>.mp4``."""
    assert isinstance(job.end, RenderCompleted)
    film = await visit.store.fetch(job.end.output)
    try:
        return await asyncio.to_thread(_copy, film, out, f"{job.job_id}.mp4")
    except OSError as error:
        raise Refused(
            f"-o {out}: the film cannot be written there ({error.strerror}). It is kept as "
            f"{film}; `pytoon resume {job.job_id} -o PATH` puts it elsewhere."
        ) from error


def _copy(film: Path, out: Path, name_in_folder: str) -> Path:
    target = out / name_in_folder if out.is_dir() else out
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file, film.open("rb") as source:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        return Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


async def _pump(
    log: EventLog, job_id: str, after: int, queue: asyncio.Queue[Recorded | None]
) -> None:
    try:
        async for recorded in log.follow(job_id, after=after):
            await queue.put(recorded)
    except LogUnavailable:
        pass  # The connection is away: the reader tries again, and gives up in time.
    finally:
        with contextlib.suppress(asyncio.QueueFull):
            queue.put_nowait(None)


async def _moved(visit: Visit) -> bool:
    with contextlib.suppress(Unreachable):
        return await visit.follow_move()
    return False


@contextlib.asynccontextmanager
async def _progress(log: EventLog, job_id: str, teller: Teller) -> AsyncIterator[None]:
    async def tell(facts: dict[str, Any]) -> None:
        teller.progress(facts)

    end: Callable[[], Coroutine[Any, Any, None]] | None = None
    with contextlib.suppress(LogUnavailable):
        end = await log.subscribe_progress(job_id, tell)
    try:
        yield
    finally:
        if end is not None:
            with contextlib.suppress(LogUnavailable, OSError):
                await end()
