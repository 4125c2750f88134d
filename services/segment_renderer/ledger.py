"""The renderer's ledger: what must not happen twice is in the job's log before it happens.

``intend`` stores that a create is about to be sent, and in the same batch reserves its cost from
the day's budget; ``submitted`` stores the handle that was answered; ``concluded`` stores the
attempt's outcome, and in the same batch what it did cost.  Of two processes at one attempt only
one gets past ``intend``, because each writes a claim of its own.

``let_go`` is for a create whose film has ended or was cancelled: its job takes no outcome any
more, but the day's budget is told what the create did cost, if that is known.  Only who reserved
it does so, hence at most once; what nobody knows, or nobody lives to tell, stays reserved.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import structlog

from adapters.base import EngineFailure
from events.job import Generation, Job
from events.notices import (
    BudgetReserved,
    BudgetSettled,
    Posting,
    account_state,
    budget_topic,
    day_of,
)
from events.state import COST_DIGITS
from events.types import (
    Event,
    GenerationIntended,
    GenerationSubmitted,
    Reason,
    SegmentFailed,
    SegmentRendered,
)
from services.actor import Work

logger = structlog.get_logger()

TELLING_TRIES_MAX = 16
"""Writers of one budget in a row that may be faster before a cost is left as it was reserved."""

REFUSALS = frozenset(
    {
        Reason.INVALID_REQUEST,
        Reason.UNSUPPORTED,
        Reason.UNAVAILABLE,
        Reason.MODERATED,
        Reason.BUDGET,
    }
)
"""Reasons that a create failed for without being made, if no handle was answered."""


class JobLedger:
    """The ledger of one attempt (``adapters.base.Ledger``), kept in its job's log."""

    def __init__(self, work: Work, segment: int, attempt: int, engine: str) -> None:
        self._work = work
        self._segment = segment
        self._attempt = attempt
        self._engine = engine
        self._claim = uuid.uuid4().hex
        self._intended = ""

    @property
    def known(self) -> Generation | None:
        """The segment's create at this engine whose outcome, or whose cost, is not known yet."""
        generation = self._work.job.segments[self._segment].generation
        if generation is None or generation.engine != self._engine:
            return None
        return generation

    async def intend(self, key: str, cost: float) -> None:
        """Store the intent and reserve its cost, both or neither."""
        cost = round(cost, COST_DIGITS)
        assert cost >= 0, "a create costs something or nothing"
        budget = self._work.context.limits.budget
        date = day_of(self._work.context.now_s) if cost else ""
        intent = GenerationIntended(
            job_id=self._work.job.job_id,
            segment=self._segment,
            attempt=self._attempt,
            engine=self._engine,
            idempotency_key=key,
            cost_reserved=cost,
            currency=budget.currency if cost else "",
            budget_date=date,
            claim=self._claim,
        )

        if self._work.job.segments[self._segment].paid:
            detail = "the segment was paid for already, and what it cost is not there any more"
            raise EngineFailure(Reason.BUDGET, detail, retryable=False, cost=0.0)

        async def reservation(job: Job) -> Sequence[Posting]:
            return (await self._reserved(job, date, cost),) if cost else ()

        if not await self._work.record(intent, notices=reservation):
            detail = "this attempt was begun by another process, or nobody waits for it any more"
            raise EngineFailure(Reason.CANCELLED, detail, retryable=False)
        self._intended = key

    async def submitted(self, handle: str) -> None:
        """Store the handle."""
        assert handle, "a handle is what finds the work again"
        event = GenerationSubmitted(
            job_id=self._work.job.job_id,
            segment=self._segment,
            attempt=self._attempt,
            engine=self._engine,
            handle=handle,
        )
        if not await self._work.record(event):
            logger.warning(
                "a create was answered that nobody waits for any more",
                job=event.job_id,
                segment=self._segment,
                engine=self._engine,
                handle=handle,
            )
            detail = "nobody waits for it any more"
            raise EngineFailure(Reason.CANCELLED, detail, retryable=False)

    def cost_of(self, failure: EngineFailure) -> float | None:
        """What a failed attempt is known to have cost; None where that is not known.

        A create that this process itself sent, and that was refused, costs nothing.
        """
        if failure.cost is not None:
            return failure.cost
        known = self.known
        refused = bool(self._intended) and known is not None and known.handle is None
        return 0.0 if refused and failure.reason in REFUSALS else None

    async def concluded(self, outcome: SegmentRendered | SegmentFailed) -> Sequence[Event]:
        """What is left to append of an attempt's outcome.

        At an engine that generates it is appended here, with what settles the reservation, and
        only if the create that it tells of is still the segment's: raises ``EngineFailure`` with
        ``CANCELLED`` where another process has begun one meanwhile, which must not pass for over.
        """
        if not outcome.rung.generates:
            return (outcome,)
        known = self.known

        async def settlement(job: Job) -> Sequence[Posting]:
            generation = job.segments[self._segment].generation
            if _name(generation) != _name(known):
                detail = "another process has begun a create for it"
                raise EngineFailure(Reason.CANCELLED, detail, retryable=False)
            cost = outcome.cost
            if generation is None or not generation.budget_date or cost is None:
                return ()
            return (await self._settled(generation, cost),)

        if not await self._work.record(outcome, notices=settlement):
            await self.let_go(outcome.cost)
        return ()

    async def let_go(self, cost: float | None) -> None:
        """Tell the day's budget what a create did cost whose film has ended; None: not known."""
        if cost is None or not self._intended:
            return
        job = await self._work.refresh()
        generation = job.segments[self._segment].generation
        ours = generation is not None and generation.key == self._intended
        if job.alive or generation is None or not ours or not generation.budget_date:
            # A job that lives on, or that knows the outcome, has its own settlement.
            return
        for _ in range(TELLING_TRIES_MAX):
            posting = await self._settled(generation, cost)
            if await self._work.post(posting.notice, after=posting.after):
                self._intended = ""
                return
        logger.warning("a cost stays reserved", job=job.job_id, segment=self._segment, cost=cost)

    async def _reserved(self, job: Job, date: str, cost: float) -> Posting:
        """The reservation; raises ``EngineFailure`` with ``BUDGET`` where a cap forbids it."""
        budget = self._work.context.limits.budget
        used = job.cost + job.cost_unsettled
        _check("job", budget.per_job, used, cost, budget.currency)
        if job.spec is not None:
            _check("film of this request", job.spec.cost_max, used, cost, budget.currency)
        scope = budget.currency.lower()
        account = account_state(await self._work.last_notice(budget_topic(scope, date)))
        if budget.per_day is not None and not account.readable:
            detail = f"the budget of {date} cannot be read: its last notice is damaged or newer"
            raise EngineFailure(Reason.BUDGET, detail, retryable=False)
        used = account.reserved + account.spent
        _check("day", budget.per_day, used, cost, budget.currency)
        notice = BudgetReserved(
            scope=scope,
            date=date,
            amount=cost,
            reserved=round(account.reserved + cost, COST_DIGITS),
            spent=account.spent,
            job_id=self._work.job.job_id,
            segment=self._segment,
            attempt=self._attempt,
        )
        return Posting(notice=notice, after=account.seq)

    async def _settled(self, generation: Generation, cost: float) -> Posting:
        scope = (self._work.job.currency or self._work.context.limits.budget.currency).lower()
        topic = budget_topic(scope, generation.budget_date)
        account = account_state(await self._work.last_notice(topic))
        released = generation.cost_reserved
        notice = BudgetSettled(
            scope=scope,
            date=generation.budget_date,
            released=released,
            cost=cost,
            reserved=max(0.0, round(account.reserved - released, COST_DIGITS)),
            spent=round(account.spent + cost, COST_DIGITS),
            job_id=self._work.job.job_id,
            segment=self._segment,
            attempt=self._attempt,
        )
        return Posting(notice=notice, after=account.seq)


def _name(generation: Generation | None) -> tuple[str, str] | None:
    """What two states of one create have in common."""
    return (generation.engine, generation.key) if generation else None


def _check(what: str, cap: float | None, used: float, cost: float, currency: str) -> None:
    if cap is None or round(used + cost - cap, COST_DIGITS) <= 0:
        return
    detail = (
        f"{cost:g} {currency} more would exceed the {cap:g} {currency} that a {what} may cost: "
        f"{used:g} are spent or reserved"
    )
    raise EngineFailure(Reason.BUDGET, detail, retryable=False, cost=0.0)
