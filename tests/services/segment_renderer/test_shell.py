"""The segment-renderer's performer: asks the engine, with a ledger, and tells what came of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from adapters.base import (
    Capabilities,
    EngineFailure,
    Health,
    Ledger,
    Preview,
    ProgressCallback,
    SegmentResult,
    SegmentWork,
    Showing,
)
from events.job import fold
from events.memory import MemoryLog
from events.notices import (
    CircuitClosed,
    CircuitOpened,
    CircuitState,
    Notice,
    Posting,
    circuit_state,
    engine_topic,
)
from events.spec import Archetype
from events.types import (
    Event,
    Reason,
    RenderCancelRequested,
    SegmentFailed,
    SegmentRendered,
    SegmentRequested,
)
from services.actor import GiveBack
from services.segment_renderer.core import RenderSegment
from services.segment_renderer.shell import Renderer
from services.work import RunningWork
from tests.builders import JOB, artifact
from tests.events.test_state import PLANNED, ask, intended
from tests.patience import others_go_on
from tests.services.works import appended, work_on

NOW_S = 1_000_000.0
Deed = Callable[[Ledger], Awaitable[None]]


class Engine:
    """Generates; what it does with the ledger is the test's."""

    name = "paid"

    def __init__(self, deed: Deed) -> None:
        self._deed = deed

    def capabilities(self) -> Capabilities:
        """It generates."""
        return Capabilities(archetypes=frozenset(Archetype), generates=True, local=False)

    async def health(self) -> Health:
        """Well."""
        return Health(ok=True)

    async def render(
        self,
        work: SegmentWork,
        progress: ProgressCallback,
        cancel: asyncio.Event,
        ledger: Ledger | None = None,
    ) -> SegmentResult:
        """Do the deed; then there is a body."""
        assert ledger is not None
        progress(1, 90)
        await self._deed(ledger)
        return SegmentResult(artifact=artifact("1"), seed=0, frames=90, cost=0.4)

    async def close(self) -> None:
        """Nothing is held."""


async def creates(ledger: Ledger) -> None:
    """A create that is answered."""
    await ledger.intend("key", 0.5)
    await ledger.submitted("h")


def failing(reason: Reason, *, before: Deed | None = None) -> Deed:
    """A failure, after ``before``."""

    async def fail(ledger: Ledger) -> None:
        if before is not None:
            await before(ledger)
        raise EngineFailure(reason, "why", retryable=True)

    return fail


async def begun() -> MemoryLog:
    """A log with a job whose first segment is asked for."""
    log = MemoryLog()
    await appended(log, *PLANNED, ask())
    return log


async def performed(
    log: MemoryLog,
    deed: Deed,
    *,
    probe: bool = False,
    work: RunningWork | None = None,
    engine: Engine | None = None,
) -> Sequence[Event]:
    """What the command leads to, beyond what it appends itself."""
    work = work or await work_on(log, now_s=NOW_S)
    asked = work.cause.event
    assert isinstance(asked, SegmentRequested)
    assert work.job.spec is not None
    command = RenderSegment(
        job_id=JOB,
        spec=work.job.spec,
        segment=0,
        attempt=1,
        rung=asked.rung,
        quality=0,
        probe=probe,
    )
    return await Renderer({"paid": engine or Engine(deed)})(command, work)


async def circuit(log: MemoryLog) -> CircuitState:
    """The engine's."""
    return circuit_state(await log.last_notice(engine_topic("paid")))


async def told(log: MemoryLog, notice: Notice) -> None:
    """A notice of before."""
    await log.post(Posting(notice=notice, after=0), source="test")


def opened(until_s: float) -> CircuitOpened:
    """An open circuit."""
    return CircuitOpened(
        engine="paid", until_s=until_s, failures=3, counted=1, reason=Reason.TIMEOUT
    )


async def test_a_generated_body_is_appended_with_its_cost() -> None:
    """By the ledger itself; nothing is left for later."""
    log = await begun()
    assert () == tuple(await performed(log, creates))
    stored = (await log.read(JOB))[-1].event
    assert isinstance(stored, SegmentRendered)
    assert (0.4, 0.0) == ((job := fold(JOB, await log.read(JOB))).cost, job.cost_unsettled)


async def test_a_refused_create_is_known_to_be_unbilled() -> None:
    """It failed before any handle was answered."""

    async def intends(ledger: Ledger) -> None:
        await ledger.intend("key", 0.5)

    log = await begun()
    await performed(log, failing(Reason.UNAVAILABLE, before=intends))
    stored = (await log.read(JOB))[-1].event
    assert isinstance(stored, SegmentFailed)
    assert (Reason.UNAVAILABLE, 0.0) == (stored.reason, stored.cost)


async def test_a_cancel_that_nobody_asked_for_comes_again() -> None:
    """Another process is at it, and may die of it: the message must not be lost."""
    log = await begun()
    with pytest.raises(GiveBack):
        await performed(log, failing(Reason.CANCELLED))
    work = await work_on(log)
    await appended(log, RenderCancelRequested(job_id=JOB))
    assert () == tuple(await performed(log, failing(Reason.CANCELLED), work=work))


async def test_an_earlier_process_is_known_whatever_a_replica_says() -> None:
    """What was intended is looked up at the leader before anything is created."""
    log = await begun()
    work = await work_on(log)
    await appended(log, intended())
    seen: list[Any] = []

    async def looks(ledger: Ledger) -> None:
        seen.append(ledger.known)

    await performed(log, looks, work=work)
    assert "key-1" == seen[0].key


async def test_listeners_are_told_and_shown_how_far_it_is() -> None:
    """In frames, and with the picture that an engine sends of what is not done."""
    log = await begun()
    heard: list[dict[str, Any]] = []

    async def hear(facts: dict[str, Any]) -> None:
        heard.append(facts)

    await log.subscribe_progress(JOB, hear)

    class Shows(Engine):
        async def render(
            self,
            work: SegmentWork,
            progress: ProgressCallback,
            cancel: asyncio.Event,
            ledger: Ledger | None = None,
        ) -> SegmentResult:
            assert isinstance(progress, Showing)
            progress.show(Preview(media_type="image/png", content=b"early"))
            progress(45, 90)
            progress.show(Preview(media_type="image/jpeg", content=b"late"))
            return await super().render(work, progress, cancel, ledger)

    await performed(log, creates, engine=Shows(creates))
    await others_go_on()
    about = {"segment": 0, "attempt": 1, "engine": "paid", "frames": 90}
    shown = [{key: each.get(key) for key in about} for each in heard]
    assert [about] * 4 == shown
    assert [0, 45, 45, 1] == [each["frames_done"] for each in heard]
    assert [
        f"data:image/png;base64,{base64.b64encode(b'early').decode()}",
        None,
        f"data:image/jpeg;base64,{base64.b64encode(b'late').decode()}",
        None,
    ] == [each.get("preview") for each in heard]


async def test_a_success_closes_the_circuit() -> None:
    """If it is not known to be well; else nothing is told."""
    log = await begun()
    await told(log, CircuitClosed(engine="paid", failures=2, counted=7))
    await performed(log, creates)
    found = await circuit(log)
    assert (0, 7) == (found.failures, found.counted)
    well = await begun()
    await performed(well, creates)
    assert CircuitState() == await circuit(well)


async def test_one_attempt_probes_a_half_open_circuit() -> None:
    """It says so first; whoever comes next finds the engine being probed."""
    log = await begun()
    await told(log, opened(NOW_S - 1))
    probing: list[CircuitState] = []

    async def looks(ledger: Ledger) -> None:
        probing.append(await circuit(log))
        with pytest.raises(GiveBack, match="probed"):
            await performed(log, creates, probe=True, work=other)
        await creates(ledger)

    other = await work_on(log, now_s=NOW_S)
    await performed(log, looks, probe=True)
    assert probing[0].probing
    assert probing[0].holds(NOW_S)
    assert not (await circuit(log)).broken
