"""What the gateway does with the log: asks are published, jobs are read.

Nothing is kept but a cache of folded jobs, which the log fills again.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from adapters.base import ArtifactStore
from config import Config, parse_request
from events.job import Job, JobStatus, fold
from events.log import EventLog, JobListed, Recorded
from events.spec import Struct
from events.subjects import is_token
from events.types import RenderPlanned, RenderRejected, RenderRequested
from services.gateway.problems import Refused
from services.runtime import JobCache

LISTING_KEPT_S = 1.0
"""How long a listing of the log's jobs serves further pages."""
SCANNED_MAX = 500
"""Jobs that one page looks at for a filter; the answer says where to go on."""

DryRun = Callable[[Mapping[str, Any]], Awaitable[RenderPlanned | RenderRejected]]
"""Plans a request as the planner does, and starts nothing."""


class Page(Struct, frozen=True, kw_only=True):
    """A part of the listing, newest first; ``after`` is where the next one begins."""

    jobs: tuple[Job, ...]
    after: str | None


class Desk:
    """The gateway's way to the log and the store."""

    def __init__(
        self, log: EventLog, store: ArtifactStore, config: Config, dry_run: DryRun | None = None
    ) -> None:
        self.log = log
        self.store = store
        self.config = config
        self._dry_run = dry_run
        self._cache = JobCache(log, config.runtime.jobs_cached_max)
        self._listing: tuple[JobListed, ...] = ()
        self._listed_s = -LISTING_KEPT_S

    async def submit(self, ask: Mapping[str, Any], *, caller: str, idempotency: str) -> str:
        """Publish a request and return its job's id; raises ``Refused`` with every problem.

        An ``idempotency`` key gives the job's id: the same key and body again is the same job,
        another body under it is refused.
        """
        body = {name: value for name, value in ask.items() if name != "job_id"}
        self._judge(body)
        job_id = _job_id(ask.get("job_id"), caller, idempotency)
        stored = await self.log.publish_ask(
            job_id, "render_requested", msgspec.json.encode({**body, "job_id": job_id})
        )
        event = stored.event
        first = (
            {name: value for name, value in event.ask.items() if name != "job_id"}
            if isinstance(event, RenderRequested)
            else None
        )
        if first != body:
            named = "Idempotency-Key" if idempotency else "job_id"
            detail = (
                f"The {named} was used before with another request (job {job_id}); "
                "send the same body, or another key."
            )
            raise Refused(HTTPStatus.CONFLICT, detail)
        return job_id

    async def plan(self, ask: Mapping[str, Any]) -> RenderPlanned:
        """The plan that a request would get.  Raises ``Refused``."""
        body = {name: value for name, value in ask.items() if name != "job_id"}
        self._judge(body)
        if self._dry_run is None:
            detail = "This gateway cannot plan; ask the one of `pytoon up`."
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, detail)
        planned = await self._dry_run(body)
        if isinstance(planned, RenderRejected):
            detail = "The request cannot be met."
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems=planned.problems)
        return planned

    def _judge(self, body: Mapping[str, Any]) -> None:
        problems = parse_request(body, presets=self.config.presets)
        if isinstance(problems, tuple):
            detail = "; ".join(f"{p.field}: must be {p.limit}" for p in problems)
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems=problems)

    async def cancel(self, job_id: str, why: str) -> Job:
        """Ask that no more be done, and return the job; a film that is there stays."""
        job = await self.job(job_id)
        if job.end is None and job.cancel is None:
            body = msgspec.json.encode({"why": why})
            stored = await self.log.publish_ask(job_id, "render_cancel_requested", body)
            job = await self._cache.load(job_id, at_least=stored.seq)
        return job

    async def job(self, job_id: str) -> Job:
        """The job; ``Refused`` where nobody asked for it."""
        if not is_token(job_id):
            raise _unknown(job_id)
        job = await self._cache.load(job_id)
        if job.status is JobStatus.UNKNOWN:
            raise _unknown(job_id)
        return job

    async def job_at(self, job_id: str, seq: int) -> Job:
        """The job as it stood after the message with this sequence."""
        history = await self.history(job_id, 0)
        return fold(job_id, (recorded for recorded in history if recorded.seq <= seq))

    async def history(self, job_id: str, after: int) -> Sequence[Recorded]:
        """The job's messages above a sequence."""
        await self.job(job_id)
        return await self.log.read(job_id, after=after)

    async def page(
        self, *, limit: int, after: str | None, status: JobStatus | None, preset_id: str | None
    ) -> Page:
        """Jobs, newest first, from below ``after`` on."""
        listed = list(reversed(await self._listed()))
        if after is not None:
            places = [at for at, known in enumerate(listed) if known.job_id == after]
            if not places:
                detail = f"after: there is no job {after!r}; begin without it"
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
            listed = listed[places[0] + 1 :]
        found: list[Job] = []
        for seen, known in enumerate(listed, 1):
            job = await self._cache.load(known.job_id)
            if status in {None, job.status} and preset_id in {None, preset_of(job)}:
                found.append(job)
            if len(found) == limit or seen == SCANNED_MAX:
                return Page(jobs=tuple(found), after=known.job_id if seen < len(listed) else None)
        return Page(jobs=tuple(found), after=None)

    async def _listed(self) -> tuple[JobListed, ...]:
        now_s = time.monotonic()
        if now_s - self._listed_s >= LISTING_KEPT_S:
            self._listing = await self.log.jobs()
            self._listed_s = now_s
        return self._listing


def preset_of(job: Job) -> str | None:
    """The look that a job was asked for in."""
    if job.spec is not None:
        return job.spec.preset_id
    asked = job.requested.ask.get("preset_id") if job.requested else None
    return asked if isinstance(asked, str) else None


def _job_id(named: object, caller: str, idempotency: str) -> str:
    if named is not None:
        if not isinstance(named, str) or not is_token(named):
            detail = f"job_id: {str(named)[:80]!r} must be 1 to 64 characters of A-Z a-z 0-9 _ -"
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        return named
    if idempotency:
        return "idem-" + hashlib.sha256(f"{caller}\0{idempotency}".encode()).hexdigest()[:32]
    return uuid.uuid4().hex


def _unknown(job_id: str) -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, f"There is no job {job_id[:80]!r}.")
