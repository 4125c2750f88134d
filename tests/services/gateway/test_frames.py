"""Frames to look at: which are drawn, from what, and what is answered where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from adapters.files import FileStore
from adapters.glances import Glances
from adapters.workers import WorkerPool
from config import load
from events.job import Job
from events.memory import MemoryLog
from events.spec import Archetype, Artifact, RenderSpec, Rung
from events.types import RenderPlanned
from services.gateway.desk import Desk
from services.gateway.frames import Sketches
from services.gateway.problems import Refused
from tests.builders import (
    artifact,
    job_after,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    spec,
)
from tests.services.gateway.conftest import ASK, House

HOSTED = Rung(engine="runway", archetype=Archetype.OVERLAY, generates=True)
COMPOSED = Rung(engine="compositor", archetype=Archetype.OVERLAY)
LADDER = (HOSTED, COMPOSED)


class Drawn(Glances):
    """Draws nothing, and keeps what it was asked for."""

    def __init__(self, store: FileStore) -> None:
        self.asked: list[tuple[tuple[str, ...], int, dict[int, Artifact]]] = []
        pool = WorkerPool.__new__(WorkerPool)
        super().__init__(store, pool, frame_s=1.0, waiting_max=1)

    async def draw(
        self,
        spec: RenderSpec,
        rungs: Sequence[Rung],
        n: int,
        width: int,
        clips: Mapping[int, Artifact] | None = None,
    ) -> bytes:
        """Keep it."""
        self.asked.append((tuple(rung.engine for rung in rungs), n, dict(clips or {})))
        return b"a frame"


@pytest.fixture(name="drawn")
def what_is_drawn(tmp_path: Path) -> Drawn:
    """Who would draw."""
    return Drawn(FileStore(tmp_path))


def sketches(drawn: Drawn, plans: list[RenderSpec]) -> Sketches:
    """A gateway's, whose planner answers with the next of these plans."""

    class Planner:
        async def __call__(self, ask: Mapping[str, object]) -> RenderPlanned:
            assert ask
            return RenderPlanned(job_id="dry-run", spec=plans.pop(0))

        def warm_up(self) -> None:
            """There is nothing to load."""

    store = FileStore(Path("nowhere"))
    return Sketches(Desk(MemoryLog(), store, load(environ={}), Planner()), drawn)


def generated(raw: Artifact | None) -> Job:
    """A job whose first segment an engine has generated."""
    done = msgspec.structs.replace(segment_rendered(ladder=LADDER), raw=raw)
    plan = spec(2, ladder=LADDER)
    first, second = (segment_requested(at, ladder=LADDER) for at in range(2))
    return job_after(requested(), planned(plan), first, second, done)


async def test_what_an_engine_would_generate_is_shown_composed(drawn: Drawn) -> None:
    """Of a request nobody knows what it would be; a frame beyond the last is the last."""
    await sketches(drawn, [spec(2, ladder=LADDER)]).of_request(ASK, 10_000, 540)
    assert [(("compositor", "compositor"), 179, {})] == drawn.asked


async def test_moving_through_a_film_plans_it_once(drawn: Drawn) -> None:
    """Another request is another film."""
    plans = [spec(2), spec(1)]
    looked = sketches(drawn, plans)
    for n in (0, 30, 60):
        await looked.of_request(ASK, n, 540)
    assert 1 == len(plans)
    await looked.of_request({**ASK, "hook": "Other words"}, 0, 540)
    assert [] == plans


async def test_a_generated_segment_is_shown_with_its_clip(drawn: Drawn) -> None:
    """The one that is still being generated is composed meanwhile, where it is only beside it."""
    clip = artifact("c")
    await sketches(drawn, []).of_job(generated(clip), 10, 540)
    assert [(("runway", "compositor"), 10, {0: clip})] == drawn.asked


async def test_what_is_still_being_generated_is_not_made_up(drawn: Drawn) -> None:
    """A frame of it is refused: composed it would look otherwise than it will."""
    with pytest.raises(Refused) as refused:
        await sketches(drawn, []).of_job(generated(artifact("c")), 100, 540)
    assert 404 == refused.value.status
    assert [] == drawn.asked


async def test_before_the_plan_there_is_no_frame(drawn: Drawn) -> None:
    """It is too early, and the answer says so."""
    with pytest.raises(Refused) as refused:
        await sketches(drawn, []).of_job(job_after(requested()), 0, 540)
    assert "has no plan: it is requested" in refused.value.detail


async def test_a_gateway_without_workers_says_so(house: House) -> None:
    """Neither of a request nor of a job can it draw anything."""
    accepted = await house.client.post("/api/v1/jobs", json=ASK)
    job = accepted.json()["job_id"]
    await house.ended(job)
    asked = await house.client.post("/api/v1/frames", json=ASK)
    made = await house.client.get(f"/api/v1/jobs/{job}/frames/0")
    assert [501, 501] == [asked.status_code, made.status_code]


@pytest.mark.parametrize("n", ["-1", "450", "99999999"])
async def test_a_frame_that_the_film_has_not_is_refused(house: House, n: str) -> None:
    """With the frames that there are."""
    job = (await house.client.post("/api/v1/jobs", json=ASK)).json()["job_id"]
    await house.ended(job)
    answer = await house.client.get(f"/api/v1/jobs/{job}/frames/{n}")
    assert 404 == answer.status_code
    assert "must be 0 to 449" in answer.json()["detail"]
