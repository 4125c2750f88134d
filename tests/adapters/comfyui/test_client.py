"""What a server is asked, and what its answers mean."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.comfyui.client import Client, Refused, ServerFault, ServerSilent, Status, told
from tests.adapters.comfyui.bench import of_somebody_else, until
from tests.comfy.faults import Rule, trouble
from tests.comfy.server import ComfyServer
from tests.comfy.wire import Response, json_response


@pytest_asyncio.fixture(params=["new", "old"])
async def each(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ComfyServer]:
    """A server with ``/api/jobs``, and one without."""
    server = await ComfyServer(tmp_path, old=request.param == "old").start()
    yield server
    await server.kill()


@pytest_asyncio.fixture
async def client(each: ComfyServer) -> AsyncIterator[Client]:
    """A client of it."""
    made = Client(each.url, request_s=10.0, transfer_s=10.0)
    yield made
    await made.close()


async def test_every_state(each: ComfyServer, client: Client) -> None:
    """Waiting, running, ended well, ended badly, interrupted, and unknown."""
    each.runs = ["hang"]
    first = each.enqueue(of_somebody_else())
    second = each.enqueue(of_somebody_else())
    await until(lambda: each.running)
    seen = [await client.look_up(item.prompt_id) for item in (first, second)]
    assert [Status.IN_PROGRESS, Status.PENDING] == [one.status for one in seen if one]
    assert await client.look_up(str(uuid.uuid4())) is None
    await each.kill()
    await each.start()
    each.runs = ["error", ""]
    bad, well = each.enqueue(of_somebody_else()), each.enqueue(of_somebody_else())
    await until(lambda: well.status == "completed")
    failed = await client.look_up(bad.prompt_id)
    assert failed is not None
    assert (Status.FAILED, "RuntimeError") == (failed.status, failed.error["exception_type"])
    done = await client.look_up(well.prompt_id)
    assert done is not None
    assert Status.COMPLETED is done.status
    assert "still_00001_.mp4" == done.outputs["5"]["images"][0]["filename"]
    each.steps = 1000
    item = each.enqueue({**of_somebody_else(), "5": _other_prefix()})
    await until(lambda: each.running)
    item.interrupted = True
    await until(lambda: item.prompt_id in each.history)
    interrupted = await client.look_up(item.prompt_id)
    assert interrupted is not None
    assert Status.CANCELLED is interrupted.status


def _other_prefix() -> dict[str, object]:
    graph = of_somebody_else()
    graph["5"]["inputs"]["filename_prefix"] = "theirs/other"
    return graph["5"]


async def test_the_queue_is_read_before_the_history(tmp_path: Path) -> None:
    """A job that ends between the two looks is found: the other order calls it lost."""
    server = await ComfyServer(tmp_path, old=True).start()
    client = Client(server.url, request_s=10.0, transfer_s=10.0)
    server.steps = 1
    try:
        item = server.enqueue(of_somebody_else())
        await until(lambda: item.status == "completed" and server.running is None)
        assert await client.look_up(item.prompt_id) is not None
        asked = [r.path.split("/")[1] for r in server.requests if r.path != "/ws"]
        assert ["queue", "history"] == asked[-2:]
    finally:
        await client.close()
        await server.kill()


async def test_a_cancel_names_its_prompt(each: ComfyServer, client: Client) -> None:
    """Whoever else works there is left alone, whether the prompt waits, runs or is unknown."""
    each.steps = 1000
    running, waiting = each.enqueue(of_somebody_else()), each.enqueue(of_somebody_else())
    await until(lambda: each.running)
    await client.cancel(str(uuid.uuid4()))
    assert (running, [waiting]) == (each.running, each.pending)
    assert not running.interrupted
    await client.cancel(waiting.prompt_id)
    assert [] == each.pending
    assert not running.interrupted
    await client.cancel(running.prompt_id)
    await until(lambda: running.status == "cancelled")
    bodies = [r.json() for r in each.requests if r.path in {"/interrupt", "/queue"} and r.body]
    assert all("prompt_id" in body or "delete" in body for body in bodies)
    assert not any("clear" in body for body in bodies)


@pytest.mark.parametrize(
    "answer",
    [
        trouble,
        lambda _: Response(200, b"<html>a proxy's page</html>"),
        lambda _: json_response(["no", "object"]),
        lambda _: json_response({"status": "daydreaming"}),
    ],
)
async def test_nonsense_is_a_fault(server: ComfyServer, answer: object) -> None:
    """What no ComfyUI server answers is never taken for an outcome."""
    client = Client(server.url, request_s=10.0, transfer_s=10.0)
    server.rules.append(Rule("GET", "/api/jobs", answer, instead=True))  # type: ignore[arg-type]
    with pytest.raises(ServerFault):
        await client.look_up(str(uuid.uuid4()))
    await client.close()


async def test_nobody_there() -> None:
    """It says that the request was never sent, and nothing of a password."""
    client = Client("http://me:secret@127.0.0.1:9", request_s=10.0, transfer_s=10.0)
    with pytest.raises(ServerSilent) as caught:
        await client.queue()
    assert not caught.value.sent
    assert "secret" not in str(caught.value)
    await client.close()


async def test_a_dry_run_queues_nothing(each: ComfyServer, client: Client) -> None:
    """It tells every fault but its own, and the server never has anything to do."""
    graph = of_somebody_else()
    assert {} == await client.dry_run(graph, "5", "filename_prefix")
    graph["2"]["inputs"]["width"] = 99_999
    faults = await client.dry_run(graph, "5", "filename_prefix")
    assert ["2"] == list(faults)
    assert "bigger than max" in told(faults)
    assert {} == each.items


async def test_a_foreign_origin_is_not_sent(server: ComfyServer) -> None:
    """A browser's header would be refused; a refusal without words is told by its number."""
    client = Client(server.url, request_s=10.0, transfer_s=10.0)
    server.rules.append(Rule("GET", "/queue", lambda _: Response(403), instead=True))
    with pytest.raises(Refused, match="answered 403"):
        await client.queue()
    await client.queue()
    assert not any("origin" in request.headers for request in server.requests)
    await client.close()


async def test_a_picture_that_is_too_large(server: ComfyServer, tmp_path: Path) -> None:
    """The server's own words are told."""
    client = Client(server.url, request_s=10.0, transfer_s=10.0)
    picture = tmp_path / "big.png"
    picture.write_bytes(b"picture")
    text = b"Maximum request body size 104857600 exceeded."
    server.rules.append(Rule("POST", "/upload/image", lambda _: Response(413, text), instead=True))
    with pytest.raises(Refused, match="413: Maximum request body"):
        await client.upload(picture, "pytoon/a", "0-a1.png")
    await client.close()


def test_faults_are_told_by_node() -> None:
    """Not too many of them."""
    error = {"message": "Value not in list", "details": "vae_name: 'x' not in []"}
    faults = {str(n): {"class_type": "VAELoader", "errors": [error]} for n in range(9)}
    text = told(faults)
    assert text.startswith("node 0 (VAELoader): Value not in list: vae_name: 'x' not in []; ")
    assert text.endswith("and 4 more")
