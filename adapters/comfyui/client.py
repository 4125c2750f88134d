"""One ComfyUI server over HTTP: what it is asked, and what its answers mean.

``look_up`` is the one truth about a prompt.  It asks ``/api/jobs`` where there is one; older
servers are asked for the queue first and the history second, because the other order calls a job
lost that finished in between.

Left out: waiting, deadlines and tries (``following``), and the socket (``listening``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from adapters.comfyui.options import name_of, secrets_of
from adapters.comfyui.workflows import Graph
from events.spec import Struct

HTTP_BAD = 400
HTTP_NOBODY = frozenset({401, 403})
SEEN_CHARS_MAX = 200
HTTP_NOT_FOUND = 404
HTTP_TOO_LARGE = 413
HTTP_FAULT = 500
ANSWER_BYTES_MAX = 32_000_000
"""More than that is no answer of a server; ``/object_info`` of one with 500 packs is 10 MB."""

FAULTS_TOLD_MAX = 5


class ServerSilent(Exception):
    """No whole answer came: ask again later.  ``sent``: the server may have got the request."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class ServerFault(Exception):
    """The server answered that it is in trouble (5xx), or what no ComfyUI server answers."""


class Refused(Exception):
    """The server refused what was asked (4xx): it will do so again.  ``faults`` are by node."""

    def __init__(self, detail: str, faults: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.faults = dict(faults or {})


class Status(StrEnum):
    """What becomes of a prompt."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Seen(Struct, frozen=True, kw_only=True):
    """A prompt as the server knows it; ``outputs`` by node, ``error`` as it was reported."""

    status: Status
    outputs: Mapping[str, Any] = msgspec.field(default_factory=dict)
    error: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Queue(Struct, frozen=True, kw_only=True):
    """The ids of the prompts that run and that wait."""

    running: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


class Client:
    """Asks one server.  Every method raises ``ServerSilent``, ``ServerFault`` or ``Refused``."""

    def __init__(self, server: str, *, request_s: float, transfer_s: float) -> None:
        self.url = server
        self.name = name_of(server)
        self._secrets = secrets_of(server)
        self._transfer = httpx.Timeout(request_s, read=transfer_s, write=transfer_s)
        self._http = httpx.AsyncClient(base_url=server, timeout=request_s, trust_env=False)

    async def close(self) -> None:
        """Release the connections."""
        await self._http.aclose()

    async def submit(self, graph: Graph, prompt_id: str, client_id: str) -> str:
        """Queue a graph; returns the id that the server knows it by (old ones choose their own).

        A 200 with ``node_errors`` is a refusal: what is valid of the graph would run for nothing,
        so it is cancelled.
        """
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        answer = await self._json("POST", "/prompt", json=body)
        given = answer.get("prompt_id")
        if not isinstance(given, str) or not given:
            raise ServerFault(f"{self.name} answered a prompt without its id")
        faults = answer.get("node_errors")
        if faults:
            await self.cancel(given)
            raise Refused(told(faults), faults)
        return given

    async def look_up(self, prompt_id: str) -> Seen | None:
        """A prompt as it is now; None where the server knows nothing of it."""
        response = await self._send("GET", f"/api/jobs/{quote(prompt_id, safe='')}")
        if response.status_code == HTTP_NOT_FOUND:
            if "json" in response.headers.get("content-type", ""):
                return None
            return await self._look_up_old(prompt_id)
        job = self._checked(response)
        try:
            status = Status(str(job.get("status")))
        except ValueError as error:
            raise ServerFault(f"{self.name} calls a job {job.get('status')!r}") from error
        return Seen(
            status=status,
            outputs=_mapping(job.get("outputs")),
            error=_mapping(job.get("execution_error")),
        )

    async def _look_up_old(self, prompt_id: str) -> Seen | None:
        """The same without ``/api/jobs``."""
        queue = await self.queue()
        if prompt_id in queue.running:
            return Seen(status=Status.IN_PROGRESS)
        if prompt_id in queue.pending:
            return Seen(status=Status.PENDING)
        history = await self._json("GET", f"/history/{quote(prompt_id, safe='')}")
        entry = _mapping(history.get(prompt_id))
        if not entry:
            return None
        status = _mapping(entry.get("status"))
        messages = {
            str(message[0]): _mapping(message[1])
            for message in status.get("messages", ())
            if isinstance(message, list) and len(message) == 2  # noqa: PLR2004 - name and facts
        }
        if status.get("status_str") == "success":
            return Seen(status=Status.COMPLETED, outputs=_mapping(entry.get("outputs")))
        if "execution_interrupted" in messages:
            return Seen(status=Status.CANCELLED)
        return Seen(status=Status.FAILED, error=messages.get("execution_error", {}))

    async def queue(self) -> Queue:
        """What runs and what waits, everybody's."""
        answer = await self._json("GET", "/queue")
        running, pending = (
            tuple(str(item[1]) for item in _listed(answer.get(key)) if isinstance(item, list))
            for key in ("queue_running", "queue_pending")
        )
        return Queue(running=running, pending=pending)

    async def cancel(self, prompt_id: str) -> None:
        """Ask that a prompt does not run, or not on.  Only this one: the queue may be shared.

        It takes hold only between steps, so that what is nearly done may still be completed.
        """
        path = f"/api/jobs/{quote(prompt_id, safe='')}/cancel"
        response = await self._send("POST", path)
        if response.status_code < HTTP_BAD:
            return
        await self._done("POST", "/queue", json={"delete": [prompt_id]})
        await self._done("POST", "/interrupt", json={"prompt_id": prompt_id})

    async def free(self) -> None:
        """Have the server give back its graphics memory."""
        await self._done("POST", "/free", json={"unload_models": True, "free_memory": True})

    async def upload(self, path: Path, subfolder: str, name: str) -> str:
        """Hand in a picture; returns what a node's ``image`` has to say to mean it.

        Where another picture has that name already, the server chooses another one.
        """
        content = await asyncio.to_thread(path.read_bytes)
        answer = await self._json(
            "POST",
            "/upload/image",
            files={"image": (name, content, "image/png")},
            data={"type": "input", "subfolder": subfolder},
            timeout=self._transfer,
        )
        given, place = answer.get("name"), answer.get("subfolder", "")
        if not isinstance(given, str) or not given or not isinstance(place, str):
            raise ServerFault(f"{self.name} took a picture without saying under which name")
        return f"{place}/{given}" if place else given

    @asynccontextmanager
    async def view(self, file: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer to a request for an output file, its body not yet read."""
        query = {key: file[key] for key in ("filename", "subfolder", "type")}
        try:
            async with self._http.stream(
                "GET", "/view", params=query, timeout=self._transfer
            ) as response:
                yield response
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    async def waiting(self) -> int:
        """How many prompts run or wait."""
        answer = await self._json("GET", "/prompt")
        remaining = _mapping(answer.get("exec_info")).get("queue_remaining")
        if not isinstance(remaining, int):
            raise ServerFault(f"{self.name} does not say how much it has to do")
        return remaining

    async def version(self) -> str:
        """The server's own version, such as 0.33.0."""
        answer = await self._json("GET", "/system_stats")
        found = _mapping(answer.get("system")).get("comfyui_version")
        return str(found or "")

    async def node_class(self, name: str) -> dict[str, Any] | None:
        """What the server says of a class of nodes; None where it has none of that name."""
        answer = await self._json("GET", f"/object_info/{quote(name, safe='')}")
        return _mapping(answer.get(name)) or None

    async def models(self, folder: str) -> tuple[str, ...] | None:
        """The model files in a folder; None where there is no such folder."""
        response = await self._send("GET", f"/models/{quote(folder, safe='')}")
        if response.status_code == HTTP_NOT_FOUND:
            return None
        return tuple(str(name) for name in _listed(self._answer(response)))

    async def dry_run(self, graph: Graph, output: str, prefix_input: str) -> dict[str, Any]:
        """Every fault that the server finds in a graph, by node; nothing is queued.

        The output's prefix is made a link that no server takes, and only that output is asked
        for: the answer is a refusal always, and names all other faults.
        """
        asked = {key: {**node, "inputs": dict(node["inputs"])} for key, node in graph.items()}
        asked[output]["inputs"][prefix_input] = ["dry-run"]
        body = {"prompt": asked, "partial_execution_targets": [output]}
        try:
            answer = await self._json("POST", "/prompt", json=body)
        except Refused as refused:
            faults = dict(refused.faults)
            if not faults:
                return {"": {"errors": [{"message": str(refused)}]}}
            return _without(faults, output, prefix_input)
        if isinstance(queued := answer.get("prompt_id"), str):
            await self.cancel(queued)
        raise ServerFault(f"{self.name} took a graph that no ComfyUI server takes")

    async def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        return self._checked(await self._send(method, path, **more))

    async def _done(self, method: str, path: str, **more: Any) -> None:
        """For requests that are answered with nothing."""
        self._raise_for(await self._send(method, path, **more))

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if len(response.content) > ANSWER_BYTES_MAX:
            raise ServerFault(f"{self.name} answered {len(response.content)} bytes")
        return response

    def _silent(self, error: httpx.HTTPError) -> ServerSilent:
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        why = str(error) or type(error).__name__
        return ServerSilent(f"{self.name} does not answer: {why}", sent=sent)

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        answer = self._answer(response)
        if not isinstance(answer, dict):
            raise ServerFault(f"{self.name} answered no object: {self._seen(response)}")
        return answer

    def _answer(self, response: httpx.Response) -> Any:
        self._raise_for(response)
        try:
            return response.json()
        except ValueError as error:
            raise ServerFault(f"{self.name} answered no JSON: {self._seen(response)}") from error

    def _raise_for(self, response: httpx.Response) -> None:
        if response.status_code >= HTTP_FAULT:
            seen = self._seen(response)
            raise ServerFault(f"{self.name} answered {response.status_code}: {seen}")
        if response.status_code < HTTP_BAD:
            return
        try:
            body = _mapping(response.json())
        except ValueError:
            body = {}
        faults = _mapping(body.get("node_errors"))
        error = _mapping(body.get("error"))
        words = [str(error.get(key) or "") for key in ("message", "details")]
        detail = self._redacted(told(faults) or ": ".join(word for word in words if word))
        hint = "; is the name and password in its address right?"
        raise Refused(
            f"{self.name} answered {response.status_code}: {detail or self._seen(response)}"
            + (hint if response.status_code in HTTP_NOBODY else ""),
            faults,
        )

    def _seen(self, response: httpx.Response) -> str:
        """The beginning of an answer, for a person."""
        return self._redacted(response.text)[:SEEN_CHARS_MAX]

    def _redacted(self, text: str) -> str:
        """``text`` without the password of the address: a proxy may show what it was sent."""
        for secret in self._secrets:
            text = secret.redact(text)
        return text


def told(faults: Mapping[str, Any]) -> str:
    """Faults of nodes in words: the message of the whole says next to nothing."""
    lines = []
    for node, fault in faults.items():
        kind = _mapping(fault).get("class_type", "")
        for error in _listed(_mapping(fault).get("errors")):
            words = [str(_mapping(error).get(key) or "") for key in ("message", "details")]
            place = f"node {node} ({kind})" if kind else f"node {node}" if node else "the graph"
            lines.append(f"{place}: " + ": ".join(word for word in words if word))
    more = len(lines) - FAULTS_TOLD_MAX
    return "; ".join(lines[:FAULTS_TOLD_MAX]) + (f"; and {more} more" if more > 0 else "")


def _without(faults: Mapping[str, Any], node: str, input_name: str) -> dict[str, Any]:
    """The faults without the one that the dry run itself made."""
    left = {}
    for key, fault in faults.items():
        errors = [
            error
            for error in _listed(_mapping(fault).get("errors"))
            if key != node
            or _mapping(_mapping(error).get("extra_info")).get("input_name") != input_name
        ]
        if errors:
            left[key] = {**_mapping(fault), "errors": errors}
    return left


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
