"""The server: its routes, its queue, its worker, and the ways in which it can be told to err."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.comfy.disk import Disk
from tests.comfy.faults import Rule
from tests.comfy.films import Ordered, make_film, ordered
from tests.comfy.item import Item
from tests.comfy.validation import CLASSES, Judge
from tests.comfy.wire import Request, Response, Socket, Wire, json_response

SHIPPED_MODELS = {
    "diffusion_models": ["wan2.1_t2v_1.3B_fp16.safetensors", "wan2.2_ti2v_5B_fp16.safetensors"],
    "text_encoders": ["t5xxl_fp16.safetensors", "umt5_xxl_fp8_e4m3fn_scaled.safetensors"],
    "vae": ["wan_2.1_vae.safetensors", "wan2.2_vae.safetensors"],
    "checkpoints": ["ltx-video-2b-v0.9.5.safetensors"],
}
NO_MEMORY = (
    "Allocation on device 0 would exceed allowed memory. (out of memory)\n"
    "Currently allocated: 14.9 GiB\n"
)


Misdeed = Callable[["ComfyServer", Item, Ordered], Ordered | None]
"""What the worker does to a film before it is made: another film, or None for no file at all."""


class ComfyServer:
    """One server; ``folder`` is its disk, which outlives its death.

    ``steps`` × ``step_s`` is how long a run takes.  ``runs`` holds what becomes of the next runs,
    in their order: "" (well), "oom", "error", "zombie", "hang", or a ``Misdeed``.
    """

    def __init__(self, folder: Path, *, old: bool = False, steps: int = 3) -> None:
        self.folder = folder
        self.old = old
        self.steps = steps
        self.step_s = 0.01
        self.save_s = 0.0
        self.version = "0.3.64" if old else "0.33.0"
        self.classes: dict[str, Any] = dict(CLASSES)
        self.models = {key: list(names) for key, names in SHIPPED_MODELS.items()}
        self.disk = Disk(folder)
        self.runs: list[str | Misdeed] = []
        self.rules: list[Rule] = []
        self.mute = False
        self.no_sockets = False
        self.assets = False
        self.previews: list[bytes] = []
        self.login = ""
        self.requests: list[Request] = []
        self.log: list[str] = []
        self.may_save = asyncio.Event()
        self.may_save.set()
        self.wire = Wire(self._handle, self._opened, self._closed, lambda: not self.no_sockets)
        self._reset()

    def _reset(self) -> None:
        self.items: dict[str, Item] = {}
        self.pending: list[Item] = []
        self.running: Item | None = None
        self.history: dict[str, Item] = {}
        self.sockets: dict[str, Socket] = {}
        self._cache: dict[str, dict[str, Any]] = {}
        self._node = ""
        self._number = 0
        self._woken = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.wire.port}"

    @property
    def posted(self) -> list[dict[str, Any]]:
        """The body of every prompt that was posted, dry runs apart."""
        bodies = [r.json() for r in self.requests if (r.method, r.path) == ("POST", "/prompt")]
        return [body for body in bodies if "partial_execution_targets" not in body]

    async def start(self) -> ComfyServer:
        """Listen and work."""
        await self.wire.start()
        self._worker = asyncio.create_task(self._work())
        return self

    async def kill(self) -> None:
        """Die: queue, history and connections are lost, the disk is not."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        await self.wire.abort()
        self._reset()

    async def restart(self) -> None:
        """Come back at the same address."""
        await self.start()

    # Requests -----------------------------------------------------------------------------

    async def _handle(self, request: Request) -> Response:
        path = request.path
        in_api = path.startswith("/api/")
        if in_api and not path.startswith("/api/jobs"):
            request.path = path = path.removeprefix("/api")
        self.requests.append(request)
        if self.login and request.headers.get("authorization") != self.login:
            return Response(401, f"who is {request.headers.get('authorization')}?".encode())
        rule = next((r for r in self.rules if r.means(request)), None)
        if rule is not None:
            rule.times -= 1
            await asyncio.sleep(rule.delay_s)
            if rule.instead:
                return rule.answer(Response())
        if path == "/ws":
            return Response(404)
        if request.headers.get("origin", self.url) != self.url:
            return Response(403)
        response = self._routed(request)
        return response if rule is None else rule.answer(response)

    def _routed(self, request: Request) -> Response:
        method, path = request.method, request.path
        parts = path.strip("/").split("/")
        match method, parts:
            case "POST", ["prompt"]:
                return self._submitted(request)
            case "GET", ["prompt"]:
                return json_response({"exec_info": {"queue_remaining": self._remaining()}})
            case "GET", ["queue"]:
                return self._queue()
            case "POST", ["queue"]:
                deleted = request.json().get("delete", [])
                self.pending = [item for item in self.pending if item.prompt_id not in deleted]
                return Response()
            case "POST", ["interrupt"]:
                self._interrupt(request.json().get("prompt_id") if request.body else None)
                return Response()
            case "POST", ["free"]:
                self.log.append("free")
                return Response()
            case "GET", ["history"]:
                return json_response({})
            case "GET", ["history", prompt_id]:
                return self._history(prompt_id)
            case _, ["api", "jobs", *rest] if not self.old:
                return self._jobs(method, rest)
            case "POST", ["upload", "image"]:
                return self.disk.upload(request, assets=self.assets)
            case (("GET" | "HEAD"), ["view"]):
                return self.disk.view(request)
            case "GET", ["system_stats"]:
                device = {"name": "cuda:0", "type": "cuda", "vram_total": 16 << 30}
                system = {"os": "linux", "comfyui_version": self.version}
                return json_response(
                    {"system": system, "devices": [device | {"vram_free": 15 << 30}]}
                )
            case "GET", ["object_info", name]:
                known = self.classes.get(unquote(name))
                return json_response({name: known} if known else {})
            case "GET", ["models", folder]:
                if folder not in self.models:
                    return Response(404)
                return json_response(self.models[folder])
            case _:
                return Response(404, headers={"Content-Type": "application/octet-stream"})

    def _submitted(self, request: Request) -> Response:
        try:
            body = request.json()
            if "prompt" not in body:
                told = _failure("no_prompt", "No prompt provided")
                return _refused(told | {"details": "No prompt provided"})
            graph = body["prompt"]
            in_api_format = all("class_type" in n or "inputs" in n for n in graph.values())
            in_api_format &= isinstance(body.get("extra_data", {}), dict)
            float(body.get("number", 0))
        except (ValueError, TypeError, AttributeError, KeyError):
            in_api_format = False
        if not in_api_format:
            text = b"500 Internal Server Error\n\nServer got itself in trouble"
            return Response(500, text, {"Content-Type": "text/plain; charset=utf-8"})
        prompt_id = body.get("prompt_id")
        if prompt_id is not None and not _is_canonical(prompt_id):
            return _refused(
                {
                    "type": "invalid_prompt_id",
                    "message": "prompt_id must be a valid UUID",
                    "details": "prompt_id must be a UUID string in canonical lowercase hyphenated "
                    "form; omit it to let the server generate one",
                    "extra_info": {},
                }
            )
        judge = Judge(self.classes, self.models, self.disk.pictures)
        if unknown := judge.unknown(graph):
            return _refused(unknown)
        only = None if self.old else body.get("partial_execution_targets")
        outputs = judge.outputs(graph, only)
        if not outputs:
            return _refused(_failure("prompt_no_outputs", "Prompt has no outputs"))
        faults = judge.faults(graph, outputs)
        bad = {output for fault in faults.values() for output in fault["dependent_outputs"]}
        good = [output for output in outputs if output not in bad]
        if not good:
            own = [
                f"{error['message']}: {error['details']}"
                for output in outputs
                for error in faults.get(output, {}).get("errors", ())
            ]
            told = _failure("prompt_outputs_failed_validation", "Prompt outputs failed validation")
            return _refused(told | {"details": "".join(own)}, faults)
        given = str(uuid.uuid4()) if self.old or prompt_id is None else str(prompt_id)
        item = self._queued(given, graph, good, body.get("client_id"))
        return json_response({"prompt_id": given, "number": item.number, "node_errors": faults})

    def enqueue(self, graph: dict[str, Any]) -> Item:
        """Queue what another client has asked for."""
        outputs = [key for key, node in graph.items() if node["class_type"] == "SaveVideo"]
        return self._queued(str(uuid.uuid4()), graph, outputs, "somebody-else")

    def _queued(
        self, prompt_id: str, graph: dict[str, Any], outputs: list[str], client_id: str | None
    ) -> Item:
        extra = {"client_id": client_id, "create_time": _now_ms()}
        item = Item(self._number, prompt_id, graph, extra, outputs)
        self._number += 1
        self.items[prompt_id] = item
        self.pending.append(item)
        self._tell_status()
        self._woken.set()
        return item

    def _queue(self) -> Response:
        running = [self.running.entry()] if self.running else []
        pending = [item.entry() for item in self.pending]
        return json_response({"queue_running": running, "queue_pending": pending})

    def _history(self, prompt_id: str) -> Response:
        item = self.history.get(prompt_id)
        if item is None:
            return json_response({})
        entry = {
            "prompt": item.entry(),
            "outputs": item.made,
            "status": self._status(item),
            "meta": {},
        }
        return json_response({prompt_id: entry})

    def _status(self, item: Item) -> dict[str, Any]:
        well = item.status == "completed"
        return {
            "status_str": "success" if well else "error",
            "completed": well,
            "messages": item.messages,
        }

    def _ended(self, item: Item) -> dict[str, Any]:
        """What is told of a job only when it has ended."""
        facts = dict(item.messages)
        told: dict[str, Any] = {
            "execution_start_time": facts["execution_start"]["timestamp"],
            "execution_end_time": item.messages[-1][1]["timestamp"],
            "outputs": item.made,
            "execution_status": self._status(item),
            "workflow": {"prompt": item.graph, "extra_data": item.extra},
        }
        if "execution_error" in facts:
            told["execution_error"] = facts["execution_error"]
        files = [entry for made in item.made.values() for entry in made.get("images", ())]
        if files:
            told["preview_output"] = {**files[0], "mediaType": "images"}
        return told

    def _jobs(self, method: str, rest: list[str]) -> Response:
        item = self.items.get(rest[0]) if rest else None
        if method == "POST" and rest[1:] == ["cancel"]:
            waits = item is not None and item in self.pending
            runs = item is not None and item is self.running
            if waits and item is not None:
                self.pending.remove(item)
                del self.items[item.prompt_id]
            elif runs and item is not None:
                self._interrupt(item.prompt_id)
            return json_response({"cancelled": waits or runs})
        known = item is not None and (
            item in self.pending or item is self.running or item.prompt_id in self.history
        )
        if item is None or not known:
            return json_response({"error": "Job not found"}, 404)
        job: dict[str, Any] = {
            "id": item.prompt_id,
            "status": item.status,
            "priority": item.number,
            "create_time": item.extra["create_time"],
            "outputs_count": len(item.made),
            "previewable_outputs_count": len(item.made),
        }
        if item.prompt_id in self.history:
            job |= self._ended(item)
        return json_response(job)

    # Sockets ------------------------------------------------------------------------------

    def _opened(self, request: Request, socket: Socket) -> None:
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        self.sockets[client_id] = socket
        status = {"status": {"exec_info": {"queue_remaining": self._remaining()}}}
        socket.send("status", {**status, "sid": client_id})
        if not self.old:
            flags = {"supports_preview_metadata": True, "assets": self.assets}
            socket.send("feature_flags", flags)
        if self.running is not None and self.running.extra["client_id"] == client_id:
            # To who comes back: where it is, but not at which prompt.
            socket.send("executing", {"node": self._node})

    def _closed(self, socket: Socket) -> None:
        # By id, as the real one does it: the older socket's end makes the newer one deaf.
        for client_id, known in list(self.sockets.items()):
            if known is socket:
                del self.sockets[client_id]

    def _tell(self, item: Item, kind: str, **data: Any) -> None:
        client_id = item.extra["client_id"]
        told = {**data, "prompt_id": item.prompt_id}
        if self.mute:
            return
        if client_id is None and kind.startswith("progress"):
            # What is nobody's is everybody's.
            for each in self.sockets.values():
                each.send(kind, told)
        elif (socket := self.sockets.get(str(client_id))) is not None:
            socket.send(kind, told)

    def _tell_state(self, item: Item, node: str, state: str, value: float = 0.0) -> None:
        facts = {"value": value, "max": 1.0, "state": state, "prompt_id": item.prompt_id}
        names = {"node_id": node, "display_node_id": node, "real_node_id": node}
        self._tell(item, "progress_state", nodes={node: facts | names | {"parent_node_id": None}})

    def _tell_status(self) -> None:
        for socket in self.sockets.values():
            if not self.mute:
                remaining = {"exec_info": {"queue_remaining": self._remaining()}}
                socket.send("status", {"status": remaining})

    def _remaining(self) -> int:
        return len(self.pending) + (1 if self.running else 0)

    # Work ---------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            while not self.pending:
                self._woken.clear()
                await self._woken.wait()
            item = self.pending.pop(0)
            item.status = "in_progress"
            self.running = item
            deed = self.runs.pop(0) if self.runs else ""
            if deed == "zombie" or any("inputs" not in node for node in item.graph.values()):
                return
            await self._run(item, deed)
            self.history[item.prompt_id] = item
            self.running = None
            self._tell_status()
            self._tell(item, "executing", node=None)

    async def _run(self, item: Item, deed: str | Misdeed) -> None:
        self._mark(item, "execution_start")
        key = json.dumps([item.graph, item.outputs])
        cached = self._cache.get(key)
        self._mark(item, "execution_cached", nodes=list(item.graph) if cached else [])
        if cached is not None:
            item.made = cached
        elif await self._sampled(item, deed):
            # From here on an interrupt comes too late: nothing looks for one while it saves.
            await asyncio.sleep(self.save_s)
            await self.may_save.wait()
            await self._save(item, item.outputs[0], deed)
            self._cache[key] = item.made
        else:
            return
        for node, made in item.made.items():
            self._tell(item, "executed", node=node, display_node=node, output=made)
        item.status = "completed"
        self._mark(item, "execution_success")

    async def _sampled(self, item: Item, deed: str | Misdeed) -> bool:
        """Every node up to the one that saves; whether they went well."""
        sampler, saves = next(iter(item.graph)), item.outputs[0]
        for node in item.graph:
            if node != saves:
                self._begin(item, node)
                self._tell_state(item, node, "finished", 1.0)
        self._node = sampler
        for step in range(1, self.steps + 1):
            await asyncio.sleep(3600.0 if deed == "hang" and step > 1 else self.step_s)
            if item.interrupted:
                self._mark_interrupted(item, sampler)
                return False
            self._tell_state(item, sampler, "running", step / self.steps)
            self._tell(item, "progress", value=step, max=self.steps, node=sampler)
            self._show(item)
            if deed in {"oom", "error"} and step == self.steps // 2 + 1:
                self._mark_error(item, sampler, str(deed))
                return False
        self._begin(item, saves)
        return True

    def _show(self, item: Item) -> None:
        """The next binary message, as a server sends them that is started to make previews."""
        socket = self.sockets.get(str(item.extra["client_id"]))
        if self.previews and socket is not None and not self.mute:
            socket.send_binary(self.previews.pop(0))

    def _begin(self, item: Item, node: str) -> None:
        self._node = node
        self._tell_state(item, node, "running")
        self._tell(item, "executing", node=node, display_node=node)

    async def _save(self, item: Item, output: str, deed: str | Misdeed) -> None:
        film = ordered(item.graph, output)
        place, _, stem = film.prefix.rpartition("/")
        folder = self.folder / "output" / place
        number = 1 + len(list(folder.glob(f"{stem}_*"))) if folder.is_dir() else 1
        name = f"{stem}_{number:05}_.mp4"
        made = film if isinstance(deed, str) else deed(self, item, film)
        entry = {"filename": name, "subfolder": place, "type": "output"}
        if self.assets:
            entry["id"] = str(uuid.uuid4())
        item.made = item.made or {output: {"images": [entry], "animated": [True]}}
        if made is not None:
            await asyncio.to_thread(make_film, folder / name, made, item.graph)

    def _mark(self, item: Item, kind: str, **data: Any) -> None:
        facts = {"prompt_id": item.prompt_id, "timestamp": _now_ms(), **data}
        item.messages.append([kind, facts])
        self._tell(item, kind, **{key: v for key, v in facts.items() if key != "prompt_id"})

    def _mark_interrupted(self, item: Item, node: str) -> None:
        item.status = "cancelled"
        kind = item.graph[node]["class_type"]
        self._mark(item, "execution_interrupted", node_id=node, node_type=kind, executed=[])

    def _mark_error(self, item: Item, node: str, deed: str) -> None:
        item.status = "failed"
        is_memory = deed == "oom"
        self._mark(
            item,
            "execution_error",
            node_id=node,
            node_type=item.graph[node]["class_type"],
            executed=[],
            exception_message=NO_MEMORY if is_memory else "shape mismatch\n",
            exception_type="torch.OutOfMemoryError" if is_memory else "RuntimeError",
            traceback=[],
            current_inputs={},
            current_outputs=[],
        )

    def _interrupt(self, prompt_id: str | None) -> None:
        self.log.append(f"interrupt {prompt_id}")
        if self.running is not None and prompt_id in {None, self.running.prompt_id}:
            self.running.interrupted = True


def _is_canonical(prompt_id: Any) -> bool:
    try:
        return bool(str(uuid.UUID(prompt_id)) == prompt_id)
    except (ValueError, AttributeError, TypeError):
        return False


def _failure(kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": "", "extra_info": {}}


def _refused(error: dict[str, Any], faults: dict[str, Any] | None = None) -> Response:
    return json_response({"error": error, "node_errors": faults or {}}, 400)


def _now_ms() -> int:
    return int(time.time() * 1000)


def all_posted(servers: Iterable[ComfyServer]) -> list[str]:
    """The ids of every prompt that was posted to any of them, in order of servers."""
    return [body["prompt_id"] for server in servers for body in server.posted]
