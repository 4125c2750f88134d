"""The test server answers as the real one did.

``tests/data/comfyui/captures.json`` holds what a running ComfyUI 0.33.0 was asked and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.adapters.comfyui.bench import of_somebody_else, until
from tests.comfy.item import Item
from tests.comfy.server import ComfyServer

CAPTURES: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "data/comfyui/captures.json").read_text()
)
SHAPES = CAPTURES["shapes"]


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[ComfyServer]:
    """A server that has all that the captured one had."""
    made = await ComfyServer(tmp_path).start()
    yield made
    await made.kill()


@pytest_asyncio.fixture
async def client(server: ComfyServer) -> AsyncIterator[httpx.AsyncClient]:
    """Any client."""
    async with httpx.AsyncClient(base_url=server.url) as made:
        yield made


def without_ids(answer: Any) -> Any:
    """An answer less what no two answers share."""
    if not isinstance(answer, dict):
        return answer
    return {key: value for key, value in answer.items() if key not in {"prompt_id", "number"}}


@pytest.mark.parametrize("name", CAPTURES["refusals"])
async def test_posts_are_judged_alike(
    name: str, server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """The same status, the same errors by node, word for word."""
    capture = CAPTURES["refusals"][name]
    server.runs = ["hang"]
    response = await client.post("/prompt", json=capture["asked"])
    told = response.json() if "json" in response.headers["content-type"] else response.text
    assert capture["status"] == response.status_code
    assert without_ids(capture["body"]) == without_ids(told)


@pytest.mark.parametrize("path", CAPTURES["gets"])
async def test_gets_are_answered_alike(
    path: str, server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """Status, type and body of an idle server; each path under ``/api`` too."""
    server.models["diffusion_models"] = []
    capture = CAPTURES["gets"][path]
    for address in (path, path if path.startswith("/api") else f"/api{path}"):
        response = await client.get(address)
        body = response.json() if response.text else ""
        told = {"status": response.status_code, "type": response.headers.get("content-type")}
        assert capture == {**told, "body": body}


async def ended(server: ComfyServer, deed: str = "", graph: dict[str, Any] | None = None) -> Item:
    """A prompt that has run."""
    server.runs = [deed]
    item = server.enqueue(graph or of_somebody_else())
    await until(lambda: item.prompt_id in server.history)
    return item


async def test_jobs_are_told_alike(server: ComfyServer, client: httpx.AsyncClient) -> None:
    """The same keys in every state, and the same messages."""
    item = await ended(server)
    job = (await client.get(f"/api/jobs/{item.prompt_id}")).json()
    assert SHAPES["job completed"] == sorted(job)
    messages = [message[0] for message in job["execution_status"]["messages"]]
    assert SHAPES["messages of a success"] == messages
    (entry,) = (await client.get(f"/history/{item.prompt_id}")).json().values()
    assert SHAPES["history"] == sorted(entry)
    assert SHAPES["history status"] == sorted(entry["status"])
    (captured,) = SHAPES["outputs"].values()
    (outputs,) = entry["outputs"].values()
    assert sorted(captured) == sorted(outputs)
    assert sorted(captured["images"][0]) == sorted(outputs["images"][0])
    bad = await ended(server, "oom", _another())
    failed = (await client.get(f"/api/jobs/{bad.prompt_id}")).json()
    assert SHAPES["job failed"] == sorted(failed)
    assert SHAPES["execution_error"] == sorted(failed["execution_error"])
    messages = [message[0] for message in failed["execution_status"]["messages"]]
    assert SHAPES["messages of a failure"] == messages


async def test_the_queue_is_told_alike(server: ComfyServer, client: httpx.AsyncClient) -> None:
    """Running and waiting prompts, by the shape of their entries."""
    server.runs = ["hang"]
    running, waiting = server.enqueue(of_somebody_else()), server.enqueue(of_somebody_else())
    await until(lambda: server.running)
    queue = (await client.get("/queue")).json()
    assert SHAPES["queue"] == sorted(queue)
    for entry in (*queue["queue_running"], *queue["queue_pending"]):
        assert SHAPES["queue entry"] == [type(part).__name__ for part in entry]
    jobs = [(await client.get(f"/api/jobs/{i.prompt_id}")).json() for i in (running, waiting)]
    assert [SHAPES["job running"], SHAPES["job pending"]] == [sorted(job) for job in jobs]
    assert ["in_progress", "pending"] == [job["status"] for job in jobs]


async def test_cancels_are_answered_alike(server: ComfyServer, client: httpx.AsyncClient) -> None:
    """Waiting, running, done and unknown prompts; and what is left of them."""
    done = await ended(server)
    server.steps = 1000
    running, waiting = server.enqueue(_another()), server.enqueue(_another())
    await until(lambda: server.running)
    told = {}
    unknown = "d1415884-433d-42a7-bed8-a8e36c29e03b"
    asks = {
        "jobs_cancel_completed": ("POST", f"/api/jobs/{done.prompt_id}/cancel", None),
        "jobs_cancel_unknown": ("POST", f"/api/jobs/{unknown}/cancel", None),
        "jobs_cancel_pending": ("POST", f"/api/jobs/{waiting.prompt_id}/cancel", None),
        "job_of_deleted": ("GET", f"/api/jobs/{waiting.prompt_id}", None),
        "history_of_deleted": ("GET", f"/history/{waiting.prompt_id}", None),
        "delete_unknown": ("POST", "/queue", {"delete": [unknown]}),
        "interrupt_other_id": ("POST", "/interrupt", {"prompt_id": unknown}),
        "jobs_cancel_running": ("POST", f"/api/jobs/{running.prompt_id}/cancel", None),
    }
    for name, (method, path, body) in asks.items():
        response = await client.request(method, path, json=body)
        text = response.json() if response.text else ""
        told[name] = {"status": response.status_code, "body": text}
        assert (name == "jobs_cancel_running") is running.interrupted
    assert CAPTURES["cancels"] == told
    await until(lambda: running.status == "cancelled")
    job = (await client.get(f"/api/jobs/{running.prompt_id}")).json()
    assert SHAPES["job interrupted"] == sorted(job)
    messages = [message[0] for message in job["execution_status"]["messages"]]
    assert SHAPES["messages of an interrupt"] == messages


def _another() -> dict[str, Any]:
    graph = of_somebody_else()
    graph["5"]["inputs"]["filename_prefix"] = "theirs/another"
    return graph


async def test_the_socket_tells_in_that_order(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """From ``status`` with our own id to ``executing`` nothing."""
    kinds: list[str] = []
    async with connect(server.url.replace("http", "ws") + "/ws?clientId=me") as socket:
        graph = _another()
        await client.post("/prompt", json={"prompt": graph, "client_id": "me"})
        while "executing nothing" not in kinds:
            message = json.loads(await asyncio.wait_for(socket.recv(), 20))
            kind = message["type"]
            if kind == "progress_state":
                # It lies between all others; the test below looks at it.
                continue
            if kind == "executing" and message["data"]["node"] is None:
                kind = "executing nothing"
            if not kinds or kinds[-1] != kind:
                kinds.append(kind)
    assert CAPTURES["sequence"] == kinds


async def test_the_state_of_nodes_is_told_alike(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """Before each node, and with each step, by the shape of the captured ones."""
    states: list[Any] = []
    async with connect(server.url.replace("http", "ws") + "/ws?clientId=me") as socket:
        await client.post("/prompt", json={"prompt": _another(), "client_id": "me"})
        while not states or "executing nothing" != states[-1]:
            message = json.loads(await asyncio.wait_for(socket.recv(), 20))
            data = message["data"]
            if message["type"] == "progress_state":
                assert SHAPES["progress_state"] == sorted(data)
                (node,) = data["nodes"].values()
                assert SHAPES["progress_state node"] == sorted(node)
                states.append((node["node_id"], node["state"]))
            elif message["type"] == "executing":
                states.append(data["node"] or "executing nothing")
    assert [("1", "running"), "1", ("1", "finished")] == states[:3]
    assert [("5", "running"), "5", "executing nothing"] == states[-3:]


async def test_what_is_nobodys_is_told_to_all(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """Progress of a prompt without a client id goes to every socket; nothing else of it does."""
    kinds: set[str] = set()
    async with connect(server.url.replace("http", "ws") + "/ws?clientId=me") as socket:
        answer = await client.post("/prompt", json={"prompt": _another()})
        item = server.items[answer.json()["prompt_id"]]
        await until(lambda: item.status == "completed")
        with contextlib.suppress(TimeoutError):
            while True:
                kinds.add(json.loads(await asyncio.wait_for(socket.recv(), 0.3))["type"])
    assert {"progress", "progress_state", "status", "feature_flags"} == kinds


async def test_who_comes_back_is_told_a_node_and_no_prompt(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """After the first messages; nothing that was told before is told again."""
    server.runs = ["hang"]
    await client.post("/prompt", json={"prompt": _another(), "client_id": "me"})
    await until(lambda: server.running)
    async with connect(server.url.replace("http", "ws") + "/ws?clientId=me") as socket:
        for expected in ("status", "feature_flags", "executing"):
            message = json.loads(await asyncio.wait_for(socket.recv(), 20))
            assert expected == message["type"]
    assert ["node"] == list(message["data"])


async def test_a_server_with_a_catalogue_tells_more(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """An upload's answer has its entry, and each saved file an id."""
    server.assets = True
    answer = await client.post("/upload/image", files={"image": ("a.png", b"one", "image/png")})
    assert ["asset", "name", "subfolder", "type"] == sorted(answer.json())
    (made,) = (await ended(server)).made.values()
    assert ["filename", "id", "subfolder", "type"] == sorted(made["images"][0])


async def test_files_are_shown_alike(server: ComfyServer, client: httpx.AsyncClient) -> None:
    """Whole, in part, by HEAD, and not at all."""
    await ended(server)
    query = {"filename": "still_00001_.mp4", "subfolder": "theirs", "type": "output"}
    asks: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
        "ok": ("GET", query, {}),
        "range": ("GET", query, {"Range": "bytes=0-99"}),
        "head": ("HEAD", query, {}),
        "missing": ("GET", {**query, "filename": "nope.mp4"}, {}),
        "no_filename": ("GET", {}, {}),
        "traversal": ("GET", {**query, "filename": "../../start.sh"}, {}),
    }
    told = {}
    whole = (server.folder / "output/theirs/still_00001_.mp4").read_bytes()
    for name, (method, params, headers) in asks.items():
        response = await client.request(method, "/view", params=params, headers=headers)
        names = sorted(key.title() for key in response.headers)
        told[name] = {"status": response.status_code, "headers": names}
        if name in {"ok", "range"}:
            assert response.content == whole[: 100 if name == "range" else None]
        if name == "head":
            assert str(len(whole)) == response.headers["content-length"]
    assert CAPTURES["views"] == told


async def test_uploads_are_answered_alike(server: ComfyServer, client: httpx.AsyncClient) -> None:
    """The same bytes keep their name; others get another; nobody looks at what they are."""
    asks: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
        "plain": ("image", "start.png", b"one", {}),
        "same_bytes_no_overwrite": ("image", "start.png", b"one", {}),
        "other_bytes_no_overwrite": ("image", "start.png", b"two", {}),
        "subfolder": ("image", "seg1.png", b"one", {"subfolder": "pytoon/job1"}),
        "no_image_field": ("file", "x.png", b"one", {}),
        "not_an_image": ("image", "bad.png", b"no picture", {}),
    }
    told = {}
    for name, (field, filename, content, data) in asks.items():
        response = await client.post(
            "/upload/image", files={field: (filename, content, "image/png")}, data=data
        )
        body = response.json() if response.text else ""
        told[name] = {"status": response.status_code, "body": body}
    assert CAPTURES["uploads"] == told


async def test_a_graph_that_was_seen_before(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """It is not made again: the answer names the old file, be it there or not."""
    first, second = await ended(server), await ended(server)
    assert first.made == second.made
    assert 1 == len(list((server.folder / "output/theirs").iterdir()))
    assert set(first.graph) == set(second.messages[1][1]["nodes"])


async def test_a_death_takes_all_but_the_disk(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """Queue, history and jobs are gone; the file is there."""
    item = await ended(server)
    await server.kill()
    with pytest.raises(httpx.ConnectError):
        await client.get("/queue")
    await server.restart()
    assert 404 == (await client.get(f"/api/jobs/{item.prompt_id}")).status_code
    assert {} == (await client.get(f"/history/{item.prompt_id}")).json()
    query = {"filename": "still_00001_.mp4", "subfolder": "theirs", "type": "output"}
    assert 200 == (await client.get("/view", params=query)).status_code


async def test_a_node_without_inputs_kills_the_worker(
    server: ComfyServer, client: httpx.AsyncClient
) -> None:
    """In progress for ever; HTTP is healthy, an interrupt has no effect, the next one waits."""
    graph = {**of_somebody_else(), "9": {"class_type": "EmptyImage"}}
    given = (await client.post("/prompt", json={"prompt": graph})).json()["prompt_id"]
    await until(lambda: server.running)
    after = server.enqueue(of_somebody_else())
    await client.post("/interrupt", json={"prompt_id": given})
    await asyncio.sleep(0.1)
    assert "in_progress" == (await client.get(f"/api/jobs/{given}")).json()["status"]
    assert "pending" == after.status
    assert 200 == (await client.get("/system_stats")).status_code
