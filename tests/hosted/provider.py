"""A hosted service that behaves as each of four does, bills what it makes, and can go wrong.

It knows neither sockets nor clocks: ``answer`` takes a request and says what happens on the wire.
Work goes on with every look at it.  A create is billed when the service takes it, whether its
answer arrives or not; ``bills`` is what a test counts.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.comfy.wire import Request
from tests.hosted.dialects import DIALECTS, Dialect, Work

PRICE = 0.5
KEY = "key-that-nobody-may-see-5f2c9a"
HUNG_S = 1e6


@dataclass
class Reply:
    """What is answered and how: after ``delay_s``, only ``cut`` bytes of it, or not at all."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: int | None = None
    drop: bool = False


def told(value: Any, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON."""
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **more})


@dataclass
class Asked:
    """A request that came, for a test to look at."""

    at_s: float
    kind: str
    request: Request


class Provider:
    """One account at one service.

    ``faults`` holds, by kind of request (create, poll, result, cancel, file), what goes wrong with
    the next ones in turn; empty texts are requests that go well.  ``end`` says what becomes of
    work: done, failed, moderated, cancelled, error (done, with an error in it) or never.
    """

    def __init__(
        self, dialect: str, clip: bytes, *, base: str = "", now: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.dialect: Dialect = DIALECTS[dialect]
        self.clip = clip
        self.base = base
        self.end = "done"
        self.faults: dict[str, deque[str]] = {}
        self.works: dict[str, Work] = {}
        self.bills: list[Work] = []
        self.asked: list[Asked] = []
        self.deleted: list[str] = []
        self._now = now

    def fault(self, kind: str, *faults: str) -> None:
        """Have the next requests of a kind go wrong."""
        self.faults.setdefault(kind, deque()).extend(faults)

    def count(self, kind: str) -> int:
        """How many requests of a kind came."""
        return sum(asked.kind == kind for asked in self.asked)

    def times(self, kind: str) -> list[float]:
        """When they came."""
        return [asked.at_s for asked in self.asked if asked.kind == kind]

    def answer(self, request: Request) -> Reply:
        """What happens to a request."""
        kind, work_id = self.dialect.route(request.method, request.path)
        if request.path.startswith("/files/"):
            kind, work_id = "file", request.path.split("/")[2]
        self.asked.append(Asked(self._now(), kind, request))
        faults = self.faults.get(kind)
        fault = faults.popleft() if faults else ""
        if kind == "file":
            return self._file(request, self.works.get(work_id), fault)
        shown = request.headers.get("authorization", "")
        if shown != f"{self.dialect.scheme} {KEY}":
            return told({"error": f"no such key: {shown}"}, 401)
        for name, wanted in self.dialect.headers.items():
            if request.headers.get(name) != wanted:
                return told({"error": f"{name} must be {wanted}"}, 400)
        if kind == "create":
            return self._create(request, fault)
        work = self.works.get(work_id)
        if kind == "":
            return told({"error": f"nothing at {request.method} {request.path}"}, 404)
        if fault:
            return _broken(fault, request)
        if work is None:
            return told({"error": "no such work"}, 404)
        if kind == "poll":
            return self._poll(work)
        if kind == "result":
            return self._result(work)
        return self._cancel(work, fault)

    def _create(self, request: Request, fault: str) -> Reply:
        refusals = {"400", "401", "402", "403", "404", "422"}
        if fault == "500 before":
            return told({"error": "trouble"}, 500)
        if fault == "lost before":
            return Reply(drop=True)
        if fault.startswith("429"):
            wait = fault.partition(" ")[2] or "1"
            return told({"error": "slow down"}, 429, Retry_After=wait)
        if fault == "moderated":
            return told({"error": self.dialect.moderation_refusal}, 422)
        if fault in refusals:
            return told({"error": f"refused, {request.headers.get('authorization')}"}, int(fault))
        problem = self.dialect.problem(request)
        if problem:
            return told({"error": problem}, 422)
        work = Work(f"work-{len(self.works) + 1}", self.end, request.json())
        self.works[work.id] = work
        self.bills.append(work)
        made = told(self.dialect.created(work, self.base), self.dialect.created_status)
        match fault:
            case "lost":
                return Reply(drop=True)
            case "500 after":
                return told({"error": f"trouble, {request.headers.get('authorization')}"}, 500)
            case "hung":
                made.delay_s = HUNG_S
            case "slow":
                made.delay_s = 20.0
            case "cut":
                made.cut = len(made.body) // 2
            case "unreadable":
                made.body = b"<html>gateway</html>"
            case "no id":
                made = told({"status": "ok"})
            case "moved":
                made = Reply(307, b"", {"Location": f"{self.base}/elsewhere"})
            case "foreign urls":
                made.body = made.body.replace(self.base.encode(), b"https://evil.example")
            case "broken urls":
                made.body = made.body.replace(self.base.encode(), b"http://[")
            case "":
                pass
            case _:
                raise AssertionError(f"no such fault of a create: {fault}")
        return made

    def _poll(self, work: Work) -> Reply:
        work.look(self.dialect.path_of_states)
        if work.state == "done":
            work.issued += 1
        return told(self.dialect.polled(work, self.base), self.dialect.polled_status(work))

    def _result(self, work: Work) -> Reply:
        work.issued += 1
        if work.end != "done":
            return told(self.dialect.failed_result(work), 422)
        return told(self.dialect.result(work, self.base))

    def _cancel(self, work: Work, fault: str) -> Reply:
        if work.ended:
            # Some services delete what is finished when they are asked to cancel it.
            self.deleted.append(work.id)
            return told({"status": "ALREADY_COMPLETED"}, 400)
        if work.end == "too late":
            work.state, work.end = "done", "done"
        elif work.end != "deaf":
            work.state = "cancelled"
        return told({"status": "CANCELLATION_REQUESTED"}, 202)

    def _file(self, request: Request, work: Work | None, fault: str) -> Reply:
        assert "authorization" not in request.headers, "a result URL is somebody else's host"
        if work is None:
            return told({"error": "no such file"}, 404)
        if fault == "expired":
            work.expired = work.issued
        if int(request.query["issued"]) <= work.expired:
            return Reply(403, b"<Error>Request has expired</Error>")
        whole = Reply(200, self.clip, {"Content-Type": "video/mp4"})
        match fault:
            case "truncated":
                whole.cut = len(self.clip) // 2
            case "shortened":
                whole.body = self.clip[: len(self.clip) // 2]
            case "garbage":
                whole.body = b"<html>not a film</html>" * 50
            case "empty":
                whole.body = b""
            case "500":
                return Reply(500, b"trouble")
            case "drop":
                return Reply(drop=True)
            case "hung":
                whole.delay_s = HUNG_S
            case "large":
                whole.body = self.clip + bytes(200_000)
            case "moved":
                return Reply(302, b"", {"Location": f"{request.path}?{_query(request)}"})
            case "private":
                return Reply(302, b"", {"Location": "http://10.0.0.1/clip.mp4"})
            case "nowhere":
                return Reply(302, b"", {"Location": "http://["})
            case "no port":
                return Reply(302, b"", {"Location": "http://clips.example:99999/clip.mp4"})
            case "no name":
                return Reply(302, b"", {"Location": "http://a..b/clip.mp4"})
            case "file":
                return Reply(302, b"", {"Location": "file:///etc/passwd"})
            case _:
                assert fault in {"", "expired"}, f"no such fault of a file: {fault}"
        return whole


def _query(request: Request) -> str:
    return "&".join(f"{name}={value}" for name, value in request.query.items())


def _broken(fault: str, request: Request) -> Reply:
    """What goes wrong with a look, a result or a cancel."""
    match fault:
        case "drop":
            return Reply(drop=True)
        case "hung":
            return Reply(delay_s=HUNG_S)
        case "garbage":
            return Reply(200, b"<html>gateway</html>")
        case "shown":
            code = f"INTERNAL {request.headers.get('authorization')}"
            return told({"status": "FAILED", "failureCode": code})
        case _:
            status, _, wait = fault.partition(" ")
            headers = {"Retry-After": wait} if wait else {}
            shown = request.headers.get("authorization", "")
            return Reply(int(status), f'{{"error": "trouble, {shown}"}}'.encode(), headers)


def faults_of(kind: str) -> Iterator[str]:
    """Every fault of a kind of request, for those who draw among them."""
    yield from {
        "create": ("lost", "lost before", "500 before", "500 after", "slow", "hung", "cut",
                   "unreadable", "no id", "400", "401", "422", "moderated", "429 1", "moved"),
        "poll": ("drop", "garbage", "500", "503", "429 7", "hung"),
        "result": ("drop", "garbage", "500", "429 2", "404"),
        "cancel": ("drop", "500", "400"),
        "file": ("truncated", "garbage", "expired", "500", "drop", "empty", "moved", "shortened"),
    }[kind]  # fmt: skip
