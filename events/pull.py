"""Reading pull consumers: the durables of the services, and the followers of a job.

Every pull is answered by its messages and a status, or the connection is lost, or its time is
over; nothing is left outstanding at the broker that a later pull could be surprised by.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from events import jetapi
from events.jetapi import Place, Refused, Reply
from events.link import record
from events.log import LogUnavailable, Recorded, UnknownVersion
from events.stream import LogSettings
from events.subjects import STREAM

_logger = structlog.get_logger(__name__)

WAIT_S_MAX = 2.0
"""The longest that one pull waits: a longer one is dead for as long when the server restarts."""

SLACK_S = 1.0
"""How long after its end a pull's last status may come."""

MORE_S = 0.02
"""How long is waited for what should be there."""

FOLLOW_BATCH = 256
_NOTHING_MORE = ("404", "408")
_HEARTBEAT = "100"
_NS = 1_000_000_000


class Replies(Protocol):
    """An inbox: the answers to one request."""

    subject: str
    end: Callable[[], Coroutine[Any, Any, None]]

    async def next(self, timeout_s: float) -> Reply:
        """The next answer; raises ``LogUnavailable`` when none comes or the connection is lost."""


class Connection(Protocol):
    """What a reader needs of the connection."""

    async def publish(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        reply: str = "",
    ) -> None:
        """Send a message; raises ``LogUnavailable`` while there is no connection."""

    async def api(self, subject: str, request: object) -> dict[str, Any]:
        """Ask JetStream's API; raises ``Refused`` or ``LogUnavailable``."""

    async def channel(self) -> Replies:
        """A new inbox, with a subscription of its own."""

    async def connected(self, timeout_s: float) -> bool:
        """Wait for a connection; False if there was none in time."""


class Gone(Exception):
    """The consumer is not there, or the connection was lost: what it gave may be incomplete."""


class Puller:
    """Pulls from one consumer, one pull at a time."""

    def __init__(self, connection: Connection, consumer: str) -> None:
        self._connection = connection
        self._subject = f"{jetapi.API}.CONSUMER.MSG.NEXT.{STREAM}.{consumer}"
        self._channel: Replies | None = None

    async def read(self, batch: int, wait_s: float) -> list[tuple[Reply, Place]]:
        """Of a consumer without acknowledgements: what lies ready, or the first that comes.

        Up to ``batch`` messages; none if none came within ``wait_s`` seconds.  Raises ``Gone``.
        """
        taken = await self._pull(batch, 0.0)
        if not taken and wait_s > 0:
            taken = await self._pull(1, min(wait_s, WAIT_S_MAX))
        return taken

    async def take(self, batch: int, wait_s: float) -> list[tuple[Reply, Place]]:
        """Of a durable: the first message within ``wait_s`` seconds, and what lies behind it.

        A pull without an end lingers at the broker when the durable may not hand out more
        (``max_ack_pending``), so each has one; and asks for no more than the broker says is
        there, so that it is over as soon as that has come.  Raises ``Gone``.
        """
        taken = await self._pull(1, min(max(wait_s, MORE_S), WAIT_S_MAX))
        more = min(batch - 1, taken[0][1].pending) if taken else 0
        if more > 0:
            try:
                taken += await self._pull(more, MORE_S)
            except Gone as error:
                _logger.info("a pull was cut short", taken=len(taken), why=str(error))
        return taken

    async def end(self) -> None:
        """Let the broker forget what was pulled and has not come."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.end()

    async def _pull(self, batch: int, wait_s: float) -> list[tuple[Reply, Place]]:
        taken: list[tuple[Reply, Place]] = []
        answered = False
        try:
            if self._channel is None:
                self._channel = await self._connection.channel()
            await self._ask(self._channel.subject, batch, wait_s)
            answered = await self._collect(self._channel, taken, batch, wait_s + SLACK_S)
        except (LogUnavailable, Gone) as error:
            if not taken:
                raise Gone(str(error)) from error
            _logger.info("a pull was cut short", taken=len(taken), why=str(error))
        finally:
            if not answered:
                await self.end()
        return taken

    async def _ask(self, inbox: str, batch: int, wait_s: float) -> None:
        request: dict[str, object] = {"batch": batch}
        request |= {"expires": int(wait_s * _NS)} if wait_s else {"no_wait": True}
        await self._connection.publish(self._subject, msgspec.json.encode(request), reply=inbox)

    async def _collect(
        self, channel: Replies, taken: list[tuple[Reply, Place]], batch: int, timeout_s: float
    ) -> bool:
        """Add to ``taken`` until the pull is answered in full; always True."""
        while len(taken) < batch:
            reply = await channel.next(timeout_s)
            at = jetapi.place(reply.reply)
            if at is not None:
                taken.append((reply, at))
            elif reply.status in _NOTHING_MORE:
                return True
            elif reply.status != _HEARTBEAT:
                raise Gone(f"{reply.status} {reply.headers.get('Description', '')}")
        return True


class JetStreamDelivery:
    """One message of a durable, as ``events.log.Delivery`` has it."""

    def __init__(self, log: DeadLetters, recorded: Recorded, reply: Reply, place: Place) -> None:
        self._log = log
        self._reply = reply
        self.recorded = recorded
        self.deliveries = place.deliveries

    async def ack(self) -> None:
        """Settle it.  Not waited for: whatever the answer, it may come again."""
        await self._log.connection.publish(self._reply.reply, b"+ACK")

    async def nak(self, delay_s: float = 0.0) -> None:
        """Give it back for ``delay_s`` seconds."""
        await give_back(self._log.connection, self._reply, delay_s)

    async def in_progress(self) -> None:
        """Keep it for another ``ack_wait``."""
        await self._log.connection.publish(self._reply.reply, b"+WPI")

    async def dead_letter(self, why: str) -> None:
        """Store it with the dead letters, then settle it."""
        await self._log.keep_dead_letter(self.recorded, self._reply.headers, why)
        await self._log.connection.publish(self._reply.reply, b"+TERM")


class DeadLetters(Protocol):
    """The log, as far as a delivery needs it."""

    @property
    def connection(self) -> Connection:
        """The connection that settles a delivery."""

    async def keep_dead_letter(
        self, recorded: Recorded, headers: Mapping[str, str], why: str
    ) -> None:
        """Store a message in the stream of dead letters."""


async def give_back(connection: Connection, reply: Reply, delay_s: float) -> None:
    """A negative acknowledgement, with a delay if one is given."""
    delay = b" " + msgspec.json.encode({"delay": int(delay_s * _NS)}) if delay_s > 0 else b""
    await connection.publish(reply.reply, b"-NAK" + delay)


class JetStreamConsumer:
    """A reader of a durable, as ``events.log.Consumer`` has it.

    It outlives the server: while there is none, nothing comes.
    """

    def __init__(self, log: DeadLetters, durable: str, settings: LogSettings) -> None:
        self._log = log
        self._durable = durable
        self._settings = settings
        self._puller = Puller(log.connection, durable)
        self._closed = False

    async def fetch(self, batch: int, wait_s: float) -> Sequence[JetStreamDelivery]:
        """Up to ``batch`` messages, none while the server is away."""
        if self._closed or not await self._log.connection.connected(wait_s):
            return ()
        try:
            taken = await self._puller.take(batch, wait_s)
        except Gone as error:
            _logger.info("nothing to fetch", durable=self._durable, why=str(error))
            await asyncio.sleep(min(wait_s, 0.1))
            return ()
        deliveries = [await self._delivery(reply, place) for reply, place in taken]
        return tuple(delivery for delivery in deliveries if delivery is not None)

    async def close(self) -> None:
        """Stop reading; what it holds comes again to others after ``ack_wait``."""
        self._closed = True
        await self._puller.end()

    async def _delivery(self, reply: Reply, place: Place) -> JetStreamDelivery | None:
        try:
            recorded = record(jetapi.consumed(reply, place), self._settings.keyring)
        except UnknownVersion as error:
            _logger.warning("upgrade me", durable=self._durable, why=str(error))
            await give_back(self._log.connection, reply, self._settings.newer_delay_s)
            return None
        return JetStreamDelivery(self._log, recorded, reply, place)


class Follower:
    """Reads what is stored under a filter, in order and without a gap, from a given sequence.

    Its consumer is the server's memory only; a new one goes on where the last one was lost.
    """

    def __init__(
        self, connection: Connection, wanted: str, after: int, *, headers_only: bool = False
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._headers_only = headers_only
        self._name = ""
        self._puller: Puller | None = None
        self._consumer_seq = 0
        self.after = after
        self.at_end = False
        """Whether all that was stored when last looked has been read."""

    async def live(self) -> AsyncIterator[tuple[Reply, Place]]:
        """All there is, then each as it comes, without end."""
        while True:
            for taken in await self.some(WAIT_S_MAX):
                yield taken

    async def to_end(self) -> AsyncIterator[tuple[Reply, Place]]:
        """All there is now.  Raises ``LogUnavailable`` where the server stays away meanwhile."""
        while not self.at_end:
            taken = await self.some(0)
            for each in taken:
                yield each
            if not taken and not await self._connection.connected(SLACK_S):
                raise LogUnavailable("the connection was lost while the log was read")

    async def some(self, wait_s: float) -> list[tuple[Reply, Place]]:
        """What comes next; empty when nothing did within ``wait_s``, or the server is away."""
        self.at_end = False
        if not await self._connection.connected(max(wait_s, SLACK_S)):
            return []
        try:
            if not self._name:
                await self._begin()
            assert self._puller is not None
            taken = await self._puller.read(FOLLOW_BATCH, wait_s)
        except (Gone, LogUnavailable, Refused) as error:
            _logger.info("a reader begins anew", after=self.after, why=str(error))
            self._name = ""
            await asyncio.sleep(0.1)
            return []
        self.at_end = not taken or taken[-1][1].pending == 0
        return self._contiguous(taken)

    async def end(self) -> None:
        """Give the consumer back; left alone, it would be gone after a minute."""
        if self._puller is not None:
            await self._puller.end()
        if self._name and await self._connection.connected(0):
            try:
                await self._connection.api(f"CONSUMER.DELETE.{STREAM}.{self._name}", {})
            except (LogUnavailable, Refused) as error:
                _logger.info("a reader was not given back", why=str(error))
        self._name = ""

    async def _begin(self) -> None:
        name = f"reader-{uuid.uuid4().hex}"
        config = jetapi.reader_config(
            name, self._wanted, self.after, headers_only=self._headers_only
        )
        request = {"stream_name": STREAM, "config": config, "action": "create"}
        await self._connection.api(f"CONSUMER.CREATE.{STREAM}.{name}", request)
        if self._puller is not None:
            await self._puller.end()
        self._name, self._consumer_seq = name, 0
        self._puller = Puller(self._connection, name)

    def _contiguous(self, taken: list[tuple[Reply, Place]]) -> list[tuple[Reply, Place]]:
        """The part before a gap; after one the consumer is made anew."""
        for index, (_, place) in enumerate(taken):
            if place.consumer_seq != self._consumer_seq + 1:
                self._name, self.at_end = "", False
                return taken[:index]
            self._consumer_seq = place.consumer_seq
            self.after = place.seq
        return taken
