"""What can be set, and what is said of what cannot."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.comfyui.generator import workflows_of
from adapters.comfyui.options import ComfyOptions, name_of, options_of
from config import ConfigError, load, shipped
from config.models import EngineSettings
from events.spec import Archetype


def of(**options: Any) -> ComfyOptions:
    """Options as an entry gives them."""
    return options_of(EngineSettings(name="mine", kind="comfyui", options=options))


def test_what_ships_is_what_holds() -> None:
    """The entry that ships is off, and says of every option what it is when left out."""
    engine = shipped().engine("local_comfyui")
    assert engine is not None
    assert not engine.enabled
    assert ComfyOptions() == options_of(engine)
    left_out = {"not_taken_s", "unanswered_s", "generating_s"}
    assert set(ComfyOptions.model_fields) - left_out == set(engine.options)


def test_deadlines_fit_into_those_of_the_ladder() -> None:
    """An engine ends its own work before the controller does."""
    limits = shipped().limits
    options = ComfyOptions()
    assert options.too_long_s < limits.generating_s
    assert options.request_s + options.gone_s < limits.unanswered_s


@pytest.mark.parametrize(
    "text", ["http://gpu1:8188,http://gpu2:8188", "[http://gpu1:8188, http://gpu2:8188]"]
)
def test_the_environment_names_servers(text: str) -> None:
    """As a list, or in one text with commas between."""
    environ = {
        "PYTOON_ENGINES__LOCAL_COMFYUI__ENABLED": "true",
        "PYTOON_ENGINES__LOCAL_COMFYUI__OPTIONS__SERVERS": text,
    }
    engine = load(environ=environ).engine("local_comfyui")
    assert engine is not None
    assert engine.enabled
    assert ("http://gpu1:8188", "http://gpu2:8188") == options_of(engine).servers


@pytest.mark.parametrize(
    ("options", "key", "value", "allowed"),
    [
        ({"poll_s": 0}, "poll_s", "0", "at least 0.05"),
        ({"tries_max": 1.5}, "tries_max", "1.5", "a whole number"),
        ({"smaller": 2}, "smaller", "2", "at most 0.95"),
        ({"server": "http://a"}, "server", "http://a", "did you mean 'servers'"),
        ({"servers": []}, "servers", "a list of 0", "at least 1"),
        ({"servers": ["127.0.0.1:8188"]}, "servers", "", "127.0.0.1:8188 is no server"),
        ({"servers": ["http://a", "http://a/"]}, "servers", "", "named twice: http://a"),
        ({"archetypes": {"HERO": {}}}, "archetypes.HERO", "HERO", "PRODUCT_HERO"),
        ({"words": "../wan"}, "words", "../wan", "a text that matches"),
        ({"no_progress_s": 5, "too_long_s": 4}, "", "", "would never be reached"),
        ({"generating_s": None}, "", "", "generating_s must be a number"),
    ],
)
def test_a_bad_option_is_named(
    options: dict[str, Any], key: str, value: str, allowed: str
) -> None:
    """With the field, the value and the limit."""
    with pytest.raises(ConfigError) as caught:
        of(**options)
    error = caught.value
    assert "engines.mine.options" == error.where
    assert key in error.key
    assert value == error.value
    assert allowed in error.allowed


def test_workflows_by_archetype() -> None:
    """An archetype's own ones hold for it alone, and what they leave out is not made."""
    options = of(archetypes={"PRODUCT_HERO": {"picture": "ltxv_i2v"}})
    assert "ltxv_i2v" == options.workflow(Archetype.PRODUCT_HERO, picture=True)
    assert options.workflow(Archetype.PRODUCT_HERO, picture=False) is None
    assert "wan22_5b_i2v" == options.workflow(Archetype.OVERLAY, picture=True)
    assert {"wan22_5b_t2v", "wan22_5b_i2v", "ltxv_i2v"} == set(options.workflow_names())


@pytest.mark.parametrize(
    ("options", "key", "allowed"),
    [
        ({"words": "wan22_5b_i2v"}, "words", "without"),
        ({"picture": "wan22_5b_t2v"}, "picture", "with a target"),
        ({"words": "wan_of_tomorrow"}, "wan_of_tomorrow", "there are ltxv_i2v"),
    ],
)
def test_a_workflow_that_does_not_fit(options: dict[str, Any], key: str, allowed: str) -> None:
    """One that takes a picture stands where a picture is."""
    with pytest.raises(ConfigError) as caught:
        workflows_of("mine", of(**options))
    assert key == caught.value.key
    assert allowed in caught.value.allowed


@pytest.mark.parametrize(
    ("servers", "here"),
    [
        (["http://127.0.0.1:8188"], True),
        (["http://localhost:8188", "http://[::1]:8188"], True),
        (["http://127.0.0.1:8188", "http://gpu.lan:8188"], False),
        (["http://192.168.1.7:8188"], False),
    ],
)
def test_local_is_this_machine(servers: list[str], *, here: bool) -> None:
    """A picture that goes to another machine has left this one, unless somebody says otherwise."""
    assert here is of(servers=servers).stays_here
    assert of(servers=servers, is_local=True).stays_here


def test_passwords_are_not_told() -> None:
    """A server's name is written to logs and films."""
    assert "https://gpu.lan:8443/comfy" == name_of("https://me:secret@gpu.lan:8443/comfy")
    assert "http://[::1]:8188" == name_of("http://[::1]:8188")
