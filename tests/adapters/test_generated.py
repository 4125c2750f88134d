"""A clip is generated once, judged, kept, and drawn over; what it cost is never lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from adapters.base import EngineFailure, SegmentResult, SegmentWork
from adapters.files import FileStore
from adapters.generated import GeneratedEngine, room_for_words
from adapters.workers import WorkerPool
from assembler.clips import pictures
from assembler.stills import ingest_still
from config import load
from config.loader import SHIPPED
from events.job import Generation
from events.spec import (
    Archetype,
    Asset,
    AssetRole,
    Caption,
    CaptionPosition,
    CaptionRole,
    Motion,
    RenderSpec,
    Rung,
    TransitionKind,
)
from events.types import Reason
from tests.builders import JOB, spec
from tests.painter import MODEL, Notes, Painter, tasks
from tests.patience import COMES_S

WIDTH, HEIGHT = 216, 384
PROMPT = "A bottle of night serum. Sleep does the rest"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Studio:
    """Engines around painters on one service and one store."""

    def __init__(self, folder: Path, workers: WorkerPool) -> None:
        """Begin with an empty service and an empty store."""
        self.service = folder / "service"
        self.store = FileStore(folder / "store")
        self._workers = workers

    def engine(self, **options: Any) -> GeneratedEngine:
        """An engine, as if its process had just started."""
        config = load(environ={})
        painter = Painter("painter", folder=str(self.service), **options)
        return GeneratedEngine(
            painter, self.store, self._workers, settings=config.generation, limits=config.limits
        )

    async def render(self, plan: RenderSpec, notes: Notes | None = None, **options: Any) -> Any:
        """Segment 1 of a plan, rendered by a new process's engine."""
        return await rendered(self.engine(**options), plan, notes)

    def asked(self) -> list[dict[str, Any]]:
        """What the service was asked."""
        return tasks(self.service)


async def rendered(
    engine: GeneratedEngine, plan: RenderSpec, notes: Notes | None = None, segment: int = 1
) -> SegmentResult:
    """A segment of a plan."""
    work = SegmentWork(job_id=JOB, spec=plan, segment=segment, attempt=1, rung=plan.ladder[0])
    return await engine.render(work, lambda *_: None, asyncio.Event(), notes or Notes())


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    """Two workers for all."""
    pool = WorkerPool(2, preload=("assembler.produce", "adapters.generated"))
    yield pool
    await pool.close()


@pytest.fixture(name="studio")
def a_studio(tmp_path: Path, workers: WorkerPool) -> Studio:
    """A new one."""
    return Studio(tmp_path, workers)


def plan(archetype: Archetype = Archetype.OVERLAY, **changes: Any) -> RenderSpec:
    """Three short segments with crossfades of 4 frames, small enough to draw at once."""
    rung = Rung(engine="painter", archetype=archetype, generates=True)
    made = spec(3, ladder=(rung,), archetype=archetype, width=WIDTH, height=HEIGHT, frames=60)
    rows = [
        msgspec.structs.replace(each, start=start, frames=20, body_start=body, body_frames=frames)
        for each, start, body, frames in zip(
            made.segments, (0, 20, 40), (0, 22, 42), (18, 16, 18), strict=True
        )
    ]
    transition = msgspec.structs.replace(made.transition, kind=TransitionKind.CROSSFADE, frames=4)
    made = msgspec.structs.replace(
        made, segments=tuple(rows), transition=transition, prompt=PROMPT
    )
    return msgspec.structs.replace(made, **changes)


async def pictured(studio: Studio, folder: Path, made: RenderSpec) -> RenderSpec:
    """The same plan with a product in every segment."""
    picture, still = SHIPPED / "demo" / "product.png", folder / "still.png"
    found = ingest_still(picture, still)
    asset = Asset(
        role=AssetRole.AUTO,
        uri="",
        source=await studio.store.put_file(picture, "image/png"),
        still=await studio.store.put_file(still, "image/png"),
        width=found.width,
        height=found.height,
        has_alpha=found.has_alpha,
        subject=found.subject,
        palette=found.palette,
    )
    rows = tuple(msgspec.structs.replace(each, asset=0) for each in made.segments)
    return msgspec.structs.replace(made, assets=(asset,), segments=rows)


async def test_a_clip_is_made_judged_kept_and_drawn_over(studio: Studio) -> None:
    """It covers the transitions on both sides, and nothing of its metadata is kept."""
    result = await studio.render(plan(), cost=0.4)
    [asked] = studio.asked()
    assert asked["size"] == [WIDTH, HEIGHT, 30, 24]
    assert result.raw is not None
    raw = await studio.store.fetch(result.raw)
    assert PROMPT.encode() not in raw.read_bytes()
    assert len(list(pictures(raw))) == 21
    assert (result.frames, result.model, result.cost) == (16, MODEL, 0.4)
    assert [warning.code for warning in result.warnings] == ["painted"]
    assert await studio.store.has(result.artifact)


@pytest.mark.parametrize(
    ("segment", "frames"), [(0, 22), (1, 24), (2, 22)], ids=["first", "middle", "last"]
)
async def test_spare_frames_are_where_there_are_transitions(
    segment: int, frames: int, studio: Studio
) -> None:
    """The film's own ends have none."""
    await rendered(studio.engine(), plan(), segment=segment)
    assert studio.asked()[0]["size"][3] == frames


async def test_other_words_over_it_generate_nothing(studio: Studio) -> None:
    """A clip that is there is used again: it costs nothing, and says so."""
    first = await studio.render(plan(), cost=0.4)
    words = (Caption(role=CaptionRole.HOOK, text="Another", cards=()),)
    again = await studio.render(plan(captions=words, deadline_s=9.0), cost=0.4)
    assert len(studio.asked()) == 1
    assert again.raw == first.raw
    assert (again.cost, again.model) == (0.0, MODEL)
    assert [warning.code for warning in again.warnings] == ["painted", "clip_reused"]


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "Another mood"},
        {"width": 2 * WIDTH, "height": 2 * HEIGHT},
        {"archetype": Archetype.MEME_TEXT},
    ],
)
async def test_whatever_a_clip_depends_on_makes_another(
    changes: dict[str, Any], studio: Studio
) -> None:
    """No clip is taken for what it is not."""
    await studio.render(plan())
    archetype = changes.pop("archetype", Archetype.OVERLAY)
    await studio.render(plan(archetype, **changes))
    await rendered(studio.engine(), plan(), segment=2)
    assert len(studio.asked()) == 3


async def test_a_clip_that_is_gone_is_made_again(studio: Studio) -> None:
    """The note of it alone is worth nothing."""
    first = await studio.render(plan())
    assert first.raw is not None
    path = await studio.store.fetch(first.raw)
    path.unlink()
    await studio.render(plan())
    assert len(studio.asked()) == 2


async def test_two_that_want_the_same_clip_make_one(studio: Studio) -> None:
    """The second waits for the first, and pays nothing."""
    engine = studio.engine(cost=0.4, takes_s=0.3)
    results = await asyncio.gather(*(rendered(engine, plan()) for _ in range(2)))
    assert len(studio.asked()) == 1
    assert sorted(result.cost for result in results) == [0.0, 0.4]


async def test_its_own_clip_found_again_still_costs(studio: Studio) -> None:
    """The process that made it died before it could tell: the attempt's cost is what it was."""
    notes = Notes()
    await studio.render(plan(), notes, cost=0.4)
    again = await studio.render(plan(), notes, cost=0.4)
    assert again.cost == 0.4
    assert "clip_reused" not in [warning.code for warning in again.warnings]
    assert len(studio.asked()) == 1


async def test_a_clip_of_an_attempt_whose_drawing_died_still_costs(studio: Studio) -> None:
    """The next attempt finds it, and tells what nobody has told yet."""
    notes = Notes()
    await studio.render(plan(), notes, cost=0.4)
    assert notes.known is not None
    earlier = Notes(msgspec.structs.replace(notes.known, attempt=7))
    assert (await studio.render(plan(), earlier, cost=0.4)).cost == 0.4


@pytest.mark.parametrize(
    ("flaw", "why", "retryable"),
    [
        ("black", "black", False),
        ("frozen", "stands still", False),
        ("broken", "decoded|read", True),
    ],
)
async def test_a_bad_clip_fails_the_attempt(
    flaw: str,
    why: str,
    retryable: bool,
    studio: Studio,
) -> None:
    """With what it cost; nothing is remembered, and what was paid is not paid twice by itself."""
    with pytest.raises(EngineFailure, match=why) as failed:
        await studio.render(plan(), flaw=flaw)
    assert failed.value.reason is Reason.CORRUPT_OUTPUT
    assert failed.value.retryable is retryable
    with pytest.raises(EngineFailure) as failed:
        await studio.render(plan(), flaw=flaw, cost=0.4)
    assert failed.value.cost == 0.4
    assert not failed.value.retryable
    await studio.render(plan())
    assert len(studio.asked()) == 3


async def test_a_short_clip_is_held_and_told(studio: Studio) -> None:
    """Its last picture stands until the segment's end."""
    result = await studio.render(plan(), flaw="short")
    assert "clip_held" in [warning.code for warning in result.warnings]
    assert result.frames == 16


async def test_what_may_have_been_created_is_not_created_again(studio: Studio) -> None:
    """The generator decides by what the ledger knows."""
    notes = Notes(Generation(attempt=1, engine="painter", key="k"))
    with pytest.raises(EngineFailure) as failed:
        await studio.render(plan(), notes)
    assert failed.value.reason is Reason.OUTCOME_UNKNOWN
    assert studio.asked() == []


async def test_a_cancel_ends_it_soon(studio: Studio) -> None:
    """Also for whoever waits for another's clip."""
    engine = studio.engine(takes_s=30)
    cancels = [asyncio.Event(), asyncio.Event()]
    work = SegmentWork(job_id=JOB, spec=plan(), segment=1, attempt=1, rung=plan().ladder[0])
    running = [
        asyncio.create_task(engine.render(work, lambda *_: None, cancel, Notes()))
        for cancel in cancels
    ]
    await asyncio.sleep(0.3)
    async with asyncio.timeout(COMES_S):
        for task, cancel in reversed(list(zip(running, cancels, strict=True))):
            cancel.set()
            with pytest.raises(EngineFailure) as failed:
                await task
            assert failed.value.reason is Reason.CANCELLED


async def test_progress_ends_at_the_whole(studio: Studio) -> None:
    """Generating and drawing are told as one, and never go back."""
    told: list[tuple[int, int]] = []
    work = SegmentWork(job_id=JOB, spec=plan(), segment=1, attempt=1, rung=plan().ladder[0])
    engine = studio.engine(takes_s=0.3)
    await engine.render(work, lambda *each: told.append(each), asyncio.Event(), Notes())
    assert told == sorted(told)
    assert {total for _, total in told} == {16}
    assert told[-1] == (16, 16)


@pytest.mark.parametrize("archetype", list(Archetype))
async def test_brand_safe_never_shows_the_product_to_an_engine(
    archetype: Archetype, studio: Studio, tmp_path: Path
) -> None:
    """It is asked for what lies behind: no picture, and in words nothing of a product."""
    made = await pictured(studio, tmp_path, plan(archetype, brand_safe=True))
    await studio.render(made)
    [asked] = studio.asked()
    assert asked["still"] == ""
    assert asked["prompt"].startswith("An empty place to set the mood of these words:")
    assert PROMPT in asked["prompt"]


@pytest.mark.parametrize(
    ("archetype", "pictures_given"),
    [
        (Archetype.PRODUCT_HERO, True),
        (Archetype.MEME_TEXT, True),
        (Archetype.OVERLAY, False),
    ],
)
async def test_else_the_picture_is_animated_where_it_is_the_film(
    archetype: Archetype,
    pictures_given: bool,
    studio: Studio,
    tmp_path: Path,
) -> None:
    """Hero and meme from their own first picture, an overlay's ground from words."""
    made = await pictured(studio, tmp_path, plan(archetype, brand_safe=False))
    for text in ("A caption", "Another one"):
        words = (Caption(role=CaptionRole.HOOK, text=text, cards=()),)
        await studio.render(msgspec.structs.replace(made, captions=words))
    [asked] = studio.asked()
    assert bool(asked["still"]) is pictures_given
    assert (PROMPT.rstrip(".") in asked["prompt"]) or not pictures_given


@pytest.mark.parametrize(
    ("position", "top", "bottom"),
    [("upper_third", 288, 528), ("center", 648, 888), ("lower_third", 1008, 1248)],
)
async def test_a_picture_leaves_room_for_words_whatever_they_are(
    position: str, top: int, bottom: int
) -> None:
    """Where the style puts them; without any, the picture has the whole frame."""
    style = msgspec.structs.replace(spec().style, caption_position=CaptionPosition(position))
    words = (Caption(role=CaptionRole.CTA, text="Buy it", cards=()),)
    [room] = room_for_words(spec(1, style=style, captions=words))
    box = room.cards[0].box
    assert (box.x, box.y, box.width, box.y + box.height) == (120, top, 768, bottom)
    assert room_for_words(spec(1, style=style)) == ()


async def test_words_that_look_like_marks_are_words(studio: Studio) -> None:
    """Nothing is filled into a request's own words."""
    await studio.render(plan(prompt="50 {camera} {prompt} {0}"))
    assert "50 {camera} {prompt} {0}" in studio.asked()[0]["prompt"]


async def test_a_film_that_stands_still_may_have_a_clip_that_does(studio: Studio) -> None:
    """Minimal motion is meant so."""
    made = plan()
    style = msgspec.structs.replace(made.style, motion=Motion.MINIMAL)
    result = await studio.render(msgspec.structs.replace(made, style=style), flaw="frozen")
    assert result.frames == 16


async def test_the_note_of_a_clip_is_plain(studio: Studio) -> None:
    """What is remembered is JSON that names the clip by its content."""
    result = await studio.render(plan(), cost=0.4)
    assert result.raw is not None
    notes = [
        json.loads(path.read_bytes())
        for path in studio.store.root.glob("??/*")
        if path.read_bytes()[:1] == b"{"
    ]
    assert [note["raw"]["sha256"] for note in notes] == [result.raw.sha256]
