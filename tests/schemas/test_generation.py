"""The committed schemas are what the types say."""

from __future__ import annotations

import json
from pathlib import Path

from events.types import EVENT_TYPES
from schemas.generation import documents, stale, write


def test_committed_schemas_are_fresh() -> None:
    """Nobody changed a type without running ``python -m schemas``."""
    assert () == stale()


def test_every_event_has_a_schema_that_names_its_tag() -> None:
    """A client that reads the schemas knows every event there is."""
    tags = {
        name.removeprefix("events/").removesuffix(".json")
        for name in documents()
        if name.startswith("events/")
    }
    assert len(EVENT_TYPES) == len(tags)
    for tag in tags - {"render_requested"}:
        text = documents()[f"events/{tag}.json"]
        assert f'"{tag}"' in text


def test_what_a_client_publishes_is_the_request_itself() -> None:
    """The body of ``render_requested`` is flat: what the contract names, and nothing around it."""
    published = json.loads(documents()["events/render_requested.json"])
    assert json.loads(documents()["render_request.json"]) == published
    assert "preset_id" in published["properties"]


def test_request_schema_requires_only_what_the_contract_does() -> None:
    """All but the preset and the length may be left out, and nothing may be added."""
    schema = json.loads(documents()["render_request.json"])
    assert ["preset_id", "target_duration_seconds"] == schema["required"]
    assert schema["additionalProperties"] is False
    duration = schema["properties"]["target_duration_seconds"]
    assert (1, 60) == (duration["minimum"], duration["maximum"])


def test_stale_names_what_is_changed_missing_and_left_over(tmp_path: Path) -> None:
    """Each way of being stale is seen, and writing heals all of them."""
    write(tmp_path)
    assert () == stale(tmp_path)
    (tmp_path / "render_spec.json").write_text("{}", encoding="utf-8")
    (tmp_path / "events/render_planned.json").unlink()
    (tmp_path / "events/old.json").write_text("{}", encoding="utf-8")
    expected = ("events/old.json", "events/render_planned.json", "render_spec.json")
    assert expected == stale(tmp_path)
    assert expected == write(tmp_path)
    assert () == stale(tmp_path)
