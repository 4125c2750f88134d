"""Hosted services as a generator: each of the four, and whatever can go wrong with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import pytest
import structlog

from adapters import tracing
from adapters.base import EngineFailure
from events.job import Generation
from events.spec import Archetype
from events.trace import of_job
from events.types import Reason
from tests.adapters.ledgers import MemoryLedger
from tests.hosted.bench import BASE, ask, failure, generate, generator, make_still
from tests.hosted.dialects import DIALECTS
from tests.hosted.provider import KEY, PRICE, Provider
from tests.hosted.transport import listening
from tests.recorder import MemoryRecorder
from tests.simulation.world import in_jumping_time

ALL = tuple(DIALECTS)
CANCELLABLE = ("runway", "fal", "replicate")

Pairs = Callable[..., tuple[Provider, Any]]


@pytest.mark.parametrize("dialect", ALL)
@in_jumping_time
async def test_a_clip_from_words(dialect: str, pair: Pairs, folder: Path) -> None:
    """Created once, its cost reserved before, its handle noted, the film whole and untagged."""
    provider, made = pair(dialect)
    ledger = MemoryLedger()
    clip = await generate(made, folder, ledger)
    assert (PRICE, 1) == (clip.cost, len(provider.bills))
    assert [PRICE] == [cost for _, cost in ledger.intents]
    assert "work-1" == json.loads(ledger.handles[0])["id"]
    with av.open(str(clip.path)) as film:
        assert 12 == sum(1 for _ in film.decode(video=0))
        assert "comment" not in film.metadata
    assert made.declared.title in clip.model
    await made.close()


@pytest.mark.parametrize("dialect", ALL)
@in_jumping_time
async def test_a_clip_from_a_picture(
    dialect: str, pair: Pairs, folder: Path, tmp_path: Path
) -> None:
    """The picture is handed over as the service takes it."""
    provider, made = pair(dialect)
    still = make_still(tmp_path / "still.png")
    await generate(
        made, folder, MemoryLedger(), still=still, still_sha256="a" * 64,
        archetype=Archetype.PRODUCT_HERO,
    )  # fmt: skip
    assert 1 == len(provider.bills)
    assert any(len(str(value)) > 100 for value in _leaves(provider.bills[0].asked))


@in_jumping_time
async def test_what_is_done_is_told_in_spans(
    pair: Pairs, folder: Path, recorder: MemoryRecorder
) -> None:
    """Create, poll and download, within the attempt; neither prompt nor key nor address is."""
    provider, made = pair("runway")
    job, _ = of_job("job-1", "")
    with tracing.within(job):
        await generate(made, folder, MemoryLedger())
    assert ["create", "poll", "download"] == [span.name for span in recorder.spans]
    assert {job} == {span.begun.parent for span in recorder.spans}
    create, poll, download = (span.facts for span in recorder.spans)
    host = urlsplit(BASE).hostname
    assert {
        "pytoon.engine": "paid", "server.address": host, "http.response.status_code": 200
    } == create  # fmt: skip
    assert ({"pytoon.engine": "paid", "server.address": host}, {"pytoon.engine": "paid"}) == (
        poll,
        download,
    )
    assert not any(word in str(recorder.spans) for word in (KEY, "calm room", "work-1"))
    assert provider.bills
    await made.close()


@in_jumping_time
async def test_a_refusal_is_a_failed_span(
    pair: Pairs, folder: Path, recorder: MemoryRecorder
) -> None:
    """By its status; nothing is polled then."""
    provider, made = pair("runway")
    provider.fault("create", "429 3")
    with tracing.within(of_job("job-1", "")[0]):
        await failure(made, folder, MemoryLedger())
    (create,) = recorder.spans
    assert (True, "429") == (create.failed, create.facts["error.type"])
    await made.close()


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    return [value]


@pytest.mark.parametrize("dialect", ALL)
async def test_over_a_socket(dialect: str, clip: bytes, folder: Path, tmp_path: Path) -> None:
    """The same over real connections, with a picture that is too large to be sent as it is."""
    provider = Provider(dialect, clip)
    async with listening(provider) as place:
        made = generator(
            dialect,
            base_url=place.url,
            change=lambda found: found.model_copy(
                update={"poll": found.poll.model_copy(update={"every_s": 0.02})}
            ),
        )
        still = make_still(tmp_path / "still.png", noise=dialect == "replicate")
        found = await generate(
            made, folder, MemoryLedger(), still=still, still_sha256="a" * 64,
            archetype=Archetype.PRODUCT_HERO,
        )  # fmt: skip
        assert (await made.health()).ok
        await made.close()
    assert (1, PRICE) == (len(provider.bills), found.cost)


@in_jumping_time
async def test_an_unreachable_service_is_not_well(pair: Pairs) -> None:
    """Health asks nothing that needs the key, and says what does not answer."""
    made = generator("runway")
    health = await made.health()
    assert not health.ok
    assert "http://127.0.0.1:1 does not answer" in health.detail
    await made.close()


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    ("fault", "bills"),
    [
        ("lost", 1),
        ("lost before", 0),
        ("500 before", 0),
        ("500 after", 1),
        ("hung", 1),
        ("cut", 1),
        ("unreadable", 1),
        ("no id", 1),
        ("moved", 1),
    ],
)
@in_jumping_time
async def test_a_create_in_doubt_is_never_made_again(
    dialect: str, fault: str, bills: int, pair: Pairs, folder: Path
) -> None:
    """Whether it was billed cannot be told from here, so both look the same: a person decides."""
    provider, made = pair(dialect)
    provider.fault("create", fault)
    ledger = MemoryLedger()
    found = await failure(made, folder, ledger)
    assert (Reason.OUTCOME_UNKNOWN, False, None) == (found.reason, found.retryable, found.cost)
    assert all(fact in found.detail for fact in ("paid", ledger.intents[0][0], "http://", "at 20"))
    again = await failure(made, folder, ledger)
    assert (Reason.OUTCOME_UNKNOWN, False, None) == (again.reason, again.retryable, again.cost)
    assert (1, bills) == (provider.count("create"), len(provider.bills))


@pytest.mark.parametrize(
    ("fault", "reason", "again"),
    [
        ("400", Reason.INVALID_REQUEST, False),
        ("401", Reason.UNAVAILABLE, False),
        ("402", Reason.BUDGET, False),
        ("403", Reason.UNAVAILABLE, False),
        ("404", Reason.UNSUPPORTED, False),
        ("422", Reason.INVALID_REQUEST, False),
        ("429 3", Reason.UNAVAILABLE, True),
        ("moderated", Reason.MODERATED, False),
    ],
)
@pytest.mark.parametrize("dialect", ["luma", "fal", "replicate"])
@in_jumping_time
async def test_a_refused_create_costs_nothing(
    dialect: str, fault: str, *, reason: Reason, again: bool, pair: Pairs, folder: Path
) -> None:
    """The answer proves that nothing was made."""
    provider, made = pair(dialect)
    provider.fault("create", fault)
    found = await failure(made, folder, MemoryLedger())
    assert (reason, again, 0.0) == (found.reason, found.retryable, found.cost)
    assert KEY not in found.detail
    assert [] == provider.bills


@in_jumping_time
async def test_a_limit_is_waited_for_before_the_next_create(pair: Pairs, folder: Path) -> None:
    """Retry-After holds for the engine, and the wait comes before anything is intended."""
    provider, made = pair("luma")
    provider.fault("create", "429 30", "429 500")
    await failure(made, folder, MemoryLedger())
    ledger = MemoryLedger()
    assert not (await made.health()).ok
    await failure(made, folder, ledger, attempt=2)
    first, second = provider.times("create")
    assert 30 <= second - first < 31
    third = MemoryLedger()
    found = await failure(made, folder, third, attempt=3)
    assert ([], True, 0.0) == (third.intents, found.retryable, found.cost)


@in_jumping_time
async def test_an_unreachable_service_was_not_asked(folder: Path) -> None:
    """A connection that never stood carried no create."""
    made = generator("luma")
    found = await failure(made, folder, MemoryLedger())
    assert (Reason.UNAVAILABLE, True, 0.0) == (found.reason, found.retryable, found.cost)
    await made.close()


@in_jumping_time
async def test_nobody_waits_for_a_create_that_is_under_way(pair: Pairs, folder: Path) -> None:
    """Its answer is waited for, noted, and the work cancelled: not left to run for nobody."""
    provider, made = pair("replicate")
    provider.fault("create", "slow")
    ledger, cancel = MemoryLedger(), asyncio.Event()
    asyncio.get_running_loop().call_later(5, cancel.set)
    found = await failure(made, folder, ledger, cancel=cancel)
    assert (Reason.CANCELLED, 1, 1) == (
        found.reason,
        len(ledger.handles),
        provider.count("cancel"),
    )
    assert "cancelled" == provider.works["work-1"].state


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        ("create", ["500 after"]),
        ("create", ["401"]),
        ("create", ["400"]),
        ("poll", ["401"] * 3),
        ("poll", ["500"] * 500),
        ("poll", ["shown"]),
    ],
)
@in_jumping_time
async def test_a_key_that_a_service_shows_is_told_nowhere(
    kind: str, faults: list[str], pair: Pairs, folder: Path
) -> None:
    """Not in the failure, the log's lines or the ledger; whole films do the same (test_films)."""
    provider, made = pair("runway")
    provider.fault(kind, *faults)
    ledger = MemoryLedger()
    with structlog.testing.capture_logs() as lines:
        found = await failure(made, folder, ledger)
    assert "[secret]" in found.detail
    assert KEY not in f"{found} {found.__cause__} {found.__context__} {lines} {ledger.__dict__}"


@in_jumping_time
async def test_a_cancel_before_the_create_creates_nothing(pair: Pairs, folder: Path) -> None:
    """It costs nothing."""
    provider, made = pair("runway")
    cancel = asyncio.Event()
    cancel.set()
    found = await failure(made, folder, MemoryLedger(), cancel=cancel)
    assert (Reason.CANCELLED, 0.0, []) == (found.reason, found.cost, provider.asked)


@in_jumping_time
async def test_a_service_that_stops_notes_an_answer_that_is_nearly_here(
    pair: Pairs, folder: Path
) -> None:
    """Stopped in the midst of a create, its handle is still stored."""
    provider, made = pair("luma")
    ledger = MemoryLedger()
    task = asyncio.create_task(generate(made, folder, ledger))
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (1, 1) == (len(provider.bills), len(ledger.handles))


class AwayLedger(MemoryLedger):
    """A ledger whose log is away when the first handle is to be stored."""

    away = True

    async def submitted(self, handle: str) -> None:
        """Once not."""
        if self.away:
            self.away = False
            raise OSError("the log is away")
        await super().submitted(handle)


@in_jumping_time
async def test_a_handle_that_could_not_be_stored_is_not_forgotten(
    pair: Pairs, folder: Path
) -> None:
    """The same process stores it when the attempt comes again."""
    provider, made = pair("luma")
    ledger = AwayLedger()
    with pytest.raises(OSError, match="away"):
        await generate(made, folder, ledger)
    assert PRICE == (await generate(made, folder, ledger)).cost
    assert 1 == len(provider.bills)


class LateLedger(MemoryLedger):
    """A ledger of a job that ended while the create was under way."""

    async def submitted(self, handle: str) -> None:
        """Nobody waits for it."""
        raise EngineFailure(Reason.CANCELLED, "nobody waits for it any more", retryable=False)


@in_jumping_time
async def test_a_handle_that_nobody_wants_is_cancelled(pair: Pairs, folder: Path) -> None:
    """What was created for a job that has ended is stopped at the service."""
    provider, made = pair("replicate")
    provider.end = "never"
    found = await failure(made, folder, LateLedger())
    assert Reason.CANCELLED is found.reason
    assert "cancelled" == provider.works["work-1"].state


@pytest.mark.parametrize("dialect", ALL)
@in_jumping_time
async def test_work_that_a_person_accepted_by_its_id(
    dialect: str, pair: Pairs, folder: Path
) -> None:
    """The id alone is enough: the URLs are made of it, and it is followed anew, however old."""
    provider, made = pair(dialect)
    provider.fault("create", "lost")
    await failure(made, folder, MemoryLedger())
    settled = Generation(
        attempt=1, engine="paid", key="k", cost_reserved=PRICE, since_s=1.0,
        handle="work-1", unknown=True, settled=True,
    )  # fmt: skip
    clip = await generate(made, folder, MemoryLedger(settled), attempt=2)
    assert (PRICE, 1) == (clip.cost, len(provider.bills))


@in_jumping_time
async def test_too_long_is_not_on_offer(pair: Pairs, folder: Path) -> None:
    """Nothing is asked, intended or paid."""
    provider, made = pair("runway")
    ledger = MemoryLedger()
    found = await failure(made, folder, ledger, frames=301)
    assert (Reason.UNSUPPORTED, False, 0.0) == (found.reason, found.retryable, found.cost)
    assert ([], []) == (ledger.intents, provider.asked)
    assert "10.03 s" in found.detail


@in_jumping_time
async def test_the_ledger_may_forbid_it(pair: Pairs, folder: Path) -> None:
    """A cap that is reached: nothing is sent."""
    provider, made = pair("runway")
    refusal = EngineFailure(Reason.BUDGET, "the day's budget", retryable=False, cost=0.0)
    found = await failure(made, folder, MemoryLedger(refusal=refusal))
    assert (Reason.BUDGET, []) == (found.reason, provider.asked)


@in_jumping_time
async def test_a_long_prompt_is_cut_and_told(pair: Pairs, folder: Path) -> None:
    """Also by a process that only follows the work."""
    provider, made = pair("runway")
    prompt = "many words " * 200
    ledger = MemoryLedger()
    for _ in range(2):
        clip = await generate(made, folder, ledger, prompt=prompt)
        assert ["prompt_shortened"] == [warning.code for warning in clip.warnings]
    sent = provider.bills[0].asked["promptText"]
    assert 990 <= len(sent) <= 1000
    assert sent.endswith("words")


def test_capabilities_and_recipe(tmp_path: Path) -> None:
    """Without words nothing that has no picture; another model is another recipe."""
    made = generator("luma")
    assert made.capabilities().generates
    assert not made.capabilities().local
    assert frozenset(Archetype) == made.capabilities().archetypes
    without = generator(
        "luma",
        change=lambda found: found.model_copy(
            update={"create": found.create.model_copy(update={"words": None})}
        ),
    )
    assert Archetype.OVERLAY not in without.capabilities().archetypes
    other = generator("luma", settings={"resolution": "1080p"})
    assert made.recipe(ask()) == generator("luma").recipe(ask())
    assert made.recipe(ask()) != other.recipe(ask())
    assert made.recipe(ask()) != made.recipe(ask(still=tmp_path / "still.png"))
    assert KEY not in made.recipe(ask())


@in_jumping_time
async def test_a_key_in_a_refused_cancel_is_not_logged(pair: Pairs, folder: Path) -> None:
    """What is only logged is redacted, too."""
    provider, made = pair("runway", deadline_s=60)
    provider.end = "deaf"
    provider.fault("cancel", "400")
    with structlog.testing.capture_logs() as lines:
        await failure(made, folder, MemoryLedger())
    assert ["cancel refused"] == [line["event"] for line in lines]
    assert "[secret]" in lines[0]["seen"]
    assert KEY not in str(lines)


@pytest.mark.parametrize("fault", ["foreign urls", "broken urls"])
@in_jumping_time
async def test_urls_that_lead_elsewhere_do_not_get_the_key(
    fault: str, pair: Pairs, folder: Path
) -> None:
    """A status URL at another host, or at none, is not followed: it is made of the id instead."""
    provider, made = pair("fal")
    provider.fault("create", fault)
    ledger = MemoryLedger()
    await generate(made, folder, ledger)
    assert '"urls":{}' in ledger.handles[0]
