"""The event log on NATS JetStream: the only module that speaks to NATS.

``Link`` is one connection with an inbox of its own, so that what was asked before the server went
away fails at once instead of at its time-out.  ``JetStreamLog`` is the log.

Whoever appends need not know whether an earlier try was stored: the event's id and the expected
sequence decide, and what stands in the log is compared before a conflict is reported.  No
exception of the client library leaves this module.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Mapping, Sequence
from typing import Any, Self

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from events import jetapi
from events.addresses import NO_TLS, Said, credentials, inbox_prefix_of, servers, shown
from events.appending import append, keep_dead_letter, post, publish_ask, restore
from events.codec import Message, decode_ask
from events.inboxes import Asked, Inbox, within
from events.jetapi import Refused, Reply, reply_of
from events.link import begins, link, record
from events.log import (
    DurableSpec,
    Heard,
    JobListed,
    LogError,
    LogFull,
    LogUnavailable,
    Queue,
    Recorded,
    Subscriber,
    Tail,
)
from events.noise import hush
from events.notices import Draft, Noted, Posting, drafted
from events.provisioning import mirror, provision
from events.pull import Follower, JetStreamConsumer
from events.reading import (
    MESSAGES_MAX,
    at_leader,
    forged,
    last_noted,
    last_seq,
    listed_dead_letters,
    listed_jobs,
    queues,
    read_job,
    recent,
    watched,
)
from events.stream import DeadLetter, LogSettings, Usage
from events.subjects import STREAM, job_filter
from events.subjects import progress as progress_subject
from events.types import Event, Foreign, RenderRequested

_logger = structlog.get_logger(__name__)


class _Client(Client):
    """The library's client, with which ``tls://`` or a certificate is an order, and no wish.

    Else whoever stands between could say that there is no TLS, and would be told the password.
    """

    def _connect_command(self) -> bytes:
        server = self._current_server
        asked = server is not None and server.uri.scheme == "tls"
        wanted = asked or self.options.get("tls") is not None
        if wanted and not self._server_info.get("tls_required"):
            raise NatsError(NO_TLS)
        return super()._connect_command()


class Link:
    """One connection, made again for ever until it is closed."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings
        self._client = _Client()
        self._root = ""
        self._inboxes: dict[str, Inbox] = {}
        self._up = asyncio.Event()
        self._said = Said()
        self._asked = Asked()
        hush()

    async def open(
        self,
        url: str,
        *,
        token: str | None,
        name: str,
        inbox_prefix: str,
        tls: ssl.SSLContext | None,
    ) -> None:
        """Connect; raises ``LogUnavailable`` if there is no server, or it does not let us in."""
        options: dict[str, Any] = {"name": name, "token": token, "tls": tls}
        options |= {
            "inbox_prefix": inbox_prefix,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 0.1,
            "connect_timeout": self._settings.connect_timeout_s,
            "ping_interval": 1,
            "max_outstanding_pings": 2,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_lost,
            "reconnected_cb": self._on_back,
        }
        # Who is let in by one server is told to those that it names, too: a cluster's others.
        user, password = credentials(url)
        if password:
            options |= {"user": user, "password": password}
        try:
            connecting = self._client.connect(servers(url), **options)
            await within(self._settings.connect_timeout_s, connecting)
            self._check_connected()
            self._root = self._client.new_inbox()
            await self._client.subscribe(f"{self._root}.*", cb=self._on_reply)
        except (TimeoutError, NatsError, OSError, ValueError) as error:
            await self.close()
            why = self._said.text or str(error) or "no answer"
            raise LogUnavailable(f"no connection to {shown(url)}: {why}") from error
        self._up.set()

    def _check_connected(self) -> None:
        """The library takes an end of the connection in mid-greeting for a welcome."""
        if not self._client.is_connected:
            raise NatsError(self._said.text or "the server ended the connection")

    async def close(self) -> None:
        """End the connection; whoever waits for an answer is told."""
        try:
            await self._client.close()
        except (NatsError, OSError) as error:
            _logger.info("the connection ended untidily", why=str(error))
        await self._on_lost()

    async def connected(self, timeout_s: float) -> bool:
        """Wait for a connection; False if there was none in time."""
        if self._up.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                return await self._up.wait()
        except TimeoutError:
            return False

    async def publish(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        reply: str = "",
    ) -> None:
        """Send a message.  Raises ``LogUnavailable`` while there is no connection: the library
        would keep it and send it later, when nobody expects it any more.
        """
        if not self._up.is_set():
            raise LogUnavailable("there is no connection")
        try:
            await self._client.publish(
                subject, body, reply=reply, headers=dict(headers) if headers else None
            )
        except MaxPayloadError as error:
            message = f"{len(body)} bytes on {subject} are more than the server's max_payload"
            raise LogError(message) from error
        except (NatsError, OSError) as error:
            raise LogUnavailable(f"nothing could be sent: {error}") from error

    def replies(self) -> Inbox:
        """An inbox under the one subscription that all requests share."""
        text = f"{self._root}.{uuid.uuid4().hex}"

        async def end() -> None:
            self._inboxes.pop(text, None)

        inbox = self._inboxes[text] = Inbox(text, end)
        return inbox

    async def channel(self) -> Inbox:
        """An inbox with a subscription of its own.

        What a consumer delivers carries its stored subject, so only the subscription tells whose
        it is; and the broker forgets a pull as soon as nobody subscribes to its answers.
        """
        text = self._client.new_inbox()

        async def take(message: Msg) -> None:
            inbox.queue.put_nowait(reply_of(message))

        unsubscribe = await self._subscribe(text, take)

        async def end() -> None:
            self._inboxes.pop(text, None)
            await unsubscribe()

        inbox = self._inboxes[text] = Inbox(text, end)
        return inbox

    async def request(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a message and wait for its answer; raises ``LogUnavailable``, ``LogDenied``."""
        timeout_s = self._settings.request_timeout_s
        await self.connected(timeout_s)
        inbox = self.replies()
        try:
            with self._asked.under_way(subject, inbox):
                await self.publish(subject, body, headers, reply=inbox.subject)
                reply = await inbox.next(timeout_s)
        finally:
            await inbox.end()
        if reply.status == "503":
            raise LogUnavailable(f"nobody answers on {subject}")
        return reply

    async def api(self, subject: str, request: object) -> dict[str, Any]:
        """Ask JetStream's API; raises ``Refused`` or ``LogUnavailable``."""
        body = msgspec.json.encode(request)
        return jetapi.answer((await self.request(f"{jetapi.API}.{subject}", body)).body)

    async def subscribe(
        self, subject: str, on_body: Callable[[bytes], Coroutine[Any, Any, None]]
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Hear what is published; returns what ends it.  Raises ``LogUnavailable``."""

        async def hear(message: Msg) -> None:
            await on_body(message.data)

        return await self._subscribe(subject, hear)

    async def _subscribe(
        self, subject: str, on_message: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        try:
            subscription = await self._client.subscribe(subject, cb=on_message)
        except (NatsError, OSError) as error:
            raise LogUnavailable(f"no subscription to {subject}: {error}") from error

        async def unsubscribe() -> None:
            try:
                await subscription.unsubscribe()
            except (NatsError, OSError) as error:
                _logger.info("a subscription had ended", subject=subject, why=str(error))

        return unsubscribe

    async def _on_reply(self, message: Msg) -> None:
        inbox = self._inboxes.get(message.subject)
        if inbox is not None:
            inbox.queue.put_nowait(reply_of(message))

    async def _on_error(self, error: Exception) -> None:
        self._asked.deny(error)
        _logger.warning("nats", why=self._said.hear(error))

    async def _on_lost(self) -> None:
        self._up.clear()
        for inbox in self._inboxes.values():
            inbox.queue.put_nowait(None)

    async def _on_back(self) -> None:
        self._up.set()


class JetStreamLog:
    """The log on a NATS server, as ``events.log.EventLog`` has it.

    ``time_s`` of what ``append`` returns is this machine's clock, since the broker does not tell;
    whoever reads the message is told the broker's.
    """

    def __init__(self, connection: Link, settings: LogSettings) -> None:
        self.connection = connection
        self.settings = settings

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        token: str | None = None,
        name: str = "pytoon",
        inbox_prefix: str = "",
        tls: ssl.SSLContext | None = None,
        settings: LogSettings | None = None,
    ) -> Self:
        """Connect to a server or a cluster (``url`` may be several, with commas between).

        Raises ``LogUnavailable``.  ``inbox_prefix`` is by default the one of the address's user;
        certificates are checked with ``tls``, by default against the system's CAs.
        """
        bounds, inbox = settings or LogSettings(), inbox_prefix or inbox_prefix_of(url)
        connection = Link(bounds)
        await connection.open(url, token=token, name=name, inbox_prefix=inbox, tls=tls)
        return cls(connection, bounds)

    async def close(self) -> None:
        """End the connection."""
        await self.connection.close()

    async def append(
        self,
        tail: Tail,
        events: Sequence[Event],
        *,
        source: str,
        causation: str = "",
        traceparent: str = "",
        notices: Sequence[Posting] = (),
    ) -> tuple[Recorded, ...]:
        """Append all or none, trying again within ``append_timeout_s``."""
        drafts = link(
            tail,
            events,
            source=source,
            time_s=time.time(),
            causation=causation,
            traceparent=traceparent,
            keyring=self.settings.keyring,
        )
        told = [self._drafted(posting, source) for posting in notices]
        return await append(self.connection, self.settings, tail, drafts, told)

    async def post(self, posting: Posting, *, source: str) -> Noted:
        """Store a notice, trying again within ``append_timeout_s``."""
        return await post(self.connection, self.settings, self._drafted(posting, source))

    def _drafted(self, posting: Posting, source: str) -> Draft:
        return drafted(posting, source=source, time_s=time.time(), keyring=self.settings.keyring)

    async def last_notice(self, topic: str) -> Noted | None:
        """The last notice of a topic, at the leader."""
        return await last_noted(self.connection, self.settings, topic)

    async def tail_seq(self, job_id: str) -> int:
        """The job's last sequence, at the leader; 0 where it has none."""
        return await last_seq(self.connection, job_filter(job_id))

    async def publish_ask(
        self, job_id: str, type_token: str, body: bytes, *, traceparent: str = ""
    ) -> Recorded:
        """Publish a client's bare body, or return what this ask stored before."""
        ask = decode_ask(job_id, type_token, body)
        if isinstance(ask, RenderRequested):
            usage = await self.usage()
            if usage.fullness >= self.settings.asks_up_to:
                raise LogFull(usage.refusal)
        return await publish_ask(self.connection, self.settings, ask, body, traceparent)

    async def read(
        self, job_id: str, *, after: int = 0, at_least: int = 0, first_seq: int = 0
    ) -> tuple[Recorded, ...]:
        """The job's messages above ``after``, as ``reading.read_job`` gets them."""
        if not after and 1 < first_seq <= at_least:
            found = await read_job(self.connection, self.settings, job_id, first_seq, at_least)
            if begins(found):
                return found
        # A hint is in a message, and a message may have come from another log.
        return await read_job(self.connection, self.settings, job_id, after + 1, at_least)

    async def stored(self, job_id: str, *, stream: str = STREAM) -> tuple[Message, ...]:
        """The job's messages as they are stored, at the leader, whatever they hold."""
        wanted = job_filter(job_id)
        found = await at_leader(self.connection, wanted, 0, count_max=MESSAGES_MAX, stream=stream)
        return tuple(found)

    async def restore(self, job_id: str, messages: Sequence[Message]) -> int:
        """Store another log's messages of a job verbatim, all at once; returns the last sequence.

        Raises ``Conflict`` where the job has any message, ``LogFull`` and ``LogUnavailable``.
        """
        return await restore(self.connection, self.settings, job_id, messages)

    async def mirror(self) -> None:
        """Make the stream AUDIT, a mirror from which nothing can be deleted or purged."""
        await mirror(self.connection, self.settings)

    async def recent(self, types: Sequence[str], *, messages_max: int) -> tuple[Recorded, ...]:
        """The messages of these types among the last ones, as ``reading.recent`` gets them."""
        after = max(0, (await self.usage()).last_seq - messages_max)
        return await recent(self.connection, self.settings, types, after)

    async def forged(self, *, messages_max: int) -> tuple[Foreign, ...]:
        """What claims to be a service's and is not, as ``reading.forged`` finds it."""
        after = max(0, (await self.usage()).last_seq - messages_max)
        return await forged(self.connection, self.settings, after)

    async def jobs(self, *, after: int = 0, counted: bool = True) -> tuple[JobListed, ...]:
        """Every job that was asked for above a sequence, oldest ask first."""
        return await listed_jobs(self.connection, after, counted=counted)

    def watch(self, jobs: Container[str], *, after: int) -> AsyncIterator[Heard]:
        """What is stored above ``after`` of what is in ``jobs`` by then, without end."""
        return watched(self.connection, self.settings, jobs, after)

    async def follow(self, job_id: str | None, *, after: int = 0) -> AsyncIterator[Recorded]:
        """The messages after ``after``, then live, across restarts of the server.

        Raises ``UnknownVersion`` at a message of a newer build.
        """
        follower = Follower(self.connection, job_filter(job_id), after)
        try:
            async for reply, place in follower.live():
                yield record(jetapi.consumed(reply, place), self.settings.keyring)
        finally:
            await follower.end()

    async def consumer(self, durable: str) -> JetStreamConsumer:
        """A reader of a durable; raises ``LogUnavailable`` if ``provision`` did not make it."""
        try:
            await self.connection.api(f"CONSUMER.INFO.{STREAM}.{durable}", {})
        except Refused as error:
            raise LogUnavailable(f"durable {durable} is not there yet: {error}") from error
        return JetStreamConsumer(self, durable, self.settings)

    async def provision(
        self, durables: Sequence[DurableSpec], *, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Make or update the streams and the durables; what a newer build added stays."""
        await provision(self.connection, self.settings, durables, metadata or {})

    async def metadata(self) -> dict[str, str]:
        """What the operator noted about the stream; the broker's own notes are left out."""
        found = (await self._info())["config"].get("metadata") or {}
        return {name: text for name, text in found.items() if not name.startswith("_nats")}

    async def usage(self) -> Usage:
        """How full the stream is."""
        info = await self._info()
        held = {name: info["state"][name] for name in ("messages", "bytes", "last_seq")}
        return Usage(bytes_max=info["config"]["max_bytes"], **held)

    async def _info(self) -> dict[str, Any]:
        try:
            return await self.connection.api(f"STREAM.INFO.{STREAM}", {})
        except Refused as error:
            raise LogUnavailable(f"there is no stream of events: {error}") from error

    async def keep_dead_letter(
        self, recorded: Recorded, headers: Mapping[str, str], why: str
    ) -> None:
        """Store a message in the stream of dead letters, once."""
        await keep_dead_letter(self.connection, recorded, headers, why)

    async def backlog(self) -> int:
        """The messages of all durables that are not settled yet."""
        return sum(queue.depth for queue in (await self.queues()).values())

    async def queues(self) -> dict[str, Queue]:
        """How each durable stands."""
        return await queues(self.connection)

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """What was put aside as unreadable, oldest first."""
        return await listed_dead_letters(self.connection)

    async def publish_progress(self, job_id: str, progress: dict[str, Any]) -> None:
        """Tell whoever listens; raises ``LogUnavailable`` only while there is no connection."""
        await self.connection.publish(progress_subject(job_id), msgspec.json.encode(progress))

    async def subscribe_progress(
        self, job_id: str, subscriber: Subscriber
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Call ``subscriber`` with each progress; returns what ends it."""

        async def hear(body: bytes) -> None:
            try:
                told = msgspec.json.decode(body, type=dict[str, Any])
            except msgspec.DecodeError as error:
                _logger.info("progress that is no JSON object", job_id=job_id, why=str(error))
                return
            await subscriber(told)

        return await self.connection.subscribe(progress_subject(job_id), hear)
