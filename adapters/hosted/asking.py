"""From a clip that is wanted to the request that asks a service for it."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, NamedTuple

from adapters.generation import ClipAsk
from adapters.hosted.declaration import Declaration, Duration, Request, Size
from adapters.hosted.failures import failed
from adapters.hosted.templates import MISSING, filled, filled_url
from events.spec import Warned
from events.types import Reason

NAMESPACE = uuid.UUID("5a9c8e0e-2f3e-5b7a-8a3c-0d7f5e4b9a21")
"""The name space of keys; never change it: what is under way goes by them."""

COVERS_S = 0.001
"""So much may a clip be shorter than its segment: rounding of frames to seconds."""


class Asked(NamedTuple):
    """A create, ready to be sent but for its picture."""

    request: Request
    values: dict[str, Any]
    seconds: float
    cost: float

    def model(self, service: str) -> str:
        """What made it, for the log."""
        named = filled(self.request.model or "{model}", {"model": "", **self.values})
        return f"{service} {named}".strip()

    def url(self) -> str:
        """Where it is sent."""
        url = filled_url(self.request.url, self.values)
        assert url is not None, "the declaration was judged: every placeholder has a value"
        return url

    def body(self) -> Any:
        """What is sent."""
        body = filled(self.request.body, self.values)
        return {} if body is MISSING else body


def key_of(ask: ClipAsk) -> str:
    """The key of an attempt, the same for whoever makes it."""
    attempt = f"{ask.job_id}/{ask.segment}/{ask.attempt}"
    return f"pytoon-{uuid.uuid5(NAMESPACE, attempt)}"


def asked(ask: ClipAsk, declared: Declaration) -> Asked:
    """What to send for a clip.  Raises ``EngineFailure`` with ``UNSUPPORTED``."""
    request = request_for(ask, declared)
    duration = duration_for(ask, declared)
    size = size_for(ask, declared)
    offers = declared.offers
    prompt, _ = fitting(ask.prompt, declared)
    seed = None if offers.seed_max is None else ask.seed % (offers.seed_max + 1)
    assert declared.price is not None, "an engine is made with a price"
    return Asked(
        request=request,
        values={
            **declared.settings,
            "prompt": prompt,
            "duration": duration.send,
            "ratio": size.send if size else None,
            "width": size.width if size else None,
            "height": size.height if size else None,
            "seed": seed,
            "key": key_of(ask),
        },
        seconds=duration.seconds,
        cost=round(declared.price.of(duration.seconds), 6),
    )


def recipe(ask: ClipAsk, declared: Declaration) -> str:
    """All that a clip depends on besides the ask, as one line."""
    request = request_for(ask, declared)
    duration, size = duration_for(ask, declared), size_for(ask, declared)
    template = json.dumps([request.url, request.body], sort_keys=True)
    facts = {
        "service": declared.title,
        "settings": declared.settings,
        "duration": duration.send,
        "size": size.send if size else "",
        "request": hashlib.sha256(template.encode()).hexdigest(),
    }
    return json.dumps({"hosted": facts}, sort_keys=True, separators=(",", ":"))


def request_for(ask: ClipAsk, declared: Declaration) -> Request:
    """The request for such a clip; raises ``EngineFailure`` where there is none."""
    found = declared.create.words if ask.still is None else declared.create.picture
    if found is None:
        source = "words alone" if ask.still is None else "a picture"
        detail = f"{declared.title} is not declared to make clips from {source}"
        raise failed(Reason.UNSUPPORTED, detail, cost=0.0)
    return found


def duration_for(ask: ClipAsk, declared: Declaration) -> Duration:
    """The shortest length on offer that covers the clip."""
    offered = sorted(declared.offers.durations, key=lambda duration: duration.seconds)
    found = next((d for d in offered if d.seconds + COVERS_S >= ask.seconds), None)
    if found is None:
        longest = offered[-1].seconds
        detail = f"{declared.title} makes at most {longest:g} s; {ask.seconds:.2f} s are needed"
        raise failed(Reason.UNSUPPORTED, detail, cost=0.0)
    return found


def size_for(ask: ClipAsk, declared: Declaration) -> Size | None:
    """The size whose shape is nearest; of those the smallest that covers, else the largest."""
    if not declared.offers.sizes:
        return None

    def unlike(size: Size) -> float:
        wide, film = size.width / size.height, ask.width / ask.height
        return round(max(wide / film, film / wide), 3)

    nearest = min(unlike(size) for size in declared.offers.sizes)
    alike = [size for size in declared.offers.sizes if unlike(size) == nearest]
    covering = [s for s in alike if s.width >= ask.width and s.height >= ask.height]
    if covering:
        return min(covering, key=lambda size: size.width * size.height)
    return max(alike, key=lambda size: size.width * size.height)


def fitting(prompt: str, declared: Declaration) -> tuple[str, tuple[Warned, ...]]:
    """The prompt as it may be sent: cut after a word where it is too long, and told."""
    chars_max = declared.offers.prompt_chars_max
    if len(prompt) <= chars_max:
        return prompt, ()
    cut = prompt[: chars_max + 1]
    kept = cut.rpartition(" ")[0].rstrip(" ,;:") or prompt[:chars_max]
    message = f"the prompt was cut from {len(prompt)} to {len(kept)} characters for the engine"
    return kept, (Warned(code="prompt_shortened", message=message),)
