"""The chain: each event of ours names all that was stored before it.

A message's digest covers what is *stored*, whoever wrote it.  An event of ours carries in ``prev``
the chain's digest before it, and so its own digest covers that too.  A client's bare ask and a
foreign message carry none: the chain's digest after one is made from the one before and the
message's own.  So whatever comes before an event of ours is vouched for by it, and an alteration,
a loss or an insertion there is found by walking the chain.

Where keys are configured an event is signed before its digest is taken, so that the chain covers
signatures, too; what a signature does not bear out is foreign, whatever its envelope claims.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from events.codec import VERSION, Message, decode, encode_body, encode_envelope, foreign
from events.log import Envelope, Heard, Recorded, Tail, UnknownVersion
from events.spec import Struct
from events.subjects import subject_of
from events.trace import found_in
from events.types import (
    Event,
    Foreign,
    RenderCancelled,
    RenderCompleted,
    RenderFailed,
    RenderRejected,
    Stored,
    event_id,
    type_name,
)

if TYPE_CHECKING:
    from events.keys import Keyring

_COVERED = ("ce-", "pytoon-")
_LENGTH_BYTES = 8

ENDS = (RenderRejected, RenderCompleted, RenderCancelled, RenderFailed)
"""What ends a job."""


class Draft(Struct, frozen=True, kw_only=True):
    """An event that is linked and encoded and has only to be stored."""

    event: Event
    envelope: Envelope
    subject: str
    headers: dict[str, str]
    body: bytes
    digest: str
    signer: str = ""

    def stored(self, seq: int, time_s: float) -> Recorded:
        """The draft as it stands in the log at ``seq``."""
        return Recorded(
            seq=seq,
            subject=self.subject,
            job_id=self.event.job_id,
            time_s=time_s,
            event=self.event,
            digest=self.digest,
            body=self.body,
            envelope=self.envelope,
            traceparent=self.envelope.traceparent,
            signer=self.signer,
        )


def digest(subject: str, headers: Mapping[str, str], body: bytes) -> str:
    """The sha256 (64 hex digits) of a stored message.

    It is taken over the subject, the name and value of each ``ce-*`` and ``pytoon-*`` header in
    the order of their names, and the body; each piece in UTF-8, after its length in bytes as
    eight bytes, most significant first.
    """
    hashed = hashlib.sha256()
    covered = sorted(item for item in headers.items() if item[0].startswith(_COVERED))
    texts = (subject, *(text for item in covered for text in item))
    for piece in (*(text.encode() for text in texts), body):
        hashed.update(len(piece).to_bytes(_LENGTH_BYTES, "big"))
        hashed.update(piece)
    return hashed.hexdigest()


def record(message: Message, keyring: Keyring | None = None) -> Recorded:
    """A stored message, read; raises ``UnknownVersion`` as ``codec.decode`` does.

    With a ``keyring`` what is not signed as it must be is foreign, before anything of it is read:
    not even that it is of a newer version is believed.
    """
    event: Stored
    signer, why = keyring.check(message) if keyring is not None else ("", "")
    if why:
        event, envelope = foreign(message, why, forged=True), None
    else:
        event, envelope = decode(message)
    tokens = message.subject.split(".")
    return Recorded(
        seq=message.seq,
        subject=message.subject,
        job_id=tokens[2] if len(tokens) > 2 else "",  # noqa: PLR2004 - pytoon.jobs.<job_id>
        time_s=message.time_s,
        event=event,
        digest=digest(message.subject, message.headers, message.body),
        body=message.body,
        envelope=envelope,
        traceparent=found_in(message.headers),
        signer=signer if envelope is not None else "",
    )


def heard(job_id: str, message: Message, keyring: Keyring | None) -> Heard:
    """A message that a watch came by."""
    try:
        found = record(message, keyring)
    except UnknownVersion:
        found = None
    return Heard(job_id=job_id, seq=message.seq, recorded=found)


def link(
    tail: Tail,
    events: Sequence[Event],
    *,
    source: str,
    time_s: float,
    causation: str = "",
    traceparent: str = "",
    keyring: Keyring | None = None,
) -> tuple[Draft, ...]:
    """The events as they are to be stored after ``tail``, each linked to the one before.

    In a batch that begins a job no event knows the job's first sequence yet: it is 0 in each.
    With a ``keyring`` each is signed by its source; raises ``keys.NoKey``.
    """
    time = datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
    prev = tail.digest
    drafts: list[Draft] = []
    for ordinal, event in enumerate(events, tail.ordinal + 1):
        assert event.job_id == tail.job_id, "an append is to one job"
        envelope = Envelope(
            id=event_id(event),
            type=type_name(event),
            source=source,
            time=time,
            version=VERSION,
            ordinal=ordinal,
            prev=prev,
            job_seq=tail.first_seq,
            causation=causation,
            traceparent=traceparent,
        )
        headers, body, signer = encode_envelope(envelope), encode_body(event), ""
        subject = subject_of(event)
        if keyring is not None:
            headers, signer = keyring.signed(source, subject, headers, body)
        prev = digest(subject, headers, body)
        drafts.append(
            Draft(
                event=event,
                envelope=envelope,
                subject=subject,
                headers=headers,
                body=body,
                digest=prev,
                signer=signer,
            )
        )
    return tuple(drafts)


def in_place(tail: Tail, recorded: Recorded) -> Recorded:
    """The message after ``tail``; foreign where it was signed for an earlier place of the job.

    A signed event names its ordinal, and those of a job grow.  One that does not was stored a
    second time, by whoever can have the server do that.  Where messages were lost or put in
    between, events stay good: that is a flaw of the log, not theirs.
    """
    envelope = recorded.envelope
    if not recorded.signer or envelope is None or envelope.ordinal > tail.signed:
        return recorded
    why = (
        f"signed by {recorded.signer} as the job's {envelope.ordinal}. message, and stored again "
        f"as its {tail.ordinal + 1}."
    )
    event = Foreign(seq=recorded.seq, subject=recorded.subject, why=why, forged=True)
    return msgspec.structs.replace(recorded, event=event, envelope=None, signer="")


def placed(history: Iterable[Recorded]) -> Iterator[Recorded]:
    """A job's messages from its first on, those that were stored again as what is foreign."""
    tail = Tail(job_id="")
    for stored in history:
        tail, recorded = placed_after(tail, stored)
        yield recorded


def placed_after(tail: Tail, stored: Recorded) -> tuple[Tail, Recorded]:
    """The message after ``tail`` as ``in_place`` has it, and the tail that it makes."""
    recorded = in_place(tail, stored)
    return advanced(tail, recorded), recorded


def chained(before: str, recorded: Recorded) -> str:
    """The chain's digest after a message, from the one before it (empty at the first)."""
    if recorded.envelope is not None or not before:
        return recorded.digest
    return hashlib.sha256(f"{before}{recorded.digest}".encode()).hexdigest()


def is_tombstone(tail: Tail, recorded: Recorded) -> bool:
    """Whether a message is what a pruned job has left: its end, and nothing before it."""
    return (
        not tail.seq
        and recorded.envelope is not None
        and recorded.envelope.ordinal > 1
        and isinstance(recorded.event, ENDS)
    )


def advanced(tail: Tail, recorded: Recorded) -> Tail:
    """The tail after one more stored message."""
    ordinal = tail.ordinal + 1
    if recorded.envelope is not None and is_tombstone(tail, recorded):
        ordinal = recorded.envelope.ordinal
    return Tail(
        job_id=tail.job_id,
        seq=recorded.seq,
        ordinal=ordinal,
        digest=chained(tail.digest, recorded),
        first_seq=tail.first_seq or recorded.seq,
        signed=recorded.envelope.ordinal
        if recorded.signer and recorded.envelope is not None
        else tail.signed,
    )


def flaws(history: Sequence[Recorded]) -> tuple[str, ...]:
    """What is wrong with a job's chain, message by message; empty if it is whole.

    ``history`` begins with the job's first message.  What follows the last event of ours is
    vouched for by nobody, and neither is that event itself: a tail that was cut off or altered is
    found only by comparing with a mirror.  A job that was imported knows the sequence that it
    began at in its old log, so only one such beginning is foreign to it.  What is forged is a flaw
    although it changed nothing: somebody writes who should not.
    """
    found: list[str] = []
    tail = Tail(job_id=history[0].job_id if history else "")
    began = 0
    for recorded in placed(history):
        envelope = recorded.envelope
        before, tail = tail, advanced(tail, recorded)
        if isinstance(recorded.event, Foreign) and recorded.event.forged:
            name = recorded.subject.split(".", 3)[-1]
            found.append(f"message {recorded.seq} ({name}) is forged: {recorded.event.why}")
        if envelope is None:
            continue
        where = f"message {recorded.seq} ({envelope.type})"
        missing = envelope.ordinal - tail.ordinal
        if missing > 0:
            found.append(f"{missing} lost between message {before.seq} and {where}")
        elif missing < 0:
            found.append(f"{-missing} added before {where}")
        elif envelope.prev != before.digest and not is_tombstone(before, recorded):
            found.append(f"message {before.seq} was altered: {where} vouches for another one")
        if envelope.job_seq not in (0, began, tail.first_seq) and began:
            found.append(f"{where} knew a job that began at {envelope.job_seq}")
        began = envelope.job_seq or began
        # Each flaw is told once, where it is: what follows is counted on from there.
        tail = msgspec.structs.replace(tail, ordinal=envelope.ordinal)
    return tuple(found)


def begins(history: Sequence[Recorded]) -> bool:
    """Whether what was read from a hint on begins with the job's first message.

    The first event of ours counts how many messages come before it.  Without one nobody can tell.
    """
    for place, recorded in enumerate(history, 1):
        if recorded.envelope is not None:
            return recorded.envelope.ordinal == place
    return False


def already_stored(drafts: Sequence[Draft], stored: Sequence[Recorded]) -> bool:
    """Whether the messages that follow the tail are these very events, by id and by body.

    Their envelopes may differ in time: an earlier try of the same append wrote them.
    """
    return len(stored) >= len(drafts) and all(
        found.envelope is not None
        and found.envelope.id == draft.envelope.id
        and found.body == draft.body
        for draft, found in zip(drafts, stored, strict=False)
    )
