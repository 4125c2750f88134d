"""What it costs to sign events and to check them, without any log: CPU alone.

A job of 40 messages is written and read, each way with keys and without; what keys cost is the
difference.  Its events are of an everyday size: a plan, asks for segments and their outcomes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

from events.codec import Message
from events.job import fold
from events.keys import Keyring
from events.link import advanced, link, record
from events.log import Tail
from events.types import Event
from tests import builders
from tests.signing import Keys

MESSAGES = 40
ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Signing:
    """Medians: microseconds an event, milliseconds a load of the whole job; bytes a message."""

    write_plain_us: float
    write_signed_us: float
    load_plain_ms: float
    load_first_ms: float
    load_again_ms: float
    bytes_plain: float
    bytes_signed: float

    @property
    def sign_us(self) -> float:
        """What signing adds to an event."""
        return self.write_signed_us - self.write_plain_us

    @property
    def check_us(self) -> float:
        """What the first check adds to an event."""
        return (self.load_first_ms - self.load_plain_ms) * 1000 / MESSAGES


def events() -> list[tuple[str, Event]]:
    """The job's events after its request, each with who says it."""
    plan = builders.spec(20)
    rows: list[tuple[str, Event]] = [("planner", builders.planned(plan))]
    for segment in range(19):
        rows.append(("planner", builders.segment_requested(segment)))
        rows.append(("segment-renderer", builders.segment_rendered(segment)))
    return rows


def written(keyring: Keyring | None, rows: Sequence[tuple[str, Event]]) -> list[Message]:
    """The job as it is stored."""
    subject = f"pytoon.jobs.{builders.JOB}.render_requested"
    messages = [Message(seq=1, subject=subject, headers={}, body=b"{}", time_s=0.0)]
    tail = advanced(Tail(job_id=builders.JOB), record(messages[0]))
    for seq, (service, event) in enumerate(rows, 2):
        (draft,) = link(tail, [event], source=f"pytoon/{service}", time_s=0.0, keyring=keyring)
        tail = advanced(tail, draft.stored(seq, 0.0))
        messages.append(
            Message(
                seq=seq, subject=draft.subject, headers=draft.headers, body=draft.body, time_s=0.0
            )
        )
    return messages


def took_s(what: Callable[[], object]) -> float:
    """The CPU seconds of a call."""
    began_s = time.process_time()
    what()
    return time.process_time() - began_s


def measure() -> Signing:
    """Both ways, in turn, so that the machine's moods fall on both alike."""
    keys, rows = Keys(), events()
    assert len(rows) + 1 == MESSAGES
    ring = keys.ring()
    plain, signed = written(None, rows), written(ring, rows)

    def load(messages: Sequence[Message], keyring: Keyring | None) -> None:
        job = fold(builders.JOB, [record(message, keyring) for message in messages])
        assert job.tail.ordinal == MESSAGES
        assert not job.problems

    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        fresh = keys.reader()
        for name, call in (
            ("write_plain", lambda: written(None, rows)),
            ("write_signed", lambda: written(ring, rows)),
            ("load_plain", lambda: load(plain, None)),
            ("load_first", lambda fresh=fresh: load(signed, fresh)),
            ("load_again", lambda fresh=fresh: load(signed, fresh)),
        ):
            times.setdefault(name, []).append(took_s(call))
    found = {name: median(each) for name, each in times.items()}
    return Signing(
        write_plain_us=found["write_plain"] * 1e6 / MESSAGES,
        write_signed_us=found["write_signed"] * 1e6 / MESSAGES,
        load_plain_ms=found["load_plain"] * 1e3,
        load_first_ms=found["load_first"] * 1e3,
        load_again_ms=found["load_again"] * 1e3,
        bytes_plain=sum(map(_size, plain)) / MESSAGES,
        bytes_signed=sum(map(_size, signed)) / MESSAGES,
    )


def _size(message: Message) -> int:
    return len(msgspec.json.encode(message.headers)) + len(message.body)


__all__ = ["MESSAGES", "Signing", "measure"]
