"""The AsyncAPI document: every subject, what is on it, and who sends and receives it.

Made from the types, the subjects and the services' durables.  Whoever has it and the schemas
beside it can write a client or a service in any language.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from events.codec import VERSION
from events.log import DurableSpec
from events.notices import BUDGETS, CIRCUIT_TYPES, ENGINES, NOTICE_TYPES, notice_name
from events.schemas import DIALECT
from events.subjects import DEAD_LETTERS, PROGRESS, ROOT, STREAM, WITH_ENGINE
from events.types import CLIENT_ASKS, EVENT_TYPES, type_name
from services.assembler import shell as assembler
from services.fallback_controller import shell as fallback_controller
from services.planner import shell as planner
from services.segment_renderer import shell as segment_renderer

FILE = "asyncapi.json"
"""Its name, beside the schemas that it refers to."""

FORMAT = f"application/schema+json;version={DIALECT}"

_PROGRESS = "progress"
_ABOUT = f"""\
Films are asked for, made and told of by messages.  The stream {STREAM} holds everything but
progress; what is on it stays, and is read from its beginning or followed.  A client publishes the
three asks, which need no header, as JetStream publishes, and follows the rest by a consumer of
its own.  Everything else is published by services alone, each message linked to the one before it
by its headers.  What a consumer was handed and nobody could read lies in the stream
{DEAD_LETTERS}.
"""
_TOLD = {
    "service": {"type": "string", "description": "Whose work it is."},
    "segment": {"type": "integer", "description": "Which segment, from 0."},
    "attempt": {"type": "integer"},
    "engine": {"type": "string"},
    "assembling": {"type": "boolean", "description": "True: the whole film is put together."},
    "frames_done": {"type": "integer"},
    "frames": {"type": "integer", "description": "In all."},
    "preview": {
        "type": "string",
        "description": "A picture of what an engine has in the making: a data: URL, JPEG or PNG.",
    },
}
_HEADERS = {
    "ce-id": "The event's id; the same event again has the same one.",
    "ce-type": "The event's type, as in the subject.",
    "ce-source": "The service that wrote it.",
    "ce-time": "When it was written, RFC 3339 in UTC.",
    "ce-specversion": "Of CloudEvents: 1.0.",
    "pytoon-version": "The version of the body; one that is newer is left alone.",
}
_CHAIN = {
    "pytoon-ordinal": "Its number in the job, from 1.",
    "pytoon-prev": "The sha256 of the job's message before it; empty for the first.",
    "pytoon-job-seq": "The stream's sequence of the job's first message; 0 where none was stored.",
    "pytoon-causation": "The id of the event that led to it.",
    "traceparent": "Of W3C's trace context: the job's trace, and the span that wrote it.",
}
"""What an event of a job has besides: notices are no history, and nothing links them."""
_ASKED = (
    "Of W3C's trace context: the client's span."
    "  A film that is asked for with one is a part of its trace."
)

_SIGNED = {
    "pytoon-key": "Of a signed message: the first 16 hex digits of the sha256 of the public key.",
    "pytoon-signature": "Of a signed message: its writer's Ed25519 signature, in base64.",
}
"""What a message has where the log's operator has chosen keys."""

_AFTER = {"pytoon-after": "Of a signed notice: the sequence of its topic's message before it."}

_PARAMETERS = {
    "job_id": "1 to 64 of A-Z a-z 0-9 _ -, chosen by whoever asks.",
    "engine": "The engine's name, as in engines.yaml.",
    "scope": "What the budget is of.",
    "date": "The day in UTC, such as 2026-11-25.",
}


def document() -> dict[str, Any]:
    """The document, as JSON."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pytoon",
            "version": f"{VERSION}.0.0",
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "localhost:4222",
                "protocol": "nats",
                "description": "The server that `pytoon init` was run on.",
                "security": [{"type": "userPassword"}],
            }
        },
        "channels": dict(_channels()),
        "operations": dict(_operations()),
        "components": {"messages": dict(_messages())},
    }


def _channels() -> Iterator[tuple[str, dict[str, Any]]]:
    """One for each subject: its name is the message's."""
    for kind in EVENT_TYPES:
        name = type_name(kind)
        last = f"{name}.{{engine}}" if name == WITH_ENGINE else name
        yield name, _channel(name, f"{ROOT}.{{job_id}}.{last}", kind)
    for notice in NOTICE_TYPES:
        name = notice_name(notice)
        topic = (
            f"{ENGINES}.{{engine}}" if notice in CIRCUIT_TYPES else f"{BUDGETS}.{{scope}}.{{date}}"
        )
        yield name, _channel(name, f"{topic}.{name}", notice)
    yield _PROGRESS, _channel(_PROGRESS, f"{PROGRESS}.{{job_id}}", None)


def _channel(name: str, address: str, kind: type | None) -> dict[str, Any]:
    """``kind`` is what the stream stores there; None: it stores nothing."""
    held = (
        f"Stored in the stream {STREAM}." if kind else "Not stored: who does not listen misses it."
    )
    tokens = [token[1:-1] for token in address.split(".") if token.startswith("{")]
    return {
        "address": address,
        "description": held,
        "parameters": {token: {"description": _PARAMETERS[token]} for token in tokens},
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _messages() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in EVENT_TYPES:
        yield type_name(kind), _message(kind, f"events/{type_name(kind)}.json")
    for notice in NOTICE_TYPES:
        yield notice_name(notice), _message(notice, f"notices/{notice_name(notice)}.json")
    yield (
        _PROGRESS,
        {
            "name": _PROGRESS,
            "summary": "How far a job's work is; any of its keys may be missing.",
            "payload": {"type": "object", "properties": _TOLD},
        },
    )


def _message(kind: type, schema: str) -> dict[str, Any]:
    folder, _, file = schema.partition("/")
    name = file.removesuffix(".json")
    told: dict[str, Any] = {
        "name": name,
        "summary": " ".join(inspect.cleandoc(kind.__doc__ or name).split("\n\n")[0].split()),
        "payload": {"schemaFormat": FORMAT, "schema": {"$ref": f"./{schema}"}},
    }
    if name in CLIENT_ASKS:
        # What a client asks needs no header, and may have this one.
        headers = {"traceparent": {"type": "string", "description": _ASKED}}
        return told | {"headers": {"type": "object", "properties": headers}}
    about = _HEADERS | (_CHAIN if folder == "events" else _AFTER) | _SIGNED
    headers = {key: {"type": "string", "description": text} for key, text in about.items()}
    return told | {"headers": {"type": "object", "properties": headers}}


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Clients first, then each service by the messages that wake it."""
    names = [type_name(kind) for kind in EVENT_TYPES]
    for name in names:
        if name in CLIENT_ASKS:
            yield _operation("client", "send", name, "A client asks; it needs no header.")
    for name in (*names, *(notice_name(kind) for kind in NOTICE_TYPES), _PROGRESS):
        yield _operation("client", "receive", name, "A client may follow it; nobody has to.")
    for service, types in _woken().items():
        for name in types:
            yield _operation(service, "receive", name, f"The {service} is woken by it.")


def _operation(who: str, action: str, name: str, summary: str) -> tuple[str, dict[str, Any]]:
    return f"{who}.{action}.{name}", {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "tags": [{"name": who}],
    }


def _woken() -> Mapping[str, list[str]]:
    """The types that each service's durables filter for."""
    specs: dict[str, tuple[DurableSpec, ...]] = {
        planner.NAME: planner.durables(ack_wait_s=1),
        segment_renderer.NAME: segment_renderer.durables(("any",), ack_wait_s=1),
        fallback_controller.NAME: fallback_controller.durables(ack_wait_s=1),
        assembler.NAME: assembler.durables(ack_wait_s=1),
    }
    return {
        service: sorted({token.partition(".")[0] for spec in found for token in spec.types})
        for service, found in specs.items()
    }
