"""Declarations: those that ship, and what is told about those that are wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.hosted.declaration import SHIPPED, State, load_declaration, parsed
from config.errors import ConfigError

NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def raw(name: str = "runway") -> dict[str, Any]:
    """A shipped declaration, to be changed."""
    found: dict[str, Any] = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    return copy.deepcopy(found)


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_whole(name: str) -> None:
    """Dated, with its source, and spoken to by HTTPS alone."""
    declared = load_declaration(name)
    assert declared.as_of.startswith("20")
    assert declared.source
    assert declared.base_url.startswith("https://")
    assert declared.price is None, "prices change: whoever pays has to say them"
    assert {"400", "401", "403", "422", "429"} <= set(declared.create.refused)


def test_four_ship() -> None:
    """By name."""
    assert ["fal", "luma", "replicate", "runway"] == NAMES


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("title", 5, "title: 5: a text"),
        ("as_of", "lately", "as_of: lately: a text that matches"),
        ("auth.secret_env", "my key", "auth.secret_env: my key"),
        ("offers.durations", [], "offers.durations: a list of 0: at least 1 entries"),
        ("offers.nothing", 1, "offers.nothing: 1: no such key"),
        ("poll.every_s", 0, "poll.every_s: 0: at least 0.01"),
        ("poll.every_max_s", 1, "every_max_s (1) is less than every_s"),
        ("poll.state", "status", "a path begins with $"),
        ("poll.state", "$.status[", "no step of a path: '['"),
        ("poll.states.succeeded", [], "states: succeeded: no word means it"),
        ("poll.states.failed", ["SUCCEEDED"], "states: SUCCEEDED: means two things"),
        ("poll.states.finished", ["X"], "states.finished"),
        ("poll.url", "/v1/{task}", "poll.url: nothing fills task; there are id, model"),
        ("create.words.body.text", "{image}", "create.words.body: nothing fills image"),
        ("create.words.body.text", "{", "create.words.body: a brace that is no placeholder"),
        ("create.refused.500", "unavailable", "refused: 500 does not prove"),
        ("create.refused.408", "unavailable", "refused: 408 does not prove"),
        ("create.refused.201", "unavailable", "refused: 201 does not prove"),
        ("create.refused.400", "outcome_unknown", "is found by the machine"),
        ("create.refused.400", "oops", "create.refused.400: oops: one of"),
        ("create.accepted", [400], "accepted and refused: 400"),
        ("cancel.only_in", ["succeeded"], "what has ended is never cancelled"),
        ("failures", [{"match": "(", "reason": "moderated"}], "no regular expression"),
        ("failures", [{"match": "x", "reason": "internal", "again": True}], "again: only with"),
        ("settings.prompt", "x", "settings: prompt: has a meaning of its own"),
        ("image", None, "image: says how the picture"),
        ("image.by", "upload", "upload: goes with by: upload"),
        ("price", {"per_clip": 1, "per_second": 1}, "give either per_second or per_clip"),
        ("price", {"per_clip": -1}, "price.per_clip: -1: at least 0"),
    ],
)
def test_what_is_wrong_is_told(place: str, value: Any, told: str) -> None:
    """File, key, value and what is allowed."""
    found = raw()
    *keys, last = place.split(".")
    inner = found
    for key in keys:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(ConfigError) as caught:
        parsed(yaml.safe_dump(found), "mine.yaml")
    assert "mine.yaml" == caught.value.where
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "- 1", "", "\t"])
def test_what_is_no_declaration(text: str) -> None:
    """Broken YAML, a key that is written twice, no object."""
    with pytest.raises(ConfigError):
        parsed(text, "mine.yaml")


def test_one_of_ones_own_comes_first(tmp_path: Path) -> None:
    """A folder is looked at before what ships; what is in neither is told."""
    (tmp_path / "luma.yaml").write_text(yaml.safe_dump(raw("runway") | {"title": "Mine"}))
    assert "Mine" == load_declaration("luma", tmp_path).title
    assert "Runway" == load_declaration("runway", tmp_path).title
    with pytest.raises(ConfigError, match="did you mean 'runway'"):
        load_declaration("runaway", tmp_path)
    (tmp_path / "large.yaml").write_text("#" * 300_000)
    with pytest.raises(ConfigError, match="at most 200000"):
        load_declaration("large", tmp_path)


def test_words_of_a_service() -> None:
    """THROTTLED is a queue of our own making: it never means another create."""
    poll = load_declaration("runway").poll
    assert State.QUEUED is poll.means("THROTTLED")
    assert None is poll.means("SOMETHING_NEW")
