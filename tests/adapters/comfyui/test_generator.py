"""A clip from end to end, against a server that answers as the real one does."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from pathlib import Path

from adapters import tracing
from adapters.base import EngineFailure, Preview, Showing
from adapters.comfyui.attempts import made_try
from events.job import Generation
from events.trace import of_job
from events.types import Reason
from tests.adapters.comfyui.bench import (
    ASK,
    HASTY,
    Bench,
    asked,
    facts_of,
    of_somebody_else,
    still,
    texts,
    told_of,
    until,
)
from tests.adapters.ledgers import MemoryLedger
from tests.comfy.faults import Rule, drop
from tests.comfy.server import ComfyServer
from tests.recorder import MemoryRecorder


async def test_a_clip_from_words(bench: Bench) -> None:
    """Snapped up to the model's grid, long enough, and with nothing in it about how."""
    clip = await bench.clip()
    # 0.4 s at 24 fps are 10 frames; 4 n + 1 makes 13; 108 × 192 is 128 × 192 in steps of 32.
    assert (128, 192, 13, 24.0) == facts_of(clip.path)
    assert (0.0, ()) == (clip.cost, clip.warnings)
    files = "wan2.2_ti2v_5B_fp16.safetensors, umt5_xxl_fp8_e4m3fn_scaled.safetensors"
    made_by = f"wan2.2-ti2v-5b (ComfyUI 0.33.0, {files}, wan2.2_vae.safetensors)"
    assert made_by == clip.model
    content = clip.path.read_bytes()
    assert b"lighthouse" not in content
    assert b"class_type" not in content
    (posted,) = bench.server.posted
    assert "a lighthouse at night" in texts(posted["prompt"], "CLIPTextEncode", "text")
    assert [7] == texts(posted["prompt"], "KSampler", "seed")
    assert ["pytoon/job-1/0-a1"] == texts(posted["prompt"], "SaveVideo", "filename_prefix")


async def test_what_is_done_is_told_in_spans(bench: Bench, recorder: MemoryRecorder) -> None:
    """Create, poll and download of each try, within the attempt; no prompt is told."""
    bench.server.runs = ["oom"]
    job, _ = of_job("job-1", "")
    with tracing.within(job):
        await bench.clip()
    tries = ["create", "poll", "create", "poll", "download"]
    assert tries == [span.name for span in recorder.spans]
    assert {job} == {span.begun.parent for span in recorder.spans}
    failed = [span.facts.get("error.type") for span in recorder.spans if span.failed]
    assert [Reason.OUT_OF_MEMORY.value] == failed
    asked = {"pytoon.engine": "local_comfyui", "server.address": "127.0.0.1"}
    assert all(asked.items() <= span.facts.items() for span in recorder.spans)
    assert ASK.prompt not in str(recorder.spans)


async def test_the_id_is_in_the_log_before_it_is_posted(bench: Bench) -> None:
    """Whoever comes after a crash knows it, and where it went."""
    known_when_posted: list[object] = []

    def look(response: object) -> object:
        known_when_posted.append(list(bench.ledger.intents))
        return response

    bench.server.rules.append(Rule("POST", "/prompt", look))  # type: ignore[arg-type]
    await bench.clip()
    key = made_try("job-1", 0, 1, 1, small=False).key
    assert [[(key, 0.0)]] == known_when_posted
    assert key == bench.server.posted[0]["prompt_id"]
    (handle,) = bench.ledger.handles
    told = json.loads(handle)
    assert (bench.server.url, key) == (told["server"], told["prompt_id"])


async def test_a_clip_that_begins_with_a_picture(bench: Bench) -> None:
    """The picture is uploaded under a name of its own, and the node loads what was answered."""
    ask = asked(still=still(bench.folder))
    clip = await bench.clip(ask)
    assert (128, 192, 13, 24.0) == facts_of(clip.path)
    graph = bench.server.posted[0]["prompt"]
    assert ["pytoon/job-1/0-a1.png"] == texts(graph, "LoadImage", "image")


async def test_a_server_with_a_catalogue(bench: Bench) -> None:
    """It tells more with uploads and files; the clip is the same."""
    bench.server.assets = True
    clip = await bench.clip(asked(still=still(bench.folder)))
    assert (128, 192, 13, 24.0) == facts_of(clip.path)


async def test_work_of_others_is_no_progress_of_ours(bench: Bench) -> None:
    """Progress of a prompt without a client id comes to every socket."""
    bench.server.steps, bench.server.step_s = 10, 0.05
    theirs = bench.server.enqueue(of_somebody_else())
    theirs.extra["client_id"] = None
    work = asyncio.create_task(bench.clip())
    await until(lambda: theirs.status == "completed")
    assert [] == [frames for frames, _ in bench.told if frames]
    await work
    assert (12, 12) == bench.told[-1]


async def test_the_name_that_the_server_chose_is_used(bench: Bench) -> None:
    """Somebody else's picture of that name stays what it is."""
    taken = bench.server.folder / "input/pytoon/job-1/0-a1.png"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"another picture")
    await bench.clip(asked(still=still(bench.folder)))
    graph = bench.server.posted[0]["prompt"]
    assert ["pytoon/job-1/0-a1 (1).png"] == texts(graph, "LoadImage", "image")
    assert b"another picture" == taken.read_bytes()


async def test_progress_is_told_in_frames_of_the_film(bench: Bench) -> None:
    """It never goes back, and ends at the last frame."""
    bench.server.steps = 12
    await bench.clip()
    done = [frames for frames, _ in bench.told]
    assert sorted(done) == done
    assert (12, 12) == bench.told[-1]
    assert len(done) > 2


async def test_previews_are_shown(bench: Bench) -> None:
    """What the server sends of a clip in the making, to who can show it, between two looks."""
    bench.server.steps, bench.server.step_s = 6, 0.1
    bench.server.previews = [_preview(b"one"), _preview(b"two")]
    shown: list[Preview] = []
    told: list[int] = []
    folder = bench.folder / "shown"
    folder.mkdir()
    progress = Showing(lambda done, _: told.append(done), shown.append)
    await bench.generator.generate(ASK, folder, bench.ledger, progress, bench.cancel)
    assert [b"\xff\xd8\xffone", b"\xff\xd8\xfftwo"] == [each.content for each in shown]
    assert {"image/jpeg"} == {each.media_type for each in shown}
    assert 12 == told[-1]


def _preview(content: bytes) -> bytes:
    return struct.pack(">II", 1, 1) + b"\xff\xd8\xff" + content


async def test_nothing_is_posted_that_the_log_refuses(bench: Bench) -> None:
    """A cap on money, or a film that nobody waits for, ends it before it begins."""
    refusal = EngineFailure(Reason.BUDGET, "spent", retryable=False, cost=0.0)
    failure = await bench.failure(ledger=MemoryLedger(refusal=refusal))
    assert refusal is failure
    assert [] == bench.server.posted


async def test_cancelled_in_mid_run(bench: Bench) -> None:
    """The server stops that prompt, and only that one."""
    bench.server.step_s = 0.2
    bench.server.steps = 100
    work = asyncio.create_task(bench.failure())
    await until(lambda: bench.server.running)
    other = bench.server.enqueue(of_somebody_else())
    started_s = time.monotonic()
    bench.cancel.set()
    failure = await work
    assert (Reason.CANCELLED, False) == told_of(failure)
    assert time.monotonic() - started_s < 10.0
    key = made_try("job-1", 0, 1, 1, small=False).key
    assert [f"interrupt {key}"] == bench.server.log
    assert "cancelled" == bench.server.items[key].status
    await until(lambda: other is bench.server.running)
    assert not other.interrupted


async def test_cancelled_while_it_waits(bench: Bench) -> None:
    """It leaves the queue without a trace; what runs there runs on."""
    bench.server.runs = ["hang"]
    hasty = bench.another(**HASTY)
    waits = bench.failure(asked(segment=1), ledger=MemoryLedger(), generator=hasty)
    first = asyncio.create_task(waits)
    await until(lambda: bench.server.running)
    second = asyncio.create_task(bench.failure())
    await until(lambda: bench.server.pending)
    bench.cancel.set()
    assert (Reason.CANCELLED, False) == told_of(await second)
    assert [] == bench.server.pending
    await first


async def test_a_cancel_that_comes_too_late(bench: Bench) -> None:
    """While it saves nothing looks for an interrupt: it ends well there, and here nobody waits."""
    bench.server.may_save.clear()
    work = asyncio.create_task(bench.failure(generator=bench.another(cancel_s=0.5)))
    await until(lambda: bench.told and bench.told[-1][0] >= 11)
    bench.cancel.set()
    assert (Reason.CANCELLED, False) == told_of(await work)
    bench.server.may_save.set()
    key = made_try("job-1", 0, 1, 1, small=False).key
    await until(lambda: bench.server.items[key].status == "completed")


async def test_a_service_that_stops_leaves_the_server_at_work(bench: Bench) -> None:
    """The next one goes on with the work: nothing is posted twice, nothing interrupted."""
    bench.server.step_s = 0.1
    bench.server.steps = 6
    work = asyncio.create_task(bench.clip())
    await until(lambda: bench.ledger.handles)
    work.cancel()
    await asyncio.wait({work})
    clip = await bench.clip(generator=bench.another())
    assert (128, 192, 13, 24.0) == facts_of(clip.path)
    assert 1 == len(bench.server.posted)
    assert [] == bench.server.log
    assert 1 == len(bench.ledger.handles)


async def test_a_crash_between_the_post_and_its_answer(bench: Bench) -> None:
    """Without a handle the work is found by its id, wherever it is."""
    await bench.clip()
    ((key, _),) = bench.ledger.intents
    ledger = MemoryLedger(Generation(attempt=1, engine="local_comfyui", key=key))
    clip = await bench.clip(ledger=ledger, generator=bench.another())
    assert (128, 192, 13, 24.0) == facts_of(clip.path)
    assert 1 == len(bench.server.posted)
    # Whoever waits for an answer to the create learns that there is one.
    assert bench.ledger.handles == ledger.handles


async def test_work_that_was_lost_while_nobody_looked(bench: Bench) -> None:
    """The server answers, and knows of nothing: a new attempt, with another id, is to be made."""
    await bench.clip()
    known = bench.ledger.known
    await bench.server.kill()
    await bench.server.restart()
    failure = await bench.failure(ledger=MemoryLedger(known), generator=bench.another())
    assert (Reason.UNAVAILABLE, True) == told_of(failure)
    assert 1 == len(bench.server.posted)
    await bench.clip(asked(attempt=2), ledger=MemoryLedger(attempt=2))
    first, second = bench.server.posted
    assert first["prompt_id"] != second["prompt_id"]
    assert ["pytoon/job-1/0-a2"] == texts(second["prompt"], "SaveVideo", "filename_prefix")


async def test_a_changed_workflow_does_not_get_old_work(bench: Bench) -> None:
    """What another workflow has begun is not this one's clip."""
    await bench.clip()
    known = bench.ledger.known
    other = bench.another(words="wan21_t2v")
    failure = await bench.failure(ledger=MemoryLedger(known), generator=other)
    assert (Reason.UNAVAILABLE, True) == told_of(failure)
    assert bench.generator.recipe(ASK) != other.recipe(ASK)


async def test_no_workflow_for_it(bench: Bench) -> None:
    """An engine that only animates pictures says so of words alone, at once and for good."""
    generator = bench.another(words=None)
    failure = await bench.failure(generator=generator)
    assert (Reason.UNSUPPORTED, False) == told_of(failure)


async def test_a_clip_longer_than_the_model_can(bench: Bench) -> None:
    """121 frames at 24 fps are 5 seconds."""
    failure = await bench.failure(asked(frames=30 * 6))
    assert (Reason.UNSUPPORTED, False) == told_of(failure)
    assert [] == bench.server.posted


async def test_an_old_server(workers: object, tmp_path: Path) -> None:
    """Without ``/api/jobs``, and with ids of its own choosing."""
    server = await ComfyServer(tmp_path / "old", old=True).start()
    bench = Bench((server,), workers, tmp_path)  # type: ignore[arg-type]
    server.step_s = 0.05
    try:
        clip = await bench.clip()
        assert (128, 192, 13, 24.0) == facts_of(clip.path)
        again = await bench.clip(ledger=MemoryLedger(bench.ledger.known))
        assert (128, 192, 13, 24.0) == facts_of(again.path)
        assert 1 == len(server.posted)
        server.runs = ["error"]
        failure = await bench.failure(asked(segment=1), ledger=MemoryLedger())
        assert (Reason.INTERNAL, True) == told_of(failure)
        assert "shape mismatch" in failure.detail
        server.steps = 100
        work = asyncio.create_task(bench.failure(asked(segment=2), ledger=MemoryLedger()))
        await until(lambda: server.running)
        bench.cancel.set()
        assert (Reason.CANCELLED, False) == told_of(await work)
        await until(lambda: not server.running)
        assert ["cancelled"] == [i.status for i in server.items.values()][-1:]
    finally:
        await bench.close()
        await server.kill()


async def test_health(bench: Bench) -> None:
    """Well while a server answers; else the detail says which one does not."""
    assert (await bench.generator.health()).ok
    await bench.server.kill()
    health = await bench.generator.health()
    assert not health.ok
    assert bench.server.url in health.detail


async def test_a_post_that_was_never_answered_is_not_sent_again(bench: Bench) -> None:
    """The connection broke after the server had taken it: it is looked up, and found."""
    bench.server.rules.append(Rule("POST", "/prompt", drop))
    await bench.clip()
    assert 1 == len(bench.server.posted)
    assert 1 == len(bench.ledger.handles)


async def test_a_post_that_never_arrived_is_made_anew(bench: Bench) -> None:
    """Not found twice while the server answers: another try, with another id and prefix."""
    bench.server.rules.append(Rule("POST", "/prompt", drop, instead=True))
    await bench.clip()
    first, second = bench.server.posted
    assert first["prompt_id"] != second["prompt_id"]
    assert ["pytoon/job-1/0-a1-2"] == texts(second["prompt"], "SaveVideo", "filename_prefix")
