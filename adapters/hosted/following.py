"""Follows work at a service to its end: polls, waits, cancels, and says what it cannot know.

A service that is silent, limits us or answers nonsense is asked again until the deadline.  A
deadline that passed is neither a failure nor a cancel: the work is cancelled where the service
allows that, looked at once more, taken if it is done after all, and else left in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from adapters.base import EngineFailure
from adapters.hosted.client import Answer, Client, Foreign, NoAnswer, told
from adapters.hosted.declaration import ENDED, Cancel, Declaration, State
from adapters.hosted.failures import failed, meaning
from adapters.hosted.handles import Handle, url_of
from adapters.hosted.selecting import first, number, text
from events.types import Reason

logger = structlog.get_logger()

HTTP_LIMITED, HTTP_FAULT, HTTP_BAD = 429, 500, 400
HTTP_GONE = frozenset({404, 410})
PERCENT = 100.0


@dataclass(frozen=True)
class Look:
    """Work as a service tells it once.  ``state`` None: it did not tell.

    ``denied``: it says that there is no such work, or that we may not see it.
    """

    state: State | None
    seen: str
    answer: Answer | None = None
    denied: bool = False
    retry_after_s: float | None = None


class Follower:
    """Follows one piece of work.  ``report`` is told the share that is done."""

    def __init__(
        self,
        name: str,
        declared: Declaration,
        client: Client,
        handle: Handle,
        *,
        until_s: float,
        cancel: asyncio.Event,
        report: Callable[[float], None],
    ) -> None:
        self._name = name
        self._declared = declared
        self._client = client
        self._handle = handle
        self._until_s = until_s
        self._cancel = cancel
        self._report = report
        self._strange: set[str] = set()
        self._cancelling = False
        self._next_s = 0.0

    async def to_success(self, *, wait_first: bool) -> Look:
        """The look that says it is done.  Raises ``EngineFailure``."""
        poll = self._declared.poll
        interval_s, denied = poll.every_s, 0
        if wait_first:
            self._next_s = now_s() + interval_s
        while True:
            # Between any two looks lies the interval at least: some services forbid less.
            await self._rest(self._next_s - now_s())
            if self._cancel.is_set():
                raise await self.let_go()
            look = await self.look()
            interval_s = min(interval_s * poll.grow, poll.every_max_s)
            # A service that wants to be left alone is, but not beyond our own deadline.
            asked_s = min(look.retry_after_s or 0.0, self._until_s - now_s())
            self._next_s = now_s() + max(interval_s, asked_s)
            if look.state in ENDED:
                return self._ended(look)
            denied = denied + 1 if look.denied else 0
            if denied >= poll.denied_max:
                raise self._unknown(f"it does not tell us of it any more: {look.seen}")
            if now_s() >= self._until_s:
                return await self._overdue(look)

    async def look(self) -> Look:
        """Ask once."""
        poll = self._declared.poll
        url = url_of(poll.url, self._handle, self._declared)
        try:
            answer = await self._client.ask("GET", url, answer_s=poll.answer_s)
        except (NoAnswer, Foreign) as error:
            return Look(None, str(error))
        if answer.status == HTTP_LIMITED or answer.status >= HTTP_FAULT:
            return Look(None, answer.seen, retry_after_s=answer.retry_after_s)
        code = poll.codes.get(str(answer.status))
        if answer.status >= HTTP_BAD and code is None:
            return Look(None, answer.seen, answer, denied=True)
        word = text(poll.state, answer.content)
        state = poll.means(word) or code
        if word and poll.means(word) is None and word not in self._strange:
            self._strange.add(word)
            state_told = self._client.redact(word)[:80]
            logger.warning("unknown state at an engine", engine=self._name, state=state_told)
        if state is State.SUCCEEDED and first(poll.error, answer.content):
            state = State.FAILED
        if state is State.RUNNING:
            self._tell(answer)
        return Look(state, answer.seen, answer, retry_after_s=answer.retry_after_s)

    def _tell(self, answer: Answer) -> None:
        share = number(self._declared.poll.progress, answer.content)
        if share is not None:
            self._report(min(1.0, max(0.0, share if share <= 1 else share / PERCENT)))

    def _ended(self, look: Look) -> Look:
        """The look, if it is a success; else what became of the work."""
        if look.state is State.SUCCEEDED:
            return look
        if look.state is State.CANCELLED:
            detail = f"the work was cancelled at {self._declared.title}, not by us"
            raise failed(Reason.UNAVAILABLE, detail, cost=self.cost_of(look))
        assert look.answer is not None
        raise self.failure(look.answer, self._code(look.answer))

    def failure(self, answer: Answer, code: str) -> EngineFailure:
        """What a failure that a service tells means."""
        found = meaning(self._declared.failures, code or answer.seen)
        detail = f"{self._declared.title} failed: {code or answer.seen} (id {self._handle.id})"
        cost = told_cost(self._declared, answer) or None
        if found is None:
            return failed(Reason.UNAVAILABLE, detail, cost=cost)
        if found.billed is False:
            cost = 0.0
        return failed(found.reason, detail, again=found.again, cost=cost)

    async def _overdue(self, look: Look) -> Look:
        """The deadline has passed."""
        waited = f"not done within {self._declared.poll.deadline_s:g} s"
        last = await self.stopped(look)
        if last.state is State.SUCCEEDED:
            return last
        if last.state in {State.CANCELLED, State.FAILED}:
            # Some services call failed what was cancelled.
            detail = f"{waited}, and cancelled (id {self._handle.id})"
            raise failed(Reason.TIMEOUT, detail, cost=self.cost_of(last))
        raise self._unknown(f"{waited}; last seen: {last.seen}")

    async def let_go(self) -> EngineFailure:
        """Stop the work that nobody waits for; the failure says what is known of its cost."""
        cost = self.cost_of(await self.stopped())
        return failed(Reason.CANCELLED, "nobody waits for it any more", cost=cost)

    def cost_of(self, look: Look) -> float | None:
        """What work did cost that was seen like this last; None where that is not known.

        What has succeeded costs what the service says, or else its price; what failed or was
        cancelled costs nothing only where the declaration says so: a zero in an answer may stand
        there until it is billed.
        """
        if look.state not in ENDED:
            return None
        told_so = None if look.answer is None else told_cost(self._declared, look.answer)
        if look.state is State.SUCCEEDED:
            return self._handle.cost if told_so is None else told_so
        if look.state is State.CANCELLED or self._cancelling:
            cancel = self._declared.cancel
            return 0.0 if cancel is not None and cancel.billed is False else told_so or None
        assert look.answer is not None
        return self.failure(look.answer, self._code(look.answer)).cost

    def _code(self, answer: Answer) -> str:
        """What a poll's answer says of a failure."""
        poll = self._declared.poll
        return text((*poll.code, *poll.error), answer.content)

    async def stopped(self, look: Look | None = None) -> Look:
        """Cancel the work as far as the service allows; how it was seen last.

        It is looked at before: what has ended is not touched, because some services delete it.
        """
        cancel = self._declared.cancel
        if look is None:
            look = await self.look()
        if cancel is None or look.state not in cancel.only_in:
            return look
        self._cancelling = True
        url = url_of(cancel.url, self._handle, self._declared)
        try:
            answer = await self._client.ask(cancel.method, url, answer_s=cancel.wait_s)
        except (NoAnswer, Foreign) as error:
            logger.warning("cancel not answered", engine=self._name, why=str(error))
        else:
            if not answer.good:
                logger.warning("cancel refused", engine=self._name, seen=answer.seen)
        return await self._settled(cancel)

    async def _settled(self, cancel: Cancel) -> Look:
        """What became of work whose cancelling was asked for."""
        until_s = now_s() + cancel.wait_s
        while True:
            await asyncio.sleep(min(self._declared.poll.every_s, cancel.wait_s))
            look = await self.look()
            if look.answer is not None and look.answer.status in HTTP_GONE:
                # Some services forget what was cancelled.
                return Look(State.CANCELLED, look.seen)
            if look.state in ENDED or now_s() >= until_s:
                return look

    def _unknown(self, what: str) -> EngineFailure:
        service = told(
            self._client.url(url_of(self._declared.poll.url, self._handle, self._declared))
        )
        detail = f"{self._declared.title}, id {self._handle.id}: {what}; see {service}"
        return failed(Reason.OUTCOME_UNKNOWN, detail)

    async def _rest(self, seconds: float) -> None:
        """Wait, but not after it is cancelled."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._cancel.wait(), seconds)


def told_cost(declared: Declaration, answer: Answer) -> float | None:
    """What a service says that the work did cost; None where it does not."""
    cost = number(declared.result.cost, answer.content)
    return None if cost is None else max(0.0, cost * declared.result.cost_unit)


def now_s() -> float:
    """The running loop's time in seconds: what waiting is measured by."""
    return asyncio.get_running_loop().time()
