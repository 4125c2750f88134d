"""Deciders specified as given, when, then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from events.job import Job
from events.log import Recorded
from events.notices import CircuitState
from events.types import Stored
from services.actor import Context, Decision, Limits
from tests.builders import START_S, history, job_after, recorded

Decider = Callable[[Job, Recorded, Context], tuple[Decision, ...]]


@dataclass(frozen=True)
class Given:
    """A job's past."""

    decide: Decider
    past: tuple[Stored, ...]

    def when(
        self,
        cause: Stored | None = None,
        *,
        now_s: float | None = None,
        deliveries: int = 1,
        limits: Limits | None = None,
        circuits: dict[str, CircuitState] | None = None,
    ) -> tuple[Decision, ...]:
        """What is decided when ``cause`` (default: the last of the past) is delivered."""
        stored = history(*self.past)
        last = stored[-1]
        if cause is not None:
            seq = next((r.seq for r in stored if r.event == cause), last.seq)
            last = recorded(cause, seq)
        context = Context(
            now_s=START_S + len(self.past) if now_s is None else now_s,
            limits=limits or Limits(),
            deliveries=deliveries,
            circuits=circuits or {},
        )
        return self.decide(job_after(*self.past), last, context)


def given(decide: Decider, *past: Stored) -> Given:
    """A decider and a job's past."""
    return Given(decide, past)
