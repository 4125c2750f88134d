"""The library's face: ask for films, watch them, and read what became of them.

    async with Pytoon.connect("nats://127.0.0.1:4222", token=token) as pytoon:
        await pytoon.request("spring-sale", {"preset": "overlay_classic", "prompt": "…"})
        job = await pytoon.wait("spring-sale", timeout_s=600)

It needs nothing but the log: no service, no store, no configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from events.job import Job, evolve, fold, initial_state
from events.link import flaws
from events.log import EventLog, JobListed, Recorded
from events.stream import LogSettings

if TYPE_CHECKING:
    import ssl

PROGRESS_KEPT_MAX = 100
"""How many reports a slow listener may be behind; older ones are dropped: they are no history."""


class Pytoon:
    """A client of a log, whichever it is."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        token: str | None = None,
        name: str = "pytoon-client",
        tls: ssl.SSLContext | None = None,
        settings: LogSettings | None = None,
        trusted_keys: Path | None = None,
    ) -> AsyncIterator[Self]:
        """A client of a NATS server, for as long as the block lasts.

        A ``tls://`` server's certificate is checked with ``tls``, by default against the
        system's CAs.  ``trusted_keys`` is the file with the public keys of a log whose events
        are signed: without it whatever is stored is believed.  Raises ``LogUnavailable`` if
        there is no server or it does not let us in, ``keyfiles.KeyFileError`` for a file that
        cannot be used, ModuleNotFoundError where ``trusted_keys`` needs ``pytoon[sign]``.
        """
        from events.jetstream import JetStreamLog  # noqa: PLC0415 - NATS only for who uses it

        if trusted_keys is not None:
            from events.keyfiles import read_trust  # noqa: PLC0415 - an extra's library
            from events.keys import Keyring  # noqa: PLC0415 - likewise

            keyring = Keyring(read_trust(trusted_keys))
            settings = msgspec.structs.replace(settings or LogSettings(), keyring=keyring)
        log = await JetStreamLog.connect(url, token=token, name=name, tls=tls, settings=settings)
        try:
            yield cls(log)
        finally:
            await log.close()

    async def request(
        self, job_id: str, ask: Mapping[str, Any], *, traceparent: str = ""
    ) -> Recorded:
        """Ask for a film.  Asking again under one id returns the first request as stored.

        ``job_id`` is the caller's: 1 to 64 of A-Z a-z 0-9 _ -.  ValueError for another, and for
        an ask that is no JSON.  ``traceparent`` is the caller's span, as W3C writes it: the job
        is then a part of its trace.  Raises ``LogFull`` and ``LogUnavailable``.
        """
        return await self._ask(job_id, "render_requested", ask, traceparent)

    async def cancel(self, job_id: str, why: str = "") -> Recorded:
        """Ask that no more be done; a film that is complete by then stays so."""
        return await self._ask(job_id, "render_cancel_requested", {"why": why})

    async def _ask(
        self, job_id: str, kind: str, ask: Mapping[str, Any], traceparent: str = ""
    ) -> Recorded:
        try:
            body = msgspec.json.encode(dict(ask))
        except (TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"the {kind} cannot be written as JSON: {error}") from error
        return await self.log.publish_ask(job_id, kind, body, traceparent=traceparent)

    def events(self, job_id: str, after: int = 0) -> AsyncIterator[Recorded]:
        """The job's messages above sequence ``after``, then each as it is stored, without end."""
        return self.log.follow(job_id, after=after)

    async def replay(self, job_id: str, at: int | None = None) -> Job:
        """The job as it stands, or as it stood after the message with sequence ``at``."""
        history = await self.log.read(job_id)
        return fold(job_id, (item for item in history if at is None or item.seq <= at))

    async def wait(self, job_id: str, timeout_s: float) -> Job:
        """The job once it has ended, well or not; TimeoutError after ``timeout_s`` seconds."""
        job = initial_state(job_id)
        async with asyncio.timeout(timeout_s):
            async with aclosing(self.log.follow(job_id)) as stream:  # type: ignore[type-var]
                async for recorded in stream:
                    job = evolve(job, recorded)
                    if job.end is not None:
                        break
        return job

    async def jobs(self) -> tuple[JobListed, ...]:
        """Every job that was asked for, oldest first."""
        return await self.log.jobs()

    async def progress(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        """How far the job is, as it is told, without end.  Nothing is kept for who comes late."""
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue(PROGRESS_KEPT_MAX)

        async def listen(progress: dict[str, Any]) -> None:
            if told.full():
                told.get_nowait()
            told.put_nowait(progress)

        unsubscribe = await self.log.subscribe_progress(job_id, listen)
        try:
            while True:
                yield await told.get()
        finally:
            await unsubscribe()

    async def audit(self, job_id: str) -> tuple[str, ...]:
        """What is wrong with the job's chain of messages; empty if it is whole."""
        return flaws(await self.log.read(job_id))
