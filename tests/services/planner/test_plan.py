"""The plan of a film, from a request that was judged and files that were taken in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from adapters.base import Capabilities
from adapters.studio import Preparation, Prepared
from config import Config, RenderRequest, load, parse_request, resolve
from config.models import EngineSettings
from events.spec import Archetype, Asset, AssetRole, EncoderProfile, RenderSpec, Rung
from services.planner.plan import build_ladder, build_spec, preparation_of, with_encoder
from tests.builders import artifact, style

COMPOSING = Capabilities(archetypes=frozenset(Archetype), generates=False, local=True)
LOCAL = Capabilities(archetypes=frozenset(Archetype), generates=True, local=True)
HOSTED = Capabilities(archetypes=frozenset(Archetype), generates=True, local=False)
ENGINES = {"compositor": COMPOSING, "template": COMPOSING}
ALL = {"comfy": LOCAL, "luma": HOSTED, **ENGINES}


def config_with(engines: Mapping[str, Capabilities]) -> Config:
    """The shipped configuration with these engines, in this order."""
    found = load(environ={})
    listed = tuple(EngineSettings(name=name, kind=name) for name in engines)
    return found.model_copy(update={"engines": listed})


def judged(**ask: Any) -> RenderRequest:
    """A request that was found good."""
    config = load(environ={})
    body = {"preset_id": "overlay_classic", "target_duration_seconds": 15} | ask
    request = parse_request(body, presets=config.presets)
    assert isinstance(request, RenderRequest), request
    return request


def picture(role: AssetRole = AssetRole.AUTO, name: str = "a") -> Asset:
    """A picture that was taken in."""
    return Asset(
        role=role,
        uri="",
        source=artifact(name),
        still=artifact(name),
        width=10,
        height=10,
        has_alpha=False,
    )


def planned(*assets: Asset, **ask: Any) -> RenderSpec:
    """The plan of a request with these pictures."""
    config = load(environ={})
    if assets:
        ask.setdefault("image_uris", ["file:///a.png"])
    profile = EncoderProfile(codec="libx264", preset="", crf=20, params="", bitrate_max_kbps=1)
    prepared = Prepared(assets=assets, encoder=profile, style=style())
    return build_spec(resolve(judged(**ask), config), prepared, config, ENGINES)


@pytest.mark.parametrize(("seconds", "segments"), [(1, 1), (2, 1), (6, 2), (15, 5), (60, 20)])
def test_the_film_is_as_long_as_was_asked(seconds: int, segments: int) -> None:
    """Exactly 30 frames a second, cut into segments of about 3 s."""
    spec = planned(picture(), target_duration_seconds=seconds)
    assert 30 * seconds == spec.frames
    assert segments == len(spec.segments)
    assert spec.frames == sum(segment.frames for segment in spec.segments)


def test_pictures_are_shown_in_turn() -> None:
    """Each segment has the next picture; backgrounds and logos are not among them."""
    spec = planned(picture(name="a"), picture(name="b"), picture(AssetRole.BACKGROUND, "c"))
    assert [0, 1, 0, 1, 0] == [segment.asset for segment in spec.segments]


def test_the_seed_comes_from_the_request() -> None:
    """Asked for, it is taken; else the content gives it, and the same content the same one."""
    assert planned(seed=7).seed == 7
    assert planned(picture()).seed == planned(picture()).seed
    assert planned(picture(name="a")).seed != planned(picture(name="b")).seed
    assert planned(prompt="a").seed != planned(prompt="b").seed


def test_other_words_keep_the_seed() -> None:
    """Or another caption would ask engines for other clips."""
    assert planned(prompt="a", cta="Try it").seed == planned(prompt="a", cta="Buy it").seed


def test_what_is_asked_beats_the_preset() -> None:
    """The archetype of the request is the film's."""
    assert Archetype.PRODUCT_HERO is planned(picture(), archetype="PRODUCT_HERO").archetype


def test_a_cut_has_no_transition() -> None:
    """The bodies touch."""
    spec = planned(picture(), preset_id="meme_fast")
    assert spec.transition.frames == 0
    assert [s.start for s in spec.segments] == [s.body_start for s in spec.segments]


def ladder(engines: Mapping[str, Capabilities], **ask: Any) -> list[str]:
    """The rungs of a request, in words."""
    config = config_with(engines)
    ask.setdefault("image_uris", ["file:///a.png"])
    rungs, _ = build_ladder(resolve(judged(**ask), config), config, engines)
    return [f"{rung.engine}/{rung.archetype}{'/still' * rung.still}" for rung in rungs]


COMPOSED = [
    "compositor/OVERLAY",
    "compositor/OVERLAY/still",
    "compositor/MEME_TEXT",
    "template/MEME_TEXT",
]


@pytest.mark.parametrize(
    ("policy", "first"),
    [
        ("local_only", ["comfy/OVERLAY"]),
        ("local_preferred", ["comfy/OVERLAY", "luma/OVERLAY"]),
        ("api_only", ["luma/OVERLAY"]),
    ],
)
def test_the_policy_decides_who_is_asked(policy: str, first: list[str]) -> None:
    """Engines that generate come first as far as they may; composition stands below."""
    assert first + COMPOSED == ladder(ALL, engine_policy=policy)


def test_engines_on_this_machine_are_preferred_to_hosted_ones() -> None:
    """Whatever the order of the list; among themselves they keep it."""
    listed = {"luma": HOSTED, "one": LOCAL, "fal": HOSTED, "two": LOCAL, **ENGINES}
    found = ladder(listed, engine_policy="local_preferred")[:4]
    assert found == [f"{name}/OVERLAY" for name in ("one", "two", "luma", "fal")]


def test_an_engine_is_asked_only_for_what_it_makes() -> None:
    """One that cannot make overlays is no rung of one."""
    heroes = msgspec.structs.replace(LOCAL, archetypes=frozenset({Archetype.PRODUCT_HERO}))
    assert ladder({"comfy": heroes, **ENGINES}) == COMPOSED


def test_as_many_segments_are_asked_for_as_the_busiest_engine_takes() -> None:
    """An engine's slots are its own, but never fewer than composition would take."""
    config = load(environ={})
    profile = EncoderProfile(codec="libx264", preset="", crf=20, params="", bitrate_max_kbps=1)
    prepared = Prepared(assets=(picture(),), encoder=profile, style=style())
    resolved = resolve(judged(image_uris=["file:///a.png"]), config)
    for slots, in_flight in ((None, 4), (2, 4), (9, 9)):
        engines = (
            EngineSettings(name="luma", kind="hosted", slots=slots),
            *(EngineSettings(name=name, kind=name) for name in ENGINES),
        )
        found = build_spec(resolved, prepared, config.model_copy(update={"engines": engines}), ALL)
        assert found.segments_in_flight_max == in_flight


def test_a_brand_safe_hero_is_composited() -> None:
    """No engine regenerates the product, so none is asked."""
    hero = {"preset_id": "product_hero_clean"}
    expected = [
        "compositor/PRODUCT_HERO",
        "compositor/OVERLAY",
        "compositor/OVERLAY/still",
        "compositor/MEME_TEXT",
        "template/MEME_TEXT",
    ]
    assert expected == ladder(ALL, **hero)
    assert ladder(ALL, **hero, brand_safe=False)[0] == "comfy/PRODUCT_HERO"


def test_only_brand_safe_films_have_the_still_overlay() -> None:
    """It is where a product goes that could not be proven while it moved."""
    meme = {"preset_id": "meme_smooth"}
    plain = ["compositor/MEME_TEXT", "template/MEME_TEXT"]
    assert plain == ladder(ENGINES, **meme)
    safe = ["compositor/MEME_TEXT", "compositor/OVERLAY/still", "template/MEME_TEXT"]
    assert safe == ladder(ENGINES, **meme, brand_safe=True)
    assert COMPOSED[::2] + COMPOSED[3:] == ladder(ENGINES, brand_safe=False)


def test_without_generating_engines_the_compositor_is_the_first_rung() -> None:
    """And that is no downgrade."""
    assert ladder(ENGINES) == COMPOSED


def test_api_only_without_a_hosted_engine_is_told() -> None:
    """The film is composited, and the plan says so."""
    config = config_with(ENGINES)
    resolved = resolve(judged(engine_policy="api_only"), config)
    rungs, told = build_ladder(resolved, config, ENGINES)
    assert Rung(engine="compositor", archetype=Archetype.MEME_TEXT) == rungs[0]
    assert [warning.code for warning in told] == ["no_hosted_engine"]


def test_api_only_is_told_why_no_engine_is_asked() -> None:
    """A brand-safe product is kept from them, though they are there."""
    config = config_with(ALL)
    ask = {"preset_id": "product_hero_clean", "image_uris": ["file:///a.png"]}
    resolved = resolve(judged(engine_policy="api_only", **ask), config)
    [told] = build_ladder(resolved, config, ALL)[1]
    assert "none may generate a brand-safe product" in told.message


def test_words_are_named_by_their_fields() -> None:
    """A problem with a caption can say where the caption stands in the request."""
    request = judged(hook="One", beats=["Two", "Three"], cta="Four")
    fields = preparation_of(request, resolve(request, load(environ={}))).text_fields
    assert fields == ("hook", "beats[0]", "beats[1]", "cta")
    request = judged(prompt="One")
    assert preparation_of(request, resolve(request, load(environ={}))).text_fields == ("prompt",)


def prepared_for(environ: Mapping[str, str] | None = None, **ask: Any) -> Preparation:
    """What has to be prepared for a request."""
    config, request = load(environ=environ or {}), judged(**ask)
    resolved = resolve(request, config)
    return with_encoder(preparation_of(request, resolved), resolved, config)


def test_a_draft_is_planned_as_its_film() -> None:
    """Only that it is a draft, and the warning that says so, tell the two plans apart."""
    film, draft = planned(picture(), hook="Hi"), planned(picture(), hook="Hi", draft=True)
    assert (1080, 1920, True) == (draft.width, draft.height, draft.draft)
    assert ["draft"] == [warned.code for warned in draft.warnings]
    assert "540×960" in draft.warnings[0].message
    assert film == msgspec.structs.replace(draft, draft=False, warnings=())


def test_a_draft_is_encoded_small_and_fast() -> None:
    """Its profile is made for its own size, with the setting that is configured for drafts."""
    film, draft = prepared_for(), prepared_for(draft=True)
    assert (1080, 1920, "superfast") == (film.width, film.height, film.encoder.preset)
    assert (540, 960, "ultrafast") == (draft.width, draft.height, draft.encoder.preset)
    assert draft.encoder.crf > film.encoder.crf
    assert (film.texts, film.frames, film.style) == (draft.texts, draft.frames, draft.style)


@pytest.mark.parametrize(
    ("asked", "configured", "codec"),
    [
        (None, "libx264", None),
        ("nvenc", "libx264", "h264_nvenc"),
        (None, "h264_nvenc", "h264_nvenc"),
        ("x264", "h264_nvenc", None),
    ],
)
def test_a_graphics_card_encodes_where_it_is_asked_for(
    asked: str | None, configured: str, codec: str | None
) -> None:
    """The request beats the configuration; x264's setting stands by in any case."""
    environ = {"PYTOON_DEFAULTS__ENCODER__CODEC": configured}
    preparation = prepared_for(environ, encoder=asked)
    assert codec == (preparation.nvenc.codec if preparation.nvenc else None)
    assert ("libx264", "superfast") == (preparation.encoder.codec, preparation.encoder.preset)
