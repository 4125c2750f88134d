"""Jobs that differ in what no picture shows: their bodies are drawn once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest

from adapters.files import FileStore
from config import load
from events.job import Job, fold
from events.memory import MemoryLog
from events.types import (
    RenderCompleted,
    RenderFailed,
    RenderRejected,
    SegmentRendered,
    SoundtrackMixed,
)
from services.composition import SERVICES, durables, run_services
from services.home import Home
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.pictures import KINDS, music, voice

SECONDS = 5
WITHIN_S = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class House:
    """A home whose services make what is asked."""

    log: MemoryLog
    store: FileStore

    async def film(self, job_id: str, **changes: Any) -> Job:
        """A film of a product and words, as changed, at its end."""
        ask: dict[str, Any] = {"preset_id": "overlay_classic", "prompt": "Good morning"}
        ask |= {"target_duration_seconds": SECONDS, "seed": 7, "cta": "Try it"} | changes
        for field, value in ask.items():
            if isinstance(value, Path):
                ask[field] = f"sha256:{(await self.store.put_file(value, 'any/any')).sha256}"
        ask["image_uris"] = [ask.pop("image")]
        await self.log.publish_ask(job_id, "render_requested", msgspec.json.encode(ask))
        async with asyncio.timeout(WITHIN_S):
            async for recorded in self.log.follow(job_id):
                if isinstance(recorded.event, RenderCompleted | RenderFailed | RenderRejected):
                    break
        job = fold(job_id, await self.log.read(job_id))
        assert isinstance(job.end, RenderCompleted), job.end
        return job

    async def checked(self, job_id: str, **changes: Any) -> Job:
        """A film that is what every film is."""
        job = await self.film(job_id, **changes)
        assert isinstance(job.end, RenderCompleted)
        check_film(await self.store.fetch(job.end.output), SECONDS)
        return job

    async def reused(self, job: Job) -> tuple[list[bool], bool]:
        """Which bodies of a job were taken again, and whether its sound was."""
        history = [recorded.event for recorded in await self.log.read(job.job_id)]
        bodies = {e.segment: e.reused for e in history if isinstance(e, SegmentRendered)}
        [sound] = [e.reused for e in history if isinstance(e, SoundtrackMixed)]
        return [bodies[segment.index] for segment in job.segments], sound


@asynccontextmanager
async def house(folder: Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[House]:
    """Services in a new home."""
    home = Home(folder / "home")
    home.create()
    config = load(environ=environ or {})
    log, stop = MemoryLog(), asyncio.Event()
    await log.provision(durables(config))
    services = asyncio.create_task(
        run_services(SERVICES, home=home, config=config, log=log, stop=stop)
    )
    try:
        yield House(log, FileStore(home.artifacts))
    finally:
        stop.set()
        await services


async def test_another_music_voice_or_deadline_draws_nothing_again(tmp_path: Path) -> None:
    """All bodies are the first film's; the sound is its own until it is the same again."""
    picture, track = KINDS["alpha"](tmp_path), music(tmp_path)
    async with house(tmp_path) as made:
        first = await made.checked("first", image=picture)
        other = await made.checked("other", image=picture, music_uri=track, deadline_seconds=500)
        spoken = await made.checked(
            "spoken", image=picture, music_uri=track, voice_uri=voice(tmp_path)
        )
        again = await made.checked("again", image=picture, music_uri=track)
        assert ([False, False], False) == await made.reused(first)
        assert ([True, True], False) == await made.reused(other)
        assert ([True, True], False) == await made.reused(spoken)
        assert ([True, True], True) == await made.reused(again)
    outputs = [job.end.output for job in (other, again) if isinstance(job.end, RenderCompleted)]
    assert outputs[0] == outputs[1]
    assert other.soundtrack is not None
    assert again.soundtrack is not None
    assert other.soundtrack.lufs == again.soundtrack.lufs


async def test_another_picture_is_drawn(tmp_path: Path) -> None:
    """A body is never taken for another; with reuse switched off none is taken at all."""
    pictures = [KINDS[kind](tmp_path) for kind in ("alpha", "png")]
    async with house(tmp_path) as made:
        films = [
            await made.checked(f"film-{number}", image=picture)
            for number, picture in enumerate(pictures)
        ]
        assert ([False, False], True) == await made.reused(films[1])
    off = {"PYTOON_LIMITS__REUSE_BODIES": "false"}
    async with house(tmp_path, off) as made:
        same = await made.checked("same", image=pictures[0])
        assert ([False, False], False) == await made.reused(same)
    ends = [job.end for job in (films[0], same)]
    assert all(isinstance(end, RenderCompleted) for end in ends)
    assert films[0].end.output == same.end.output  # type: ignore[union-attr]


async def test_a_draft_is_made_beside_its_film(tmp_path: Path) -> None:
    """A quarter of the pixels, all else the film's; told wherever a film is told of."""
    picture = KINDS["alpha"](tmp_path)
    async with house(tmp_path) as made:
        draft = await made.film("draft", image=picture, draft=True, encoder="nvenc")
        film = await made.checked("film", image=picture)
        assert ([False, False], True) == await made.reused(film)
        path = await made.store.fetch(draft.end.output)  # type: ignore[union-attr]
        lumas = [luma.shape for _, luma in pictures_of(path)]
    assert [(960, 540)] * (30 * SECONDS) == lumas
    assert draft.spec is not None
    assert film.spec is not None
    assert draft.spec.captions == film.spec.captions
    assert draft.spec.segments == film.spec.segments
    verdict = draft.end.verdict  # type: ignore[union-attr]
    told = [warned.code for warned in draft.warnings]
    assert (
        told
        == [warned.code for warned in verdict.warnings]
        == [w.code for w in draft.spec.warnings]
    )
    assert "draft" == told[0]
    assert set(told) <= {"draft", "encoder_downgraded"}
    assert ("encoder_downgraded" in told) == (draft.spec.encoder.codec == "libx264")
    assert "draft" not in {warned.code for warned in film.warnings}


def pictures_of(path: Path) -> Iterator[tuple[int, Any]]:
    """Every frame of a film, decoded."""
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            yield number, picture.to_ndarray(format="gray")
