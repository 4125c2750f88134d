"""From work that is done to a clip: what breaks on the way is tried again, never paid again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.base import EngineFailure
from adapters.hosted.declaration import Declaration
from events.types import Reason
from tests.adapters.ledgers import MemoryLedger
from tests.hosted.bench import BASE, generate, generator
from tests.hosted.dialects import DIALECTS
from tests.hosted.provider import KEY, PRICE, Provider
from tests.hosted.transport import InProcess, listening
from tests.simulation.world import in_jumping_time

Pairs = Callable[..., tuple[Provider, Any]]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "faults",
    [
        ("truncated",),
        ("shortened",),
        ("garbage",),
        ("empty",),
        ("500",),
        ("drop",),
        ("hung",),
        ("moved", "moved"),
        ("truncated", "expired", "drop"),
    ],
)
@in_jumping_time
async def test_a_download_that_breaks_is_made_again(
    dialect: str, faults: tuple[str, ...], pair: Pairs, folder: Path
) -> None:
    """Whole in the end, from one create."""
    provider, made = pair(dialect)
    provider.fault("file", *faults)
    clip = await generate(made, folder, MemoryLedger())
    assert (PRICE, 1) == (clip.cost, len(provider.bills))
    assert 100 < clip.path.stat().st_size


@pytest.mark.parametrize("dialect", DIALECTS)
@in_jumping_time
async def test_an_expired_url_is_asked_for_anew(dialect: str, pair: Pairs, folder: Path) -> None:
    """The old one is refused for good; another look gives a new one."""
    provider, made = pair(dialect)
    provider.fault("file", "expired")
    await generate(made, folder, MemoryLedger())
    first, second = (a.request.query["issued"] for a in provider.asked if a.kind == "file")
    assert int(second) > int(first)


@in_jumping_time
async def test_a_result_that_cannot_be_asked_for_is_asked_again(pair: Pairs, folder: Path) -> None:
    """fal: its result is a request of its own."""
    provider, made = pair("fal")
    provider.fault("result", "404", "drop", "garbage")
    assert PRICE == (await generate(made, folder, MemoryLedger())).cost
    assert 4 == provider.count("result")


@in_jumping_time
async def test_a_result_may_be_a_failure(pair: Pairs, folder: Path) -> None:
    """fal: the model's own refusal comes with the result."""
    provider, made = pair("fal")
    provider.end = "done"
    task = asyncio.create_task(generate(made, folder, MemoryLedger()))
    await asyncio.sleep(6)
    # It looks done until its result is asked for.
    provider.works["work-1"].state, provider.works["work-1"].end = "done", "refused"
    with pytest.raises(EngineFailure) as caught:
        await task
    assert (Reason.MODERATED, False) == (caught.value.reason, caught.value.retryable)


@in_jumping_time
async def test_garbage_for_good_is_corrupt_output(pair: Pairs, folder: Path) -> None:
    """It is paid for, and over."""
    provider, made = pair("luma")
    provider.fault("file", *["garbage"] * 10)
    with pytest.raises(EngineFailure) as caught:
        await generate(made, folder, MemoryLedger())
    found = caught.value
    assert (Reason.CORRUPT_OUTPUT, False, PRICE) == (found.reason, found.retryable, found.cost)
    assert 4 == provider.count("file")


@in_jumping_time
async def test_what_cannot_be_had_now_may_be_had_later(pair: Pairs, folder: Path) -> None:
    """Another attempt goes on with the same handle; its cost is not settled before."""
    provider, made = pair("luma")
    provider.fault("file", *["500"] * 4)
    ledger = MemoryLedger()
    with pytest.raises(EngineFailure) as caught:
        await generate(made, folder, ledger)
    found = caught.value
    assert (Reason.UNAVAILABLE, True, None) == (found.reason, found.retryable, found.cost)
    assert PRICE == (await generate(made, folder, ledger)).cost
    assert 1 == len(provider.bills)


def bounded(declared: Declaration) -> Declaration:
    """Clips of at most 100 kB."""
    return declared.model_copy(
        update={"result": declared.result.model_copy(update={"bytes_max": 100_000})}
    )


@in_jumping_time
async def test_a_clip_may_not_be_endless(clip: bytes, folder: Path) -> None:
    """The download ends at the limit, and is not tried again."""
    provider = Provider("luma", clip, base=BASE)
    provider.fault("file", "large")
    made = generator("luma", InProcess(provider), change=bounded)
    with pytest.raises(EngineFailure, match="more than 100000 bytes") as caught:
        await generate(made, folder, MemoryLedger())
    assert (Reason.CORRUPT_OUTPUT, PRICE) == (caught.value.reason, caught.value.cost)
    assert 1 == provider.count("file")


@pytest.mark.parametrize("fault", ["private", "file", "nowhere", "no port", "no name"])
@in_jumping_time
async def test_a_result_does_not_lead_inside(
    fault: str, pair: Pairs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to a private address nor to a file; loopback is allowed to this test alone."""
    provider, made = pair("luma")
    provider.fault("file", fault)
    if fault == "private":
        _allow_only_loopback(monkeypatch)
    with pytest.raises(EngineFailure, match="address") as caught:
        await generate(made, folder, MemoryLedger())
    assert (Reason.CORRUPT_OUTPUT, PRICE) == (caught.value.reason, caught.value.cost)
    assert 1 == provider.count("file")


def _allow_only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the first address were public."""
    from adapters.assets import pinned_to_address
    from adapters.hosted import fetching

    async def pinned(url: str, *, allow_private: bool) -> Any:
        return await pinned_to_address(url, allow_private="127.0.0.1" in url)

    monkeypatch.setattr(fetching, "pinned_to_address", pinned)


@in_jumping_time
async def test_loopback_is_private_unless_it_is_allowed(pair: Pairs, folder: Path) -> None:
    """The option is off by default."""
    provider, made = pair("luma", allow_private_addresses=False)
    with pytest.raises(EngineFailure, match="a public address"):
        await generate(made, folder, MemoryLedger())
    assert 0 == provider.count("file")


@pytest.mark.parametrize("fault", ["truncated", "expired", "drop", "garbage", "moved"])
async def test_over_a_socket(fault: str, clip: bytes, folder: Path) -> None:
    """The same faults on real connections."""

    def hastened(declared: Declaration) -> Declaration:
        poll = declared.poll.model_copy(update={"every_s": 0.02})
        result = declared.result.model_copy(update={"wait_s": 0.02})
        return declared.model_copy(update={"poll": poll, "result": result})

    provider = Provider("replicate", clip)
    provider.fault("file", fault)
    async with listening(provider) as place:
        made = generator("replicate", base_url=place.url, change=hastened)
        assert PRICE == (await generate(made, folder, MemoryLedger())).cost
        await made.close()
    assert 2 == provider.count("file")


@in_jumping_time
async def test_the_answer_may_tell_what_it_cost(clip: bytes, folder: Path) -> None:
    """In units of its own; the estimate holds where it does not."""
    provider = Provider("replicate", clip, base=BASE)

    def counting(declared: Declaration) -> Declaration:
        result = declared.result.model_copy(update={"cost": ("$.looks",), "cost_unit": 0.01})
        return declared.model_copy(update={"result": result})

    made = generator("replicate", InProcess(provider), change=counting)
    assert PRICE == (await generate(made, folder, MemoryLedger())).cost
    told = provider.dialect.polled
    object.__setattr__(  # the dialect is frozen, and shared
        provider.dialect, "polled", lambda work, base: told(work, base) | {"looks": work.looks}
    )
    try:
        assert 0.03 == (await generate(made, folder, MemoryLedger())).cost
    finally:
        object.__setattr__(provider.dialect, "polled", told)


@in_jumping_time
async def test_a_download_may_need_the_key(clip: bytes, folder: Path) -> None:
    """Only where it is declared, and only at the service itself."""
    provider = Provider("replicate", clip, base=BASE)

    def keyed(declared: Declaration) -> Declaration:
        result = declared.result.model_copy(update={"send_auth": True})
        return declared.model_copy(update={"result": result})

    made = generator("replicate", InProcess(provider), change=keyed)
    with pytest.raises(AssertionError, match="somebody else's host"):
        await generate(made, folder, MemoryLedger())
    sent = [a.request.headers for a in provider.asked if a.kind == "file"]
    assert f"Bearer {KEY}" == sent[0]["authorization"]
