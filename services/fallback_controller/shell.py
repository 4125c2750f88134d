"""The fallback-controller's wiring: it decides and waits, and counts what engines fail at."""

from __future__ import annotations

from collections.abc import Sequence

from events.log import DurableSpec
from events.notices import circuit_state, engine_topic
from events.types import Event
from events.writers import FALLBACK_CONTROLLER
from services.actor import Actor, Command, GiveBack, Work
from services.fallback_controller.circuits import CountFailure, counted
from services.fallback_controller.core import decide

NAME = FALLBACK_CONTROLLER
TIMERS = "fallback-timers"
"""The durable whose messages are the timers: one is pending as long as it is not acknowledged."""


COUNT_TRIES_MAX = 16
"""Writers of one circuit in a row that may be faster before a failure is counted later."""


async def _perform(command: Command, work: Work) -> Sequence[Event]:
    """Count a failure of an engine, once, after whatever others told of it meanwhile."""
    assert isinstance(command, CountFailure)
    for _ in range(COUNT_TRIES_MAX):
        circuit = circuit_state(await work.last_notice(engine_topic(command.engine)))
        notice = counted(circuit, command, work.context.now_s, work.context.limits)
        if notice is None or await work.post(notice, after=circuit.seq):
            return ()
    msg = f"the circuit of {command.engine} is told of by many at once"
    raise GiveBack(msg, delay_s=1.0)


def actor(*, slots: int, ack_wait_s: float) -> Actor:
    """The fallback-controller."""
    return Actor(
        name=NAME,
        durables=durables(ack_wait_s=ack_wait_s),
        decide=decide,
        perform=_perform,
        slots=slots,
        circuits=True,
    )


def durables(*, ack_wait_s: float) -> tuple[DurableSpec, ...]:
    """What happened, and what is waited for."""
    happened = (
        "segment_failed",
        "segment_timed_out",
        "assembly_failed",
        "render_cancel_requested",
        "generation_settled",
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
