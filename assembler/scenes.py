"""The three archetypes: which layers a segment is made of, and what they are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from assembler import backgrounds
from assembler.backgrounds import PATTERNS, Stage
from assembler.cards import RIM_PX, plain_card, print_card
from assembler.clips import ClipError, ClipLayer
from assembler.colour import Tone, accent
from assembler.kept import PARTS_KEPT, Kept
from assembler.layers import (
    Beats,
    Drift,
    Layer,
    ShapesLayer,
    WashLayer,
)
from assembler.layout import around, clear_middle, place, product_areas, safe_box, stage_box
from assembler.motion import Profile, profiles
from assembler.pictures import SUBJECT_ROOM, Pictures, shrunk
from assembler.product import (
    SMALL_SHARE,
    Product,
    Shade,
    Silhouette,
    glow,
    plate,
    shadows,
)
from assembler.sampling import Dither
from assembler.stills import Pixels, still_of
from assembler.template import template_layer
from assembler.timeline import shown
from events.spec import Archetype, Asset, AssetRole, Box, Motion, RenderSpec, Rung, SegmentPlan

TEMPLATE = "template"
PRODUCT_SCALE_MAX = 1.6
HERO_SCALE_MAX = 2.0
TINY_PX = 200
"""A picture smaller than this is set on a plate and needs no rim."""
LIVELY = (Motion.PUNCHY, Motion.CHAOTIC)
PALE_FROM = 0.85


@dataclass(frozen=True, slots=True)
class View:
    """A segment's layers: a picture that fills the frame and maybe a product in front of it.

    Two segments whose ``product`` is the same object share it across their transition.
    """

    picture: Layer
    product: Product | None = None


class Scenes:
    """Makes the views of a film's segments; everything in it follows from the plan alone."""

    def __init__(
        self,
        spec: RenderSpec,
        sources: Mapping[str, Path],
        clips: Mapping[int, Path] | None = None,
        parts: Kept | None = None,
    ) -> None:
        """Take a plan, where its stills lie (sha256 to file), and clips by their segments.

        ``parts`` has grounds and products of this film that were made before.
        """
        self._spec, self._sources, self._clips = spec, sources, clips or {}
        self._aspect = spec.width / spec.height
        self._unit = spec.width / 1080
        self._dither = Dither(spec.width, spec.height)
        self._parts = parts if parts is not None else Kept(PARTS_KEPT)
        self._profile: Profile = profiles()[spec.style.motion]
        self._product_profile: Profile = profiles()[spec.style.product_motion]

    def view(self, plan: SegmentPlan, rung: Rung) -> View:
        """Return the view of a segment on its rung."""
        if rung.engine == TEMPLATE:
            layer = self._parts.get(TEMPLATE, lambda: template_layer(self._spec, self._dither))
            return View(layer)
        if rung.generates:
            return self._generated(plan, rung)
        if plan.asset is None:
            return View(self._words_ground(plan))
        asset = self._spec.assets[plan.asset]
        if asset.role is AssetRole.BACKGROUND:
            return View(self._picture(plan, asset, meme=False))
        match rung.archetype:
            case Archetype.OVERLAY:
                return self._overlay(plan, plan.asset)
            case Archetype.PRODUCT_HERO:
                if asset.has_alpha:
                    return self._stage_hero(plan, plan.asset)
                return View(self._picture(plan, asset, meme=False))
            case Archetype.MEME_TEXT:
                if asset.has_alpha:
                    return self._meme_cut_out(plan, plan.asset)
                return View(self._picture(plan, asset, meme=True))

    def _generated(self, plan: SegmentPlan, rung: Rung) -> View:
        """Return a generated clip, and before it the product where it is not to be generated."""
        if plan.index not in self._clips:
            raise ClipError(f"segment {plan.index} was generated, and its clip is not here")
        start, _ = shown(self._spec, plan)
        spec = self._spec
        layer = ClipLayer(self._clips[plan.index], start, spec.fps, spec.width, spec.height)
        if plan.asset is None or self._spec.assets[plan.asset].role is AssetRole.BACKGROUND:
            return View(layer)
        match rung.archetype:
            case Archetype.OVERLAY:
                return View(layer, self._overlay_product(plan.asset))
            case Archetype.MEME_TEXT if self._spec.brand_safe:
                return View(layer, self._meme_product(plan.asset))
            case _:
                return View(layer)

    def _still(self, asset: Asset) -> Pixels:
        return still_of(asset.still.sha256, self._sources[asset.still.sha256])

    def _picture(self, plan: SegmentPlan, asset: Asset, *, meme: bool) -> Layer:
        made = Pictures(self._spec, self._product_profile, self._still, self._set_on, self._parts)
        return made.layer(plan, asset, meme=meme)

    # Grounds.

    def _drift(self, seed: int, flow: str = "", share: float = 1.0) -> Drift:
        phase = (seed % 997) / 997
        motion = self._profile.background
        motion = msgspec.structs.replace(
            motion, drift=motion.drift * share, swell=motion.swell * share
        )
        return Drift(motion, self._spec.fps, self._aspect, phase, flow)

    def _set_on(self, plan: SegmentPlan, asset: Asset) -> Layer:
        """Return what a picture is set on that does not fill the frame."""
        if self._spec.archetype is Archetype.MEME_TEXT:
            return self._words_ground(plan)
        return self._own_ground(plan, asset, 0.8)

    def _own_ground(self, plan: SegmentPlan, asset: Asset, dim: float) -> Layer:
        stage = self._stage(None)
        wash = self._parts.get(
            ("blur", asset.still.sha256, dim),
            lambda: backgrounds.own_blur(self._still(asset), stage, dim=dim),
        )
        return WashLayer(wash, self._drift(plan.seed), self._dither)

    def _stage(self, box: Box | None) -> Stage:
        tall = 1 / self._aspect
        if box is None:
            return Stage(tall, (0.5, tall * 0.42), tall * 0.62)
        width = self._spec.width
        return Stage(
            tall,
            ((box.x + box.width / 2) / width, (box.y + box.height / 2) / width),
            (box.y + box.height) / width,
        )

    def _words_ground(self, plan: SegmentPlan) -> Layer:
        """Return an animated ground for words alone, in colours that the film's seed chooses."""
        spec = self._spec
        tall = 1 / self._aspect
        if spec.style.motion not in LIVELY:
            wash = self._parts.get("aurora", lambda: backgrounds.aurora(spec.seed, tall))
            return WashLayer(wash, self._drift(plan.seed), self._dither)
        beat = round(self._profile.picture.beat_s * spec.fps)
        if not beat:
            return self._pattern(spec.seed + plan.index)
        first = spec.seed + 2 * plan.index
        return Beats([self._pattern(first), self._pattern(first + 1)], beat)

    def _pattern(self, choice: int) -> Layer:
        """Return a flowing pattern; ``choice`` picks kind and colours."""
        spec = self._spec
        kind = PATTERNS[choice % len(PATTERNS)]
        level = self._parts.get(
            (kind, choice % len(backgrounds.POP_HUES)),
            lambda: backgrounds.pattern(
                kind, backgrounds.pop_tones(choice), 1 / self._aspect, spec.width
            ),
        )
        return ShapesLayer(level, self._drift(choice, kind), spec.width)

    # Products.

    def _product(self, index: int, within: Box, scale_max: float) -> Product:
        """Return a product at its place, out of the way of captions and watermark."""
        asset = self._spec.assets[index]
        pixels = _visible(self._still(asset), asset, within)
        motion = self._product_profile.product
        areas = product_areas(self._spec, within)
        rim = self._rim(pixels, asset)
        room = Product.room(motion, self._unit, areas[0]) + rim * self._unit
        where = place(
            areas,
            pixels.shape[1],
            pixels.shape[0],
            room=room,
            scale_max=scale_max * self._unit,
            towards=clear_middle(self._spec, within),
        )
        if rim:
            tones = accent(asset.palette)
            pixels = print_card(pixels, where.scale, self._unit, Tone(0.975, 0.006, tones.hue))
            where = around(where, pixels.shape[1], pixels.shape[0])
        product = Product(
            pixels,
            where,
            cut_out=asset.has_alpha,
            motion=motion,
            fps=self._spec.fps,
            unit=self._unit,
        )
        self._dress(product, pixels, asset, areas[0])
        return product

    def _rim(self, pixels: Pixels, asset: Asset) -> float:
        """Return how broad a rim a picture with corners gets, at a frame 1080 px wide."""
        plain = asset.subject is not None
        return 0.0 if asset.has_alpha or plain or min(pixels.shape[:2]) < TINY_PX else RIM_PX

    def _dress(self, product: Product, pixels: Pixels, asset: Asset, area: Box) -> None:
        """Give a product its plate, glow and shadow."""
        box, style = product.where.box, self._spec.style
        tones = accent(asset.palette)
        if max(box.width, box.height) < SMALL_SHARE * min(area.width, area.height):
            pale = asset.has_alpha and product.brightness > PALE_FROM
            paper = Tone(0.3 if pale else 0.965, 0.01, tones.hue)
            below, card = plate(box, area, self._unit, paper)
            product.shades = [Shade(patch, breathes=False) for patch in (below, card)]
            product.outline = Box(x=card.x, y=card.y, width=card.width, height=card.height)
            return
        shape = Silhouette(np.ascontiguousarray(pixels[..., 3]), box, self._unit)
        lights = [glow(shape, tones)] if style.glow else []
        weight = 0.6 if style.motion is Motion.MINIMAL else 1.25 if style.shadow else 1.0
        dark = shadows(shape, cut_out=asset.has_alpha, weight=weight)
        product.shades = lights + dark

    def _behind(self, plan: SegmentPlan, asset: Asset, product: Product, *, hero: bool) -> Layer:
        """Return the ground of a product: by the style, from its palette or its own blur."""
        style, width = self._spec.style, self._spec.width
        stage = self._stage(product.outline)
        tones, light = accent(asset.palette), product.brightness
        key = (asset.still.sha256, plan.asset)
        if style.motion in LIVELY:
            variant = plan.index % 2
            make = backgrounds.rays if hero else backgrounds.bold
            level = self._parts.get(
                ("bold", hero, variant, *key),
                lambda: make(tones, stage, light, width, variant=variant),
            )
            # What is behind the product is its own: it hardly leaves it, in no segment.
            return ShapesLayer(level, self._drift(0, share=0.25), width)
        if style.motion is Motion.MINIMAL:
            level = self._parts.get(
                ("shelf", *key), lambda: backgrounds.shelf(tones, stage, width)
            )
            return ShapesLayer(level, self._drift(0, share=0.0), width)
        if style.glow:
            wash = self._parts.get(("night", *key), lambda: backgrounds.night(tones, stage))
        elif not asset.has_alpha and asset.subject is None:
            return self._own_ground(plan, asset, 0.62)
        elif hero:
            wash = self._parts.get(
                ("studio", *key), lambda: backgrounds.studio(tones, stage, light)
            )
        else:
            wash = self._parts.get(
                ("daylight", *key), lambda: backgrounds.daylight(tones, stage, light)
            )
        return WashLayer(wash, self._drift(plan.seed), self._dither)

    def _overlay(self, plan: SegmentPlan, index: int) -> View:
        product = self._overlay_product(index)
        return View(self._behind(plan, self._spec.assets[index], product, hero=False), product)

    def _overlay_product(self, index: int) -> Product:
        return self._parts.get(
            ("product", index),
            lambda: self._product(index, safe_box(self._spec), PRODUCT_SCALE_MAX),
        )

    def _stage_hero(self, plan: SegmentPlan, index: int) -> View:
        product = self._parts.get(
            ("hero", index),
            lambda: self._product(index, stage_box(self._spec), HERO_SCALE_MAX),
        )
        return View(self._behind(plan, self._spec.assets[index], product, hero=True), product)

    def _meme_cut_out(self, plan: SegmentPlan, index: int) -> View:
        return View(self._words_ground(plan), self._meme_product(index))

    def _meme_product(self, index: int) -> Product:
        return self._parts.get(
            ("meme", index),
            lambda: self._product(index, stage_box(self._spec), HERO_SCALE_MAX),
        )


def _visible(pixels: Pixels, asset: Asset, within: Box) -> Pixels:
    """Return the part of a picture that is the product: its empty margins are not.

    What stands before a plain ground comes on a card of that ground.  A product without alpha is
    no larger than it may be seen ``within`` a box of the frame.
    """
    if not asset.has_alpha:
        part = pixels if asset.subject is None else _about(pixels, asset.subject)
        high, wide = part.shape[:2]
        part, _ = shrunk(part, min(within.width / wide, within.height / high))
        return part if asset.subject is None else plain_card(part)
    seen = pixels[..., 3] > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _about(pixels: Pixels, subject: Box) -> Pixels:
    """Return the part of a picture about its subject, with room for its shadow."""
    high, wide = pixels.shape[:2]
    room = SUBJECT_ROOM * max(subject.width * wide, subject.height * high)
    top, left = subject.y * high - room, subject.x * wide - room
    bottom, right = top + subject.height * high + 2 * room, left + subject.width * wide + 2 * room
    return pixels[max(0, int(top)) : math.ceil(bottom), max(0, int(left)) : math.ceil(right)]


__all__ = ["Beats", "Scenes", "View"]
