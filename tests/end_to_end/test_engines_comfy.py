"""Whole films before a ComfyUI server that behaves as the captured one did, faults included.

Each way in which it fails ends in the event that says so, and each film is there in the end: by
the server where another try may do, else composed, with the downgrade told.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.loader import SHIPPED
from events.types import (
    GenerationSubmitted,
    Reason,
    RenderCancelled,
    RenderCompleted,
    SegmentFailed,
    SegmentRendered,
)
from tests.comfy.faults import Rule, garbage, trouble, truncate
from tests.comfy.films import Ordered
from tests.comfy.item import Item
from tests.comfy.server import ComfyServer, Misdeed
from tests.comfy.wire import Response
from tests.end_to_end.engines import Works, works
from tests.logged import logged

PRODUCT = SHIPPED / "demo" / "product.png"
SMALLER = "generated_smaller"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Deed = Callable[[ComfyServer], Awaitable[None] | None]


@dataclass(frozen=True)
class Case:
    """What goes wrong, which failures that is told as, and who made the film's segment.

    ``interrupted``: whether the server was asked to stop; ``warned``: whether the clip is smaller.
    """

    name: str
    deed: Deed
    reasons: tuple[Reason, ...] = ()
    engine: str = "comfy"
    warned: bool = False
    interrupted: bool = False


_DEATHS: set[asyncio.Task[None]] = set()


def runs(*deeds: str | Misdeed) -> Deed:
    """What becomes of the next runs."""

    def deed(server: ComfyServer) -> None:
        server.runs = list(deeds)

    return deed


def ruled(*rules: Rule) -> Deed:
    """Answers that go wrong."""

    def deed(server: ComfyServer) -> None:
        server.rules = [replace(rule) for rule in rules]

    return deed


def lacking(server: ComfyServer) -> None:
    """A model that the graph needs is not there."""
    server.models["vae"] = []


def half_wrong(response: Response) -> Response:
    """A 200 that names a node which was dropped."""
    body = json.loads(response.body)
    errors = [{"type": "required_input_missing", "message": "Required input is missing"}]
    body["node_errors"] = {"6": {"errors": errors, "class_type": "SaveVideo"}}
    return replace(response, body=json.dumps(body).encode())


def partly(server: ComfyServer) -> None:
    """What is left of the graph runs, for nothing."""
    server.step_s = 0.1
    server.rules = [Rule("POST", "/prompt", half_wrong)]


async def restarted(server: ComfyServer) -> None:
    """It dies in the midst of a run, and comes back without its memory."""
    server.step_s = 0.2

    async def die() -> None:
        while server.running is None:  # noqa: ASYNC110 - the server says so to nobody
            await asyncio.sleep(0.02)
        await server.kill()
        await asyncio.sleep(0.3)
        server.step_s = 0.01
        await server.restart()

    death = asyncio.create_task(die())
    _DEATHS.add(death)
    death.add_done_callback(_DEATHS.discard)


def saving_long(server: ComfyServer) -> None:
    """It stands still while it saves: the cancel that follows comes too late."""
    server.save_s = 1.4


def mute(server: ComfyServer) -> None:
    """Its socket is open and says nothing."""
    server.mute = True


def old_file(server: ComfyServer, item: Item, film: Ordered) -> Ordered:
    """What a cache names: another file than the one that was asked for."""
    entry = {"filename": "0-a9_00001_.mp4", "subfolder": "pytoon/older", "type": "output"}
    item.made = {film.output: {"images": [entry], "animated": [True]}}
    return film


CASES = (
    Case("success", runs("")),
    Case("validation failure", lacking, (Reason.INVALID_REQUEST,), "compositor"),
    Case("partial node_errors", partly,
         (Reason.INVALID_REQUEST,), "compositor", interrupted=True),
    Case("out of memory, then success", runs("oom", ""), warned=True),
    Case("out of memory twice", runs("oom", "oom"), (Reason.OUT_OF_MEMORY,), "compositor"),
    Case("crash and restart in mid-run", restarted),
    Case("zombie", runs("zombie"), (Reason.TIMEOUT, *[Reason.UNAVAILABLE] * 2), "compositor",
         interrupted=True),
    Case("cancel that comes too late", saving_long, interrupted=True),
    Case("stale cache", runs(old_file), (Reason.CORRUPT_OUTPUT,)),
    Case("wrong size", runs(lambda _s, _i, film: replace(film, width=96)),
         (Reason.CORRUPT_OUTPUT,)),
    Case("hung socket", mute),
    Case("500s while it is looked at", ruled(Rule("GET", "/api/jobs", trouble, 3, instead=True))),
    Case("500 to the post", ruled(Rule("POST", "/prompt", trouble, instead=True))),
    Case("slow answers", ruled(Rule("GET", "/api/jobs", times=2, delay_s=0.5))),
    Case("truncated download", ruled(Rule("GET", "/view", truncate))),
    Case("garbage bytes", ruled(Rule("GET", "/view", garbage)), (Reason.CORRUPT_OUTPUT,)),
)  # fmt: skip


@asynccontextmanager
async def before(server: ComfyServer, folder: Path, **more: Any) -> AsyncIterator[Works]:
    """Services whose engine is the server; nobody waits long for it."""
    options = {
        "servers": [server.url],
        "poll_s": 0.1,
        "request_s": 2.0,
        "gone_s": 2.0,
        "no_progress_s": 1.0,
        "cancel_s": 1.0,
        "queue_s": 5.0,
    }
    engine = {"name": "comfy", "kind": "comfyui", "options": options | more}
    limits = {"backoff_base_s": 0.1, "retries_max": 2}
    async with works(folder, [engine], limits=limits, circuits={"failures": 1000}) as made:
        yield made


def asked(number: int, **changes: Any) -> dict[str, Any]:
    """A draft of one segment, unlike any other."""
    return {
        "preset_id": "overlay_classic",
        "pictures": [PRODUCT],
        "draft": True,
        "target_duration_seconds": 2,
        "prompt": f"Good morning {number}",
        "seed": number,
    } | changes


async def told(made: Works, server: ComfyServer, number: int, case: Case) -> Case:
    """What became of a film, as a case."""
    if (deed := case.deed(server)) is not None:
        await deed
    job, path = await made.film(f"film-{number}", **asked(number))
    assert isinstance(job.end, RenderCompleted)
    assert path.stat().st_size > 0
    events = [recorded.event for recorded in await made.history(job.job_id)]
    (rendered,) = (event for event in events if isinstance(event, SegmentRendered))
    assert (rendered.raw is not None) == (rendered.rung.engine == "comfy")
    assert [down.reason for down in job.end.downgrades] == (
        [] if rendered.rung.engine == "comfy" else [_last(events)]
    )
    return replace(
        case,
        reasons=tuple(event.reason for event in events if isinstance(event, SegmentFailed)),
        engine=rendered.rung.engine,
        warned=SMALLER in [warning.code for warning in job.warnings],
        interrupted=any(line.startswith("interrupt ") for line in server.log),
    )


def _last(events: Sequence[object]) -> Reason:
    return [event.reason for event in events if isinstance(event, SegmentFailed)][-1]


async def well_again(server: ComfyServer) -> None:
    """As new: a zombie needs it, and the others forget what they were told."""
    await server.kill()
    fresh = ComfyServer(server.folder)
    server.models, server.rules, server.runs, server.log = fresh.models, [], [], []
    server.step_s, server.save_s, server.mute = fresh.step_s, 0.0, False
    await server.restart()


async def test_each_fault_ends_in_its_event_and_the_job_in_a_film(tmp_path: Path) -> None:
    """Sixteen films (25 s)."""
    server = await ComfyServer(tmp_path / "comfy").start()
    found = []
    try:
        async with before(server, tmp_path) as made:
            for number, case in enumerate(CASES):
                found.append(await told(made, server, number, case))
                await well_again(server)
    finally:
        await server.kill()
    assert list(CASES) == found


async def test_a_film_that_is_cancelled_while_its_clip_is_saved(tmp_path: Path) -> None:
    """The server completes what nobody waits for; the job ends as it was asked (5 s)."""
    server = await ComfyServer(tmp_path / "comfy").start()
    server.save_s = 1.0
    try:
        async with before(server, tmp_path) as made:
            await made.ask("film", **asked(1))
            async for recorded in made.log.follow("film"):
                if isinstance(recorded.event, GenerationSubmitted):
                    break
            await asyncio.sleep(0.4)
            await made.log.publish_ask("film", "render_cancel_requested", msgspec.json.encode({}))
            job = await made.ended("film")
            (item,) = server.items.values()
            async with asyncio.timeout(10):
                while item.status != "completed":  # noqa: ASYNC110 - the server says so to nobody
                    await asyncio.sleep(0.05)
    finally:
        await server.kill()
    assert isinstance(job.end, RenderCancelled)
    assert len(server.posted) == 1


async def test_a_password_in_an_address_is_nowhere_to_be_found(tmp_path: Path) -> None:
    """A proxy wants it, and shows it in its refusals; at every level of the log (8 s)."""
    server = await ComfyServer(tmp_path / "comfy").start()
    word = "word-that-nobody-may-see"
    encoded = base64.b64encode(f"name:{word}".encode()).decode()
    server.login = f"Basic {encoded}"
    address = server.url.replace("//", f"//name:{word}@")
    texts = []
    with logged(tmp_path / "service.log"):
        try:
            async with before(server, tmp_path, servers=[address]) as made:
                job, _ = await made.film("well", **asked(1))
                assert ["comfy"] == [rung.engine for rung in job.rungs]
                server.login = "Basic another"
                job, _ = await made.film("refused", **asked(2))
                assert ["compositor"] == [rung.engine for rung in job.rungs]
                assert (await made.workshop.engines["comfy"].health()).ok is False
                for each in ("well", "refused"):
                    events = [recorded.event for recorded in await made.history(each)]
                    texts.append(str(events).encode())
        finally:
            await server.kill()
    paths = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    texts += [path.read_bytes() for path in (*paths, tmp_path / "service.log")]
    assert any(b"comfy" in text for text in texts)
    assert [] == [text for text in texts if word.encode() in text or encoded.encode() in text]


async def test_a_server_that_hangs_leaves_time_to_compose(tmp_path: Path) -> None:
    """Its own bounds are minutes, the film's deadline is not: it is composed in time (25 s)."""
    server = await ComfyServer(tmp_path / "comfy").start()
    server.runs = ["hang"] * 20
    patient = {"no_progress_s": 600.0, "queue_s": 900.0}
    try:
        async with before(server, tmp_path, **patient) as made:
            ask = asked(1, target_duration_seconds=15, deadline_seconds=40)
            job, _ = await made.film("film", **ask)
    finally:
        await server.kill()
    assert job.ended_s - job.requested_s < 40
    assert {"compositor"} == {rung.engine for rung in job.rungs}
    assert {Reason.TIMEOUT} == {down.reason for down in job.downgrades}
    assert {0, 1, 2, 3, 4} == {down.segment for down in job.downgrades}
    # What was begun was cancelled there.
    assert {"interrupt"} == {line.split()[0] for line in server.log}
    assert [] == server.pending
