"""The fallback-controller's wiring: it decides and waits, and performs nothing."""

from __future__ import annotations

from collections.abc import Sequence

from events.log import DurableSpec
from events.types import Event
from services.actor import Actor, Command, Work
from services.fallback_controller.core import decide

NAME = "fallback-controller"
TIMERS = "fallback-timers"
"""The durable whose messages are the timers: one is pending as long as it is not acknowledged."""


async def _perform(command: Command, work: Work) -> Sequence[Event]:
    msg = f"{NAME} has no commands, yet {work.cause.subject} led to {command!r}"
    raise AssertionError(msg)


def actor(*, slots: int, ack_wait_s: float) -> Actor:
    """The fallback-controller."""
    return Actor(
        name=NAME,
        durables=durables(ack_wait_s=ack_wait_s),
        decide=decide,
        perform=_perform,
        slots=slots,
    )


def durables(*, ack_wait_s: float) -> tuple[DurableSpec, ...]:
    """What happened, and what is waited for."""
    happened = (
        "segment_failed",
        "segment_timed_out",
        "assembly_failed",
        "render_cancel_requested",
    )
    return (
        DurableSpec(name=NAME, types=happened, ack_wait_s=ack_wait_s, max_ack_pending=-1),
        DurableSpec(
            name=TIMERS,
            types=("render_planned", "segment_requested"),
            ack_wait_s=ack_wait_s,
            max_ack_pending=-1,
        ),
    )
