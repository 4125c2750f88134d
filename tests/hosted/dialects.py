"""How each of four services speaks, as their documentation has it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.comfy.wire import Request


@dataclass
class Work:
    """Work at a service: it goes one state further with every look."""

    id: str
    end: str
    asked: dict[str, Any]
    looks: int = 0
    state: str = "queued"
    issued: int = 0
    """How many result URLs were given out; those up to ``expired`` work no more."""
    expired: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in {"done", "failed", "cancelled"}

    def look(self, states: tuple[str, ...]) -> None:
        """Go on."""
        if self.ended:
            return
        running = self.end in {"never", "deaf", "too late"}
        self.state = states[min(self.looks, len(states) - 1)]
        self.looks += 1
        if self.looks > len(states) and not running:
            self.state = {"done": "done", "error": "done", "cancelled": "cancelled"}.get(
                self.end, "failed"
            )


Told = Callable[[Work, str], dict[str, Any]]


@dataclass(frozen=True)
class Dialect:
    """One service."""

    scheme: str
    routes: tuple[tuple[str, str, str], ...]
    """Kind, method and pattern of the path."""
    created: Told
    polled: Told
    problem: Callable[[Request], str]
    result: Told = lambda work, base: {}
    failed_result: Callable[[Work], dict[str, Any]] = lambda work: {}
    headers: Mapping[str, str] = field(default_factory=dict)
    created_status: int = 200
    polled_status: Callable[[Work], int] = lambda work: 200
    path_of_states: tuple[str, ...] = ("queued", "running")
    moderation_refusal: str = "content_moderated"

    def route(self, method: str, path: str) -> tuple[str, str]:
        """The kind of a request and the id of the work that it is about."""
        for kind, wanted, pattern in self.routes:
            found = re.fullmatch(pattern, path)
            if found and method == wanted:
                return kind, found.groupdict().get("id") or ""
        return "", ""


def file_of(work: Work, base: str) -> str:
    """A result URL."""
    return f"{base}/files/{work.id}/clip.mp4?issued={work.issued}"


def _needs(asked: Mapping[str, Any], **kinds: Any) -> str:
    for name, wanted in kinds.items():
        value = asked.get(name)
        if isinstance(wanted, type):
            if not isinstance(value, wanted) or isinstance(value, bool):
                return f"{name} must be {wanted.__name__}, not {value!r}"
        elif value not in wanted:
            return f"{name} must be one of {wanted}, not {value!r}"
    return ""


def _unknown(asked: Mapping[str, Any], *known: str) -> str:
    return ", ".join(f"{name} is not known" for name in asked if name not in known)


def _is_picture(content: str) -> bool:
    try:
        found = base64.b64decode(content, validate=True)
    except ValueError:
        return False
    return found.startswith((b"\x89PNG", b"\xff\xd8\xff"))


def _is_data_uri(uri: str) -> bool:
    head, _, content = uri.partition(";base64,")
    return head in {"data:image/png", "data:image/jpeg"} and _is_picture(content)


# Luma


def _luma_problem(request: Request) -> str:
    asked = request.json()
    video = asked.get("video", {})
    frame = video.get("start_frame")
    if frame and not (_is_picture(frame["data"]) and frame["media_type"].startswith("image/")):
        return "corrupt_input"
    return (
        _unknown(asked, "model", "type", "prompt", "aspect_ratio", "video")
        or _needs(asked, model=["ray-3.2"], type=["video"], prompt=str, aspect_ratio=["9:16"])
        or _unknown(video, "duration", "resolution", "loop", "start_frame", "end_frame")
        or _needs(video, duration=["5s", "10s"], resolution=["540p", "720p", "1080p"])
    )


def _luma(work: Work, base: str) -> dict[str, Any]:
    state = {"queued": "queued", "running": "processing", "done": "completed"}
    told: dict[str, Any] = {"id": work.id, "state": state.get(work.state, "failed")}
    told["output"] = []
    if work.state == "done":
        told["output"] = [
            {"type": "image", "url": f"{base}/files/none/still.png"},
            {"type": "video", "url": file_of(work, base)},
        ]
    if work.state == "failed":
        codes = {"moderated": "content_moderated"}
        told["failure_code"] = codes.get(work.end, "generation_failed")
    return told


LUMA = Dialect(
    scheme="Bearer",
    routes=(
        ("create", "POST", r"/generations"),
        ("poll", "GET", r"/generations/(?P<id>[^/]+)"),
    ),
    created=_luma,
    created_status=201,
    polled=_luma,
    problem=_luma_problem,
)


# Runway


def _runway_problem(request: Request) -> str:
    asked = request.json()
    known = ["model", "promptText", "ratio", "duration", "seed"]
    pictured = request.path.endswith("image_to_video")
    if pictured:
        known.append("promptImage")
        if not _is_data_uri(asked.get("promptImage", "")):
            return "promptImage must be a data URI of a picture"
    if len(asked.get("promptText", "")) > 1000:
        return "promptText has at most 1000 characters"
    return _unknown(asked, *known) or _needs(
        asked,
        model=["gen4.5"],
        promptText=str,
        ratio=["720:1280", "1280:720"],
        duration=range(2, 11),
        seed=int,
    )


def _runway(work: Work, base: str) -> dict[str, Any]:
    words = {"queued": "PENDING", "throttled": "THROTTLED", "running": "RUNNING",
             "done": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELLED"}  # fmt: skip
    told: dict[str, Any] = {"id": work.id, "status": words[work.state]}
    if work.state == "running":
        told["progress"] = 0.5
    if work.state == "done":
        told["output"] = [file_of(work, base)]
    if work.state == "failed":
        codes = {"moderated": "SAFETY.INPUT.TEXT"}
        told |= {"failure": "It failed.", "failureCode": codes.get(work.end, "INTERNAL")}
    return told


RUNWAY = Dialect(
    scheme="Bearer",
    headers={"x-runway-version": "2024-11-06"},
    routes=(
        ("create", "POST", r"/v1/(?:image|text)_to_video"),
        ("poll", "GET", r"/v1/tasks/(?P<id>[^/]+)"),
        ("cancel", "DELETE", r"/v1/tasks/(?P<id>[^/]+)"),
    ),
    created=lambda work, base: {"id": work.id},
    polled=_runway,
    problem=_runway_problem,
    path_of_states=("queued", "throttled", "throttled", "running"),
    moderation_refusal="SAFETY.INPUT.TEXT",
)


# fal


def _fal_problem(request: Request) -> str:
    asked = request.json()
    if request.path.endswith("image-to-video"):
        if not _is_data_uri(asked.get("image_url", "")):
            return "image_load_error"
        return _unknown(asked, "prompt", "image_url", "duration")
    return _unknown(asked, "prompt", "aspect_ratio", "duration") or _needs(
        asked, prompt=str, aspect_ratio=["9:16"], duration=["5", "10"]
    )


def _fal_created(work: Work, base: str) -> dict[str, Any]:
    # Not under the path of the model: whoever builds these URLs finds nothing.
    requests = f"{base}/fal-ai/kling-video/requests/{work.id}"
    return {
        "request_id": work.id,
        "status": "IN_QUEUE",
        "status_url": f"{requests}/status",
        "response_url": requests,
        "cancel_url": f"{requests}/cancel",
    }


def _fal(work: Work, base: str) -> dict[str, Any]:
    words = {"queued": "IN_QUEUE", "running": "IN_PROGRESS"}
    told: dict[str, Any] = {"request_id": work.id, "status": words.get(work.state, "COMPLETED")}
    if work.state == "queued":
        told["queue_position"] = 3
    if work.state in {"failed", "cancelled"} or work.end == "error":
        types = {"moderated": "content_policy_violation", "cancelled": "cancelled"}
        told |= {"error": "It failed.", "error_type": types.get(work.end, "internal_error")}
    return told if work.ended else {name: told[name] for name in told if "error" not in name}


FAL = Dialect(
    scheme="Key",
    routes=(
        ("poll", "GET", r"/fal-ai/kling-video/requests/(?P<id>[^/]+)/status"),
        ("result", "GET", r"/fal-ai/kling-video/requests/(?P<id>[^/]+)"),
        ("cancel", "PUT", r"/fal-ai/kling-video/requests/(?P<id>[^/]+)/cancel"),
        ("create", "POST", r"/fal-ai/kling-video/v2.1/master/(?:text|image)-to-video"),
    ),
    created=_fal_created,
    polled=_fal,
    polled_status=lambda work: 200 if work.ended else 202,
    problem=_fal_problem,
    result=lambda work, base: {"video": {"url": file_of(work, base)}},
    failed_result=lambda work: {"detail": [{"type": "content_policy_violation", "msg": "No."}]},
    moderation_refusal="content_policy_violation",
)


# Replicate


def _replicate_problem(request: Request) -> str:
    asked = request.json().get("input", {})
    start = asked.get("start_image")
    if start is not None and not _is_data_uri(start):
        return "start_image must be a URI"
    return _unknown(asked, "prompt", "aspect_ratio", "duration", "seed", "start_image") or _needs(
        asked, prompt=str, duration=[5, 10]
    )


def _replicate(work: Work, base: str) -> dict[str, Any]:
    words = {"queued": "starting", "running": "processing", "done": "succeeded",
             "failed": "failed", "cancelled": "canceled"}  # fmt: skip
    get = f"{base}/v1/predictions/{work.id}"
    told: dict[str, Any] = {
        "id": work.id,
        "status": words[work.state],
        "error": None,
        "output": None,
        "urls": {"get": get, "cancel": f"{get}/cancel"},
    }
    if work.state == "done":
        told["output"] = file_of(work, base)
    if work.state == "failed":
        codes = {"moderated": "The input was flagged as sensitive. (E005)"}
        told["error"] = codes.get(work.end, "Prediction interrupted")
    return told


REPLICATE = Dialect(
    scheme="Bearer",
    routes=(
        ("create", "POST", r"/v1/models/[^/]+/[^/]+/predictions"),
        ("poll", "GET", r"/v1/predictions/(?P<id>[^/]+)"),
        ("cancel", "POST", r"/v1/predictions/(?P<id>[^/]+)/cancel"),
    ),
    created=_replicate,
    created_status=201,
    polled=_replicate,
    problem=_replicate_problem,
    moderation_refusal="The input was flagged as sensitive. (E005)",
)

DIALECTS = {"luma": LUMA, "runway": RUNWAY, "fal": FAL, "replicate": REPLICATE}
