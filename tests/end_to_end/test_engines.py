"""Films with engines that generate: what is generated, what is paid, and what happens else.

All four actors in this process, real workers and the real drawing; the service is a folder
(``tests.painter``), known by its entry point as any other package's plug-in is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.loader import SHIPPED
from events.job import Job
from events.types import (
    GenerationIntended,
    Reason,
    RenderCompleted,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
)
from tests.assembler.takes import scenery
from tests.end_to_end.engines import painter, works
from tests.end_to_end.film_checks import check_film, frames_of
from tests.painter import plugged_in, tasks

PRODUCT = SHIPPED / "demo" / "product.png"
COST = 0.25

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def a_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The painter's package is installed, as far as Python can tell."""
    monkeypatch.syspath_prepend(str(plugged_in(tmp_path / "site")))


def overlay(**changes: Any) -> dict[str, Any]:
    """A draft of two segments with a product in front."""
    ask = {"preset_id": "overlay_classic", "pictures": [PRODUCT], "draft": True}
    return ask | {"target_duration_seconds": 5, "cta": "Try it"} | changes


def engines_of(job: Job) -> list[str]:
    """Who made each segment."""
    return [rung.engine for rung in job.rungs]


def codes(job: Job) -> list[str]:
    """What was warned of."""
    return [warning.code for warning in job.warnings]


async def test_a_film_of_generated_segments_is_paid_once(tmp_path: Path) -> None:
    """Every segment's clip is made, kept and paid; other words over them cost nothing."""
    async with works(tmp_path, [painter(tmp_path, cost=COST)]) as made:
        first, path = await made.film("first", **overlay(target_duration_seconds=2))
        assert engines_of(first) == ["painter"]
        assert first.downgrades == ()
        assert isinstance(first.end, RenderCompleted)
        assert (first.end.cost, first.end.cost_unsettled) == (COST, 0)
        assert len(tasks(tmp_path / "painter")) == 1
        ask = overlay(target_duration_seconds=2, cta="Buy it")
        again, other = await made.film("again", **ask)
        assert engines_of(again) == ["painter"]
        assert isinstance(again.end, RenderCompleted)
        assert again.end.cost == 0
        assert "clip_reused" in codes(again)
        assert len(tasks(tmp_path / "painter")) == 1
        history = await made.history("again")
        assert not any(isinstance(each.event, GenerationIntended) for each in history)
        assert path.read_bytes() != other.read_bytes()


async def test_one_segment_that_fails_is_composed_and_told(tmp_path: Path) -> None:
    """The others stay generated; the log, the verdict and whoever asks are told."""
    engine = painter(tmp_path, fails="moderated", fails_on=[1])
    async with works(tmp_path, [engine]) as made:
        job, path = await made.film("mixed", **overlay())
        assert engines_of(job) == ["painter", "compositor"]
        history = [each.event for each in await made.history("mixed")]
        [down] = [event for event in history if isinstance(event, RungDescended)]
        assert (down.segment, down.reason) == (1, Reason.MODERATED)
        assert (down.from_rung.engine, down.to_rung.engine) == ("painter", "compositor")
        assert isinstance(job.end, RenderCompleted)
        assert [step.segment for step in job.end.downgrades] == [1]
        frames = frames_of(path, [10, 60, 140])
        own = scenery(540, 960, job.spec.segments[0].seed)  # type: ignore[union-attr]
        corner = (slice(0, 150), slice(0, 150))
        near, far = (
            np.abs(frames[n][corner].astype(int) - own(n / 30)[corner]).mean() for n in (10, 140)
        )
        assert near < 6 < far


@pytest.mark.slow
async def test_a_finished_film_shows_the_product_before_what_was_generated(
    tmp_path: Path,
) -> None:
    """At full size, with the product proven and nothing fatal about the file (20 s)."""
    async with works(tmp_path, [painter(tmp_path)]) as made:
        job, path = await made.film("whole", **overlay(draft=False))
        check_film(path, 5)
        assert isinstance(job.end, RenderCompleted)
        proof = job.end.verdict.product
        assert proof is not None
        assert proof.ssim_min >= 0.96


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("product_hero_clean", {"brand_safe": False}),
        pytest.param("meme_smooth", {"brand_safe": False}, marks=pytest.mark.slow),
        pytest.param("meme_smooth", {"pictures": ()}, marks=pytest.mark.slow),
    ],
    ids=["hero", "meme", "words"],
)
async def test_every_archetype_can_be_generated(
    preset: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    """From the film's own picture where there is one and it may be shown."""
    async with works(tmp_path, [painter(tmp_path)]) as made:
        ask = overlay(preset_id=preset, target_duration_seconds=2) | changes
        job, _ = await made.film("film", **ask)
        assert engines_of(job) == ["painter"]
        [asked] = tasks(tmp_path / "painter")
        assert bool(asked["still"]) is bool(ask["pictures"])


async def test_a_brand_safe_hero_is_never_generated(tmp_path: Path) -> None:
    """It is composed of the true picture, and that is no downgrade."""
    async with works(tmp_path, [painter(tmp_path)]) as made:
        ask = overlay(preset_id="product_hero_clean", target_duration_seconds=2)
        job, _ = await made.film("film", **ask, brand_safe=True)
        assert engines_of(job) == ["compositor"]
        assert job.downgrades == ()
        assert tasks(tmp_path / "painter") == []


async def test_a_bad_clip_is_a_failure_and_then_composed(tmp_path: Path) -> None:
    """It was paid for, and that is told."""
    async with works(tmp_path, [painter(tmp_path, flaw="black", cost=COST)]) as made:
        job, _ = await made.film("film", **overlay(target_duration_seconds=2))
        [failed] = [
            each.event
            for each in await made.history("film")
            if isinstance(each.event, SegmentFailed)
        ]
        assert (failed.reason, failed.cost) == (Reason.CORRUPT_OUTPUT, COST)
        assert engines_of(job) == ["compositor"]
        assert [step.reason for step in job.downgrades] == [Reason.CORRUPT_OUTPUT]
        assert isinstance(job.end, RenderCompleted)
        assert job.end.cost == COST


@pytest.mark.slow
async def test_more_clips_are_under_way_than_there_are_processors(tmp_path: Path) -> None:
    """An engine's slots are its own: six clips are asked for within the time of one (8 s)."""
    engine = painter(tmp_path, slots=6, takes_s=2.0)
    async with works(tmp_path, [engine], limits={"workers": 1}) as made:
        await made.ask("film", **overlay(target_duration_seconds=18))
        job = await made.ended("film")
        ready_s = [task["ready_s"] for task in tasks(tmp_path / "painter")]
        assert len(ready_s) == 6
        assert max(ready_s) - min(ready_s) < 2.0
        assert engines_of(job) == ["painter"] * 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ("local_preferred", ["near", "far"]),
        ("api_only", ["far"]),
        ("local_only", ["near"]),
    ],
)
async def test_who_is_asked_follows_the_policy(
    policy: str, asked: list[str], tmp_path: Path
) -> None:
    """Local engines first, then hosted ones, then composition: whatever the order of the list."""
    engines = [
        painter(tmp_path, "far", is_local=False, fails="moderated"),
        painter(tmp_path, "near", fails="moderated"),
    ]
    async with works(tmp_path, engines) as made:
        ask = overlay(target_duration_seconds=2, engine_policy=policy)
        job, _ = await made.film("film", **ask)
        tried = [
            each.event.rung.engine
            for each in await made.history("film")
            if isinstance(each.event, SegmentFailed)
        ]
        assert tried == asked
        assert engines_of(job) == ["compositor"]
        assert len(job.downgrades) == len(asked)


@pytest.mark.slow
async def test_without_an_engine_that_generates_nothing_is_a_downgrade(tmp_path: Path) -> None:
    """The compositor is the first rung."""
    async with works(tmp_path, []) as made:
        job, _ = await made.film("film", **overlay(target_duration_seconds=2))
        assert engines_of(job) == ["compositor"]
        assert job.downgrades == ()
        rendered = [
            each.event
            for each in await made.history("film")
            if isinstance(each.event, SegmentRendered)
        ]
        assert [event.raw for event in rendered] == [None]


@pytest.mark.slow
async def test_with_every_engine_down_the_film_is_there_in_time(tmp_path: Path) -> None:
    """Fifteen seconds of film, composed; each step down is told (45 s)."""
    engines = [
        painter(tmp_path, "near", fails="unavailable"),
        painter(tmp_path, "far", is_local=False, fails="timeout"),
    ]
    async with works(tmp_path, engines, limits={"backoff_base_s": 0.1}) as made:
        ask = overlay(target_duration_seconds=15, deadline_seconds=180, draft=False)
        job, path = await made.film("film", **ask)
        check_film(path, 15)
        assert set(engines_of(job)) == {"compositor"}
        assert len(job.downgrades) == 2 * len(job.segments)
        assert isinstance(job.end, RenderCompleted)
        assert job.end.downgrades == job.downgrades
        assert job.ended_s - job.requested_s < 180
