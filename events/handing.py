"""The durables of the log in memory: who is handed which message, and when it comes again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from events.codec import Message
from events.faults import Fault
from events.log import DurableSpec, Recorded, UnknownVersion
from events.subjects import matches, type_filter

if TYPE_CHECKING:
    from events.memory import MemoryLog

_logger = structlog.get_logger(__name__)

_TICK_S = 1e-6
"""Clocks that are stepped by hand know nothing finer: a shorter wait would never end."""


class Bell:
    """Wakes everyone who waits for something to happen."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake them."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout_s: float | None) -> None:
        """Return when the bell rings or the time is over, whichever is first."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait({future}, timeout=timeout_s)
        finally:
            self._waiting.discard(future)


@dataclass
class Pending:
    """A message that was handed out, or is to be: when it comes again, and how often it came."""

    due_s: float
    deliveries: int


class Durable:
    """The state of a durable consumer, shared by its readers."""

    def __init__(self, spec: DurableSpec) -> None:
        self.spec = spec
        self.filters = tuple(type_filter(token) for token in spec.types)
        self.next_seq = 1
        self.pending: dict[int, Pending] = {}

    def wants(self, message: Message) -> bool:
        """Whether the message is of its types."""
        return any(matches(wanted, message.subject) for wanted in self.filters)

    def has_room(self) -> bool:
        """Whether one more may be handed out that is not settled."""
        bound = self.spec.max_ack_pending
        return bound < 0 or len(self.pending) < bound


class MemoryDelivery:
    """One message of a durable, as ``events.log.Delivery`` has it."""

    def __init__(
        self, log: MemoryLog, durable: Durable, recorded: Recorded, deliveries: int
    ) -> None:
        self._log = log
        self._durable = durable
        self.recorded = recorded
        self.deliveries = deliveries

    async def ack(self) -> None:
        """Settle it, whoever holds it by now."""
        if self._log.faults.strikes(Fault.FORGOTTEN_ACK):
            return
        self._durable.pending.pop(self.recorded.seq, None)
        self._log.wake()

    async def nak(self, delay_s: float = 0.0) -> None:
        """Give it back for ``delay_s`` seconds."""
        self._due_in(delay_s)
        self._log.wake()

    async def in_progress(self) -> None:
        """Keep it for another ``ack_wait``."""
        self._due_in(self._durable.spec.ack_wait_s)

    async def dead_letter(self, why: str) -> None:
        """Store it with the dead letters, then settle it."""
        self._log.keep_dead_letter(self.recorded, why)
        self._durable.pending.pop(self.recorded.seq, None)
        self._log.wake()

    def _due_in(self, delay_s: float) -> None:
        pending = self._durable.pending.get(self.recorded.seq)
        if pending is not None:
            pending.due_s = self._log.clock() + delay_s


class MemoryConsumer:
    """A reader of a durable, as ``events.log.Consumer`` has it."""

    def __init__(self, log: MemoryLog, durable: Durable) -> None:
        self._log = log
        self._durable = durable
        self._closed = False

    async def fetch(self, batch: int, wait_s: float) -> Sequence[MemoryDelivery]:
        """Up to ``batch`` messages; with ``wait_s`` 0 it does not wait, nor look at any clock."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while not self._closed:
            deliveries = self._take(batch)
            left_s = until_s - loop.time()
            if deliveries or left_s < _TICK_S:
                return deliveries
            await self._log.bell.wait(min(left_s, self._next_due_s()))
        return ()

    async def close(self) -> None:
        """Stop reading; what it holds comes again to others after ``ack_wait``."""
        self._closed = True
        self._log.wake()

    def _next_due_s(self) -> float:
        now_s = self._log.clock()
        due = (pending.due_s - now_s for pending in self._durable.pending.values())
        return max(0.001, min(due, default=60.0))

    def _take(self, batch: int) -> tuple[MemoryDelivery, ...]:
        taken: list[MemoryDelivery] = []
        due = iter(self._due())
        while len(taken) < batch:
            seq = next(due, None) or self._next_unseen()
            if seq is None:
                break
            delivery = self._hand_out(seq)
            if delivery is not None:
                taken.append(delivery)
        return tuple(taken)

    def _due(self) -> list[int]:
        now_s = self._log.clock()
        return sorted(seq for seq, item in self._durable.pending.items() if item.due_s <= now_s)

    def _next_unseen(self) -> int | None:
        """Take the next message that was never handed out, if there is room for it."""
        durable = self._durable
        while durable.next_seq <= self._log.last_seq and durable.has_room():
            seq = durable.next_seq
            durable.next_seq += 1
            if not durable.wants(self._log.message(seq)):
                continue
            durable.pending[seq] = Pending(due_s=self._log.clock(), deliveries=0)
            if not self._log.faults.strikes(Fault.REORDERED_DELIVERY):
                return seq
        return None

    def _hand_out(self, seq: int) -> MemoryDelivery | None:
        pending = self._durable.pending[seq]
        try:
            recorded = self._log.recorded(seq)
        except UnknownVersion as error:
            _logger.warning("upgrade me", durable=self._durable.spec.name, why=str(error))
            pending.due_s = self._log.clock() + self._log.settings.newer_delay_s
            return None
        pending.deliveries += 1
        repeated = self._log.faults.strikes(Fault.REPEATED_DELIVERY)
        wait_s = 0.0 if repeated else self._durable.spec.ack_wait_s
        pending.due_s = self._log.clock() + wait_s
        return MemoryDelivery(self._log, self._durable, recorded, pending.deliveries)
