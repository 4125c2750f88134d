"""What a film will be: the request's word beats the preset's, which beats the defaults'.

Pure: nothing is read.  What is done otherwise than asked, because brand-safe or the material does
not allow it, comes back as a warning.  Left out here: segments, caption times, font files and
ingested pictures, which the planner's preparation adds to make the ``RenderSpec``.
"""

from __future__ import annotations

import re
from typing import TypeVar

from config.models import Config, Preset
from config.request import CAPTION_CHARS_MAX, EncoderChoice, RenderRequest
from events.spec import (
    Archetype,
    AssetRole,
    Box,
    CaptionRole,
    EnginePolicy,
    Motion,
    Struct,
    Style,
    TransitionKind,
    Warned,
)

_T = TypeVar("_T")

BRAND_SAFE_TRANSITIONS = frozenset({TransitionKind.CUT, TransitionKind.CROSSFADE})
BRAND_SAFE_MOTIONS = frozenset({Motion.MINIMAL, Motion.SUBTLE})


class AskedAsset(Struct, frozen=True, kw_only=True):
    """A picture to be taken in; ``field`` is where the request names it."""

    field: str
    uri: str
    role: AssetRole
    mask_field: str = ""
    mask_uri: str | None = None


class Resolved(Struct, frozen=True, kw_only=True):
    """Every choice of the film, made.

    Lengths in pixels, gains in dB, loudness in LUFS; the units of times are in their names.
    ``width`` and ``height`` are the full film's, also of a draft.
    ``captions`` holds the texts in the order of the film; ``assets`` leaves logos out; ``seed`` is
    None when the request names none.
    """

    preset_id: str
    archetype: Archetype
    engine_policy: EnginePolicy
    brand_safe: bool
    prompt: str
    captions: tuple[tuple[CaptionRole, str], ...]
    duration_s: float
    width: int
    height: int
    fps: int
    segment_s: float
    seed: int | None
    style: Style
    transition: TransitionKind
    transition_ms: float
    assets: tuple[AskedAsset, ...]
    music_uri: str | None
    voice_uri: str | None
    logo_uri: str | None
    font_uri: str | None
    music_db: float
    voice_db: float
    target_lufs: float
    deadline_s: float
    draft: bool
    nvenc: bool
    budget: float | None
    warnings: tuple[Warned, ...]


def resolve(request: RenderRequest, config: Config) -> Resolved:
    """Merge a judged request with its preset and the defaults.

    Raises ``KeyError`` for a preset that does not exist: ``parse_request`` has refused it.
    """
    preset = config.presets[request.preset_id]
    defaults = config.defaults
    warnings: list[Warned] = []
    brand_safe = _first(request.brand_safe, preset.brand_safe, defaults.brand_safe)
    assets = _assets(request)
    transition = _transition(request, preset, config, warnings, brand_safe=brand_safe)
    return Resolved(
        preset_id=request.preset_id,
        archetype=_archetype(request, preset, assets, warnings),
        engine_policy=_first(request.engine_policy, preset.engine_policy, defaults.engine_policy),
        brand_safe=brand_safe,
        prompt=request.prompt or "",
        captions=_captions(request, warnings),
        duration_s=request.target_duration_seconds,
        width=defaults.width,
        height=defaults.height,
        fps=defaults.fps,
        segment_s=defaults.segment_s,
        seed=request.seed,
        style=_style(preset, config, brand_safe=brand_safe),
        transition=transition,
        transition_ms=0.0
        if transition is TransitionKind.CUT
        else _first(preset.transition_ms, defaults.transition_ms),
        assets=assets,
        music_uri=request.music_uri,
        voice_uri=request.voice_uri,
        logo_uri=_logo_uri(request, config, warnings),
        font_uri=_font_uri(request, _font(preset, config), warnings, brand_safe=brand_safe),
        music_db=preset.music_db,
        voice_db=preset.voice_db,
        target_lufs=_first(preset.target_lufs, config.sound.target_lufs),
        deadline_s=_first(request.deadline_seconds, defaults.deadline_s),
        draft=bool(request.draft),
        nvenc=_nvenc(request, config),
        budget=request.budget,
        warnings=tuple(warnings),
    )


def _nvenc(request: RenderRequest, config: Config) -> bool:
    """Whether a graphics card is to encode: asked for, or configured and not declined."""
    if request.encoder is None:
        return config.defaults.encoder.codec == "h264_nvenc"
    return request.encoder is EncoderChoice.NVENC


def _first(*choices: _T | None) -> _T:
    """The first choice that was made."""
    return next(choice for choice in choices if choice is not None)


def _assets(request: RenderRequest) -> tuple[AskedAsset, ...]:
    images = tuple(
        AskedAsset(
            field=f"image_uris[{index}]",
            uri=uri,
            role=AssetRole.AUTO,
            mask_field="mask_uri",
            mask_uri=request.mask_uri if index == 0 else None,
        )
        for index, uri in enumerate(request.image_uris or ())
    )
    named = tuple(
        AskedAsset(
            field=f"assets[{index}].uri",
            uri=asset.uri,
            role=asset.role,
            mask_field=f"assets[{index}].mask_uri",
            mask_uri=asset.mask_uri,
        )
        for index, asset in enumerate(request.assets or ())
        if asset.role is not AssetRole.LOGO
    )
    return images + named


def _logo_uri(request: RenderRequest, config: Config, warnings: list[Warned]) -> str | None:
    """The first logo that is named: ``logo_uri``, an asset of that role, the configuration's."""
    named = [
        ("logo_uri", request.logo_uri),
        *(
            (f"assets[{index}].uri", asset.uri)
            for index, asset in enumerate(request.assets or ())
            if asset.role is AssetRole.LOGO
        ),
    ]
    asked = [(field, uri) for field, uri in named if uri]
    for field, _ in asked[1:]:
        message = f"{field} is left out: a film has one logo, and {asked[0][0]} names it"
        warnings.append(Warned(code="logo_left_out", message=message))
    return asked[0][1] if asked else config.defaults.logo_uri


def _archetype(
    request: RenderRequest,
    preset: Preset,
    assets: tuple[AskedAsset, ...],
    warnings: list[Warned],
) -> Archetype:
    asked = _first(request.archetype, preset.archetype)
    shown = any(asset.role is not AssetRole.BACKGROUND for asset in assets)
    if asked is Archetype.MEME_TEXT or shown:
        return asked
    message = f"{asked} shows a picture and none was given: the film is made of its words"
    warnings.append(Warned(code="no_picture", message=message))
    return Archetype.MEME_TEXT


def _captions(
    request: RenderRequest, warnings: list[Warned]
) -> tuple[tuple[CaptionRole, str], ...]:
    hook = request.hook
    if hook is None:
        hook = _hook_of((request.prompt or "").strip(), warnings)
    texts = (
        (CaptionRole.HOOK, hook),
        *((CaptionRole.BEAT, beat) for beat in request.beats or ()),
        (CaptionRole.CTA, request.cta or ""),
    )
    return tuple((role, text.strip()) for role, text in texts if text.strip())


def _hook_of(prompt: str, warnings: list[Warned]) -> str:
    """The prompt as a caption: whole if it can be one, else as many sentences or words as fit."""
    if len(prompt) <= CAPTION_CHARS_MAX:
        return prompt
    window = prompt[: CAPTION_CHARS_MAX + 1]
    sentences = [match.end() for match in re.finditer(r"[.!?…。！？](?=\s)|[。！？]", window)]
    words = [match.start() for match in re.finditer(r"\s", window)]
    end = (sentences or words or [CAPTION_CHARS_MAX])[-1]
    hook = prompt[: min(end, CAPTION_CHARS_MAX)].rstrip()
    message = (
        f"the prompt ({len(prompt)} characters) is too long to be the hook whole: "
        f"its first {len(hook)} are shown; give hook to choose the words"
    )
    warnings.append(Warned(code="hook_shortened", message=message))
    return hook


def _style(preset: Preset, config: Config, *, brand_safe: bool) -> Style:
    calm = not brand_safe or preset.motion in BRAND_SAFE_MOTIONS
    safe = config.delivery.safe_box
    return Style(
        motion=preset.motion,
        product_motion=preset.motion if calm else Motion.SUBTLE,
        font=_font(preset, config),
        caption_size=preset.caption_size,
        caption_position=preset.caption_position,
        margin_px=preset.margin_px,
        safe_box=Box(
            x=safe.left, y=safe.top, width=safe.right - safe.left, height=safe.bottom - safe.top
        ),
        shadow=preset.shadow,
        glow=preset.glow,
    )


def _font(preset: Preset, config: Config) -> str:
    return preset.font or config.defaults.font


def _transition(
    request: RenderRequest,
    preset: Preset,
    config: Config,
    warnings: list[Warned],
    *,
    brand_safe: bool,
) -> TransitionKind:
    kind = _first(request.transition, preset.transition, config.defaults.transition)
    if not brand_safe or kind in BRAND_SAFE_TRANSITIONS:
        return kind
    message = f"{kind} would distort the product: a brand-safe film takes crossfade instead"
    warnings.append(Warned(code="transition_replaced", message=message))
    return TransitionKind.CROSSFADE


def _font_uri(
    request: RenderRequest, font: str, warnings: list[Warned], *, brand_safe: bool
) -> str | None:
    if request.font_uri is None or not brand_safe:
        return request.font_uri
    message = f"a brand-safe film is set in its preset's font: {font} instead of font_uri"
    warnings.append(Warned(code="font_replaced", message=message))
    return None
