"""Pictures that fill the frame, or are set in it where they are too small: which way, and how.

One rule for every shape and size: what stands before a plain ground is kept whole, beside the
words, its ground going on to the frame's edges; any other picture fills the frame, a wide one
going on above and below as its own blur; what would have to grow too much is mounted as a print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from assembler.canvas import (
    BLUR_SHARE,
    COVER_SCALE_MAX,
    PANORAMA_SEEN_MIN,
    PLAIN_BLUR_SHARE,
    Margins,
    continued,
    margins_above,
    seen_width,
)
from assembler.captions import block_box
from assembler.colour import Tone, accent
from assembler.kept import Kept
from assembler.layers import Layer, Panel, PictureLayer
from assembler.layout import clear_middle, place, product_areas, stage_box
from assembler.motion import JUMP_MAX, Camera, Profile, Scene, camera, closest_zoom
from assembler.planes import Patch, rows, shrunk_to
from assembler.product import SMALL_SHARE, Silhouette, plate, shadows
from assembler.stills import Pixels
from assembler.timeline import shown
from events.spec import Asset, AssetRole, Box, RenderSpec, SegmentPlan

MEME_WIDE_FROM = 0.7
"""In a meme, what is wider than this is set below the words, down to the frame's end."""
PRINT_SCALE_MAX = 2.0
PRINT_RIM_PX = 16
SHARP_ENOUGH = 1.25
"""Pixels of a picture per pixel of the frame beyond which nothing is seen of more."""
SHRUNK_FROM = 0.8
SUBJECT_ROOM = 0.04
"""What is left around a subject for its shadow, in shares of its longer edge."""
PERSON_FOCUS = Box(x=0.42, y=0.28, width=0.16, height=0.16)
WORDS_GAP_PX = 28
WORDS_END_MAX = 0.6
"""Words that end further down (share of the frame's height) leave too little below them."""
MEME_INSET_PX = 48
Area = tuple[int, int, int, int]
"""A rectangle of the frame: x, y, width, height; even."""


class Pictures:
    """Makes the layers of a film's pictures."""

    def __init__(
        self,
        spec: RenderSpec,
        profile: Profile,
        still: Callable[[Asset], Pixels],
        ground: Callable[[SegmentPlan, Asset], Layer],
        parts: Kept,
    ) -> None:
        """Take what gives a picture's pixels, and the ground of pictures that are set smaller.

        ``parts`` has what other segments have made of the same pictures.
        """
        self._spec, self._profile = spec, profile
        self._still, self._ground, self._parts = still, ground, parts
        self._aspect = spec.width / spec.height
        self._unit = spec.width / 1080

    def layer(self, plan: SegmentPlan, asset: Asset, *, meme: bool) -> Layer:
        """Return what fills the frame with a picture during a segment."""
        if asset.subject is not None and not asset.has_alpha:
            return self._plain(plan, asset, asset.subject, meme=meme)
        seen = seen_width(asset.width, asset.height, self._aspect, self._spec.width / self._unit)
        if seen is None or seen * COVER_SCALE_MAX * self._unit < self._spec.width:
            return self._mounted(plan, asset)
        if meme and asset.width > MEME_WIDE_FROM * asset.height:
            return self._below_the_words(plan, asset)
        return self._filling(plan, asset, seen, (0, 0, self._spec.width, self._spec.height))

    def _shrunk(self, asset: Asset, scale: float) -> tuple[Pixels, float]:
        """The picture as ``shrunk`` has it; made once for all segments if it is made smaller."""
        if _seen_share(scale) == 1.0:
            return self._still(asset), 1.0
        key = ("shrunk", asset.still.sha256, scale)
        return self._parts.get(key, lambda: shrunk(self._still(asset), scale))

    def _plain(self, plan: SegmentPlan, asset: Asset, subject: Box, *, meme: bool) -> Layer:
        spec = self._spec
        if not meme:
            areas = product_areas(spec, stage_box(spec))
            whole = (0, 0, spec.width, spec.height)
            return self._before_its_ground(plan, asset, subject, areas, whole)
        area = self._lower_part(0.4 * spec.height)
        inset = MEME_INSET_PX * self._unit
        within = Box(
            x=area[0] + inset,
            y=area[1] + inset,
            width=area[2] - 2 * inset,
            height=area[3] - 2.6 * inset,
        )
        picture = self._before_its_ground(plan, asset, subject, [within], area)
        return self._panel(plan, asset, picture, area)

    def _filling(self, plan: SegmentPlan, asset: Asset, seen: float, into: Area) -> PictureLayer:
        """Return a picture over an area of the frame, ``seen`` px of its width at once."""
        aspect, motion = into[2] / into[3], self._profile.picture
        pixels, share = self._shrunk(asset, into[2] / seen * (1 + JUMP_MAX + motion.zoom))
        high, wide = pixels.shape[:2]
        margins = margins_above(high, seen * share / aspect)
        tall = high + margins.top + margins.bottom
        subject = asset.subject
        if subject is None and asset.role is AssetRole.PERSON:
            subject = PERSON_FOCUS
        if subject is not None:
            subject = Box(
                x=subject.x,
                y=(subject.y * high + margins.top) / tall,
                width=subject.width,
                height=subject.height * high / tall,
            )
        path = self._camera(plan, Scene(wide, tall, subject, widest=seen * share), aspect)
        left, _, right, _ = path.extent()
        first = max(math.floor(left) - 2, 0)
        part = pixels[:, first : math.ceil(right) + 2]
        whole = continued(part, margins, plain=False, blur=BLUR_SHARE * seen * share)
        return PictureLayer(whole, path, into[2], (first, 0))

    def _before_its_ground(
        self, plan: SegmentPlan, asset: Asset, subject: Box, areas: Sequence[Box], into: Area
    ) -> PictureLayer:
        """Return a picture of a product before a plain ground, for an area of the frame.

        The product stays whole inside one of ``areas``, beside the words.
        """
        room = SUBJECT_ROOM * max(subject.width * asset.width, subject.height * asset.height)
        where = place(
            areas,
            subject.width * asset.width + 2 * room,
            subject.height * asset.height + 2 * room,
            room=0.0,
            scale_max=COVER_SCALE_MAX * self._unit,
            towards=clear_middle(self._spec, areas[0]),
        )
        pixels, share = self._shrunk(asset, where.scale)
        scale = where.scale / share
        motion, aspect = self._profile.picture, into[2] / into[3]
        widest = into[2] / scale * closest_zoom(motion)
        anchor = (
            (where.box.x + where.box.width / 2 - into[0]) / into[2],
            (where.box.y + where.box.height / 2 - into[1]) / into[3],
        )
        canvas, box = _continued_about(
            pixels,
            subject,
            anchor=anchor,
            widest=widest,
            travel=motion.travel,
            aspect=aspect,
        )
        high, wide = canvas.shape[:2]
        path = self._camera(plan, Scene(wide, high, box, widest, anchor), aspect)
        return PictureLayer(canvas, path, into[2])

    def _below_the_words(self, plan: SegmentPlan, asset: Asset) -> Layer:
        """Return a wide picture from below the words down to the frame's end."""
        area = self._lower_part(self._spec.height - self._spec.width)
        seen = max(area[2] / area[3] * asset.height, PANORAMA_SEEN_MIN * asset.width)
        picture = self._filling(plan, asset, min(seen, asset.width), area)
        return self._panel(plan, asset, picture, area)

    def _lower_part(self, top: float) -> Area:
        """Return what is below the words, or below ``top`` where they leave too little."""
        spec = self._spec
        block = block_box(spec.captions)
        if block is not None and block.y + block.height < WORDS_END_MAX * spec.height:
            top = block.y + block.height + WORDS_GAP_PX * self._unit
        step = 2 * max(1, round(4 * self._unit))
        y = step * round(max(top, 0) / step)
        return (0, y, spec.width, spec.height - y)

    def _panel(self, plan: SegmentPlan, asset: Asset, picture: PictureLayer, area: Area) -> Panel:
        """Return a picture over the lower part of the frame, its shadow on what is above it."""
        solid = np.full((64, 64), 255, np.uint8)
        box = Box(x=area[0], y=area[1], width=area[2], height=area[3])
        dark = shadows(Silhouette(solid, box, self._unit), cut_out=False, weight=1.25)
        # Nothing of it is seen below the picture itself.
        under = [rows(shade.patch, 0, area[1]) for shade in dark]
        return Panel(self._ground(plan, asset), under, picture, area)

    def _mounted(self, plan: SegmentPlan, asset: Asset) -> Layer:
        """Return a small picture as a print on the ground, beside the words."""
        spec, unit = self._spec, self._unit
        within = stage_box(spec)
        rim = PRINT_RIM_PX * unit
        where = place(
            product_areas(spec, within),
            asset.width,
            asset.height,
            room=2 * rim,
            scale_max=PRINT_SCALE_MAX * unit,
            towards=clear_middle(spec, within),
        )
        area = _even_area(where.box)
        scene = Scene(asset.width, asset.height, asset.subject)
        path = self._camera(plan, scene, area[2] / area[3])
        picture = PictureLayer(self._still(asset), path, area[2])
        under = self._mount(area, within, accent(asset.palette))
        return Panel(self._ground(plan, asset), under, picture, area)

    def _mount(self, area: Area, within: Box, tones: Tone) -> tuple[Patch, ...]:
        """Return what a print is set on: a plate if it is tiny, else a light rim."""
        box = Box(x=area[0], y=area[1], width=area[2], height=area[3])
        if max(area[2:]) < self._spec.width * SMALL_SHARE * 0.6:
            return plate(box, within, self._unit, Tone(0.96, 0.008, tones.hue))
        rim = PRINT_RIM_PX * self._unit
        outer = Box(
            x=box.x - rim, y=box.y - rim, width=box.width + 2 * rim, height=box.height + 2 * rim
        )
        return plate(outer, outer, self._unit * 0.5, Tone(0.97, 0.006, tones.hue))

    def _camera(self, plan: SegmentPlan, scene: Scene, aspect: float) -> Camera:
        start, frames = shown(self._spec, plan)
        return camera(
            scene,
            aspect,
            self._profile.picture,
            seed=plan.seed,
            start=start,
            frames=frames,
            fps=self._spec.fps,
        )


def shrunk(pixels: Pixels, scale: float) -> tuple[Pixels, float]:
    """Return a picture without the detail that nobody sees at a scale, and its share of the size.

    ``scale`` is how many pixels of the frame a pixel of it becomes at the closest.
    """
    share = _seen_share(scale)
    if share == 1.0:
        return pixels, 1.0
    height, width = pixels.shape[:2]
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return shrunk_to(pixels, size), share


def _seen_share(scale: float) -> float:
    """Return the share of a picture's size at which all is left that can be seen at a scale."""
    share = scale * SHARP_ENOUGH
    return share if share <= SHRUNK_FROM else 1.0


def _continued_about(
    pixels: Pixels,
    subject: Box,
    *,
    anchor: tuple[float, float],
    widest: float,
    travel: float,
    aspect: float,
) -> tuple[Pixels, Box]:
    """Return a picture whose plain ground goes on to wherever a camera about its subject looks.

    With it comes the subject's box in it (fractions).
    """
    height, width = pixels.shape[:2]
    centre = (
        (subject.x + subject.width / 2) * width,
        (subject.y + subject.height / 2) * height,
    )
    reach, tall = travel * widest / 2 + 4, widest / aspect
    margins = Margins(
        left=_lack(anchor[0] * widest + reach - centre[0]),
        top=_lack(anchor[1] * tall + 4 - centre[1]),
        right=_lack(centre[0] + (1 - anchor[0]) * widest + reach - width),
        bottom=_lack(centre[1] + (1 - anchor[1]) * tall + 4 - height),
    )
    canvas = continued(pixels, margins, plain=True, blur=PLAIN_BLUR_SHARE * min(pixels.shape[:2]))
    high, wide = canvas.shape[:2]
    box = Box(
        x=(subject.x * width + margins.left) / wide,
        y=(subject.y * height + margins.top) / high,
        width=subject.width * width / wide,
        height=subject.height * height / high,
    )
    return canvas, box


def _even_area(box: Box) -> Area:
    """Return a box with even corners and sizes, at least 2 px each way."""
    return (
        2 * round(box.x / 2),
        2 * round(box.y / 2),
        max(2, 2 * round(box.width / 2)),
        max(2, 2 * round(box.height / 2)),
    )


def _lack(pixels: float) -> int:
    return max(0, math.ceil(pixels))


__all__ = ["SUBJECT_ROOM", "Pictures", "shown", "shrunk"]
