"""How engines stand: what the log says of their work, and their circuits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from events.log import EventLog, Recorded
from events.notices import CircuitState, circuit_state, engine_topic
from events.spec import Struct
from events.types import SegmentFailed, SegmentRendered, SegmentTimedOut

SCANNED_MAX = 100_000
"""How many of the log's last messages are looked through; about 2,000 films."""

OUTCOMES = ("segment_rendered", "segment_failed", "segment_timed_out")


class Record(Struct, frozen=True, kw_only=True):
    """What became of an engine's attempts; ``cost`` is what is known of it."""

    rendered: int = 0
    failed: int = 0
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    cost: float = 0.0

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
    rendered: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    costs: defaultdict[str, float] = defaultdict(float)
    for recorded in outcomes:
        match recorded.event:
            case SegmentRendered(reused=False) as event:
                rendered[event.rung.engine] += 1
                costs[event.rung.engine] += event.cost
            case SegmentFailed(tried=True) as event:
                reasons.setdefault(event.rung.engine, Counter())[event.reason.value] += 1
                costs[event.rung.engine] += event.cost or 0.0
            case SegmentTimedOut(rung=rung, deadline=deadline) if rung is not None:
                reasons.setdefault(rung.engine, Counter())[deadline.value] += 1
            case _:
                pass
    return {
        engine: Record(
            rendered=rendered[engine],
            failed=sum(reasons.get(engine, {}).values()),
            reasons=dict(reasons.get(engine, Counter()).most_common()),
            cost=round(costs[engine], 6),
        )
        for engine in sorted({*rendered, *reasons})
    }
