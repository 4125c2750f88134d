"""What is told besides jobs: circuits of engines, and the day's budget.

    pytoon.engines.<engine>.circuit_opened | circuit_probed | circuit_closed
    pytoon.budgets.<scope>.<date>.reserved | settled

Everything before the last token is the notice's *topic*.  A notice is appended only where its
writer knew the topic's last one, and says all there is to know: so the last notice of a topic is
its state, and nothing has to be summed up.  No chain links them: they decide what is tried next,
and no film depends on them.

The structs are storage formats: a field is added with a default, never renamed or re-used.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from events.spec import Struct
from events.types import NAMESPACE, Reason

if TYPE_CHECKING:
    from events.keys import Keyring

VERSION = 1
"""The version of the notices that this build writes, and the newest that it reads."""

ENGINES = "pytoon.engines"
BUDGETS = "pytoon.budgets"

AFTER = "pytoon-after"
"""The header of a signed notice that names the sequence of its topic's message before it."""


class _Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of the notices."""


class CircuitOpened(_Notice, frozen=True, kw_only=True, tag="circuit_opened"):
    """An engine failed so often in a row that it is left alone ``until_s`` (epoch seconds).

    ``failures`` is how often, over all jobs; ``counted`` the log's sequence of the last failure
    that was counted, so that none is counted twice.
    """

    engine: str
    until_s: float
    failures: int
    counted: int
    reason: Reason
    detail: str = ""


class CircuitProbed(_Notice, frozen=True, kw_only=True, tag="circuit_probed"):
    """An open circuit's time was over, and this attempt tries the engine; others wait for it."""

    engine: str
    until_s: float
    failures: int
    counted: int
    reason: Reason
    job_id: str
    segment: int
    attempt: int


class CircuitClosed(_Notice, frozen=True, kw_only=True, tag="circuit_closed"):
    """An engine may be asked; ``failures`` is how often it failed in a row so far."""

    engine: str
    failures: int = 0
    counted: int = 0


class BudgetReserved(_Notice, frozen=True, kw_only=True, tag="reserved"):
    """``amount`` is reserved for a create that is about to be made.

    ``reserved`` and ``spent`` are the scope's totals of the day with it.
    """

    scope: str
    date: str
    amount: float
    reserved: float
    spent: float
    job_id: str
    segment: int
    attempt: int


class BudgetSettled(_Notice, frozen=True, kw_only=True, tag="settled"):
    """What a create did cost is known: ``released`` of the reserved, ``cost`` of it spent."""

    scope: str
    date: str
    released: float
    cost: float
    reserved: float
    spent: float
    job_id: str
    segment: int
    attempt: int


Circuit = CircuitOpened | CircuitProbed | CircuitClosed
Budget = BudgetReserved | BudgetSettled
Notice = Circuit | Budget

NOTICE_TYPES: tuple[type[Notice], ...] = Notice.__args__
CIRCUIT_TYPES: tuple[type[Circuit], ...] = Circuit.__args__

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Notice] = msgspec.json.Decoder(Notice)


class Posting(Struct, frozen=True, kw_only=True):
    """A notice to be stored if ``after`` is its topic's last sequence (0: the topic is new)."""

    notice: Notice
    after: int


class Noted(Struct, frozen=True, kw_only=True):
    """A stored notice, read; ``notice`` is None where it cannot be read.

    As the last one of a topic it has the state of the topic's last genuine notice at the place of
    its last message.  ``forged_only``: there is no genuine one, which is as good as none at all.
    """

    seq: int
    subject: str
    time_s: float
    notice: Notice | None
    body: bytes
    forged_only: bool = False


class CircuitState(Struct, frozen=True, kw_only=True):
    """How an engine's circuit stands; ``seq`` is the last notice's, 0 where there is none."""

    seq: int = 0
    until_s: float = 0.0
    failures: int = 0
    counted: int = 0
    reason: Reason | None = None
    broken: bool = False
    """It was opened and not closed since: whether it may be asked depends on the clock."""
    probing: bool = False

    def holds(self, now_s: float) -> bool:
        """Whether the engine is to be left alone now."""
        return self.broken and now_s < self.until_s


class Account(Struct, frozen=True, kw_only=True):
    """A day's budget of a scope; ``readable`` is false where the last notice cannot be read."""

    seq: int = 0
    reserved: float = 0.0
    spent: float = 0.0
    readable: bool = True


def notice_name(notice: Notice | type[Notice]) -> str:
    """The notice's name on the wire, such as ``circuit_opened``."""
    tag = notice.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def engine_topic(engine: str) -> str:
    """Where an engine's circuit is told."""
    return f"{ENGINES}.{engine}"


def budget_topic(scope: str, date: str) -> str:
    """Where the budget of a scope and a day (UTC, such as 2026-11-25) is told."""
    return f"{BUDGETS}.{scope}.{date}"


def day_of(time_s: float) -> str:
    """The day (UTC) of a time in seconds since the epoch."""
    return datetime.fromtimestamp(time_s, UTC).date().isoformat()


def topic_of(notice: Notice) -> str:
    """The topic that the notice is the state of."""
    if isinstance(notice, BudgetReserved | BudgetSettled):
        return budget_topic(notice.scope, notice.date)
    return engine_topic(notice.engine)


def topic_filter(topic: str) -> str:
    """All notices of a topic."""
    return f"{topic}.>"


def notice_subjects() -> tuple[str, ...]:
    """The subjects of notices that the stream takes."""
    return tuple(
        f"{ENGINES}.*.{notice_name(kind)}"
        if kind in CIRCUIT_TYPES
        else f"{BUDGETS}.*.*.{notice_name(kind)}"
        for kind in NOTICE_TYPES
    )


class Draft(Struct, frozen=True, kw_only=True):
    """A notice that is encoded and has only to be stored, if ``after`` is its topic's last."""

    id: str
    topic: str
    subject: str
    headers: dict[str, str]
    body: bytes
    after: int


def drafted(
    posting: Posting, *, source: str, time_s: float, keyring: Keyring | None = None
) -> Draft:
    """A notice as it is to be stored.

    Its id follows from its place: of two writers who knew the same last notice one is refused.
    With a ``keyring`` it is signed by its source, its place among what is signed.
    """
    notice, after = posting.notice, posting.after
    topic, name = topic_of(notice), notice_name(notice)
    told_id = str(uuid.uuid5(NAMESPACE, f"{topic}/{name}/{after}"))
    headers = {
        "ce-id": told_id,
        "ce-type": name,
        "ce-source": source,
        "ce-time": datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z"),
        "ce-specversion": "1.0",
        "pytoon-version": str(VERSION),
    }
    subject, body = f"{topic}.{name}", _ENCODER.encode(notice)
    if keyring is not None:
        headers, _ = keyring.signed(source, subject, headers | {AFTER: str(after)}, body)
    return Draft(id=told_id, topic=topic, subject=subject, headers=headers, body=body, after=after)


def noted(seq: int, subject: str, body: bytes, time_s: float) -> Noted:
    """A stored notice, read.  What cannot be read, or belongs elsewhere, has no ``notice``."""
    notice: Notice | None
    try:
        notice = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        notice = None
    if notice is not None and f"{topic_of(notice)}.{notice_name(notice)}" != subject:
        notice = None
    return Noted(seq=seq, subject=subject, time_s=time_s, notice=notice, body=body)


def circuit_state(last: Noted | None) -> CircuitState:
    """How a circuit stands by its last notice; one that nobody can read holds nothing back."""
    if last is None:
        return CircuitState()
    notice = last.notice
    if isinstance(notice, CircuitClosed):
        return CircuitState(seq=last.seq, failures=notice.failures, counted=notice.counted)
    if isinstance(notice, CircuitOpened | CircuitProbed):
        return CircuitState(
            seq=last.seq,
            until_s=notice.until_s,
            failures=notice.failures,
            counted=notice.counted,
            reason=notice.reason,
            broken=True,
            probing=isinstance(notice, CircuitProbed),
        )
    return CircuitState(seq=last.seq)


def account_state(last: Noted | None) -> Account:
    """How a budget stands by its last notice."""
    if last is None:
        return Account()
    notice = last.notice
    if isinstance(notice, BudgetReserved | BudgetSettled):
        return Account(seq=last.seq, reserved=notice.reserved, spent=notice.spent)
    return Account(seq=last.seq, readable=last.forged_only)


__all__ = [
    "AFTER",
    "BUDGETS",
    "ENGINES",
    "NOTICE_TYPES",
    "Account",
    "BudgetReserved",
    "BudgetSettled",
    "CircuitClosed",
    "CircuitOpened",
    "CircuitProbed",
    "CircuitState",
    "Draft",
    "Noted",
    "Notice",
    "Posting",
    "account_state",
    "budget_topic",
    "circuit_state",
    "day_of",
    "drafted",
    "engine_topic",
    "noted",
    "notice_name",
    "notice_subjects",
    "topic_filter",
    "topic_of",
]
