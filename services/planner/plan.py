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
from assembler.draft import size_drawn
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
    width, height = size_drawn(resolved.width, resolved.height, draft=resolved.draft)
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
        width=width,
        height=height,
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


def with_encoder(preparation: Preparation, resolved: Resolved, config: Config) -> Preparation:
    """The preparation with the encoder setting that is configured for such a film."""
    asked = config.defaults.encoder
    draft = config.defaults.draft if resolved.draft else None
    bitrate_kbps = config.delivery.bitrate_kbps_max
    encoder = EncoderProfile(
        codec="libx264",
        preset=draft.preset if draft else asked.preset,
        crf=draft.crf if draft else asked.crf,
        params=asked.params,
        bitrate_max_kbps=bitrate_kbps,
    )
    card = config.defaults.nvenc
    nvenc = EncoderProfile(
        codec="h264_nvenc",
        preset=card.preset,
        crf=card.cq,
        params=card.params,
        bitrate_max_kbps=bitrate_kbps,
    )
    return msgspec.structs.replace(
        preparation, encoder=encoder, nvenc=nvenc if resolved.nvenc else None
    )


def build_spec(
    resolved: Resolved,
    prepared: Prepared,
    config: Config,
    capabilities: Mapping[str, Capabilities],
) -> RenderSpec:
    """Fix the film."""
    frames = timeline.target_frames(resolved.duration_s, resolved.fps)
    lengths = timeline.segment_frames(frames, resolved.fps, resolved.segment_s)
    warnings = [*_draft(resolved), *resolved.warnings, *prepared.warnings]
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
        segments_in_flight_max=_in_flight(ladder, config),
        deadline_s=resolved.deadline_s,
        draft=resolved.draft,
        cost_max=resolved.budget,
        warnings=(*warnings, *told),
    )


def _draft(resolved: Resolved) -> tuple[Warned, ...]:
    if not resolved.draft:
        return ()
    width, height = size_drawn(resolved.width, resolved.height, draft=True)
    message = (
        f"a draft of {width}×{height} pixels to look at, not to post: "
        "ask again without draft for the film"
    )
    return (Warned(code="draft", message=message),)


def build_ladder(
    resolved: Resolved, config: Config, capabilities: Mapping[str, Capabilities]
) -> tuple[tuple[Rung, ...], tuple[Warned, ...]]:
    """The rungs of the film, best first, and what there is to tell about them.

    Engines that generate come first in their configured order, as far as the policy and
    brand-safe allow; then composition of the same archetype; then simpler archetypes; then the
    static template.  A brand-safe film also has the still overlay, for a product that could not
    be proven while it moved.
    """
    names = [engine.name for engine in config.engines if engine.enabled]
    generating = [
        name
        for name in names
        if name in capabilities
        and capabilities[name].generates
        and _may_generate(capabilities[name], resolved)
    ]
    if resolved.engine_policy is EnginePolicy.LOCAL_PREFERRED:
        generating.sort(key=lambda name: not capabilities[name].local)
    composing = [
        name
        for name in names
        if name in capabilities and not capabilities[name].generates and name != TEMPLATE
    ]
    rungs = [
        Rung(engine=name, archetype=resolved.archetype, generates=True) for name in generating
    ]
    simplest = (resolved.archetype, *SIMPLER[resolved.archetype])
    row = [(archetype, False) for archetype in simplest]
    if resolved.brand_safe:
        overlay = Archetype.OVERLAY
        at = simplest.index(overlay) + 1 if overlay in simplest else len(simplest)
        row.insert(at, (overlay, True))
    rungs += [
        Rung(engine=name, archetype=archetype, still=still)
        for archetype, still in row
        for name in composing
    ]
    if TEMPLATE in names and TEMPLATE in capabilities:
        rungs.append(Rung(engine=TEMPLATE, archetype=simplest[-1]))
    return tuple(rungs), _told(resolved, capabilities, generating)


def _told(
    resolved: Resolved, capabilities: Mapping[str, Capabilities], generating: Sequence[str]
) -> tuple[Warned, ...]:
    """What there is to say where hosted engines alone were asked for, and none will be."""
    if resolved.engine_policy is not EnginePolicy.API_ONLY or generating:
        return ()
    why = "no hosted engine is configured"
    if any(engine.generates and not engine.local for engine in capabilities.values()):
        kept = resolved.brand_safe and resolved.archetype is Archetype.PRODUCT_HERO
        why = "none may generate a brand-safe product" if kept else "none can make this film"
    message = f"api_only was asked for and {why}: composed instead"
    return (Warned(code="no_hosted_engine", message=message),)


def _in_flight(ladder: Sequence[Rung], config: Config) -> int:
    """Segments under way at once: as many as the busiest engine of the film takes."""
    generating = {rung.engine for rung in ladder if rung.generates}
    slots = [
        engine.slots or config.generation.slots
        for engine in config.engines
        if engine.name in generating
    ]
    return max(config.limits.segments_in_flight_per_job, *slots, 1)


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
    """The seed that was asked for, or one that the request's content gives.

    Its words are not in it: with another caption a film's clips stay what they are.
    """
    if resolved.seed is not None:
        return resolved.seed
    basis = msgspec.json.encode(
        (resolved.preset_id, resolved.prompt, resolved.duration_s, _contents(prepared.assets))
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
