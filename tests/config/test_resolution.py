"""What is asked beats the preset, which beats the defaults; brand-safe beats them all."""

from __future__ import annotations

from typing import Any

import pytest

from config import RenderRequest, Resolved, load, resolve, shipped
from events.spec import Archetype, CaptionRole, EnginePolicy, Motion, TransitionKind

PICTURE = ("file:///a.png",)


def _resolved(preset_id: str = "overlay_classic", **fields: Any) -> Resolved:
    fields.setdefault("image_uris", PICTURE)
    request = RenderRequest(preset_id=preset_id, target_duration_seconds=15, **fields)
    return resolve(request, shipped())


def _codes(resolved: Resolved) -> list[str]:
    return [warning.code for warning in resolved.warnings]


def test_preset_beats_the_defaults() -> None:
    """What the preset says holds, and what it leaves out is the default."""
    minimal = _resolved("brand_safe_minimal")
    assert EnginePolicy.LOCAL_ONLY == minimal.engine_policy
    assert EnginePolicy.LOCAL_PREFERRED == _resolved().engine_policy
    assert (-22.0, -8.0, -14.0) == (minimal.music_db, minimal.voice_db, minimal.target_lufs)
    assert 3.0 == minimal.segment_s


def test_request_beats_the_preset() -> None:
    """Every field that both have is the request's."""
    asked = _resolved(
        "brand_safe_minimal",
        archetype=Archetype.PRODUCT_HERO,
        brand_safe=False,
        engine_policy=EnginePolicy.API_ONLY,
        transition=TransitionKind.WIPE,
        deadline_seconds=99.0,
    )
    assert Archetype.PRODUCT_HERO == asked.archetype
    assert not asked.brand_safe
    assert EnginePolicy.API_ONLY == asked.engine_policy
    assert TransitionKind.WIPE == asked.transition
    assert 99.0 == asked.deadline_s
    assert [] == _codes(asked)


@pytest.mark.parametrize(
    ("preset_id", "brand_safe", "product"),
    [
        ("overlay_bold", None, Motion.SUBTLE),
        ("overlay_bold", False, Motion.PUNCHY),
        ("overlay_glow", None, Motion.SUBTLE),
        ("brand_safe_minimal", None, Motion.MINIMAL),
        ("meme_fast", None, Motion.CHAOTIC),
        ("meme_fast", True, Motion.SUBTLE),
    ],
)
def test_brand_safe_calms_only_the_product(
    preset_id: str, brand_safe: bool | None, product: Motion
) -> None:
    """Background and captions keep the preset's motion."""
    style = _resolved(preset_id, brand_safe=brand_safe).style
    assert product == style.product_motion
    assert shipped().presets[preset_id].motion == style.motion


@pytest.mark.parametrize("kind", list(TransitionKind))
def test_brand_safe_allows_two_transitions(kind: TransitionKind) -> None:
    """The others become a crossfade, and it is told."""
    resolved = _resolved(transition=kind)
    allowed = kind in {TransitionKind.CUT, TransitionKind.CROSSFADE}
    assert (kind if allowed else TransitionKind.CROSSFADE) == resolved.transition
    assert ([] if allowed else ["transition_replaced"]) == _codes(resolved)
    assert kind == _resolved(transition=kind, brand_safe=False).transition


def test_cut_takes_no_time() -> None:
    """A cut has no length, whatever the default of the others is."""
    assert 0.0 == _resolved("meme_fast").transition_ms
    assert 150.0 == _resolved("meme_fast", transition=TransitionKind.SLIDE).transition_ms


def test_brand_safe_keeps_the_presets_font() -> None:
    """A brand font is set only where brand-safe allows, and a loss is told."""
    refused = _resolved(font_uri="file:///brand.ttf")
    assert (None, "Inter", ["font_replaced"]) == (
        refused.font_uri,
        refused.style.font,
        _codes(refused),
    )
    allowed = _resolved(font_uri="file:///brand.ttf", brand_safe=False)
    assert ("file:///brand.ttf", []) == (allowed.font_uri, _codes(allowed))


def test_captions_stand_in_the_order_of_the_film() -> None:
    """Hook, beats, call to action; empty ones are left out."""
    resolved = _resolved(prompt="dark", hook="Hello", beats=("One", " ", "Two"), cta="Buy")
    expected = (
        (CaptionRole.HOOK, "Hello"),
        (CaptionRole.BEAT, "One"),
        (CaptionRole.BEAT, "Two"),
        (CaptionRole.CTA, "Buy"),
    )
    assert expected == resolved.captions


def test_prompt_is_the_hook_when_none_is_given() -> None:
    """An empty hook means none; no hook means the prompt."""
    assert ((CaptionRole.HOOK, "Fresh"),) == _resolved(prompt=" Fresh ").captions
    assert () == _resolved(prompt="Fresh", hook="").captions
    assert () == _resolved().captions


@pytest.mark.parametrize(
    ("prompt", "hook"),
    [
        ("One sentence. " * 40, ("One sentence. " * 14).strip()),
        ("words " * 100, ("words " * 33).strip()),
        ("x" * 1000, "x" * 200),
        ("。" * 300, "。" * 200),
    ],
)
def test_long_prompt_gives_as_much_hook_as_fits(prompt: str, hook: str) -> None:
    """It ends with a sentence or a word where there is one, and the loss is told."""
    resolved = _resolved(prompt=prompt)
    assert ((CaptionRole.HOOK, hook),) == resolved.captions
    assert ["hook_shortened"] == _codes(resolved)


def test_film_without_a_picture_is_made_of_words() -> None:
    """A downgrade is told, never hidden; a background alone is nothing to show."""
    resolved = _resolved(image_uris=())
    assert (Archetype.MEME_TEXT, ["no_picture"]) == (resolved.archetype, _codes(resolved))
    assert [] == _codes(_resolved("meme_fast", image_uris=()))
    background = ({"uri": "file:///b.png", "role": "background"},)
    request = RenderRequest.model_validate(
        {
            "preset_id": "overlay_classic",
            "target_duration_seconds": 15.0,
            "assets": background,
        },
        strict=False,
    )
    assert Archetype.MEME_TEXT == resolve(request, shipped()).archetype


def test_assets_keep_their_fields_and_the_mask_belongs_to_the_first() -> None:
    """A problem with a file can be told by the field that named it."""
    request = RenderRequest.model_validate_json(
        '{"preset_id": "overlay_classic", "target_duration_seconds": 15,'
        ' "image_uris": ["file:///a.png", "file:///b.png"], "mask_uri": "file:///m.png",'
        ' "assets": [{"uri": "file:///l.png", "role": "logo"},'
        '            {"uri": "file:///c.png", "role": "product", "mask_uri": "file:///n.png"}]}'
    )
    resolved = resolve(request, shipped())
    told = [(asset.field, asset.mask_uri) for asset in resolved.assets]
    expected = [
        ("image_uris[0]", "file:///m.png"),
        ("image_uris[1]", None),
        ("assets[1].uri", "file:///n.png"),
    ]
    assert expected == told
    assert "file:///l.png" == resolved.logo_uri


def test_logo_of_the_request_beats_the_configured_one() -> None:
    """One logo: ``logo_uri``, else an asset of that role, else the configuration's."""
    config = load(environ={"PYTOON_DEFAULTS__LOGO_URI": "file:///house.png"})
    plain = RenderRequest(preset_id="overlay_classic", target_duration_seconds=15)
    assert "file:///house.png" == resolve(plain, config).logo_uri
    both = RenderRequest.model_validate_json(
        '{"preset_id": "meme_fast", "target_duration_seconds": 15, "logo_uri": "file:///a.png",'
        ' "assets": [{"uri": "file:///b.png", "role": "logo"}]}'
    )
    resolved = resolve(both, config)
    assert "file:///a.png" == resolved.logo_uri
    assert ["logo_left_out"] == _codes(resolved)
