"""What goes wrong at a server, and what becomes of the attempt."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from typing import Any

import httpx

from adapters.base import EngineFailure
from adapters.comfyui.attempts import made_try
from adapters.comfyui.making import SMALLER
from events.types import Reason
from tests.adapters.comfyui.bench import (
    HASTY,
    Bench,
    asked,
    facts_of,
    of_somebody_else,
    texts,
    told_of,
    until,
)
from tests.adapters.ledgers import MemoryLedger
from tests.comfy.faults import Rule, garbage, trouble, truncate
from tests.comfy.films import Ordered
from tests.comfy.item import Item
from tests.comfy.server import ComfyServer
from tests.comfy.wire import Response
from tests.patience import COMES_S, holds_once

WELL = (128, 192, 13, 24.0)
KEY = made_try("job-1", 0, 1, 1, small=False).key


async def test_a_model_that_is_not_there(bench: Bench) -> None:
    """A 400 is for good, and says which node lacks what."""
    bench.server.models["vae"] = []
    failure = await bench.failure()
    assert (Reason.INVALID_REQUEST, False) == told_of(failure)
    assert "wan2.2_vae.safetensors" in failure.detail
    assert "VAELoader" in failure.detail
    assert 1 == len(bench.server.posted)
    assert {} == bench.server.items


async def test_a_success_with_faults_is_none(bench: Bench) -> None:
    """A 200 may name nodes that were dropped: what is left of the graph is not to run."""
    bench.server.step_s = 0.1

    def half(response: Response) -> Response:
        body = json.loads(response.body)
        errors = [{"type": "required_input_missing", "message": "Required input is missing"}]
        body["node_errors"] = {"6": {"errors": errors, "class_type": "SaveVideo"}}
        return replace(response, body=json.dumps(body).encode())

    bench.server.rules.append(Rule("POST", "/prompt", half))
    failure = await bench.failure()
    assert (Reason.INVALID_REQUEST, False) == told_of(failure)
    assert "Required input is missing" in failure.detail
    await until(lambda: bench.server.running is None)
    assert [f"interrupt {KEY}"] == bench.server.log or KEY not in bench.server.items


async def test_out_of_memory_once(bench: Bench) -> None:
    """Memory is given back, and a smaller clip made, which the film tells."""
    bench.server.runs = ["oom"]
    clip = await bench.clip(asked(width=540, height=960))
    # 540 × 960 × 0.7 is 378 × 672, in steps of 32.
    assert (384, 672, 13, 24.0) == facts_of(clip.path)
    assert ["free"] == bench.server.log
    assert [SMALLER] == [warning.code for warning in clip.warnings]
    first, second = bench.server.posted
    assert first["prompt_id"] != second["prompt_id"]
    assert ["pytoon/job-1/0-a1s"] == texts(second["prompt"], "SaveVideo", "filename_prefix")


async def test_out_of_memory_twice(bench: Bench) -> None:
    """There is one smaller try, and no third one."""
    bench.server.runs = ["oom", "oom"]
    failure = await bench.failure()
    assert (Reason.OUT_OF_MEMORY, False) == told_of(failure)
    assert 2 == len(bench.server.posted)


async def test_a_smaller_clip_is_found_again(bench: Bench) -> None:
    """Whoever comes after a crash in the smaller try goes on with that one."""
    bench.server.runs = ["oom"]
    clip = await bench.clip(asked(width=540, height=960))
    again = await bench.clip(
        asked(width=540, height=960),
        ledger=MemoryLedger(bench.ledger.known),
        generator=bench.another(),
    )
    assert facts_of(clip.path) == facts_of(again.path)
    assert [SMALLER] == [warning.code for warning in again.warnings]
    assert 2 == len(bench.server.posted)


async def test_a_node_that_fails(bench: Bench) -> None:
    """Its words are told; another attempt may do better."""
    bench.server.runs = ["error"]
    failure = await bench.failure()
    assert (Reason.INTERNAL, True) == told_of(failure)
    assert "shape mismatch" in failure.detail
    assert 1 == len(bench.server.posted)


async def test_a_restart_in_mid_run(bench: Bench) -> None:
    """Queue and history are gone: it is seen, and made anew under another id and prefix."""
    bench.server.step_s = 0.1
    work = asyncio.create_task(bench.clip(generator=bench.another(gone_s=8.0)))
    await until(lambda: bench.server.running)
    await bench.server.kill()
    await asyncio.sleep(0.2)
    await bench.server.restart()
    clip = await work
    assert WELL == facts_of(clip.path)
    first, second = bench.server.posted
    assert first["prompt_id"] != second["prompt_id"]
    assert texts(first["prompt"], "SaveVideo", "filename_prefix") != texts(
        second["prompt"], "SaveVideo", "filename_prefix"
    )


async def test_a_server_that_stays_dead(bench: Bench) -> None:
    """After ``gone_s`` the attempt ends; another one may be made."""
    bench.server.steps = 100
    work = asyncio.create_task(bench.failure())
    await until(lambda: bench.server.running)
    await bench.server.kill()
    assert (Reason.UNAVAILABLE, True) == told_of(await work)


async def test_no_server_at_all(bench: Bench) -> None:
    """It says which server does not answer."""
    await bench.server.kill()
    failure = await bench.failure()
    assert (Reason.UNAVAILABLE, True) == told_of(failure)
    assert bench.server.url in failure.detail


async def test_a_zombie(bench: Bench) -> None:
    """In progress, silent, others waiting, HTTP healthy: it is a time-out, and the server rests
    until that prompt is gone, which only a restart brings about.
    """
    bench.server.runs = ["zombie"]
    hasty = bench.another(**HASTY)
    work = asyncio.create_task(bench.failure(generator=hasty))
    await until(lambda: bench.server.running)
    bench.server.enqueue(of_somebody_else())
    failure = await work
    assert (Reason.TIMEOUT, True) == told_of(failure)
    assert "restart that server" in failure.detail
    health = await hasty.health()
    assert not health.ok
    assert KEY in health.detail
    told = await bench.failure(asked(segment=1), ledger=MemoryLedger(), generator=hasty)
    assert (Reason.UNAVAILABLE, True) == told_of(told)
    assert 1 == len(bench.server.posted)
    await bench.server.kill()
    await bench.server.restart()
    assert (await hasty.health()).ok

    async def is_well(number: int) -> bool:
        again = asked(segment=1 + number)
        with contextlib.suppress(EngineFailure):
            clip = await bench.clip(again, ledger=MemoryLedger(), generator=hasty)
            return WELL == facts_of(clip.path)
        return False

    assert await holds_once(is_well)


async def test_no_progress(bench: Bench) -> None:
    """A run that stands still is cancelled there, and the server is asked again soon."""
    bench.server.runs = ["hang"]
    failure = await bench.failure(generator=bench.another(**HASTY))
    assert Reason.TIMEOUT is failure.reason
    assert failure.retryable
    assert [f"interrupt {KEY}"] == bench.server.log


async def test_a_deadline_that_passes_while_it_is_saved(bench: Bench) -> None:
    """The cancel came too late, and so the clip is there: it is taken."""

    async def is_taken(number: int) -> bool:
        hasty = bench.another(no_progress_s=0.3)
        bench.server.log.clear()
        bench.server.may_save.clear()
        late = bench.clip(asked(segment=number), ledger=MemoryLedger(), generator=hasty)
        work = asyncio.create_task(late)
        await until(lambda: bench.server.log)
        bench.server.may_save.set()
        with contextlib.suppress(EngineFailure):
            clip = await work
            key = made_try("job-1", number, 1, 1, small=False).key
            return WELL == facts_of(clip.path) and [f"interrupt {key}"] == bench.server.log
        return False

    assert await holds_once(is_taken)


async def test_too_long(bench: Bench) -> None:
    """The hard deadline holds however well it goes on."""
    bench.server.steps = 10_000
    generator = bench.another(too_long_s=0.6, queue_s=0.6, no_progress_s=0.6, gone_s=0.6)
    started_s = time.monotonic()
    failure = await bench.failure(generator=generator)
    assert (Reason.TIMEOUT, True) == told_of(failure)
    assert "not done within 0.6 s" in failure.detail
    assert time.monotonic() - started_s < COMES_S
    await until(lambda: bench.server.items[KEY].status == "cancelled")


async def test_a_queue_that_does_not_move(bench: Bench) -> None:
    """Work behind somebody's endless work is taken back."""
    bench.server.runs = ["hang"]
    theirs = bench.server.enqueue(of_somebody_else())
    failure = await bench.failure(generator=bench.another(queue_s=0.4))
    assert (Reason.TIMEOUT, True) == told_of(failure)
    assert "waited 0.4 s" in failure.detail
    assert [] == bench.server.pending
    assert theirs is bench.server.running
    assert not theirs.interrupted


async def test_somebody_interrupts_it(bench: Bench) -> None:
    """To the job it is a server that cannot be counted on; it is not a film that was cancelled."""
    bench.server.steps = 100
    work = asyncio.create_task(bench.failure())
    await until(lambda: bench.server.running)
    async with httpx.AsyncClient() as client:
        await client.post(f"{bench.server.url}/interrupt")
    failure = await work
    assert (Reason.UNAVAILABLE, True) == told_of(failure)
    assert 1 == len(bench.server.posted)


def named(name: str) -> Any:
    """A run that names another file than the one it was asked for."""

    def deed(server: ComfyServer, item: Item, film: Ordered) -> Ordered:
        entry = {"filename": name, "subfolder": "pytoon/job-1", "type": "output"}
        item.made = {film.output: {"images": [entry], "animated": [True]}}
        return film

    return deed


async def test_an_old_file_from_a_cache(bench: Bench) -> None:
    """A success that names what other work has saved is none."""
    await bench.clip(asked(segment=3), ledger=MemoryLedger())
    bench.server.runs = [named("3-a1_00001_.mp4")]
    failure = await bench.failure()
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(failure)
    assert "3-a1_00001_.mp4" in failure.detail


async def test_a_file_that_is_gone(bench: Bench) -> None:
    """A success that names our file, and no file there."""
    bench.server.runs = [lambda _server, _item, _film: None]
    failure = await bench.failure()
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(failure)


async def test_another_jobs_bytes_under_our_name(bench: Bench) -> None:
    """Same size, same length, right name: only the prompt inside tells."""
    await bench.clip(asked(segment=3), ledger=MemoryLedger())
    theirs = bench.server.folder / "output/pytoon/job-1/3-a1_00001_.mp4"

    def swapped(server: ComfyServer, item: Item, film: Ordered) -> None:
        ours = theirs.with_name("0-a1_00001_.mp4")
        ours.write_bytes(theirs.read_bytes())

    bench.server.runs = [swapped]
    failure = await bench.failure()
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(failure)
    assert "other work" in failure.detail


async def test_a_clip_of_another_size(bench: Bench) -> None:
    """What was asked for and what came are told."""
    bench.server.runs = [lambda _server, _item, film: replace(film, width=96)]
    failure = await bench.failure()
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(failure)
    assert "96×192" in failure.detail
    assert "128×192" in failure.detail


async def test_a_clip_that_is_too_short(bench: Bench) -> None:
    """A frame less is another clip."""
    bench.server.runs = [lambda _server, _item, film: replace(film, frames=12)]
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(await bench.failure())


async def test_a_clip_of_another_rate(bench: Bench) -> None:
    """At another rate it has another length."""
    bench.server.runs = [lambda _server, _item, film: replace(film, fps=25.0)]
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(await bench.failure())


async def test_two_files(bench: Bench) -> None:
    """Which of the two is the clip, nobody knows."""

    def two(server: ComfyServer, item: Item, film: Ordered) -> Ordered:
        entry = {"filename": "0-a1_00001_.mp4", "subfolder": "pytoon/job-1", "type": "output"}
        item.made = {film.output: {"images": [entry, entry], "animated": [True]}}
        return film

    bench.server.runs = [two]
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(await bench.failure())


async def test_an_output_that_tells_more(bench: Bench) -> None:
    """Later servers add keys; it is the shape that counts."""

    def more(server: ComfyServer, item: Item, film: Ordered) -> Ordered:
        entry = {"filename": "0-a1_00001_.mp4", "subfolder": "pytoon/job-1", "type": "output"}
        item.made = {film.output: {"clips": [{**entry, "id": "82b9e92f"}], "text": ["well"]}}
        return film

    bench.server.runs = [more]
    assert WELL == facts_of((await bench.clip()).path)


async def test_bytes_that_are_no_clip(bench: Bench) -> None:
    """As many bytes as were promised, and garbage."""
    bench.server.rules.append(Rule("GET", "/view", garbage))
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(await bench.failure())


async def test_a_download_that_breaks_off(bench: Bench) -> None:
    """It is made again; what came of it is not taken for the clip."""
    bench.server.rules.append(Rule("GET", "/view", truncate))
    assert WELL == facts_of((await bench.clip()).path)


async def test_a_download_that_never_comes_whole(bench: Bench) -> None:
    """After a few times it is given up."""
    bench.server.rules.append(Rule("GET", "/view", truncate, times=99))
    failure = await bench.failure()
    assert (Reason.CORRUPT_OUTPUT, True) == told_of(failure)
    assert 3 == len([r for r in bench.server.requests if r.path == "/view"])


async def test_a_socket_that_says_nothing(bench: Bench) -> None:
    """The poll alone is enough, and nobody waits for the socket once it has won."""
    bench.server.mute = True
    started_s = time.monotonic()
    assert WELL == facts_of((await bench.clip()).path)
    assert time.monotonic() - started_s < COMES_S


async def test_no_socket_at_all(bench: Bench) -> None:
    """A proxy lets none through: long work is not taken for dead."""
    bench.server.no_sockets = True
    bench.server.step_s = 0.3
    bench.server.steps = 4
    assert WELL == facts_of((await bench.clip()).path)


async def test_a_server_in_trouble_for_a_while(bench: Bench) -> None:
    """Answers of 500 to a look are no end of the work."""
    bench.server.step_s = 0.1
    bench.server.rules.append(Rule("GET", "/api/jobs", trouble, times=3, instead=True))
    assert WELL == facts_of((await bench.clip()).path)
    assert 1 == len(bench.server.posted)


async def test_a_server_in_trouble_when_it_is_asked(bench: Bench) -> None:
    """A 500 to a post: it is looked for, not found, and asked anew."""
    bench.server.rules.append(Rule("POST", "/prompt", trouble, instead=True))
    assert WELL == facts_of((await bench.clip()).path)
    first, second = bench.server.posted
    assert first["prompt_id"] != second["prompt_id"]


async def test_slow_answers(bench: Bench) -> None:
    """A server that takes its time is waited for, up to ``request_s``."""
    bench.server.rules.append(Rule("GET", "/api/jobs", times=2, delay_s=0.5))
    assert WELL == facts_of((await bench.clip()).path)


async def test_an_answer_that_does_not_come(bench: Bench) -> None:
    """One that hangs is given up after ``request_s``, and the server asked again."""
    bench.server.rules.append(Rule("GET", "/api/jobs", delay_s=30.0))
    generator = bench.another(request_s=0.3)
    assert WELL == facts_of((await bench.clip(generator=generator)).path)
