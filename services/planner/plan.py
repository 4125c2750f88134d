"""The plan: everything that was asked, taken in and measured, made into a RenderSpec.

Pure.  The same request gives the same plan: the seed comes from the request (or its content),
never from the job's id or the clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from adapters.base import Capabilities
from adapters.studio import AskedPicture, Preparation, Prepared
from assembler import timeline
from config import Config, RenderRequest, Resolved
from events.spec import (
    Archetype,
    Asset,
    AssetRole,
    CaptionRole,
    EncoderProfile,
    EnginePolicy,
    RenderSpec,
    Rung,
    SoundPlan,
    Transition,
    Warned,
)

SIMPLER: Mapping[Archetype, tuple[Archetype, ...]] = {
    Archetype.PRODUCT_HERO: (Archetype.OVERLAY, Archetype.MEME_TEXT),
    Archetype.OVERLAY: (Archetype.MEME_TEXT,),
    Archetype.MEME_TEXT: (),
}
"""The archetypes below each, simplest last."""

COMPOSITOR = "compositor"
TEMPLATE = "template"


def preparation_of(request: RenderRequest, resolved: Resolved) -> Preparation:
    """What has to be taken in, measured and set."""
    # Backgrounds last, so that the pictures shown in turn are the first ones.
    pictures = sorted(resolved.assets, key=lambda asset: asset.role is AssetRole.BACKGROUND)
    return Preparation(
        pictures=tuple(
            AskedPicture(
                field=asset.field,
                uri=asset.uri,
                role=asset.role,
                mask_uri=asset.mask_uri,
                mask_field=asset.mask_field if asset.mask_uri else "",
            )
            for asset in pictures
        ),
        logo_uri=resolved.logo_uri,
        font_uri=resolved.font_uri,
        music_uri=resolved.music_uri,
        voice_uri=resolved.voice_uri,
        texts=resolved.captions,
        text_fields=tuple(_text_field(role, text, request) for role, text in resolved.captions),
        archetype=resolved.archetype,
        style=resolved.style,
        encoder=EncoderProfile(codec="", preset="", crf=0, params="", bitrate_max_kbps=0),
        width=resolved.width,
        height=resolved.height,
        frames=timeline.target_frames(resolved.duration_s, resolved.fps),
        fps=resolved.fps,
    )


def _text_field(role: CaptionRole, text: str, request: RenderRequest) -> str:
    match role:
        case CaptionRole.HOOK:
            return "prompt" if request.hook is None else "hook"
        case CaptionRole.CTA:
            return "cta"
        case CaptionRole.BEAT:
            beats = [beat.strip() for beat in request.beats or ()]
            return f"beats[{beats.index(text)}]" if text in beats else "beats"


def with_encoder(preparation: Preparation, config: Config) -> Preparation:
    """The preparation with the encoder setting that is configured."""
    asked = config.defaults.encoder
    encoder = EncoderProfile(
        codec=asked.codec,
        preset=asked.preset,
        crf=asked.crf,
        params=asked.params,
        bitrate_max_kbps=config.delivery.bitrate_kbps_max,
    )
    return msgspec.structs.replace(preparation, encoder=encoder)


def build_spec(
    resolved: Resolved,
    prepared: Prepared,
    config: Config,
    capabilities: Mapping[str, Capabilities],
) -> RenderSpec:
    """Fix the film."""
    frames = timeline.target_frames(resolved.duration_s, resolved.fps)
    lengths = timeline.segment_frames(frames, resolved.fps, resolved.segment_s)
    warnings = [*resolved.warnings, *prepared.warnings]
    transition_frames = 0
    if len(lengths) > 1 and resolved.transition_ms > 0:
        transition_frames, shortened = timeline.transition_frames(
            resolved.transition_ms, resolved.fps, min(lengths)
        )
        warnings += [shortened] if shortened else []
    shown = [asset for asset in prepared.assets if asset.role is not AssetRole.BACKGROUND]
    seed = _seed(resolved, prepared)
    ladder, told = build_ladder(resolved, config, capabilities)
    return RenderSpec(
        preset_id=resolved.preset_id,
        archetype=resolved.archetype,
        engine_policy=resolved.engine_policy,
        brand_safe=resolved.brand_safe,
        prompt=resolved.prompt,
        seed=seed,
        width=resolved.width,
        height=resolved.height,
        fps=resolved.fps,
        frames=frames,
        segments=timeline.segment_plans(
            frames, resolved.fps, resolved.segment_s, transition_frames, seed, len(shown)
        ),
        transition=Transition(kind=resolved.transition, frames=transition_frames),
        style=prepared.style,
        captions=prepared.captions,
        fonts=prepared.fonts,
        assets=prepared.assets,
        logo=prepared.logo,
        sound=_sound(resolved, prepared, config),
        encoder=prepared.encoder,
        ladder=ladder,
        segments_in_flight_max=config.limits.segments_in_flight_per_job,
        deadline_s=resolved.deadline_s,
        draft=resolved.draft,
        warnings=(*warnings, *told),
    )


def build_ladder(
    resolved: Resolved, config: Config, capabilities: Mapping[str, Capabilities]
) -> tuple[tuple[Rung, ...], tuple[Warned, ...]]:
    """The rungs of the film, best first, and what there is to tell about them.

    Engines that generate come first in their configured order, as far as the policy and
    brand-safe allow; then composition of the same archetype; then simpler archetypes; then the
    static template.
    """
    names = [engine.name for engine in config.engines if engine.enabled]
    generating = [
        name
        for name in names
        if name in capabilities
        and capabilities[name].generates
        and _may_generate(capabilities[name], resolved)
    ]
    composing = [
        name
        for name in names
        if name in capabilities and not capabilities[name].generates and name != TEMPLATE
    ]
    rungs = [Rung(engine=name, archetype=resolved.archetype) for name in (*generating, *composing)]
    simplest = (resolved.archetype, *SIMPLER[resolved.archetype])
    rungs += [
        Rung(engine=name, archetype=archetype) for archetype in simplest[1:] for name in composing
    ]
    if TEMPLATE in names:
        rungs.append(Rung(engine=TEMPLATE, archetype=simplest[-1]))
    told: tuple[Warned, ...] = ()
    if resolved.engine_policy is EnginePolicy.API_ONLY and not generating:
        message = "api_only was asked for and no hosted engine is configured: composed instead"
        told = (Warned(code="no_hosted_engine", message=message),)
    return tuple(rungs), told


def _may_generate(engine: Capabilities, resolved: Resolved) -> bool:
    if resolved.archetype not in engine.archetypes:
        return False
    if resolved.brand_safe and resolved.archetype is Archetype.PRODUCT_HERO:
        return False
    match resolved.engine_policy:
        case EnginePolicy.LOCAL_ONLY:
            return engine.local
        case EnginePolicy.LOCAL_PREFERRED:
            return True
        case EnginePolicy.API_ONLY:
            return not engine.local


def _seed(resolved: Resolved, prepared: Prepared) -> int:
    """The seed that was asked for, or one that the request's content gives."""
    if resolved.seed is not None:
        return resolved.seed
    basis = msgspec.json.encode(
        (
            resolved.preset_id,
            resolved.prompt,
            resolved.captions,
            resolved.duration_s,
            _contents(prepared.assets),
        )
    )
    return int.from_bytes(hashlib.sha256(basis).digest()[:4], "big") >> 1


def _contents(assets: Sequence[Asset]) -> tuple[str, ...]:
    return tuple(asset.source.sha256 for asset in assets)


def _sound(resolved: Resolved, prepared: Prepared, config: Config) -> SoundPlan:
    return SoundPlan(
        music=prepared.music,
        voice=prepared.voice,
        music_db=resolved.music_db,
        voice_db=resolved.voice_db,
        target_lufs=resolved.target_lufs,
        true_peak_db=config.sound.true_peak_db,
        sample_rate=config.sound.sample_rate,
        bitrate_kbps=config.sound.bitrate_kbps,
    )
