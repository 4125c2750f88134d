"""Events to and from the wire: a JSON body, and an envelope of headers in CloudEvents' NATS mode.

Decoding is strict, because the broker's permissions do not reach as far as what is *in* a message:
what subject, envelope and body disagree on was not written by the service that it claims to be
from, and becomes ``Foreign``.  Foreign messages keep their place in the sequence and in the chain
of digests and change nothing else.  Only a type or a version newer than this build is an error,
``UnknownVersion``: passing over it would be to forget what a newer service has decided.

A client needs no envelope.  Its bare JSON body is the ask itself; for ``render_requested`` any
body at all is one, since telling the client what is wrong with it is the planner's job.

Left out: where a message is published (``subjects``), and how it is linked (``link``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from events.log import Envelope, UnknownVersion
from events.spec import Struct
from events.subjects import TYPES, Parsed, checked_job_id, is_token, parse
from events.trace import HEADER, found_in
from events.types import (
    CLIENT_ASKS,
    EVENT_TYPES,
    Event,
    Foreign,
    RenderRequested,
    SegmentRequested,
    Stored,
    event_id,
    type_name,
)

VERSION = 1
"""The version of the event types that this build writes, and the newest that it reads."""

DEPTH_MAX = 64
"""How deep an ask may nest.

A limit of ours, well below the interpreter's: that one depends on how deep the reader's own stack
is, and every reader must come to the same fold.
"""

_SPEC_VERSION = "1.0"
_ASK = type_name(RenderRequested)
_UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""What decoding raises: no bytes at all may get past it and stop a reader."""


class Message(Struct, frozen=True, kw_only=True):
    """A stored message as the broker has it; ``time_s`` is when it was stored (epoch seconds)."""

    seq: int
    subject: str
    headers: dict[str, str]
    body: bytes
    time_s: float


class _Head(Struct, frozen=True, kw_only=True):
    """What each body of ours begins with."""

    type: str | None = None
    job_id: str | None = None


class _Unreadable(Exception):
    """The message is Foreign, for the reason given."""


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    type_name(kind): msgspec.json.Decoder(kind) for kind in EVENT_TYPES
}
_FIELDS: dict[str, frozenset[str]] = {
    type_name(kind): frozenset({"type", *kind.__struct_fields__}) for kind in EVENT_TYPES
}
_HEAD = msgspec.json.Decoder(_Head)
_OBJECT: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


def encode_body(event: Event) -> bytes:
    """The event's JSON; of ``RenderRequested`` the ask alone, as a client would write it.

    ValueError for an ask that is no JSON; a ``RenderRequested`` that was ``unreadable`` has no
    body to write, and to try is a programmer's error.
    """
    if not isinstance(event, RenderRequested):
        return _ENCODER.encode(event)
    assert not event.unreadable, "an unreadable ask is read, never written"
    try:
        return _ENCODER.encode(event.ask)
    except (TypeError, OverflowError, RecursionError) as error:
        message = f"the request cannot be written as JSON: {error}"
        raise ValueError(message) from error


def encode_envelope(envelope: Envelope) -> dict[str, str]:
    """The envelope as message headers."""
    headers = {
        "ce-id": envelope.id,
        "ce-type": envelope.type,
        "ce-source": envelope.source,
        "ce-time": envelope.time,
        "ce-specversion": _SPEC_VERSION,
        "pytoon-version": str(envelope.version),
        "pytoon-ordinal": str(envelope.ordinal),
        "pytoon-prev": envelope.prev,
        "pytoon-job-seq": str(envelope.job_seq),
        "pytoon-causation": envelope.causation,
    }
    if envelope.traceparent:
        headers[HEADER] = envelope.traceparent
    return headers


def decode(message: Message) -> tuple[Stored, Envelope | None]:
    """The event of a stored message, and its envelope (None on a bare ask and on what is foreign).

    Raises ``UnknownVersion`` for a type or a version that this build does not know.
    """
    try:
        tokens = parse(message.subject)
    except ValueError as error:
        return foreign(message, str(error)), None
    try:
        return _decode(message, tokens)
    except _Unreadable as error:
        return foreign(message, str(error)), None


def decode_ask(job_id: str, type_token: str, body: bytes) -> Event:
    """A client's bare body, before it is published; ValueError says why it is no such ask.

    A ``render_requested`` may be anything: what is wrong with it is told by the planner.
    """
    if type_token not in CLIENT_ASKS:
        message = f"{type_token!r} is not one of a client's asks: {sorted(CLIENT_ASKS)}"
        raise ValueError(message)
    try:
        return _decode_bare(body, Parsed(job_id=checked_job_id(job_id), type=type_token))
    except _Unreadable as error:
        message = f"{type_token} cannot be read: {error}"
        raise ValueError(message) from error


def foreign(message: Message, why: str, *, forged: bool = False) -> Foreign:
    """The message as one that is none of ours."""
    return Foreign(seq=message.seq, subject=message.subject, why=why, forged=forged)


def _decode(message: Message, tokens: Parsed) -> tuple[Stored, Envelope | None]:
    if not is_token(tokens.job_id):
        raise _Unreadable("the subject has no valid job id")
    if tokens.type not in TYPES:
        reason = f"type {tokens.type!r}"
        raise UnknownVersion(_newer(message, reason))
    version = message.headers.get("pytoon-version", "")
    if is_number(version) and int(version) > VERSION:
        reason = f"version {version} of {tokens.type}"
        raise UnknownVersion(_newer(message, reason))
    if not any(name.startswith("pytoon-") for name in message.headers):
        return _decode_bare(message.body, tokens), None
    envelope = _decode_envelope(message.headers)
    if envelope.type != tokens.type:
        raise _Unreadable("the envelope's type is not the subject's")
    event = _decode_body(message.body, tokens)
    if envelope.id != event_id(event):
        raise _Unreadable("the envelope's id is not the event's")
    return event, envelope


def _newer(message: Message, what: str) -> str:
    return f"message {message.seq} has {what}, newer than this build: upgrade this service"


def _decode_bare(body: bytes, tokens: Parsed) -> Event:
    """The ask of a client.

    Fields that it does not have make it foreign, so that what is no ask at all (a broker's
    acknowledgement that was misdirected here, say) does not pass for one.
    """
    if tokens.type not in CLIENT_ASKS:
        raise _Unreadable("no envelope, and not a client's ask")
    if tokens.type == _ASK:
        return _decode_ask(body, tokens)
    try:
        fields = _OBJECT.decode(body)
        unknown = sorted(set(fields) - _FIELDS[tokens.type])
        if unknown:
            reason = f"unknown fields {unknown[:8]}"
            raise _Unreadable(reason)
        named = {"type": tokens.type, "job_id": tokens.job_id}
        for name, value in named.items():
            if fields.get(name, value) != value:
                reason = f"the body's {name} is not the subject's"
                raise _Unreadable(reason)
        event: Event = _DECODERS[tokens.type].decode(_ENCODER.encode(fields | named))
    except _UNREADABLE as error:
        raise _Unreadable(_shortened(error)) from error
    return event


def _decode_body(body: bytes, tokens: Parsed) -> Event:
    """The body of a message with an envelope: it names its type and job itself."""
    if tokens.type == _ASK:
        return _decode_ask(body, tokens)
    try:
        head = _HEAD.decode(body)
        if head.type != tokens.type or head.job_id != tokens.job_id:
            raise _Unreadable("the body's type or job is not the subject's")
        event: Event = _DECODERS[tokens.type].decode(body)
    except _UNREADABLE as error:
        raise _Unreadable(_shortened(error)) from error
    if isinstance(event, SegmentRequested) and event.rung.engine != tokens.engine:
        raise _Unreadable("the body's engine is not the subject's")
    return event


def _decode_ask(body: bytes, tokens: Parsed) -> RenderRequested:
    """Any body is an ask; ``type`` and ``job_id`` that repeat the subject are no part of it."""
    try:
        ask = _OBJECT.decode(body)
    except RecursionError:
        return _unreadable_ask(tokens, f"nested deeper than {DEPTH_MAX}")
    except _UNREADABLE as error:
        return _unreadable_ask(tokens, _shortened(error))
    if _deeper_than(ask, DEPTH_MAX):
        return _unreadable_ask(tokens, f"nested deeper than {DEPTH_MAX}")
    for name, value in (("type", tokens.type), ("job_id", tokens.job_id)):
        if ask.get(name) == value:
            del ask[name]
    return RenderRequested(job_id=tokens.job_id, ask=ask)


def _unreadable_ask(tokens: Parsed, why: str) -> RenderRequested:
    return RenderRequested(job_id=tokens.job_id, ask={}, unreadable=f"no JSON object: {why}")


def _deeper_than(value: object, depth_max: int) -> bool:
    """Whether more than ``depth_max`` objects and arrays lie in one another."""
    level: list[object] = [value]
    for _ in range(depth_max):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return any(isinstance(item, dict | list) for item in level)


def _decode_envelope(headers: Mapping[str, str]) -> Envelope:
    if headers.get("ce-specversion") != _SPEC_VERSION:
        raise _Unreadable("the envelope is no CloudEvent of version 1.0")
    prev = _header(headers, "pytoon-prev", may_be_empty=True)
    return Envelope(
        id=_header(headers, "ce-id"),
        type=_header(headers, "ce-type"),
        source=_header(headers, "ce-source"),
        time=_header(headers, "ce-time"),
        version=_number(headers, "pytoon-version"),
        ordinal=_number(headers, "pytoon-ordinal"),
        prev=prev,
        job_seq=_number(headers, "pytoon-job-seq"),
        causation=headers.get("pytoon-causation", ""),
        traceparent=found_in(headers),
    )


def _header(
    headers: Mapping[str, str], name: str, *, may_be_empty: Literal[True, False] = False
) -> str:
    value = headers.get(name)
    if value is None or not (value or may_be_empty):
        reason = f"the envelope lacks {name}"
        raise _Unreadable(reason)
    return value


def _number(headers: Mapping[str, str], name: str) -> int:
    value = _header(headers, name)
    if not is_number(value):
        reason = f"{name} is no number"
        raise _Unreadable(reason)
    return int(value)


def is_number(text: str) -> bool:
    """Decimal digits only, as many as a sequence can have."""
    return text.isascii() and text.isdigit() and len(text) <= 20  # noqa: PLR2004 - of 2**64


def _shortened(error: BaseException) -> str:
    return str(error)[:200]
