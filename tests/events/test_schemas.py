"""Tests of ``events.schemas``: what other languages are told."""

from __future__ import annotations

import json

from events.notices import NOTICE_TYPES, notice_name
from events.schemas import SPEC, event_schemas, notice_schemas
from events.types import EVENT_TYPES, type_name


def test_every_type_has_its_schema() -> None:
    """One schema a type, and the plan's; the same every time."""
    schemas = event_schemas()
    expected = sorted([*(f"{type_name(kind)}.json" for kind in EVENT_TYPES), SPEC])
    assert expected == list(schemas)
    assert json.dumps(schemas) == json.dumps(event_schemas())


def test_every_notice_has_its_schema() -> None:
    """Circuits and budgets can be read by other languages, too."""
    expected = sorted(f"{notice_name(kind)}.json" for kind in NOTICE_TYPES)
    assert expected == list(notice_schemas())
    opened = notice_schemas()["circuit_opened.json"]["$defs"]["CircuitOpened"]
    assert "until_s" in opened["required"]


def test_the_request_is_its_own_body() -> None:
    """What a client publishes as a request is described by the configuration's schema."""
    request = {"title": "Request", "type": "object"}
    schema = event_schemas(request)["render_requested.json"]
    assert "Request" == schema["title"]
    assert "object" == event_schemas()["render_requested.json"]["type"]


def test_asks_may_leave_out_what_the_subject_says() -> None:
    """Type and job are required of a service's event, not of a client's bare ask."""
    schemas = event_schemas()
    settled = schemas["generation_settled.json"]["$defs"]["GenerationSettled"]
    assert ["segment"] == settled["required"]
    assert settled["additionalProperties"] is False
    failed = schemas["render_failed.json"]["$defs"]["RenderFailed"]
    assert ["type", "job_id", "reason", "detail"] == failed["required"]
