"""The assembler's performer: what becomes of mixing and assembling."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.base import EngineFailure, StoreError
from adapters.files import FileStore
from adapters.null import NullStudio
from adapters.studio import Assembled, AssemblyRefused, Mixed, Report
from events.job import Job
from events.types import AssemblyFailed, Event, Reason, RenderCompleted, SoundtrackMixed
from services.actor import Command, Context, GiveBack, Limits
from services.assembler.core import AssembleFilm, MixSoundtrack
from services.assembler.shell import Performer
from tests.builders import (
    assembly_requested,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    soundtrack_mixed,
    spec,
)
from tests.services.works import idle_work

PAST = (
    requested(),
    planned(spec(1)),
    segment_requested(),
    segment_rendered(),
    soundtrack_mixed(),
    assembly_requested(),
)


class Studio(NullStudio):
    """A studio that fails as it is told, and keeps the facts that it was given."""

    def __init__(self, store: FileStore, trouble: Exception | None = None) -> None:
        super().__init__(store)
        self.trouble = trouble
        self.facts: Mapping[str, Any] = {}

    async def mix(self, job: Job, cancel: asyncio.Event) -> Mixed:
        """Mix, unless there is trouble."""
        if self.trouble:
            raise self.trouble
        return await super().mix(job, cancel)

    async def assemble(
        self, job: Job, facts: Mapping[str, Any], cancel: asyncio.Event, report: Report
    ) -> Assembled:
        """Assemble something, unless there is trouble."""
        self.facts = facts
        if self.trouble:
            raise self.trouble
        return await super().assemble(job, facts, cancel, report)


async def performed(studio: Studio, command: Command, *, deliveries: int = 1) -> Sequence[Event]:
    """The events that a command leads to."""
    context = Context(now_s=0, limits=Limits(), deliveries=deliveries)
    work = idle_work(context, *PAST)
    return await Performer(studio)(command, work)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A store of the test's own."""
    return FileStore(tmp_path)


async def test_sound_is_mixed(store: FileStore) -> None:
    """The outcome names the artifact."""
    (event,) = await performed(Studio(store), MixSoundtrack())
    assert isinstance(event, SoundtrackMixed)


async def test_a_refusal_is_an_outcome(store: FileStore) -> None:
    """With its reason, its figure and the segment at fault."""
    studio = Studio(store, AssemblyRefused(Reason.CORRUPT_OUTPUT, "SSIM 0.91", 3, 1))
    (event,) = await performed(studio, AssembleFilm(attempt=1))
    assert isinstance(event, AssemblyFailed)
    assert (event.reason, event.detail) == (Reason.CORRUPT_OUTPUT, "SSIM 0.91")
    assert (event.segment, event.others) == (3, (1,))


async def test_a_missing_body_is_an_outcome(store: FileStore) -> None:
    """An artifact that the store lost cannot be waited for."""
    (event,) = await performed(Studio(store, StoreError("gone")), AssembleFilm(attempt=1))
    assert isinstance(event, AssemblyFailed)


async def test_a_dead_worker_is_tried_again_then_told(store: FileStore) -> None:
    """Three deaths are enough."""
    studio = Studio(store, EngineFailure(Reason.CRASHED, "died", retryable=True))
    with pytest.raises(GiveBack):
        await performed(studio, AssembleFilm(attempt=1))
    (event,) = await performed(studio, AssembleFilm(attempt=1), deliveries=3)
    assert isinstance(event, AssemblyFailed)
    assert event.reason is Reason.CRASHED


async def test_a_cancelled_assembly_says_nothing(store: FileStore) -> None:
    """The cancel is told by the controller alone."""
    studio = Studio(store, EngineFailure(Reason.CANCELLED, "moot", retryable=False))
    assert await performed(studio, AssembleFilm(attempt=1)) == ()


async def test_the_verdict_is_told_what_the_mix_measured(store: FileStore) -> None:
    """So that the sound is not measured twice."""
    studio = Studio(store, AssemblyRefused(Reason.INTERNAL, ""))
    await performed(studio, AssembleFilm(attempt=1))
    assert studio.facts["sound"] == {"lufs": -14.0, "true_peak_db": -1.5}


async def test_a_film_is_completed(store: FileStore) -> None:
    """From the bodies and the sound that are in the store."""
    body = await store.put_bytes(b"body", "x")
    sound = await store.put_bytes(b"sound", "x")
    past: list[Event] = list(PAST)
    past[3] = msgspec.structs.replace(segment_rendered(), artifact=body)
    past[4] = msgspec.structs.replace(soundtrack_mixed(), artifact=sound)
    context = Context(now_s=0, limits=Limits())
    work = idle_work(context, *past)
    (event,) = await Performer(Studio(store))(AssembleFilm(attempt=1), work)
    assert isinstance(event, RenderCompleted)
    assert b"bodysound" == (await store.fetch(event.output)).read_bytes()
