"""A hosted service as a generator: create once, note it, follow it, fetch the clip.

The order is what keeps anybody from paying twice: the intent is in the log before the create is
sent, the handle before it is first used.  Whoever finds an intent without a handle, or sends a
create whose answer is lost, late or unreadable, does not know whether something was made; then
nothing is made again, and a person is told what to look for.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import structlog

from adapters import spans, tracing
from adapters.base import Capabilities, EngineFailure, Health, Ledger, ProgressCallback
from adapters.generation import Clip, ClipAsk
from adapters.hosted.asking import Asked, asked, fitting, key_of, recipe
from adapters.hosted.client import Answer, Client, Foreign, NoAnswer, split, told
from adapters.hosted.declaration import Declaration
from adapters.hosted.failures import failed, meaning
from adapters.hosted.fetching import Fetched, Fetcher
from adapters.hosted.following import Follower, now_s
from adapters.hosted.handing import Hander
from adapters.hosted.handles import Handle, answered, read
from adapters.hosted.options import HostedOptions
from adapters.hosted.selecting import text
from adapters.secret import Secret
from adapters.spans import Attribute, Facts
from adapters.workers import WorkerPool
from events.job import Generation
from events.spec import Archetype
from events.types import Reason

logger = structlog.get_logger()

REST_S_MAX = 60.0
"""A service that wants to be left alone for longer than that is unavailable now."""
ANSWERED_MAX = 256
HEALTH_S = 5.0
ERROR_PATHS = (
    "$.failure_code",
    "$.failureCode",
    "$.error_type",
    "$.code",
    "$.error.code",
    "$.error",
    "$.error.message",
    "$.detail[0].type",
    "$.detail",
    "$.message",
)
"""Where refusals say why; what is not there is looked for in the whole answer."""


class _Errand(NamedTuple):
    """One clip to be made."""

    ask: ClipAsk
    folder: Path
    ledger: Ledger
    progress: ProgressCallback
    cancel: asyncio.Event


class HostedGenerator:
    """Makes clips at one hosted service.

    In tests ``transport`` replaces the network, and ``clock`` the seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        declared: Declaration,
        options: HostedOptions,
        secret: Secret,
        workers: WorkerPool,
        *,
        currency: str = "EUR",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.declared = declared
        self._currency = currency
        self._clock = clock
        self._client = Client(declared, secret, transport=transport)
        self._hander = Hander(declared, options, self._client, workers)
        self._fetcher = Fetcher(
            declared,
            self._client,
            workers,
            allow_private=options.allow_private_addresses,
            transport=transport,
        )
        self._resting_until_s = 0.0
        self._answered: dict[str, Handle] = {}
        """Handles that could not be noted, by key: the log may have been away."""

    def capabilities(self) -> Capabilities:
        """What is declared; without words, nothing that has no picture."""
        found = frozenset(self.declared.offers.archetypes)
        if self.declared.create.words is None:
            found -= {Archetype.OVERLAY}
        return Capabilities(archetypes=found, generates=True, local=self.declared.local)

    def recipe(self, ask: ClipAsk) -> str:
        """The service, its settings, and what is asked of it."""
        return recipe(ask, self.declared)

    async def health(self) -> Health:
        """Whether the service's host answers; nothing is asked that needs the key."""
        host = told(self.declared.base_url)
        if self._resting_until_s > now_s():
            seconds = self._resting_until_s - now_s()
            return Health(ok=False, detail=f"{host} wants to be left alone for {seconds:.0f} s")
        try:
            async with asyncio.timeout(HEALTH_S), self._fetcher.reached(self.declared.base_url):
                return Health(ok=True)
        except (TimeoutError, httpx.HTTPError, OSError) as error:
            why = str(error) or type(error).__name__
            return Health(ok=False, detail=f"{host} does not answer: {why}")

    async def close(self) -> None:
        """Release the connections."""
        await self._client.close()
        await self._fetcher.close()

    async def generate(
        self,
        ask: ClipAsk,
        folder: Path,
        ledger: Ledger,
        progress: ProgressCallback,
        cancel: asyncio.Event,
    ) -> Clip:
        """Make one clip, or find the one that was made.  Raises ``EngineFailure``."""
        errand = _Errand(ask, folder, ledger, progress, cancel)
        try:
            return await self._generated(errand)
        except EngineFailure as failure:
            found = failure
        # A new one, without what led to it: a service's own words may hold the key.
        detail = self._client.redact(found.detail)
        raise EngineFailure(found.reason, detail, retryable=found.retryable, cost=found.cost)

    async def _generated(self, errand: _Errand) -> Clip:
        known = errand.ledger.known
        if known is None:
            handle, began_s = await self._created(errand), self._clock()
        else:
            handle = await self._found(errand, known)
            # What a person accepted is followed anew, however old it is.
            began_s = self._clock() if known.settled else known.since_s or self._clock()
        age_s = max(0.0, self._clock() - began_s)
        follower = Follower(
            self.name,
            self.declared,
            self._client,
            handle,
            until_s=now_s() + self.declared.poll.deadline_s - age_s,
            cancel=errand.cancel,
            report=_reporter(errand),
        )
        with tracing.span(spans.POLL, self._asked_of()):
            look = await follower.to_success(wait_first=known is None)
        # Where the clip lies is for the service to say: the host is left out.
        with tracing.span(spans.DOWNLOAD, {Attribute.ENGINE: self.name}):
            fetched = await _waited_for(
                self._fetcher.fetched(look, handle, follower, errand.folder),
                errand.cancel,
                cost=follower.cost_of(look),
            )
        errand.progress(errand.ask.frames, errand.ask.frames)
        return Clip(
            path=fetched.path,
            model=handle.model or self.declared.title,
            cost=handle.cost if fetched.cost is None else fetched.cost,
            warnings=fitting(errand.ask.prompt, self.declared)[1],
        )

    async def _found(self, errand: _Errand, known: Generation) -> Handle:
        """The work that was begun before.  Raises ``OUTCOME_UNKNOWN`` where nobody knows it."""
        if known.handle is not None:
            return read(known.handle, cost=known.cost_reserved)
        handle = self._answered.get(known.key)
        if handle is not None:
            await self._noted(errand, known.key, handle)
            return handle
        seen = "the process that sent it ended before its answer was noted"
        create = told(self.declared.base_url)
        raise self._unknown(known.key, known.cost_reserved, create, seen, since_s=known.since_s)

    async def _created(self, errand: _Errand) -> Handle:
        """Create, once.  Raises ``EngineFailure``."""
        wanted = asked(errand.ask, self.declared)
        key = key_of(errand.ask)
        wanted.values.update(await self._hander.values(errand.ask, errand.folder, key))
        await self._rested(errand.cancel)
        if errand.cancel.is_set():
            raise failed(Reason.CANCELLED, "nobody waits for it any more", cost=0.0)
        await errand.ledger.intend(key, wanted.cost)
        sending = asyncio.create_task(self._sent(errand, wanted, key))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            # This service stops: an answer that is nearly here is still worth having.
            await asyncio.wait({sending}, timeout=self.declared.create.last_s)
            sending.cancel()
            await asyncio.wait({sending})
            if not sending.cancelled():
                sending.exception()
            raise

    async def _sent(self, errand: _Errand, wanted: Asked, key: str) -> Handle:
        """Send the create and note its answer."""
        create, request = self.declared.create, wanted.request
        headers = {create.key_header: key} if create.key_header else {}
        more = {} if request.method == "GET" else {"json": wanted.body()}
        place, since_s = told(self._client.url(wanted.url())), self._clock()
        try:
            with tracing.span(spans.CREATE, self._asked_of()) as span:
                answer = await self._client.ask(
                    request.method,
                    wanted.url(),
                    answer_s=create.answer_s,
                    fresh=True,
                    headers=headers,
                    **more,
                )
                span.note({Attribute.STATUS: answer.status})
                if answer.status not in create.accepted:
                    span.fail(str(answer.status))
        except Foreign as error:
            raise failed(Reason.INVALID_REQUEST, str(error), cost=0.0) from error
        except NoAnswer as error:
            if error.sent:
                raise self._unknown(
                    key, wanted.cost, place, str(error), since_s=since_s
                ) from error
            detail = f"{told(self.declared.base_url)} cannot be reached: {error}"
            raise failed(Reason.UNAVAILABLE, detail, again=True, cost=0.0) from error
        handle = None
        if answer.status in create.accepted:
            model = wanted.model(self.declared.title)
            handle = answered(answer, self._client, self.declared, model=model, cost=wanted.cost)
        elif str(answer.status) in create.refused:
            raise self._refused(answer)
        if handle is None:
            raise self._unknown(key, wanted.cost, place, answer.seen, since_s=since_s)
        await self._noted(errand, key, handle)
        return handle

    def _asked_of(self) -> Facts:
        host = split(self.declared.base_url).hostname or ""
        return {Attribute.ENGINE: self.name, Attribute.SERVER: host}

    async def _noted(self, errand: _Errand, key: str, handle: Handle) -> None:
        """Store the handle; where nobody wants it any more, cancel the work."""
        if len(self._answered) >= ANSWERED_MAX:
            del self._answered[next(iter(self._answered))]
        self._answered[key] = handle
        try:
            await errand.ledger.submitted(handle.written())
        except EngineFailure as failure:
            follower = Follower(
                self.name,
                self.declared,
                self._client,
                handle,
                until_s=0.0,
                cancel=errand.cancel,
                report=_reporter(errand),
            )
            failure.cost = (await follower.let_go()).cost
            raise
        del self._answered[key]

    def _refused(self, answer: Answer) -> EngineFailure:
        """A create that the service refused: nothing was made."""
        create = self.declared.create
        if answer.retry_after_s is not None:
            self._resting_until_s = now_s() + answer.retry_after_s
        words = text(ERROR_PATHS, answer.content) or answer.seen
        found = meaning(self.declared.failures, words)
        reason = create.refused[str(answer.status)]
        if found is not None and reason is Reason.INVALID_REQUEST:
            reason = found.reason
        hint = ""
        if answer.status in {401, 403}:
            hint = f"; is the key in {self.declared.auth.secret_env} right?"
        return failed(
            reason,
            f"{self.declared.title} refused: {answer.seen}{hint}",
            again=answer.status in create.again,
            cost=0.0,
        )

    async def _rested(self, cancel: asyncio.Event) -> None:
        """Wait as long as the service wants to be left alone, before anything is intended."""
        seconds = self._resting_until_s - now_s()
        if seconds > REST_S_MAX:
            detail = f"{self.declared.title} wants to be left alone for {seconds:.0f} s"
            raise failed(Reason.UNAVAILABLE, detail, again=True, cost=0.0)
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(cancel.wait(), seconds)

    def _unknown(
        self, key: str, cost: float, place: str, seen: str, *, since_s: float
    ) -> EngineFailure:
        """Nobody knows whether something was made: all that helps a person to find out."""
        when = dt.datetime.fromtimestamp(since_s, dt.UTC).isoformat(timespec="seconds")
        return failed(
            Reason.OUTCOME_UNKNOWN,
            f"engine {self.name}: a create was sent to {place} at {when} (key {key}, at most "
            f"{cost:g} {self._currency}), and what became of it is not known: {seen}; "
            f"look for it at {self.declared.title}, then accept its id or give it up",
        )


async def _waited_for(
    work: Coroutine[Any, Any, Fetched], cancel: asyncio.Event, *, cost: float | None
) -> Fetched:
    """What comes of the work, which is paid for; raises ``CANCELLED`` where nobody waits for it
    any more.
    """
    doing, stop = asyncio.ensure_future(work), asyncio.ensure_future(cancel.wait())
    try:
        await asyncio.wait({doing, stop}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise failed(Reason.CANCELLED, "nobody waits for it any more", cost=cost)
    finally:
        for task in (doing, stop):
            task.cancel()
        await asyncio.gather(doing, stop, return_exceptions=True)


def _reporter(errand: _Errand) -> Callable[[float], None]:
    frames = errand.ask.frames

    def report(share: float) -> None:
        errand.progress(min(frames - 1, int(share * frames)), frames)

    return report
