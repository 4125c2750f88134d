"""Signed events in every log: what is genuine is read, and whatever is forged changes nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import pytest_asyncio

from events.job import JobStatus, fold
from events.keys import KEY, SIGNATURE, NoKey
from events.link import advanced, digest, flaws, in_place, link
from events.log import Conflict, Recorded, Tail
from events.notices import (
    Account,
    BudgetReserved,
    CircuitClosed,
    CircuitOpened,
    Posting,
    account_state,
    budget_topic,
    circuit_state,
    engine_topic,
)
from events.types import (
    Deadline,
    Event,
    Foreign,
    GenerationIntended,
    Reason,
    RenderCancelRequested,
    RenderFailed,
    RenderPlanned,
    RenderRequested,
    SegmentRequested,
    SegmentTimedOut,
)
from tests.builders import LADDER, spec
from tests.contracts.bench import SETTINGS, Bench, collected, opened, without_time
from tests.signing import Keys

PLANNER, CONTROLLER = "pytoon/planner", "pytoon/fallback-controller"
RENDERER = "pytoon/segment-renderer"
KEYS = Keys()
STRANGER = Keys()
"""Somebody else's keys, made as ours are."""


@pytest_asyncio.fixture(name="bench", params=["memory", "jetstream"])
async def each_signed_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each log in turn, with a key for each service."""
    settings = msgspec.structs.replace(SETTINGS, keyring=KEYS.ring())
    async with opened(request.param, tmp_path, settings) as made:
        yield made


def asked(segment: int, job_id: str = "a") -> Event:
    """What a planner and a controller may both say."""
    return SegmentRequested(
        job_id=job_id, segment=segment, attempt=1, rung_index=0, rung=LADDER[0]
    )


async def begun(bench: Bench, job_id: str = "a") -> Tail:
    """A job that is planned, of which the first segment is asked for: three messages."""
    await bench.raw(f"pytoon.jobs.{job_id}.render_requested", b"{}", None)
    (ask,) = await bench.log.read(job_id)
    tail = advanced(Tail(job_id=job_id), ask)
    events = (RenderPlanned(job_id=job_id, spec=spec(2)), asked(0, job_id))
    for stored in await bench.log.append(tail, events, source=PLANNER):
        tail = advanced(tail, stored)
    return tail


async def test_what_is_appended_is_signed_and_read(bench: Bench) -> None:
    """A batch, too; writing, reading, following and consuming tell one signer."""
    tail = await begun(bench)
    written = await bench.log.append(tail, [asked(1)], source=CONTROLLER)
    read = await bench.log.read("a")
    assert without_time(read[-1:]) == without_time(written)
    planner, controller = (
        f"{service}/{KEYS.id(service)}" for service in ("planner", "fallback-controller")
    )
    assert ["", planner, planner, controller] == [item.signer for item in read]
    assert controller == written[0].signer
    async with aclosing(bench.log.follow("a", after=3)) as stream:  # type: ignore[type-var]
        assert read[-1] == await anext(stream)
    assert () == flaws(read)
    late = SegmentTimedOut(job_id="b", segment=0, attempt=1, deadline=Deadline.TOO_LONG)
    await bench.log.append(Tail(job_id="b"), [late], source=CONTROLLER)
    consumer = await bench.log.consumer("planner")
    signers = [item.recorded.signer for item in await collected(consumer, 2)]
    assert ["", controller] == signers


async def test_trying_again_is_done_already(bench: Bench) -> None:
    """Another try has another time and so another signature, and is the same append."""
    tail = await begun(bench)
    first = await bench.log.append(tail, [asked(1)], source=PLANNER)
    again = await bench.log.append(tail, [asked(1)], source=PLANNER)
    assert without_time(first) == without_time(again)
    both = await bench.log.append(tail, [asked(1)], source=CONTROLLER)
    assert without_time(first) == without_time(both)


async def test_an_event_is_linked_and_signed_anew_after_a_conflict(bench: Bench) -> None:
    """Its place is signed, so what came in between makes another signature."""
    tail = await begun(bench)
    await bench.raw("pytoon.jobs.a.render_cancel_requested", b"{}", None)
    with pytest.raises(Conflict):
        await bench.log.append(tail, [asked(1)], source=PLANNER)
    cancel = (await bench.log.read("a"))[-1]
    (stored,) = await bench.log.append(advanced(tail, cancel), [asked(1)], source=PLANNER)
    assert stored.envelope is not None
    assert (5, cancel.seq + 1) == (stored.envelope.ordinal, stored.seq)
    assert stored.signer
    assert () == flaws(await bench.log.read("a"))


async def test_who_has_no_key_appends_nothing(bench: Bench) -> None:
    """Nor as anybody who is no service."""
    tail = await begun(bench)
    for source in ("test", "pytoon/gateway", "pytoon/"):
        with pytest.raises(NoKey):
            await bench.log.append(tail, [asked(1)], source=source)
    assert 3 == len(await bench.log.read("a"))


class Raw(NamedTuple):
    """A message as somebody publishes it."""

    subject: str
    headers: Mapping[str, str]
    body: bytes


def genuine(tail: Tail, event: Event, source: str, keys: Keys = KEYS) -> Raw:
    """What a service would store next."""
    (draft,) = link(tail, [event], source=source, time_s=0.0, keyring=keys.ring())
    return Raw(draft.subject, draft.headers, draft.body)


def failed(tail: Tail) -> Raw:
    """A genuine end, had the controller wanted it."""
    event = RenderFailed(job_id="a", reason=Reason.INTERNAL, detail="x")
    return genuine(tail, event, CONTROLLER)


def altered_body(tail: Tail) -> Raw:
    """Another reason."""
    raw = failed(tail)
    return raw._replace(body=raw.body.replace(b'"x"', b'"y"'))


def altered_header(tail: Tail) -> Raw:
    """Another cause."""
    raw = failed(tail)
    return raw._replace(headers={**raw.headers, "pytoon-causation": "7"})


def added_header(tail: Tail) -> Raw:
    """One that was not there."""
    raw = failed(tail)
    return raw._replace(headers={**raw.headers, "ce-subject": "7"})


def another_place(tail: Tail) -> Raw:
    """Its ordinal, as if it had been written for here."""
    raw = failed(msgspec.structs.replace(tail, ordinal=9))
    return raw._replace(headers={**raw.headers, "pytoon-ordinal": "4"})


def altered_subject(tail: Tail) -> Raw:
    """A type for which nothing of the message was written."""
    return failed(tail)._replace(subject="pytoon.jobs.a.render_completed")


def another_job(tail: Tail) -> Raw:
    """A genuine message of another job, its body made to fit."""
    other = msgspec.structs.replace(tail, job_id="b")
    raw = genuine(other, RenderFailed(job_id="b", reason=Reason.INTERNAL, detail=""), CONTROLLER)
    return Raw("pytoon.jobs.a.render_failed", raw.headers, raw.body.replace(b'"b"', b'"a"'))


def anothers_event(tail: Tail) -> Raw:
    """A taken-over service says what is not its own, with its own key."""
    event = RenderFailed(job_id="a", reason=Reason.INTERNAL, detail="")
    return genuine(tail, event, "pytoon/segment-renderer")


def anothers_name(tail: Tail) -> Raw:
    """It says what it may say, in the name of another that may, too."""
    raw = genuine(tail, asked(1), PLANNER)
    headers = {name: text for name, text in raw.headers.items() if name not in {KEY, SIGNATURE}}
    headers["ce-source"] = CONTROLLER
    return raw._replace(headers=KEYS.ring().signed(PLANNER, raw.subject, headers, raw.body)[0])


def unknown_key(tail: Tail) -> Raw:
    """Made as ours are, by somebody else."""
    return genuine(
        tail, RenderFailed(job_id="a", reason=Reason.INTERNAL, detail=""), CONTROLLER, STRANGER
    )


def anothers_key_named(tail: Tail) -> Raw:
    """Signed by a stranger, who names a key of ours."""
    raw = unknown_key(tail)
    return raw._replace(headers={**raw.headers, KEY: KEYS.id("fallback-controller")})


def no_signature(tail: Tail) -> Raw:
    """An envelope that is right in all else."""
    raw = failed(tail)
    headers = {name: text for name, text in raw.headers.items() if name not in {KEY, SIGNATURE}}
    return raw._replace(headers=headers)


def broken_signature(tail: Tail) -> Raw:
    """What is no base64 at all, and as long as a signature."""
    raw = failed(tail)
    return raw._replace(headers={**raw.headers, SIGNATURE: "*" * 88})


def long_signature(tail: Tail) -> Raw:
    """A good one, and more."""
    raw = failed(tail)
    return raw._replace(headers={**raw.headers, SIGNATURE: raw.headers[SIGNATURE] + "AAAA"})


def acknowledgement(tail: Tail) -> Raw:
    """What the broker stores under a reply subject."""
    return Raw("pytoon.jobs.a.render_completed", {}, b'{"stream":"EVENTS","seq":4}')


def asks_envelope(tail: Tail) -> Raw:
    """A client's ask with a place in the chain that it makes up, so as to hide what is before."""
    (draft,) = link(
        msgspec.structs.replace(tail, ordinal=0, digest=""),
        [RenderCancelRequested(job_id="a")],
        source=PLANNER,
        time_s=0.0,
        keyring=KEYS.ring(),
    )
    return Raw(draft.subject, draft.headers, draft.body)


def newer(tail: Tail) -> Raw:
    """A version that nobody has, so that nobody reads the job any more."""
    raw = no_signature(tail)
    return raw._replace(headers={**raw.headers, "pytoon-version": "99"})


_CONTROLLERS = f"fallback-controller \\(key {KEYS.id('fallback-controller')}\\)"
_RENDERERS = f"segment-renderer \\(key {KEYS.id('segment-renderer')}\\)"
_NOT_OF_THIS = f"the signature by {_CONTROLLERS} is not of this message"
FORGERIES: tuple[tuple[Callable[[Tail], Raw], str], ...] = (
    (altered_body, _NOT_OF_THIS),
    (altered_header, _NOT_OF_THIS),
    (added_header, _NOT_OF_THIS),
    (another_place, _NOT_OF_THIS),
    (altered_subject, _NOT_OF_THIS),
    (another_job, _NOT_OF_THIS),
    (
        anothers_event,
        f"signed by {_RENDERERS}, which may not say it: render_failed is signed by fallback-contr",
    ),
    (
        anothers_name,
        f"signed by planner \\(key {KEYS.id('planner')}\\) in the name of fallback-controller",
    ),
    (unknown_key, f"the key {STRANGER.id('fallback-controller')} is nobody's here"),
    (anothers_key_named, _NOT_OF_THIS),
    (no_signature, r"it is not signed \(fallback-controller is named\): render_failed is signed"),
    (broken_signature, _NOT_OF_THIS),
    (long_signature, _NOT_OF_THIS),
    (acknowledgement, r"it is not signed \(nobody is named\): render_completed is signed by asse"),
    (asks_envelope, "render_cancel_requested is a client's ask, and no service's"),
    (newer, "it is not signed"),
)


@pytest.mark.parametrize(("forge", "why"), FORGERIES, ids=[f[0].__name__ for f in FORGERIES])
async def test_a_forgery_changes_nothing(
    bench: Bench, forge: Callable[[Tail], Raw], why: str
) -> None:
    """It is foreign, for a reason that names service and key, and the job goes on after it."""
    tail = await begun(bench)
    before = fold("a", await bench.log.read("a"))
    raw = forge(tail)
    await bench.raw(raw.subject, raw.body, raw.headers)
    history = await bench.log.read("a")
    last = history[-1]
    assert isinstance(last.event, Foreign)
    assert last.event.forged
    assert (None, "") == (last.envelope, last.signer)
    assert re.search(why, last.event.why), last.event.why
    job = fold("a", history)
    assert JobStatus.RENDERING is job.status is before.status
    kept = ("end", "spec", "segments", "cancel", "requested")
    assert [getattr(before, name) for name in kept] == [getattr(job, name) for name in kept]
    assert last.event.why in " ".join(job.problems)
    (flaw,) = flaws(history)
    assert f"is forged: {last.event.why}" in flaw
    assert digest(raw.subject, raw.headers, raw.body) == last.digest
    (stored,) = await bench.log.append(job.tail, [asked(1)], source=PLANNER)
    assert (flaw,) == flaws((*history, stored))


async def test_a_forged_end_is_one_where_nothing_is_signed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """What the table above would do in a log without keys: it is no table of straw men."""
    for kind in ("memory", "jetstream"):
        folder = tmp_path / kind
        folder.mkdir()
        async with opened(kind, folder, SETTINGS) as bench:
            tail = await begun(bench)
            raw = no_signature(tail)
            await bench.raw(raw.subject, raw.body, raw.headers)
            assert JobStatus.FAILED is fold("a", await bench.log.read("a")).status


async def test_a_genuine_event_that_is_stored_again_is_forged(bench: Bench) -> None:
    """Under its own subject and in its own job, where its signature is good: out of turn."""
    tail = await begun(bench)
    raw = genuine(tail, asked(1), PLANNER)
    for _ in range(2):
        await bench.raw(raw.subject, raw.body, raw.headers)
    history = await bench.log.read("a")
    job = fold("a", history)
    assert [1, 1] == [segment.attempt for segment in job.segments]
    (problem,) = job.problems
    signer = f"planner/{KEYS.id('planner')}"
    why = f"signed by {signer} as the job's 4. message, and stored again as its 5."
    assert why in problem
    (flaw,) = flaws(history)
    assert why in flaw
    # Whoever appends next agrees on the chain.
    (stored,) = await bench.log.append(
        job.tail,
        [SegmentTimedOut(job_id="a", segment=1, attempt=1, deadline="too_long")],  # type: ignore[arg-type]
        source=CONTROLLER,
    )
    assert stored.envelope is not None
    assert (6, (flaw,)) == (stored.envelope.ordinal, flaws((*history, stored)))


def test_what_was_lost_or_put_in_makes_no_event_a_forgery() -> None:
    """The log is damaged then, and events are as good as they were: the job keeps its end."""
    item = Recorded(
        seq=9, subject="s", job_id="a", time_s=0.0, event=asked(0), digest="d", body=b"",
        envelope=None, signer="planner/x",
    )  # fmt: skip
    assert in_place(Tail(job_id="a", ordinal=7, signed=3), item) is item
    (draft,) = link(
        Tail(job_id="a", ordinal=4), [asked(0)], source=PLANNER, time_s=0.0, keyring=KEYS.ring()
    )
    stored = draft.stored(9, 0.0)
    assert in_place(Tail(job_id="a", ordinal=2, signed=2), stored) is stored
    assert in_place(Tail(job_id="a", ordinal=7, signed=4), stored) is stored
    assert in_place(Tail(job_id="a", ordinal=7, signed=5), stored) is not stored


async def test_a_forged_notice_changes_nothing(bench: Bench) -> None:
    """The circuit stays open, and who posts next knows the forgery's place."""
    topic = engine_topic("e")
    opened_ = CircuitOpened(engine="e", until_s=9e9, failures=3, counted=2, reason=Reason.TIMEOUT)
    first = await bench.log.post(Posting(notice=opened_, after=0), source=CONTROLLER)
    body = msgspec.json.encode(CircuitClosed(engine="e"))
    await bench.raw(f"{topic}.circuit_closed", body, None)
    last = await bench.log.last_notice(topic)
    assert last is not None
    assert (opened_, first.seq + 1) == (last.notice, last.seq)
    assert circuit_state(last).broken
    closed = Posting(notice=CircuitClosed(engine="e"), after=last.seq)
    posted = await bench.log.post(closed, source=RENDERER)
    again = await bench.log.post(closed, source=RENDERER)
    assert posted.seq == again.seq == last.seq + 1
    assert not circuit_state(await bench.log.last_notice(topic)).broken


async def test_a_notice_that_is_stored_again_changes_nothing(bench: Bench) -> None:
    """Yesterday's word on money is signed well, and is not today's."""
    day, topic = "2026-11-25", budget_topic("eur", "2026-11-25")

    def reserving(amount: float, after: int) -> Posting:
        notice = BudgetReserved(
            scope="eur", date=day, amount=amount, reserved=amount, spent=0.0, job_id="a",
            segment=0, attempt=1,
        )  # fmt: skip
        return Posting(notice=notice, after=after)

    small = await bench.log.post(reserving(1.0, 0), source=RENDERER)
    large = await bench.log.post(reserving(5.0, small.seq), source=RENDERER)
    copied = await copies_of(bench, topic)
    raw = copied[0]
    await bench.raw(raw.subject, raw.body, raw.headers)
    account = account_state(await bench.log.last_notice(topic))
    assert Account(seq=large.seq + 1, reserved=5.0) == account
    with pytest.raises(Conflict):
        await bench.log.post(reserving(6.0, large.seq), source=RENDERER)


async def copies_of(bench: Bench, topic: str) -> list[Raw]:
    """A topic's messages, as anybody who reads the stream has them."""
    from events.jetstream import JetStreamLog
    from events.reading import at_leader

    if isinstance(bench.log, JetStreamLog):
        found = await at_leader(bench.log.connection, f"{topic}.>", 0, count_max=9)
    else:
        found = [bench.log.message(seq) for seq in range(1, bench.log.last_seq + 1)]
    return [
        Raw(
            item.subject,
            {name: text for name, text in item.headers.items() if not name.startswith("Nats-")},
            item.body,
        )
        for item in found
    ]


async def test_notices_stand_and_fall_with_signed_events(bench: Bench) -> None:
    """An atomic batch of a job's event and a notice, both signed by their writer."""
    tail = await begun(bench)
    intent = GenerationIntended(
        job_id="a", segment=0, attempt=1, engine="null", idempotency_key="k"
    )
    notice = Posting(notice=CircuitClosed(engine="e"), after=0)
    (stored,) = await bench.log.append(tail, [intent], source=RENDERER, notices=[notice])
    assert f"segment-renderer/{KEYS.id('segment-renderer')}" == stored.signer
    last = await bench.log.last_notice(engine_topic("e"))
    assert last is not None
    assert (notice.notice, False) == (last.notice, last.forged_only)


async def test_history_from_before_the_keys_counts(tmp_path: Path) -> None:
    """A job that began unsigned goes on signed; unsigned it does not go on."""
    for kind in ("memory", "jetstream"):
        folder = tmp_path / kind
        folder.mkdir()
        keys = Keys(signed_from=4)
        settings = msgspec.structs.replace(SETTINGS, keyring=keys.ring())
        async with opened(kind, folder, settings) as bench:
            await bench.raw("pytoon.jobs.a.render_requested", b"{}", None)
            tail = advanced(Tail(job_id="a"), (await bench.log.read("a"))[0])
            old = (RenderPlanned(job_id="a", spec=spec(2)), asked(0))
            drafts = link(tail, old, source=PLANNER, time_s=0.0)
            for draft in drafts:
                await bench.raw(draft.subject, draft.body, draft.headers)
            job = fold("a", await bench.log.read("a"))
            assert JobStatus.RENDERING is job.status
            await bench.log.append(job.tail, [asked(1)], source=PLANNER)
            history = await bench.log.read("a")
            assert ["", "", "", f"planner/{keys.id('planner')}"] == [i.signer for i in history]
            assert () == flaws(history)
            end = fold("a", history).tail
            (draft,) = link(
                end,
                [RenderFailed(job_id="a", reason=Reason.INTERNAL, detail="")],
                source=CONTROLLER,
                time_s=0.0,
            )
            await bench.raw(draft.subject, draft.body, draft.headers)
            assert JobStatus.RENDERING is fold("a", await bench.log.read("a")).status


async def test_a_forged_tombstone_uses_no_id(bench: Bench) -> None:
    """Who stores an end before a job was asked for does not keep anybody from asking."""
    tail = Tail(job_id="a", seq=9, ordinal=9)
    raw = no_signature(tail)
    await bench.raw(raw.subject, raw.body, raw.headers)
    ask = await bench.log.publish_ask("a", "render_requested", b"{}")
    assert isinstance(ask.event, RenderRequested)
    assert JobStatus.REQUESTED is fold("a", await bench.log.read("a")).status
