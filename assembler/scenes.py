"""The three archetypes: which layers a segment is made of, and what they are made from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from assembler import backgrounds
from assembler.backgrounds import PATTERNS, Stage
from assembler.captions import block_box
from assembler.colour import Tone, accent
from assembler.layers import (
    Beats,
    Drift,
    Layer,
    Panel,
    PictureLayer,
    ShapesLayer,
    WashLayer,
)
from assembler.layout import clear_middle, place, product_areas, safe_box, stage_box
from assembler.motion import Camera, Profile, Scene, camera, profiles
from assembler.planes import Patch, rows
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
from assembler.stills import Pixels, read_still
from assembler.template import template_layer
from events.spec import Archetype, Asset, AssetRole, Box, Motion, RenderSpec, Rung, SegmentPlan

Made = TypeVar("Made")

TEMPLATE = "template"
COVER_SHARE_MIN = 0.30
"""A picture of which less would be seen if it filled the frame is shown as a panel instead."""
COVER_SCALE_MAX = 2.6
"""A picture that would have to grow more than this to fill the frame is shown as a panel."""
PANEL_SCALE_MAX = 2.0
PRODUCT_SCALE_MAX = 1.6
PANEL_ASPECT_HERO = 1.6
PANEL_ASPECT_MEME = 1.0
PANEL_ASPECT_MIN = 0.8
PANEL_MIDDLE = 0.44
PANEL_EDGE = 0.04
RIM_PX = 14
PERSON_FOCUS = Box(x=0.42, y=0.28, width=0.16, height=0.16)
LIVELY = (Motion.PUNCHY, Motion.CHAOTIC)
PARTS_KEPT = 6
PALE_FROM = 0.85


class Kept:
    """A few made things, the least recently used given up first."""

    def __init__(self, most: int) -> None:
        """Keep at most ``most`` things."""
        self._most = most
        self._things: OrderedDict[Hashable, object] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what is kept under a key, made now if it is not there."""
        if key not in self._things:
            self._things[key] = make()
            while len(self._things) > self._most:
                self._things.popitem(last=False)
        self._things.move_to_end(key)
        return self._things[key]  # type: ignore[return-value]


DECODED = Kept(2)
"""The pictures that this process decoded last, by sha256: its next segment has the same ones."""


@dataclass(frozen=True, slots=True)
class View:
    """A segment's layers: a picture that fills the frame and maybe a product in front of it.

    Two segments whose ``product`` is the same object share it across their transition.
    """

    picture: Layer
    product: Product | None = None


class Scenes:
    """Makes the views of a film's segments; everything in it follows from the plan alone."""

    def __init__(self, spec: RenderSpec, sources: Mapping[str, Path]) -> None:
        """Take a plan and where its stills lie (sha256 to file)."""
        self._spec, self._sources = spec, sources
        self._aspect = spec.width / spec.height
        self._unit = spec.width / 1080
        self._dither = Dither(spec.width, spec.height)
        self._parts = Kept(PARTS_KEPT)
        self._profile: Profile = profiles()[spec.style.motion]
        self._product_profile: Profile = profiles()[spec.style.product_motion]

    def view(self, plan: SegmentPlan, rung: Rung) -> View:
        """Return the view of a segment on its rung."""
        if rung.engine == TEMPLATE:
            layer = self._parts.get(TEMPLATE, lambda: template_layer(self._spec, self._dither))
            return View(layer)
        if plan.asset is None:
            return View(self._words_ground(plan))
        asset = self._spec.assets[plan.asset]
        if asset.role is AssetRole.BACKGROUND:
            return View(self._full(plan, asset, PANEL_ASPECT_HERO))
        match rung.archetype:
            case Archetype.OVERLAY:
                return self._overlay(plan, plan.asset)
            case Archetype.PRODUCT_HERO:
                if asset.has_alpha:
                    return self._stage_hero(plan, plan.asset)
                return View(self._full(plan, asset, PANEL_ASPECT_HERO))
            case Archetype.MEME_TEXT:
                if asset.has_alpha:
                    return self._meme_cut_out(plan, plan.asset)
                return View(self._full(plan, asset, PANEL_ASPECT_MEME))

    def _still(self, asset: Asset) -> Pixels:
        sha = asset.still.sha256
        return DECODED.get(sha, lambda: read_still(self._sources[sha]))

    # What fills the frame.

    def _full(self, plan: SegmentPlan, asset: Asset, panel_aspect: float) -> Layer:
        """Return a picture that covers the frame, or a panel if it is too wide or too small."""
        width, height = asset.width, asset.height
        shape = width / height
        seen = min(shape / self._aspect, self._aspect / shape)
        grown = max(self._spec.width / width, self._spec.height / height)
        most = COVER_SCALE_MAX * self._unit
        wide = shape > panel_aspect if panel_aspect == PANEL_ASPECT_MEME else False
        if seen < COVER_SHARE_MIN or grown > most or wide:
            return self._panel(plan, asset, panel_aspect)
        return PictureLayer(
            self._still(asset), self._camera(plan, asset, self._aspect), self._spec.width
        )

    def _camera(self, plan: SegmentPlan, asset: Asset, aspect: float) -> Camera:
        start, frames = self._shown(plan)
        subject = asset.subject
        if subject is None and asset.role is AssetRole.PERSON:
            subject = PERSON_FOCUS
        return camera(
            Scene(asset.width, asset.height, subject),
            aspect,
            self._product_profile.picture,
            seed=plan.seed,
            start=start,
            frames=frames,
            fps=self._spec.fps,
        )

    def _shown(self, plan: SegmentPlan) -> tuple[int, int]:
        """Return the first frame and the number of frames at which any of a segment is seen."""
        row = self._spec.segments
        at = next(place for place, each in enumerate(row) if each.index == plan.index)
        start, end = plan.body_start, plan.body_start + plan.body_frames
        if at > 0:
            start = row[at - 1].body_start + row[at - 1].body_frames
        if at + 1 < len(row):
            end = row[at + 1].body_start
        return start, end - start

    def _panel(self, plan: SegmentPlan, asset: Asset, panel_aspect: float) -> Layer:
        """Return a picture set smaller over its own blurred copy."""
        width = self._spec.width
        shown = min(max(asset.width / asset.height, PANEL_ASPECT_MIN), panel_aspect)
        grown = width / min(asset.width, asset.height * shown)
        under: list[Patch] = []
        if grown <= PANEL_SCALE_MAX * 1.4 * self._unit:
            area = self._across(shown, low=panel_aspect == PANEL_ASPECT_MEME)
            solid = np.full((64, 64), 255, np.uint8)
            shape = Silhouette(solid, _box(area), self._unit)
            for shade in shadows(shape, cut_out=False, weight=1.25):
                # Nothing of it is seen below the picture itself.
                under.append(rows(shade.patch, -width, area[1]))
                under.append(rows(shade.patch, area[1] + area[3], self._spec.height))
        else:
            within = stage_box(self._spec)
            where = place(
                product_areas(self._spec, within),
                asset.width,
                asset.height,
                room=RIM_PX * 2 * self._unit,
                scale_max=PANEL_SCALE_MAX * self._unit,
                towards=clear_middle(self._spec, within),
            )
            area = _even_area(where.box)
            under.extend(self._mount(_box(area), accent(asset.palette)))
        picture = PictureLayer(
            self._still(asset), self._camera(plan, asset, area[2] / area[3]), area[2]
        )
        return Panel(self._own_ground(plan, asset, 0.8), under, picture, area)

    def _across(self, shown: float, *, low: bool) -> tuple[int, int, int, int]:
        """Return the area of a panel as wide as the frame, beside the captions if it can be.

        With ``low`` it goes below captions in the middle, as far down as the frame's end allows.
        """
        width, height = self._spec.width, self._spec.height
        gap = 2 * RIM_PX * self._unit
        tall = width / shown
        top, bottom = height * PANEL_EDGE, height * (1 - PANEL_EDGE)
        y = height * PANEL_MIDDLE - tall / 2
        block = block_box(self._spec.captions)
        if block is not None and low and block.y - top < height / 2:
            y = block.y + block.height + gap
            tall = min(tall, bottom - y)
        elif block is not None and block.y > height / 2:
            y = min(y, max(block.y - gap - tall, top))
        return _even_area(Box(x=0, y=max(y, 0), width=width, height=min(tall, height)))

    def _mount(self, box: Box, tones: Tone) -> tuple[Patch, ...]:
        """Return what a small picture is set on: a plate if it is tiny, else a light border."""
        if max(box.width, box.height) < self._spec.width * SMALL_SHARE * 0.6:
            within = stage_box(self._spec)
            return plate(box, within, self._unit, Tone(0.96, 0.008, tones.hue))
        rim = RIM_PX * self._unit
        outer = Box(
            x=box.x - rim, y=box.y - rim, width=box.width + 2 * rim, height=box.height + 2 * rim
        )
        return plate(outer, outer, self._unit * 0.35, Tone(0.97, 0.006, tones.hue))

    # Grounds.

    def _drift(self, seed: int, flow: str = "", share: float = 1.0) -> Drift:
        phase = (seed % 997) / 997
        motion = self._profile.background
        motion = msgspec.structs.replace(
            motion, drift=motion.drift * share, swell=motion.swell * share
        )
        return Drift(motion, self._spec.fps, self._aspect, phase, flow)

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
        pixels = _visible(self._still(asset), asset)
        high, wide = pixels.shape[:2]
        motion = self._product_profile.product
        areas = product_areas(self._spec, within)
        room = Product.room(motion, self._unit, areas[0])
        where = place(
            areas,
            wide,
            high,
            room=room,
            scale_max=scale_max * self._unit,
            towards=clear_middle(self._spec, within),
        )
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

    def _dress(self, product: Product, pixels: Pixels, asset: Asset, area: Box) -> None:
        """Give a product its plate, glow and shadow."""
        box, style = product.where.box, self._spec.style
        tones = accent(asset.palette)
        if max(box.width, box.height) < SMALL_SHARE * min(area.width, area.height):
            pale = asset.has_alpha and product.brightness > PALE_FROM
            paper = Tone(0.3 if pale else 0.965, 0.01, tones.hue)
            product.shades = [
                Shade(patch, breathes=False) for patch in plate(box, area, self._unit, paper)
            ]
            return
        shape = Silhouette(np.ascontiguousarray(pixels[..., 3]), box, self._unit)
        lights = [glow(shape, tones)] if style.glow else []
        weight = 0.6 if style.motion is Motion.MINIMAL else 1.25 if style.shadow else 1.0
        dark = shadows(shape, cut_out=asset.has_alpha, weight=weight)
        product.shades = lights + dark

    def _behind(self, plan: SegmentPlan, asset: Asset, product: Product) -> Layer:
        """Return the ground of a product: by the style, from its palette or its own blur."""
        spec, style = self._spec, self._spec.style
        stage = self._stage(product.where.box)
        tones, light = accent(asset.palette), product.brightness
        key = (asset.still.sha256, plan.asset)
        if style.motion in LIVELY:
            variant = plan.index % 2
            level = self._parts.get(
                ("bold", variant, *key),
                lambda: backgrounds.bold(tones, stage, light, spec.width, variant=variant),
            )
            # The disc is the product's own: it hardly leaves it, in no segment.
            return ShapesLayer(level, self._drift(0, share=0.25), spec.width)
        if style.motion is Motion.MINIMAL:
            wash = self._parts.get(("plain", *key), lambda: backgrounds.plain(tones, stage))
        elif style.glow:
            wash = self._parts.get(("night", *key), lambda: backgrounds.night(tones, stage))
        elif asset.has_alpha:
            wash = self._parts.get(
                ("studio", *key), lambda: backgrounds.studio(tones, stage, light)
            )
        else:
            return self._own_ground(plan, asset, 0.62)
        return WashLayer(wash, self._drift(plan.seed), self._dither)

    def _overlay(self, plan: SegmentPlan, index: int) -> View:
        product = self._parts.get(
            ("product", index),
            lambda: self._product(index, safe_box(self._spec), PRODUCT_SCALE_MAX),
        )
        return View(self._behind(plan, self._spec.assets[index], product), product)

    def _stage_hero(self, plan: SegmentPlan, index: int) -> View:
        product = self._parts.get(
            ("hero", index),
            lambda: self._product(index, stage_box(self._spec), PANEL_SCALE_MAX),
        )
        return View(self._behind(plan, self._spec.assets[index], product), product)

    def _meme_cut_out(self, plan: SegmentPlan, index: int) -> View:
        product = self._parts.get(
            ("meme", index),
            lambda: self._product(index, stage_box(self._spec), PANEL_SCALE_MAX),
        )
        return View(self._words_ground(plan), product)


def _box(area: tuple[int, int, int, int]) -> Box:
    return Box(x=area[0], y=area[1], width=area[2], height=area[3])


def _even_area(box: Box) -> tuple[int, int, int, int]:
    """Return a box with even corners and sizes, at least 2 px each way."""
    return (
        2 * round(box.x / 2),
        2 * round(box.y / 2),
        max(2, 2 * round(box.width / 2)),
        max(2, 2 * round(box.height / 2)),
    )


def _visible(pixels: Pixels, asset: Asset) -> Pixels:
    """Return the part of a cut-out that is not empty: its margins are no product."""
    if not asset.has_alpha:
        return pixels
    seen = pixels[..., 3] > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


__all__ = ["Beats", "Scenes", "View"]
