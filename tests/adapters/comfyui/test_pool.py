"""Several servers behind one name."""

from __future__ import annotations

import asyncio
from typing import Any

from adapters.generation import Clip
from events.types import Reason
from tests.adapters.comfyui.bench import Bench, asked, facts_of, of_somebody_else, told_of, until
from tests.adapters.ledgers import MemoryLedger
from tests.comfy.server import all_posted

WELL = (128, 192, 13, 24.0)


async def clips(three: Bench, count: int, **options: Any) -> list[Clip]:
    """Ask for so many segments at once."""
    asks = [asked(segment=number) for number in range(count)]
    made = [three.clip(ask, ledger=MemoryLedger(), **options) for ask in asks]
    return list(await asyncio.gather(*made))


async def test_work_is_spread(three: Bench) -> None:
    """Three clips at once go to three servers, though none has told of the first one yet."""
    for server in three.servers:
        server.step_s = 0.1
    await clips(three, 3)
    assert [1, 1, 1] == [len(server.posted) for server in three.servers]


async def test_the_least_loaded_is_asked_first(three: Bench) -> None:
    """What others have queued there counts, too."""
    for server in three.servers[:2]:
        server.runs = ["hang"]
        server.enqueue(of_somebody_else())
    await three.clip()
    assert [0, 0, 1] == [len(server.posted) for server in three.servers]


async def test_one_of_three_dies_in_mid_run(three: Bench) -> None:
    """Nothing is lost: its work is done by the others, once each."""
    for server in three.servers:
        server.step_s = 0.15
    work = asyncio.create_task(clips(three, 6))
    await until(lambda: 6 == sum(len(server.items) for server in three.servers))
    dead, *others = three.servers
    lost = [item for item in dead.items.values() if item.status != "completed"]
    assert 2 == len(lost)
    await dead.kill()
    made = await work
    assert [WELL] * 6 == [facts_of(clip.path) for clip in made]
    posted = all_posted(three.servers)
    assert 6 + len(lost) == len(posted)
    assert len(set(posted)) == len(posted)
    assert 6 == sum(
        item.status == "completed" for server in others for item in server.items.values()
    )


async def test_a_dead_server_is_left_alone_for_a_while(three: Bench) -> None:
    """It is not asked again before its time; the pool is well without it."""
    dead = three.servers[0]
    await dead.kill()
    await clips(three, 2)
    health = await three.generator.health()
    assert (True, True) == (health.ok, dead.url in health.detail)
    assert "1 of 3 servers cannot be asked" in health.detail
    await dead.restart()
    before = len(dead.requests)
    await three.clip()
    assert before == len(dead.requests)
    three.generator.pool.servers[0].resting_until_s = 0.0
    await clips(three, 3)
    assert len(dead.posted) == 1


async def test_when_all_rest_each_is_looked_at_once_more(three: Bench) -> None:
    """One that came back before its time is taken."""
    for server in three.servers:
        await server.kill()
    failure = await three.failure()
    assert (Reason.UNAVAILABLE, True) == told_of(failure)
    assert all(server.url in failure.detail for server in three.servers)
    await three.servers[1].restart()
    clip = await three.clip(asked(attempt=2), ledger=MemoryLedger(attempt=2))
    assert WELL == facts_of(clip.path)


async def test_a_model_that_only_one_server_has(three: Bench) -> None:
    """A refusal is one server's; for good it is when all refuse."""
    for server in three.servers[:2]:
        server.models["vae"] = []
    assert WELL == facts_of((await three.clip()).path)
    three.servers[2].models["vae"] = []
    failure = await three.failure(asked(segment=1), ledger=MemoryLedger())
    assert (Reason.INVALID_REQUEST, False) == told_of(failure)


async def test_work_is_found_wherever_it_is(three: Bench) -> None:
    """After a crash the handle's server has forgotten it, and another one has a later try."""
    for server in three.servers:
        server.step_s = 0.2
    work = asyncio.create_task(three.clip())
    await until(lambda: any(server.running for server in three.servers))
    first = next(server for server in three.servers if server.running)
    await first.kill()
    await until(lambda: any(server.running for server in three.servers))
    work.cancel()
    await asyncio.wait({work})
    await first.restart()
    clip = await three.clip(generator=three.another())
    assert WELL == facts_of(clip.path)
    assert 2 == len(all_posted(three.servers))


async def test_a_zombie_is_not_given_more(three: Bench) -> None:
    """The others take the work, until it has been restarted."""
    stuck = three.servers[0]
    stuck.runs = ["zombie"]
    # Longer than a pause of this process: those that do not stand still are to be made.
    hasty = three.another(no_progress_s=2.5, cancel_s=0.5)
    failures = await asyncio.gather(
        *(three.clip(asked(segment=n), ledger=MemoryLedger(), generator=hasty) for n in range(3)),
        return_exceptions=True,
    )
    assert 1 == sum(isinstance(one, BaseException) for one in failures)
    server = hasty.pool.servers[0]
    server.resting_until_s = 0.0
    await clips(three, 3, generator=hasty)
    assert 1 == len(stuck.posted)
    assert "restart that server" in server.why
