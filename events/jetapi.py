"""JetStream's API as JSON and headers: what is asked, what is answered, which error means what.

Pure: nothing here talks to a server.  ``events.jetstream`` does, ``events.pull`` reads consumers.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from events.codec import Message
from events.log import DurableSpec, LogError
from events.stream import LogSettings
from events.subjects import (
    DEAD_LETTER_ROOT,
    DEAD_LETTERS,
    MIRROR,
    STREAM,
    job_filter,
    stream_subjects,
    type_filter,
)

API = "$JS.API"

NO_MESSAGE = 10037
NO_STREAM = 10059
STREAM_EXISTS = 10058
FULL = frozenset({10077, 10047, 10122})
"""The stream's limit, the account's storage, and a stream that ran out of resources."""
DUPLICATE = -1
"""Our own: the broker accepts what it has already, and says so."""
CONFLICTS = frozenset({10071, 10164, 10201, DUPLICATE})
"""A sequence that is not the expected one, on one replica and on several; a repeated batch."""

_NS = 1_000_000_000
_HEADER_LINE = b"NATS/1.0\r\n"


class Reply(NamedTuple):
    """A message as it comes off the connection; ``reply`` is where an answer to it goes."""

    subject: str
    headers: dict[str, str]
    body: bytes
    reply: str

    @property
    def status(self) -> str:
        """The broker's own status, such as ``404``; empty for a message."""
        return self.headers.get("Status", "")


def reply_of(message: Any) -> Reply:
    """A message of the client library's."""
    return Reply(message.subject, message.headers or {}, message.data, message.reply)


class Refused(LogError):
    """The broker answered with an error; ``code`` is its own number for it."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code


class Place(NamedTuple):
    """What the reply subject of a consumed message says about it."""

    deliveries: int
    seq: int
    consumer_seq: int
    time_s: float
    pending: int


def answer(body: bytes) -> dict[str, Any]:
    """An API's answer; raises ``Refused`` if it is an error, or is no answer at all."""
    try:
        decoded = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as unread:
        raise Refused(0, f"the broker's answer is no JSON: {body[:80]!r}") from unread
    error = decoded.get("error")
    if isinstance(error, dict):
        code = int(error.get("err_code") or error.get("code") or 0)
        raise Refused(code, str(error.get("description", "no reason given")))
    return decoded


def place(reply: str) -> Place | None:
    """Read ``$JS.ACK.[domain.account.]stream.consumer.…``; None if the subject is not such."""
    tokens = reply.split(".")
    if tokens[:2] != ["$JS", "ACK"] or len(tokens) < 9:  # noqa: PLR2004 - the shortest form
        return None
    first = 4 if len(tokens) == 9 else 6  # noqa: PLR2004 - with domain and account hash
    deliveries, seq, consumer_seq, time_ns, pending = map(int, tokens[first : first + 5])
    return Place(deliveries, seq, consumer_seq, time_ns / _NS, pending)


def seconds(time: str) -> float:
    """RFC 3339 with up to nine decimals, in UTC, as seconds since the epoch.

    It is computed by way of whole nanoseconds, as ``place`` does: a message has one time,
    whichever way it was read.
    """
    whole, _, decimals = time.removesuffix("Z").partition(".")
    since = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return (int(since.timestamp()) * _NS + int(decimals.ljust(9, "0")[:9] or 0)) / _NS


def consumed(reply: Reply, at: Place) -> Message:
    """A message that a consumer delivered."""
    return Message(
        seq=at.seq,
        subject=reply.subject,
        headers=reply.headers,
        body=reply.body,
        time_s=at.time_s,
    )


def direct(reply: Reply) -> Message | None:
    """A message of a direct get; None for the status that ends a batch."""
    headers = reply.headers
    if "Nats-Sequence" not in headers:
        return None
    return Message(
        seq=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        headers=headers,
        body=reply.body,
        time_s=seconds(headers["Nats-Time-Stamp"]),
    )


def got(message: dict[str, Any]) -> Message:
    """A message as ``STREAM.MSG.GET`` answers it, read at the leader."""
    return Message(
        seq=int(message["seq"]),
        subject=str(message["subject"]),
        headers=parse_headers(base64.b64decode(message.get("hdrs") or "")),
        body=base64.b64decode(message.get("data") or ""),
        time_s=seconds(message["time"]),
    )


def parse_headers(block: bytes) -> dict[str, str]:
    """A block of headers; the rules (last wins, malformed ones left out) are the client's own."""
    headers: dict[str, str] = {}
    for line in block.removeprefix(_HEADER_LINE).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        key = name.strip()
        if colon and key.isascii() and not any(chr(byte).isspace() for byte in key):
            headers[key.decode()] = value.strip().decode("utf-8", "replace")
    return headers


def expecting(last_seq: int, over: str) -> dict[str, str]:
    """The headers that make an append conditional on the last sequence under a filter.

    The broker does not check that ``over`` covers the subject that is published to.
    """
    return {
        "Nats-Expected-Last-Subject-Sequence": str(last_seq),
        "Nats-Expected-Last-Subject-Sequence-Subject": over,
    }


def in_batch(batch_id: str, number: int, of: int) -> dict[str, str]:
    """The headers of message ``number`` (from 1) of an atomic batch."""
    headers = {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
    return headers | ({"Nats-Batch-Commit": "1"} if number == of else {})


def stream_config(settings: LogSettings, metadata: dict[str, str]) -> dict[str, Any]:
    """The stream of events."""
    return {
        "name": STREAM,
        "subjects": list(stream_subjects()),
        "retention": "limits",
        "storage": "file",
        "compression": "none",
        "discard": "new",
        "max_bytes": settings.bytes_max,
        "num_replicas": settings.replicas,
        "duplicate_window": int(settings.duplicate_window_s * _NS),
        "deny_delete": True,
        "allow_direct": True,
        "allow_atomic": True,
        "metadata": metadata,
    }


def updated(config: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """A stream's new configuration: what is ours is set, what a newer build added is kept.

    Copies are never taken away: who would make the stream with one may not know of its cluster.
    """
    added = [text for text in current.get("subjects", []) if text not in config["subjects"]]
    return {
        **current,
        **config,
        "subjects": config["subjects"] + added,
        "num_replicas": max(config["num_replicas"], current.get("num_replicas", 1)),
        "metadata": {**current.get("metadata", {}), **config.get("metadata", {})},
    }


def dead_letter_config(settings: LogSettings) -> dict[str, Any]:
    """The stream of what nobody could read: the oldest goes when it is full."""
    return {
        "name": DEAD_LETTERS,
        "subjects": [f"{DEAD_LETTER_ROOT}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_bytes": settings.dead_letter_bytes_max,
        "num_replicas": settings.replicas,
        "duplicate_window": int(settings.duplicate_window_s * _NS),
        "allow_direct": True,
    }


def mirror_config(settings: LogSettings) -> dict[str, Any]:
    """The mirror of the events: it takes no message but theirs, and gives none up."""
    return {
        "name": MIRROR,
        "mirror": {"name": STREAM},
        "retention": "limits",
        "storage": "file",
        "num_replicas": settings.replicas,
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
    }


def durable_config(spec: DurableSpec) -> dict[str, Any]:
    """A durable pull consumer; a message comes again until it is settled, however often."""
    return {
        "durable_name": spec.name,
        "name": spec.name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(spec.ack_wait_s * _NS),
        "max_deliver": -1,
        "max_ack_pending": spec.max_ack_pending,
        "filter_subjects": [type_filter(token) for token in spec.types],
        "replay_policy": "instant",
    }


def reader_config(
    name: str, wanted: str | None, after: int, *, headers_only: bool = False
) -> dict[str, Any]:
    """A consumer for one reading: nothing to acknowledge, in memory, gone when left alone."""
    return {
        "name": name,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": after + 1,
        "ack_policy": "none",
        "filter_subject": wanted or job_filter(None),
        "replay_policy": "instant",
        "mem_storage": True,
        "num_replicas": 1,
        "headers_only": headers_only,
        "inactive_threshold": 60 * _NS,
    }
