"""How engines stand: what the log says of their work, their circuits, and the day's money."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from events.log import EventLog, Recorded
from events.notices import (
    Account,
    CircuitState,
    account_state,
    budget_topic,
    circuit_state,
    engine_topic,
)
from events.spec import Rung, Struct
from events.types import SegmentFailed, SegmentRendered, SegmentTimedOut

SCANNED_MAX = 100_000
"""How many of the log's last messages are looked through; about 2,000 films."""

OUTCOMES = ("segment_rendered", "segment_failed", "segment_timed_out")


FAILURES_TOLD_MAX = 3
"""How many of an engine's last failures are told one by one."""


class Failed(Struct, frozen=True, kw_only=True):
    """One attempt that failed; segments count from 0, ``time_s`` is the log's."""

    time_s: float
    job_id: str
    segment: int
    attempt: int
    reason: str
    detail: str


class Record(Struct, frozen=True, kw_only=True):
    """What became of an engine's attempts; ``cost`` is what is known of it.

    ``rendered_s`` is when it last did its work (0: not among what was looked through), ``last``
    its last failures, the newest first.
    """

    rendered: int = 0
    failed: int = 0
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    cost: float = 0.0
    rendered_s: float = 0.0
    last: tuple[Failed, ...] = ()

    @property
    def success(self) -> float | None:
        """The share of attempts that came to something, 0..1; None without any."""
        tried = self.rendered + self.failed
        return self.rendered / tried if tried else None


class Standing(Struct, frozen=True, kw_only=True):
    """An engine's record and its circuit."""

    record: Record
    circuit: CircuitState


async def standings(
    log: EventLog, engines: Sequence[str], *, messages_max: int = SCANNED_MAX
) -> dict[str, Standing]:
    """How each of the engines stands, by the log's last ``messages_max`` messages."""
    found = records(await log.recent(OUTCOMES, messages_max=messages_max))
    return {
        engine: Standing(
            record=found.get(engine, Record()),
            circuit=circuit_state(await log.last_notice(engine_topic(engine))),
        )
        for engine in engines
    }


def records(outcomes: Sequence[Recorded]) -> dict[str, Record]:
    """What the outcomes say of each engine; what was not asked of it says nothing."""
    rendered: defaultdict[str, list[float]] = defaultdict(list)
    failed: defaultdict[str, list[Failed]] = defaultdict(list)
    costs: defaultdict[str, float] = defaultdict(float)
    for recorded in outcomes:
        match recorded.event:
            case SegmentRendered(reused=False) as event:
                rendered[event.rung.engine].append(recorded.time_s)
                costs[event.rung.engine] += event.cost
            case SegmentFailed(tried=True) as event:
                told = _failed(recorded, event, event.reason.value, event.detail)
                failed[event.rung.engine].append(told)
                costs[event.rung.engine] += event.cost or 0.0
            case SegmentTimedOut(rung=Rung(engine=engine), deadline=deadline) as event:
                failed[engine].append(_failed(recorded, event, deadline.value, "no outcome"))
            case _:
                pass
    return {
        engine: Record(
            rendered=len(rendered[engine]),
            failed=len(failed[engine]),
            reasons=dict(Counter(each.reason for each in failed[engine]).most_common()),
            cost=round(costs[engine], 6),
            rendered_s=max(rendered[engine], default=0.0),
            last=tuple(reversed(failed[engine][-FAILURES_TOLD_MAX:])),
        )
        for engine in sorted({*rendered, *failed})
    }


def _failed(
    recorded: Recorded, event: SegmentFailed | SegmentTimedOut, reason: str, detail: str
) -> Failed:
    return Failed(
        time_s=recorded.time_s,
        job_id=event.job_id,
        segment=event.segment,
        attempt=event.attempt,
        reason=reason,
        detail=detail,
    )


async def account_of(log: EventLog, currency: str, date: str) -> Account:
    """What films spent on a day (UTC, such as 2026-11-25), and what is still reserved for it."""
    return account_state(await log.last_notice(budget_topic(currency.lower(), date)))
