"""Tests of ``events.codec``: what is read, what is foreign, and what is too new."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.codec import DEPTH_MAX, Message, decode, decode_ask, encode_body, encode_envelope
from events.log import Envelope, UnknownVersion
from events.spec import Archetype, Rung
from events.subjects import subject_of
from events.types import (
    CLIENT_ASKS,
    EVENT_TYPES,
    Deadline,
    Event,
    Foreign,
    GenerationSettled,
    RenderCancelRequested,
    RenderRequested,
    SegmentRequested,
    SegmentTimedOut,
    event_id,
    type_name,
)

TIMED_OUT = SegmentTimedOut(job_id="a", segment=3, attempt=1, deadline=Deadline.TOO_LONG)
REQUESTED = SegmentRequested(
    job_id="a",
    segment=0,
    attempt=1,
    rung_index=0,
    rung=Rung(engine="compositor", archetype=Archetype.OVERLAY),
)

_tokens = st.from_regex(re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII), fullmatch=True)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=10,
)
_asks = st.dictionaries(_texts.filter(lambda name: name not in ("type", "job_id")), _json)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, structs within structs included."""
    info = msgspec.inspect.type_info(kind)
    return _of(info)


def _of(info: Any) -> st.SearchStrategy[Any]:
    plain: dict[type, st.SearchStrategy[Any]] = {
        msgspec.inspect.StrType: _texts,
        msgspec.inspect.IntType: st.integers(-(2**63), 2**63 - 1),
        msgspec.inspect.FloatType: st.floats(-1e12, 1e12),
        msgspec.inspect.BoolType: st.booleans(),
        msgspec.inspect.NoneType: st.none(),
    }
    match info:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            named = {
                field.name: _tokens if field.name in ("job_id", "engine") else _of(field.type)
                for field in fields
            }
            return st.builds(cls, **named)
        case msgspec.inspect.EnumType(cls=cls):
            return st.sampled_from(cls)
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(_of(item), max_size=2).map(tuple)
        case msgspec.inspect.UnionType(types=types):
            return st.one_of([_of(each) for each in types])
        case _:
            return plain[type(info)]


def _events(kind: type[Event]) -> st.SearchStrategy[Event]:
    if kind is RenderRequested:
        return st.builds(RenderRequested, job_id=_tokens, ask=_asks)
    return _values(kind)


def envelope_of(event: Event, **changes: Any) -> Envelope:
    """An envelope that fits an event."""
    made = Envelope(
        id=event_id(event),
        type=type_name(event),
        source="planner",
        time="2026-01-01T00:00:00Z",
        version=1,
        ordinal=2,
        prev="0" * 64,
        job_seq=7,
        causation="12",
        traceparent="00-1-1-01",
    )
    return msgspec.structs.replace(made, **changes)


def message(subject: str, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Message:
    """A stored message."""
    return Message(seq=9, subject=subject, headers=headers or {}, body=body, time_s=1.0)


def stored(event: Event, **changes: Any) -> Message:
    """An event as it is stored, its envelope changed at will."""
    headers = encode_envelope(envelope_of(event, **changes))
    return message(subject_of(event), encode_body(event), headers)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=type_name)
def test_events_survive_the_wire(kind: type[Event]) -> None:
    """Any event of a type is read as it was written, envelope included."""

    @given(_events(kind))
    def check(event: Event) -> None:
        read, envelope = decode(stored(event))
        assert (event, envelope_of(event)) == (read, envelope)

    check()


@given(st.binary(max_size=60) | _json.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_request(body: bytes) -> None:
    """Whatever a client publishes as a request is one; if it cannot be read, it says so."""
    event, envelope = decode(message("pytoon.jobs.a.render_requested", body))
    assert isinstance(event, RenderRequested)
    assert envelope is None
    if event.unreadable:
        assert {} == event.ask


@given(
    st.sampled_from([type_name(kind) for kind in EVENT_TYPES if kind is not RenderRequested]),
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(["ce-id", "ce-type", "ce-specversion", "pytoon-ordinal", "pytoon-prev"]),
        _texts,
    ),
)
def test_rubbish_is_foreign(kind: str, body: bytes, headers: dict[str, str]) -> None:
    """What is none of ours becomes ``Foreign`` with a reason; it never breaks the reader."""
    subject = f"pytoon.jobs.a.{kind}" + (".x" if kind == "segment_requested" else "")
    event, envelope = decode(message(subject, body, headers))
    assert isinstance(event, Foreign)
    assert envelope is None
    assert (9, subject) == (event.seq, event.subject)
    assert event.why


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": 1%s}' % (b"0" * 5000),
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"a": 1} 2',
        b'{"a": ' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_an_unreadable_request_is_one(body: bytes) -> None:
    """A body that is no JSON object, or nests too deep, is a request that the planner rejects."""
    event, _ = decode(message("pytoon.jobs.a.render_requested", body))
    assert isinstance(event, RenderRequested)
    assert event.unreadable.startswith("no JSON object: ")
    assert {} == event.ask


def test_the_deepest_request_is_read() -> None:
    """Nesting up to the limit is read as it is."""
    inner = DEPTH_MAX - 1
    body = b'{"a": ' + b"[" * inner + b"]" * inner + b"}"
    event, _ = decode(message("pytoon.jobs.a.render_requested", body))
    assert isinstance(event, RenderRequested)
    assert "" == event.unreadable
    assert "a" in event.ask


def test_a_request_may_repeat_its_subject() -> None:
    """Type and job in the body are no part of the ask; another job's are, and get rejected."""
    body = b'{"type": "render_requested", "job_id": "a", "preset": "x"}'
    event, _ = decode(message("pytoon.jobs.a.render_requested", body))
    assert RenderRequested(job_id="a", ask={"preset": "x"}) == event
    event, _ = decode(message("pytoon.jobs.b.render_requested", body))
    assert RenderRequested(job_id="b", ask={"job_id": "a", "preset": "x"}) == event


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("render_cancel_requested", b"{}", RenderCancelRequested(job_id="a")),
        (
            "render_cancel_requested",
            b'{"type": "render_cancel_requested", "job_id": "a", "why": "w"}',
            RenderCancelRequested(job_id="a", why="w"),
        ),
        ("generation_settled", b'{"segment": 2}', GenerationSettled(job_id="a", segment=2)),
    ],
)
def test_bare_asks(kind: str, body: bytes, expected: Event) -> None:
    """A client needs no envelope, and need not say again what the subject says."""
    assert (expected, None) == decode(message(f"pytoon.jobs.a.{kind}", body))
    assert expected == decode_ask("a", kind, body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("render_cancel_requested", b'{"stream": "EVENTS", "seq": 4}'),
        ("render_cancel_requested", b'{"job_id": "b"}'),
        ("render_cancel_requested", b'{"type": "render_cancelled"}'),
        ("render_cancel_requested", b'{"why": 1}'),
        ("render_cancel_requested", b""),
        ("generation_settled", b"{}"),
        ("generation_settled", b'{"segment": 1%s}' % (b"0" * 5000)),
    ],
)
def test_what_is_no_ask_is_foreign(kind: str, body: bytes) -> None:
    """A bare body that another job, type or program wrote is no ask, and may not be published."""
    event, _ = decode(message(f"pytoon.jobs.a.{kind}", body))
    assert isinstance(event, Foreign)
    with pytest.raises(ValueError, match=kind):
        decode_ask("a", kind, body)


@pytest.mark.parametrize("kind", [k for k in EVENT_TYPES if type_name(k) not in CLIENT_ASKS])
def test_a_service_needs_an_envelope(kind: type[Event]) -> None:
    """Only what a client asks may come bare."""
    name = type_name(kind)
    subject = f"pytoon.jobs.a.{name}" + (".x" if name == "segment_requested" else "")
    event, _ = decode(message(subject, b'{"stream": "EVENTS", "seq": 4}'))
    assert isinstance(event, Foreign)
    assert "no envelope, and not a client's ask" == event.why


def _moved(found: Message, subject: str) -> Message:
    return msgspec.structs.replace(found, subject=subject)


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (_moved(stored(TIMED_OUT), "pytoon.jobs.b.segment_timed_out"), "job"),
        (_moved(stored(TIMED_OUT), "pytoon.jobs.a.segment_failed"), "type"),
        (_moved(stored(REQUESTED), "pytoon.jobs.a.segment_requested.other"), "engine"),
        (_moved(stored(REQUESTED), "pytoon.jobs.a.segment_requested"), "tokens"),
        (_moved(stored(TIMED_OUT), "pytoon.jobs.a!.segment_timed_out"), "job id"),
        (_moved(stored(TIMED_OUT), "pytoon.jobs"), "subject"),
        (stored(TIMED_OUT, type="segment_failed"), "type"),
        (stored(TIMED_OUT, id="0"), "id"),
        (stored(TIMED_OUT, id=""), "ce-id"),
        (stored(TIMED_OUT, source=""), "ce-source"),
    ],
)
def test_what_disagrees_is_foreign(forged: Message, why: str) -> None:
    """Subject, envelope and body must tell the same job, type, engine and id."""
    event, envelope = decode(forged)
    assert isinstance(event, Foreign)
    assert envelope is None
    assert why in event.why


@pytest.mark.parametrize("name", sorted(encode_envelope(envelope_of(TIMED_OUT))))
def test_an_envelope_has_all_its_parts(name: str) -> None:
    """Without any one of its headers an event of a service is foreign, two told apart."""
    found = stored(TIMED_OUT)
    headers = {key: text for key, text in found.headers.items() if key != name}
    event, _ = decode(msgspec.structs.replace(found, headers=headers))
    expected = SegmentTimedOut if name in ("traceparent", "pytoon-causation") else Foreign
    assert expected is type(event)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "²", "1" * 21])
def test_numbers_of_an_envelope_are_digits(text: str) -> None:
    """What is no plain number is no ordinal."""
    found = stored(TIMED_OUT)
    headers = found.headers | {"pytoon-ordinal": text}
    event, _ = decode(msgspec.structs.replace(found, headers=headers))
    assert isinstance(event, Foreign)


def test_what_is_newer_is_an_error() -> None:
    """A newer version or an unknown type stops the reader: passing over it would forget it."""
    with pytest.raises(UnknownVersion, match="upgrade"):
        decode(stored(TIMED_OUT, version=2))
    with pytest.raises(UnknownVersion, match="film_admired"):
        decode(message("pytoon.jobs.a.film_admired"))
    with pytest.raises(UnknownVersion, match="film_admired"):
        decode(message("pytoon.jobs.a.film_admired.engine.more"))


def test_fields_of_a_later_build_are_passed_over() -> None:
    """A field that was added with a default does not make an event unreadable to us."""
    found = stored(TIMED_OUT)
    body = json.dumps(json.loads(found.body) | {"added": 1}).encode()
    event, _ = decode(msgspec.structs.replace(found, body=body))
    assert TIMED_OUT == event


def test_what_is_no_json_cannot_be_asked() -> None:
    """An ask that JSON cannot say is refused when it is written."""
    with pytest.raises(ValueError, match="JSON"):
        encode_body(RenderRequested(job_id="a", ask={"a": object()}))
