"""What the gateway does with the log: asks are published, jobs are read.

Nothing is kept but a cache of folded jobs and one of the listing, which the log fills again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec

from adapters import tracing
from adapters.base import ArtifactStore
from adapters.spans import Attribute
from config import Config, parse_request
from config.wording import shown
from events.job import Job, JobStatus, fold
from events.link import placed
from events.log import EventLog, Recorded
from events.subjects import is_token
from events.types import Problem, RenderPlanned, RenderRejected, RenderRequested
from services.gateway.listening import Listening
from services.gateway.listing import Listing
from services.gateway.problems import Refused, too_many, wrong
from services.runtime import JobCache

PLANS_KEPT: Final = 16
PLAN_KEPT_S: Final = 60.0
"""While somebody looks at a film that is only planned it is not planned for each frame."""


class DryRun(Protocol):
    """Plans a request as the planner does, and starts nothing."""

    async def __call__(self, ask: Mapping[str, Any]) -> RenderPlanned | RenderRejected:
        """The plan, or why there is none."""

    def warm_up(self) -> None:
        """Somebody is about to ask."""


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
        self._plans = asyncio.Semaphore(config.gateway.plans_max)
        self._planned: OrderedDict[bytes, tuple[float, RenderPlanned]] = OrderedDict()
        self.listing = Listing(log, self.load, config.gateway.rows_kept_max)
        self.listening = Listening(log)

    async def close(self) -> None:
        """End what is told without end: the gateway stops."""
        await self.listening.close()

    async def submit(self, ask: Mapping[str, Any], *, caller: str, idempotency: str) -> Job:
        """Publish a request and return its job; raises ``Refused`` with every problem.

        An ``idempotency`` key gives the job's id: the same key and body again is the same job,
        another body under it is refused.
        """
        body = self._judged(ask)
        job_id = ask.get("job_id") or _job_id(caller, idempotency)
        tracing.note({Attribute.JOB: job_id})
        stored = await self.log.publish_ask(
            job_id,
            "render_requested",
            msgspec.json.encode({**body, "job_id": job_id}),
            traceparent=tracing.traceparent(),
        )
        event = stored.event
        first = (
            {name: value for name, value in event.ask.items() if name != "job_id"}
            if isinstance(event, RenderRequested)
            else None
        )
        if first != body:
            named = "job_id" if ask.get("job_id") else "Idempotency-Key"
            detail = (
                f"The {named} was used before with another request (job {job_id}); "
                "send the same body, or another key."
            )
            raise Refused(HTTPStatus.CONFLICT, detail)
        self.listing.note(job_id, stored.seq)
        return await self.load(job_id, at_least=stored.seq)

    def expect_plans(self) -> None:
        """The page was opened: it shows what is asked for as it would become."""
        if self._dry_run is not None:
            self._dry_run.warm_up()

    async def plan(self, ask: Mapping[str, Any]) -> RenderPlanned:
        """The plan that a request would get, or got a moment ago.  Raises ``Refused``."""
        body = self._judged(ask)
        key = hashlib.sha256(msgspec.json.encode(body)).digest()
        made_s, known = self._planned.get(key, (0.0, None))
        if known is not None and time.monotonic() - made_s <= PLAN_KEPT_S:
            return known
        if self._dry_run is None:
            detail = "This gateway cannot plan; ask the one of `pytoon up`."
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, detail)
        if self._plans.locked():
            raise too_many("dry runs", self.config.gateway.plans_max)
        async with self._plans:
            planned = await self._dry_run(body)
        if isinstance(planned, RenderRejected):
            detail = "The request cannot be met."
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems=planned.problems)
        self._planned[key] = (time.monotonic(), planned)
        while len(self._planned) > PLANS_KEPT:
            self._planned.popitem(last=False)
        return planned

    def _judged(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        """A request without its job's id.  Raises ``Refused`` with all that is wrong with both."""
        body = {name: value for name, value in ask.items() if name != "job_id"}
        found = parse_request(body, presets=self.config.presets)
        problems = list(found) if isinstance(found, tuple) else []
        named = ask.get("job_id")
        if named is not None and not (isinstance(named, str) and is_token(named)):
            problem = Problem(
                field="job_id",
                value=shown(named),
                limit="1 to 64 characters of A-Z a-z 0-9 _ -",
                hint="choose another one, or leave it out",
            )
            problems.append(problem)
        if problems:
            raise wrong(*problems)
        return body

    async def cancel(self, job_id: str, why: str) -> Job:
        """Ask that no more be done, and return the job; a film that is there stays."""
        job = await self.job(job_id)
        if job.end is None and job.cancel is None:
            body = msgspec.json.encode({"why": why})
            stored = await self.log.publish_ask(
                job_id, "render_cancel_requested", body, traceparent=tracing.traceparent()
            )
            self.listing.note(job_id, stored.seq)
            job = await self.load(job_id, at_least=stored.seq)
        return job

    async def job(self, job_id: str) -> Job:
        """The job; ``Refused`` where nobody asked for it."""
        if not is_token(job_id):
            raise _unknown(job_id)
        job = await self.load(job_id)
        if job.status is JobStatus.UNKNOWN:
            # A copy of the log may be behind; its leader is not.
            seq = await self.log.tail_seq(job_id)
            job = await self.load(job_id, at_least=seq)
        if job.status is JobStatus.UNKNOWN:
            raise _unknown(job_id)
        return job

    async def load(self, job_id: str, *, at_least: int = 0) -> Job:
        """The job as the log has it, whether or not anybody asked for it."""
        return await self._cache.load(job_id, at_least=at_least)

    async def job_at(self, job_id: str, seq: int) -> Job:
        """The job as it stood after the message with this sequence."""
        history = await self.history(job_id, 0)
        return fold(job_id, (recorded for recorded in history if recorded.seq <= seq))

    async def history(self, job_id: str, after: int) -> Sequence[Recorded]:
        """The job's messages above a sequence; ``Refused`` where nobody asked for it."""
        await self.job(job_id)
        return await self.read(job_id, after=after)

    async def read(self, job_id: str, *, after: int, at_least: int = 0) -> tuple[Recorded, ...]:
        """The messages above a sequence, each seen at its place in the whole.

        What is signed and was stored a second time is known by its place: then all is read.
        """
        found = await self.log.read(job_id, after=after, at_least=at_least)
        if after and any(recorded.signer for recorded in found):
            found = await self.log.read(job_id, at_least=found[-1].seq)
        return tuple(recorded for recorded in placed(found) if recorded.seq > after)


def _job_id(caller: str, idempotency: str) -> str:
    if idempotency:
        return "idem-" + hashlib.sha256(f"{caller}\0{idempotency}".encode()).hexdigest()[:32]
    return uuid.uuid4().hex


def _unknown(job_id: str) -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, f"There is no job {job_id[:80]!r}.")
