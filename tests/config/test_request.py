"""The judge of requests: accepts the contract, names every problem, and never raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import RenderRequest, parse_request, shipped
from config.request import ASSETS_MAX, PROBLEMS_MAX
from events.types import Problem

PRESETS = tuple(shipped().presets)
LEAST = {"preset_id": "overlay_classic", "target_duration_seconds": 15}
HEX = "a" * 64


def _judge(ask: object) -> dict[str, Problem]:
    answer = parse_request(ask, presets=PRESETS)
    return {p.field: p for p in answer} if isinstance(answer, tuple) else {}


def _accepted(**fields: Any) -> RenderRequest:
    answer = parse_request({**LEAST, **fields}, presets=PRESETS)
    assert isinstance(answer, RenderRequest), answer
    return answer


def test_the_documented_body_is_accepted() -> None:
    """The body that the contract shows, nulls and all."""
    body = json.loads(
        '{"preset_id":"overlay_classic","prompt":"…","target_duration_seconds":15,'
        '"image_uris":["file:///a/b.png"],"mask_uri":null,"music_uri":null,"voice_uri":null,'
        '"hook":null,"beats":[],"cta":null,"archetype":null,"brand_safe":null,'
        '"engine_policy":null,"seed":null}'
    )
    request = parse_request(body, presets=PRESETS)
    assert isinstance(request, RenderRequest)
    assert ("file:///a/b.png",) == request.image_uris


def test_only_preset_and_length_are_needed() -> None:
    """Everything else may be left out."""
    assert RenderRequest(preset_id="overlay_classic", target_duration_seconds=15) == _accepted()
    assert {"preset_id", "target_duration_seconds"} == set(_judge({}))


@pytest.mark.parametrize(
    "fields",
    [
        {"target_duration_seconds": 1},
        {"target_duration_seconds": 60},
        {"target_duration_seconds": 1.5},
        {"hook": ""},
        {"prompt": "p" * 5000},
        {"prompt": "quotes \"' colons: 50% %{pts}\nnew lines\t"},
        {"prompt": "👩🏽‍🚀 مرحبا 你好 हिन्दी ไทย עברית 🇩🇪"},
        {"image_uris": [f"sha256:{HEX}", "https://example.org/a.png", "file:///a%20b.JPG"]},
        {"image_uris": ["file://localhost/a.png"], "mask_uri": "file:///mask.png"},
        {"assets": [{"uri": "file:///a.png", "role": "person", "mask_uri": None}]},
        {"music_uri": "file:///clip.mp4"},
        {"transition": "wipe", "draft": True, "budget": 0, "deadline_seconds": 60},
        {"archetype": "MEME_TEXT", "brand_safe": False, "engine_policy": "api_only", "seed": 0},
        {"seed": 2**53 - 1},
    ],
)
def test_what_the_contract_allows_is_accepted(fields: dict[str, Any]) -> None:
    """The edges of every bound, and any text there is."""
    _accepted(**fields)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("target_duration_seconds", 0, "at least 1"),
        ("target_duration_seconds", 61, "at most 60"),
        ("target_duration_seconds", -1, "at least 1"),
        ("target_duration_seconds", True, "a number"),
        ("target_duration_seconds", "15", "a number"),
        ("target_duration_seconds", float("nan"), "finite"),
        ("target_duration_seconds", float("inf"), "finite"),
        ("target_duration_seconds", 10**400, "at most 18 digits"),
        ("preset_id", "overlay_clasic", "one of product_hero_clean"),
        ("preset_id", 5, "a text"),
        ("prompt", "p" * 10_000, "at most 5000 characters (it has 10000)"),
        ("prompt", "a\x00b", "without control characters"),
        ("prompt", "\ud800", "well-formed Unicode"),
        ("hook", "h" * 201, "at most 200 characters"),
        ("cta", ["x"], "a text"),
        ("beats", "one", "a list"),
        ("image_uris", "file:///a.png", "a list"),
        ("music_uri", "", "at least 1 characters"),
        ("music_uri", "ftp://a/b.mp3", "file:///…"),
        ("music_uri", "file://host/b.mp3", "file:///…"),
        ("music_uri", "file:///", "file:///…"),
        ("music_uri", "http:///b.mp3", "file:///…"),
        ("music_uri", "http://[::1/b.mp3", "file:///…"),
        ("music_uri", "file:///a\x00b", "without control characters"),
        ("music_uri", "sha256:" + "g" * 64, "file:///…"),
        ("music_uri", "sha256:abc", "file:///…"),
        ("music_uri", "file:///" + "a" * 2048, "at most 2048 characters"),
        ("logo_uri", "file:///logo.MOV", "a picture"),
        ("mask_uri", "file:///mask.png", "belongs to the first of image_uris"),
        ("archetype", "overlay", "one of PRODUCT_HERO, OVERLAY, MEME_TEXT"),
        ("brand_safe", "yes", "true or false"),
        ("brand_safe", 1, "true or false"),
        ("engine_policy", "local", "one of local_only"),
        ("transition", "crosfade", "one of cut, crossfade"),
        ("seed", -1, "at least 0"),
        ("seed", 2**53, "at most 9"),
        ("seed", 1.5, "a whole number"),
        ("seed", True, "a whole number"),
        ("deadline_seconds", 1, "at least 10"),
        ("budget", -0.5, "at least 0"),
        ("draft", "true", "true or false"),
        ("colour", "red", "no such field"),
    ],
)
def test_problem_names_field_and_limit(field: str, value: object, limit: str) -> None:
    """One wrong field is one problem, of that name, with what would be allowed and a hint."""
    problems = _judge({**LEAST, field: value})
    assert {field} == set(problems)
    assert limit in problems[field].limit
    assert problems[field].hint


@pytest.mark.parametrize(
    ("field", "ask"),
    [
        ("image_uris[1]", {"image_uris": ["file:///a.png", "/tmp/b.png"]}),
        ("image_uris[0]", {"image_uris": ["file:///a.mp4"]}),
        ("image_uris[0]", {"image_uris": [None]}),
        ("assets[0].uri", {"assets": [{"role": "product"}]}),
        ("assets[0].role", {"assets": [{"uri": "file:///a.png", "role": "prodct"}]}),
        ("assets[0].rol", {"assets": [{"uri": "file:///a.png", "rol": "auto"}]}),
        ("assets[0].uri", {"assets": [{"uri": "file:///a.webm"}]}),
        ("assets[0].mask_uri", {"assets": [{"uri": "file:///a.png", "mask_uri": "mask.png"}]}),
        ("assets[0]", {"assets": ["file:///a.png"]}),
        ("beats[1]", {"beats": ["fine", "b" * 201]}),
        ("beats[0]", {"beats": ["bell\x07"]}),
    ],
)
def test_problem_inside_a_list_names_the_entry(field: str, ask: dict[str, Any]) -> None:
    """The path leads to the entry that is wrong."""
    assert {field} == set(_judge({**LEAST, **ask}))


def test_every_problem_is_named_at_once() -> None:
    """Nobody has to send a request five times to learn five things."""
    ask = {
        "preset": "overlay_classic",
        "target_duration_seconds": 0,
        "prompt": "p" * 10_000,
        "image_uris": ["/tmp/a.png"],
        "seed": "x",
    }
    expected = {
        "preset",
        "preset_id",
        "target_duration_seconds",
        "prompt",
        "image_uris[0]",
        "seed",
    }
    assert expected == set(_judge(ask))


@pytest.mark.parametrize(
    ("ask", "offered"),
    [
        ({**LEAST, "musik_uri": "file:///a.mp3"}, "'music_uri'"),
        ({**LEAST, "transition": "crosfade"}, "'crossfade'"),
        ({**LEAST, "preset_id": "meme_fst"}, "'meme_fast'"),
    ],
)
def test_hint_offers_what_was_probably_meant(ask: dict[str, Any], offered: str) -> None:
    """A slip of the finger is answered with the right word."""
    assert any(f"did you mean {offered}?" in p.hint for p in _judge(ask).values())


@pytest.mark.parametrize("ask", [None, 5, "x", [], [LEAST], True])
def test_what_is_no_object_is_one_problem(ask: object) -> None:
    """Whatever JSON there is, the answer says what a request looks like."""
    assert {"request"} == set(_judge(ask))


def test_too_many_pictures_are_named() -> None:
    """Both lists count together."""
    images = ["file:///a.png"] * ASSETS_MAX
    _accepted(image_uris=images)
    problems = _judge({**LEAST, "image_uris": images, "assets": [{"uri": "file:///b.png"}]})
    assert {"assets"} == set(problems)


def test_problems_are_bounded() -> None:
    """A request that is all wrong is not answered by a book."""
    answer = parse_request({f"field_{n}": n for n in range(200)}, presets=PRESETS)
    assert isinstance(answer, tuple)
    assert PROBLEMS_MAX + 1 == len(answer)
    assert "more problems" in answer[-1].limit


def test_deep_and_wide_requests_are_refused_whole() -> None:
    """Neither nesting nor size costs more than a glance."""
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert {"request"} == set(_judge({**LEAST, "beats": deep}))
    assert {"request"} == set(_judge({**LEAST, "beats": ["x"] * 100_000}))


def test_messages_can_be_encoded() -> None:
    """Nothing of a hostile request makes the answer unsendable."""
    ask = {**LEAST, "\ud800": 1, "prompt": "\ud800" * 100, "hook": "\x00" * 10_000}
    for problem in _judge(ask).values():
        for text in (problem.field, problem.value, problem.limit, problem.hint):
            assert text.encode()
            assert len(text) < 500


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(RenderRequest.model_fields)), _JSON))
def test_any_json_is_judged(ask: dict[str, Any]) -> None:
    """The judge answers; it never raises, and a rejection is never empty."""
    answer = parse_request(ask, presets=PRESETS)
    assert isinstance(answer, RenderRequest) or answer
