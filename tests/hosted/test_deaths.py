"""Kill -9 of a renderer at each step of a hosted render: one bill, or a doubt that is told.

What is killed is the process that a user runs, ``pytoon serve segment-renderer``, with an engine
that a YAML file declares, before a service that counts what it bills.  Where it dies is decided
from outside: by the service as a request comes in, or by a gate before the NATS server.  The
other three actors live on, and another renderer takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config import load
from events.jetstream import JetStreamLog
from events.job import Job
from events.link import flaws
from events.notices import account_state, budget_topic
from events.types import (
    Event,
    GenerationIntended,
    GenerationSubmitted,
    Reason,
    RenderCompleted,
    SegmentRendered,
    type_name,
)
from services.composition import SERVICES, Workshop, durables, run_services
from services.home import Home
from services.segment_renderer.shell import NAME
from tests.broker import NatsServer
from tests.comfy.wire import Request, Response
from tests.end_to_end.engines import configured
from tests.end_to_end.world import QUICK, ended
from tests.hosted.bench import make_clip
from tests.hosted.gate import Gate
from tests.hosted.provider import KEY, PRICE, Provider
from tests.hosted.quick import engine
from tests.hosted.transport import Listening, listening

ROOT = Path(__file__).parents[2]
JOB = "film"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Step:
    """Where a renderer dies.

    ``before`` or ``after`` an event of its is stored, or ``at`` the ``nth`` request of a kind that
    reaches the service.  ``bills`` is what the service has billed at the end; ``doubt``: whether
    nobody can know that.
    """

    name: str
    before: type[Event] | None = None
    after: type[Event] | None = None
    at: str = ""
    nth: int = 1
    bills: int = 1
    doubt: bool = False


STEPS = (
    Step("before the intent is stored", before=GenerationIntended),
    Step("after the intent, before the create", after=GenerationIntended, bills=0, doubt=True),
    Step("with the create at the service, unanswered", at="create", doubt=True),
    Step("after the create, before its handle is stored", before=GenerationSubmitted, doubt=True),
    Step("after the handle is stored, before it is used", after=GenerationSubmitted),
    Step("at the first look", at="poll"),
    Step("while polling", at="poll", nth=2),
    Step("while asking for the result", at="result"),
    Step("while downloading, half of it there", at="file"),
    Step("with the body made, before its event", before=SegmentRendered),
    Step("after its event, before it knows", after=SegmentRendered),
)


@dataclass
class Scene:
    """A service, a gate, the log, and renderers that come and die."""

    provider: Provider
    place: Listening
    gate: Gate
    log: JetStreamLog
    environ: dict[str, str]
    told: Path
    renderer: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start a renderer as a user does."""
        with self.told.open("ab") as told:
            self.renderer = subprocess.Popen(
                [sys.executable, "-P", "-m", "services.cli", "serve", NAME],
                env=self.environ,
                stdout=told,
                stderr=told,
            )

    async def kill(self) -> None:
        """Kill -9 the renderer that runs."""
        assert self.renderer is not None
        os.kill(self.renderer.pid, signal.SIGKILL)
        assert await asyncio.to_thread(self.renderer.wait, 10) == -signal.SIGKILL

    async def ask(self) -> None:
        """Ask for a film of one segment."""
        body: dict[str, Any] = {
            "preset_id": "overlay_classic",
            "target_duration_seconds": 2,
            "draft": True,
            "prompt": "Good morning",
        }
        await self.log.publish_ask(JOB, "render_requested", msgspec.json.encode(body))

    async def stored(self, kind: type[Event]) -> None:
        """Wait until such an event is in the log."""
        async for recorded in self.log.follow(JOB):
            if isinstance(recorded.event, kind):
                return


def fatal(scene: Scene, step: Step) -> asyncio.Event:
    """Have the service kill the renderer at a request; the event is set when it is dead."""
    dead = asyncio.Event()
    answer = scene.place.wire._handle
    count = 0

    async def kill() -> None:
        await scene.kill()
        dead.set()

    async def handle(request: Request) -> Response:
        nonlocal count
        response = await answer(request)
        kind = scene.provider.asked[-1].kind
        count += kind == step.at
        if dead.is_set() or kind != step.at or count != step.nth:
            return response
        if kind == "file":
            # Half of the film is on its way, and the renderer is in the midst of taking it.
            response.cut, response.then = len(response.body) // 2, kill
            return response
        await kill()
        response.drop = True
        return response

    scene.place.wire._handle = handle
    return dead


@asynccontextmanager
async def opened(server: NatsServer, folder: Path, dialect: str) -> AsyncIterator[Scene]:
    """The scene, with the other three actors at work."""
    home = Home(folder / "home")
    home.create()
    provider = Provider(dialect, make_clip(folder / "served.mp4", frames=80, size=(288, 512)))
    async with contextlib.AsyncExitStack() as stack:
        place = await stack.enter_async_context(listening(provider))
        gate = await stack.enter_async_context(Gate(server.port))
        entry = engine("paid", place, folder, dialect)
        environ = {
            **{name: value for name, value in QUICK.items() if "NULL" not in name},
            "PYTOON_CONFIG": str(configured(folder, [entry], settle={"wait_s": 1.0})),
            "PYTOON_LIMITS__WORKERS": "1",
        }
        config = load(environ=environ)
        log = await JetStreamLog.connect(server.url, token=server.token)
        stack.push_async_callback(log.close)
        await log.provision(durables(config))
        others = tuple(name for name in SERVICES if name != NAME)
        workshop = Workshop(others, home, config)
        stack.push_async_callback(workshop.close)
        stop = asyncio.Event()
        services = asyncio.create_task(
            run_services(others, home=home, config=config, log=log, stop=stop, workshop=workshop)
        )
        process = {
            **os.environ,
            **environ,
            "PYTHONPATH": str(ROOT),
            "PYTOON_HOME": str(home.path),
            "NATS_URL": gate.url,
            "NATS_TOKEN": server.token,
        }
        scene = Scene(provider, place, gate, log, process, folder / "renderer.log")
        gate.strike = scene.kill
        try:
            yield scene
        finally:
            if scene.renderer is not None:
                scene.renderer.kill()
                scene.renderer.wait(10)
            stop.set()
            await services


@pytest.fixture
def scene(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AbstractAsyncContextManager[Scene]:
    """fal: of the four it takes the most requests to a clip."""
    monkeypatch.setenv("FAL_KEY", KEY)
    monkeypatch.setenv("PYTOON_CONFIG", str(tmp_path / "config"))
    return opened(nats_server, tmp_path, "fal")


async def killed(scene: Scene, step: Step) -> None:
    """Ask for a film, and have its renderer die at a step."""
    gate = scene.gate
    gate.before = f"pytoon.jobs.{JOB}.{type_name(step.before)}" if step.before else ""
    gate.after = f"pytoon.jobs.{JOB}.{type_name(step.after)}" if step.after else ""
    dead = fatal(scene, step) if step.at else gate.passed
    scene.spawn()
    await scene.ask()
    async with asyncio.timeout(60):
        await dead.wait()
        if step.after is not None:
            await scene.stored(step.after)
            await scene.kill()
    assert scene.renderer is not None
    assert await asyncio.to_thread(scene.renderer.wait, 10) == -signal.SIGKILL
    gate.harmless()


async def accounted(scene: Scene, job: Job) -> tuple[float, float]:
    """What the day's last notice says is spent, and what is still reserved."""
    dates = [
        recorded.event.budget_date
        for recorded in await scene.log.read(job.job_id)
        if isinstance(recorded.event, GenerationIntended)
    ]
    account = account_state(await scene.log.last_notice(budget_topic("eur", dates[0])))
    return account.spent, account.reserved


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name.replace(" ", "-"))
async def test_killed_at_a_step(scene: AbstractAsyncContextManager[Scene], step: Step) -> None:
    """Billed exactly once and shown, or in doubt, composed and told (4 s each)."""
    async with scene as made:
        await killed(made, step)
        billed_at_death = len(made.provider.bills)
        made.spawn()
        job = await ended(made.log, JOB, 90)
        history = await made.log.read(JOB)
        spent = await accounted(made, job)
    end = job.end
    assert isinstance(end, RenderCompleted), end
    assert step.bills == len(made.provider.bills) == made.provider.count("create")
    if step.before is not GenerationIntended:
        assert step.bills == billed_at_death
    assert flaws(history) == ()
    engines = [rung.engine for rung in job.rungs]
    if not step.doubt:
        assert (["paid"], ()) == (engines, end.downgrades)
        assert (PRICE, 0.0) == (end.cost, end.cost_unsettled) == spent
        return
    assert ["compositor"] == engines
    assert [Reason.OUTCOME_UNKNOWN] == [down.reason for down in end.downgrades]
    assert (0.0, PRICE) == (end.cost, end.cost_unsettled) == spent
    assert "unsettled_generation" in [warned.code for warned in end.warnings]
