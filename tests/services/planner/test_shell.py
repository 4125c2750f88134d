"""The planner's performer: what becomes of a request."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.base import EngineFailure
from adapters.files import FileStore
from adapters.null import NullStudio
from adapters.studio import Preparation, Prepared, Unpreparable
from config import load
from events.types import Problem, Reason, RenderPlanned, RenderRejected
from services.actor import Context, GiveBack, Limits
from services.planner.core import PlanRender
from services.planner.shell import Performer
from tests.builders import JOB, requested
from tests.services.works import idle_work

ASK = {"preset_id": "overlay_classic", "target_duration_seconds": 6, "prompt": "Hello"}


class Failing(NullStudio):
    """A studio whose preparation fails as it is told."""

    def __init__(self, store: FileStore, trouble: Exception) -> None:
        super().__init__(store)
        self._trouble = trouble

    async def prepare(self, job_id: str, preparation: Preparation) -> Prepared:
        """Raise the trouble."""
        raise self._trouble


async def performed(
    studio: NullStudio, ask: dict[str, Any], *, free_mb: float = 1e6, deliveries: int = 1
) -> Any:
    """The one event that a request leads to."""
    performer = Performer(studio, load(environ={}), {}, lambda: free_mb)
    context = Context(now_s=0, limits=Limits(), deliveries=deliveries)
    work = idle_work(context, requested())
    (event,) = await performer(PlanRender(job_id=JOB, ask=ask), work)
    return event


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A store of the test's own."""
    return FileStore(tmp_path)


async def test_a_good_request_is_planned(store: FileStore) -> None:
    """The plan has the film's length in frames."""
    event = await performed(NullStudio(store), ASK)
    assert isinstance(event, RenderPlanned)
    assert event.spec.frames == 180


async def test_a_bad_request_is_rejected_with_every_problem(store: FileStore) -> None:
    """Not one after the other."""
    bad = {"preset_id": "nope", "target_duration_seconds": 0, "seeds": 1}
    event = await performed(NullStudio(store), bad)
    assert isinstance(event, RenderRejected)
    fields = {problem.field for problem in event.problems}
    assert fields == {"preset_id", "target_duration_seconds", "seeds"}


async def test_files_that_cannot_be_used_reject_the_request(store: FileStore) -> None:
    """The studio's problems are the request's."""
    problem = Problem(field="image_uris[0]", value="x", limit="a picture", hint="send one")
    event = await performed(Failing(store, Unpreparable((problem,))), ASK)
    assert RenderRejected(job_id=JOB, problems=(problem,)) == event


async def test_a_full_disk_rejects_new_work(store: FileStore) -> None:
    """With the figure and the limit."""
    event = await performed(NullStudio(store), ASK, free_mb=12)
    assert isinstance(event, RenderRejected)
    assert event.problems[0].value == "12 MB free"
    assert "500 MB" in event.problems[0].limit


@pytest.mark.parametrize(
    "crash",
    [
        EngineFailure(Reason.CRASHED, "worker process died", retryable=True),
        ValueError("nobody foresaw this"),
    ],
)
async def test_what_fails_each_time_is_tried_again_then_told(
    store: FileStore, crash: Exception
) -> None:
    """Files that kill or confuse their reader each time are the request's fault in the end."""
    with pytest.raises(GiveBack):
        await performed(Failing(store, crash), ASK)
    event = await performed(Failing(store, crash), ASK, deliveries=3)
    assert isinstance(event, RenderRejected)
    assert event.problems[0].hint


async def test_a_machine_that_cannot_draw_says_so_at_once(store: FileStore) -> None:
    """Another try would find the same library missing."""
    missing = EngineFailure(Reason.UNAVAILABLE, "run `pytoon doctor`", retryable=False)
    event = await performed(Failing(store, missing), ASK)
    assert isinstance(event, RenderRejected)
    assert "doctor" in event.problems[0].hint


async def test_a_store_that_fails_gives_the_message_back(store: FileStore) -> None:
    """The disk may be back in a moment; the request is not to blame."""
    with pytest.raises(GiveBack):
        await asyncio.wait_for(performed(Failing(store, OSError("disk")), ASK), 20)
