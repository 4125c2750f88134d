"""Tests of ``events.link``: digests, the chain, and what it tells of an alteration."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from events.codec import Message
from events.link import advanced, already_stored, digest, flaws, link, record
from events.log import Recorded, Tail
from events.types import AssemblyRequested, Event

EVENTS: tuple[Event, ...] = tuple(AssemblyRequested(job_id="a", attempt=n) for n in (1, 2, 3))


def chain() -> list[Recorded]:
    """A bare ask, two linked events, a foreign message, and a last event that vouches for it."""
    history: list[Recorded] = []

    def store(subject: str, headers: dict[str, str], body: bytes) -> None:
        seq = 10 + 5 * len(history)
        stored = Message(seq=seq, subject=subject, headers=headers, body=body, time_s=1.0)
        history.append(record(stored))

    def append(*events: Event) -> None:
        tail = Tail(job_id="a")
        for item in history:
            tail = advanced(tail, item)
        for draft in link(tail, events, source="test", time_s=0.0):
            store(draft.subject, draft.headers, draft.body)

    store("pytoon.jobs.a.render_requested", {}, b"{}")
    append(*EVENTS[:2])
    store("pytoon.jobs.a.segment_failed", {"ce-id": "x"}, b"{")
    append(EVENTS[2])
    return history


def test_a_digest_is_what_it_is_said_to_be() -> None:
    """Lengths of eight bytes before each piece; headers in order; ours and CloudEvents' only."""
    pieces = ["s.u", "ce-id", "1", "ce-time", "ü", "pytoon-prev", "", '{"a":1}']
    expected = hashlib.sha256()
    for piece in pieces:
        expected.update(len(piece.encode()).to_bytes(8, "big") + piece.encode())
    headers = {"pytoon-prev": "", "Nats-Msg-Id": "z", "ce-time": "ü", "ce-id": "1"}
    assert expected.hexdigest() == digest("s.u", headers, b'{"a":1}')


def test_a_known_digest_stays() -> None:
    """The digest of a fixed message never changes: old logs depend on it."""
    body = b"body"
    by_hand = (
        b"\0\0\0\0\0\0\0\x01s" + b"\0\0\0\0\0\0\0\x05ce-id" + b"\0\0\0\0\0\0\0\x011"
        b"\0\0\0\0\0\0\0\x04body"
    )
    assert hashlib.sha256(by_hand).hexdigest() == digest("s", {"ce-id": "1"}, body)


def test_pieces_cannot_be_shifted() -> None:
    """Moving bytes from one piece to the next changes the digest."""
    digests = {
        digest("ab", {}, b"c"),
        digest("a", {}, b"bc"),
        digest("a", {"ce-b": ""}, b"c"),
        digest("a", {"ce-": "b"}, b"c"),
    }
    assert 4 == len(digests)


def test_a_batch_is_linked_within() -> None:
    """Each event of a batch names the one before it, whose digest is known before it is stored."""
    tail = Tail(job_id="a", seq=7, ordinal=4, digest="d" * 64, first_seq=2)
    drafts = link(tail, EVENTS, source="planner", time_s=0.5, causation="c", traceparent="t")
    envelopes = [draft.envelope for draft in drafts]
    assert [5, 6, 7] == [item.ordinal for item in envelopes]
    expected = ["d" * 64, drafts[0].digest, drafts[1].digest]
    assert expected == [item.prev for item in envelopes]
    assert {2} == {item.job_seq for item in envelopes}
    assert {"1970-01-01T00:00:00.500000Z"} == {item.time for item in envelopes}
    assert {("planner", "c", "t")} == {
        (item.source, item.causation, item.traceparent) for item in envelopes
    }
    for draft in drafts:
        stored = Message(
            seq=9, subject=draft.subject, headers=draft.headers, body=draft.body, time_s=1.0
        )
        assert record(stored) == draft.stored(9, 1.0)


def test_a_trace_is_no_part_of_the_chain() -> None:
    """Id and digest are the same under any span, and the chain is whole without the header."""
    told = (link(Tail(job_id="a"), EVENTS, source="p", time_s=0.5, traceparent=t) for t in "xy")
    first, second = ([(draft.envelope.id, draft.digest) for draft in drafts] for drafts in told)
    assert first == second


def test_a_whole_chain_has_no_flaws() -> None:
    """Bare and foreign messages are links as well."""
    assert () == flaws(chain())
    assert () == flaws([])


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_a_lost_message_is_found(lost: int) -> None:
    """Each message that something of ours was stored after is missed when it is gone."""
    history = chain()
    del history[lost]
    assert flaws(history)


@pytest.mark.parametrize("altered", [0, 1, 2, 3])
def test_an_altered_message_is_found(altered: int) -> None:
    """Any change of a stored message shows in the next link."""
    history = chain()
    history[altered] = msgspec.structs.replace(history[altered], digest="0" * 64)
    assert flaws(history)


def test_an_added_message_is_found() -> None:
    """A message that was put in between shows, whatever it is."""
    history = chain()
    history.insert(2, history[0])
    assert flaws(history)


def test_a_tail_that_was_cut_off_is_not_found() -> None:
    """What nothing was stored after can be taken away unseen: only a mirror would tell."""
    assert () == flaws(chain()[:-1])


def test_what_is_stored_already() -> None:
    """The same ids and bodies are the same append, whatever time their envelopes tell."""
    drafts = link(Tail(job_id="a"), EVENTS[:2], source="test", time_s=0.0)
    later = link(Tail(job_id="a"), EVENTS[:2], source="test", time_s=9.0)
    stored = [draft.stored(seq, 1.0) for seq, draft in enumerate(later, 1)]
    assert already_stored(drafts, stored)
    assert already_stored(drafts[:1], stored)
    assert not already_stored(drafts, stored[:1])
    assert not already_stored(drafts, stored[::-1])
    changed = msgspec.structs.replace(stored[1], body=b"{}")
    assert not already_stored(drafts, [stored[0], changed])
    bare = msgspec.structs.replace(stored[1], envelope=None)
    assert not already_stored(drafts, [stored[0], bare])
