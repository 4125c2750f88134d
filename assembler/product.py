"""A product that stands or hangs in front of a background: whole, sharp, with shadow and glow.

Its pixels are the upload's, resampled; nothing is drawn over them and nothing is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from assembler.colour import Tone
from assembler.layout import Place
from assembler.motion import ProductMotion, wave
from assembler.planes import (
    Floats,
    Frame,
    Patch,
    Plane,
    blend_patch,
    patch_from_rgba,
    patch_of_colour,
    rounded,
)
from assembler.sampling import Level, Window, level_for, level_patch, ordered
from assembler.stills import Pixels, premultiplied
from events.spec import Box

SHADE_STEP = 4
"""Shadows and glows are made at a quarter of the size."""
SHADE_REACH_PX = 170
SMALL_SHARE = 0.42
"""A product that covers less than this share of its area's shorter edge is set on a plate."""
PLATE_MARGIN = 0.11
PLATE_GROWTH = 2.6


@dataclass(frozen=True, slots=True)
class Shade:
    """A patch that lies under the product and whether it breathes with its motion."""

    patch: Patch
    breathes: bool


class Product:
    """A product at its place, drawn at any frame of the film."""

    def __init__(
        self,
        pixels: Pixels,
        where: Place,
        *,
        cut_out: bool,
        motion: ProductMotion,
        fps: int,
        unit: float,
    ) -> None:
        """Prepare ``pixels`` (straight RGBA, the product's box alone) for ``where``.

        ``cut_out`` tells a product with transparent surroundings; ``unit`` is the frame's width
        over 1080 px.  Its ``outline`` is what its ground is made around: with a plate, the plate.
        """
        self.where = where
        self.outline = where.box
        self.cut_out = cut_out
        self._motion, self._fps, self._unit = motion, fps, unit
        self._rise = motion.float_px * unit
        margin = self.room(motion, unit, where.box) + 2
        box = where.box
        self._area = _even(
            box.x - margin, box.y - margin, box.width + 2 * margin, box.height + 2 * margin
        )
        smallest = where.scale * (1 - motion.swell)
        around = 2 + math.ceil(
            max(
                (box.width / 2 + margin + 2) / smallest - pixels.shape[1] / 2,
                (box.height / 2 + margin + self._rise + 2) / smallest - pixels.shape[0] / 2,
            )
        )
        whole = cv2.copyMakeBorder(
            premultiplied(pixels), around, around, around, around, cv2.BORDER_CONSTANT, value=0
        ).astype(np.uint8, copy=False)
        largest = where.scale * (1 + motion.swell)
        spread = largest / smallest
        self._level = level_for(whole, -around, -around, largest, spread, alpha=True)
        self._size = (pixels.shape[1], pixels.shape[0])
        self._still: Patch | None = None
        self.brightness = _brightness(pixels)
        self.shades: list[Shade] = []

    @staticmethod
    def room(motion: ProductMotion, unit: float, box: Box) -> float:
        """Return how far the product moves out of its box, in pixels."""
        return motion.float_px * unit + motion.swell * max(box.width, box.height) / 2

    @property
    def level(self) -> Level:
        """The product as it is sampled."""
        return self._level

    @property
    def nbytes(self) -> int:
        """Memory in bytes, about."""
        return self._level.nbytes

    def window(self, n: int) -> Window:
        """Return what of the product's pixels fills its area at film frame ``n``."""
        motion, box = self._motion, self.where.box
        scale = self.where.scale * (1 + motion.swell * wave(n, self._fps, motion.period_s * 1.5))
        rise = self._rise * wave(n, self._fps, motion.period_s)
        x, y, width, _ = self._area
        centre_x, centre_y = box.x + box.width / 2, box.y + box.height / 2 + rise
        return Window(
            x=self._size[0] / 2 - (centre_x - x) / scale,
            y=self._size[1] / 2 - (centre_y - y) / scale,
            width=width / scale,
        )

    def patch(self, n: int) -> Patch:
        """Return the product alone at film frame ``n``."""
        if self._motion.float_px or self._motion.swell:
            return level_patch(self._level, self.window(n), self._area)
        if self._still is None:
            self._still = level_patch(self._level, self.window(0), self._area)
        return self._still

    def draw(self, n: int, frame: Frame) -> None:
        """Draw shadow, glow and product over a frame."""
        breath = 0.5 + 0.5 * wave(n, self._fps, self._motion.period_s)
        for shade in self.shades:
            blend_patch(frame, shade.patch, 0.72 + 0.28 * breath if shade.breathes else 1.0)
        blend_patch(frame, self.patch(n))


def _brightness(pixels: Pixels) -> float:
    """Return the mean luma (0..1) of what is visible, from a few thousand pixels."""
    step = max(1, max(pixels.shape[:2]) // 96)
    few = pixels[::step, ::step].astype(np.float32)
    luma = few[..., :3] @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    weight = float(few[..., 3].sum())
    return float((luma * few[..., 3]).sum()) / max(weight, 1.0) / 255


def _even(x: float, y: float, width: float, height: float) -> tuple[int, int, int, int]:
    left, top = math.floor(x / 2) * 2, math.floor(y / 2) * 2
    return (
        left,
        top,
        math.ceil((x + width - left) / 2) * 2,
        math.ceil((y + height - top) / 2) * 2,
    )


class Silhouette:
    """The alpha of a product at its place, at a quarter of the size, with room around it."""

    def __init__(self, alpha: Plane, box: Box, unit: float) -> None:
        """Take the product's ``alpha`` (h×w) that fills ``box`` of the frame."""
        self.reach = round(SHADE_REACH_PX * unit / SHADE_STEP)
        self.unit = unit / SHADE_STEP
        size = (max(1, round(box.width / SHADE_STEP)), max(1, round(box.height / SHADE_STEP)))
        small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        around = self.reach
        self.alpha: Floats = cv2.copyMakeBorder(
            small, around, around, around, around, cv2.BORDER_CONSTANT, value=0
        ).astype(np.float32)
        self.corner = (round(box.x) - around * SHADE_STEP, round(box.y) - around * SHADE_STEP)

    def soft(self, blur_px: float, down_px: float = 0.0, grow: float = 0.0) -> Floats:
        """Return the silhouette moved down and blurred; lengths at a 1080 px frame."""
        matrix = np.array([[1, 0, 0], [0, 1, down_px * self.unit]], np.float32)
        moved = cv2.warpAffine(self.alpha, matrix, self.alpha.shape[::-1])
        if grow:
            size = 2 * round(grow * self.unit) + 1
            moved = cv2.dilate(moved, np.ones((size, size), np.uint8))
        return np.asarray(
            cv2.GaussianBlur(moved, (0, 0), max(blur_px * self.unit, 0.3)), np.float32
        )

    def low(self) -> Floats:
        """Return 0 for rows in the silhouette's upper half, going over to 1 at its foot: h."""
        rows = np.arange(self.alpha.shape[0]) - self.reach
        t = np.clip((rows / (self.alpha.shape[0] - 2 * self.reach) - 0.5) / 0.5, 0, 1)
        return np.asarray(t * t * (3 - 2 * t), np.float32)

    def floor(self, blur_px: float, squash: float, near: float) -> Floats:
        """Return what the silhouette's lowest ``near`` (share) throws on the floor, blurred."""
        foot = self.alpha.shape[0] - self.reach
        matrix = np.array([[1, 0, 0], [0, squash, foot - squash * foot]], np.float32)
        # Only what is near the floor touches it: a cup that widens upwards stands on its foot.
        low = self.alpha.copy()
        low[: foot - max(2, round((foot - self.reach) * near))] = 0
        flat = cv2.warpAffine(low, matrix, low.shape[::-1])
        wide = blur_px * self.unit
        soft = cv2.GaussianBlur(flat, (0, 0), wide * 1.6, sigmaY=max(wide * 0.5, 0.3))
        return np.asarray(soft, np.float32)

    def patch(self, share: Floats, rgb: Floats) -> Patch:
        """Return a patch of one colour with this share (0..1) of it."""
        size = (share.shape[1] * SHADE_STEP, share.shape[0] * SHADE_STEP)
        grown = cv2.resize(np.clip(share, 0, 1), size, interpolation=cv2.INTER_LINEAR)
        full = np.asarray(grown, np.float32)
        # Dithered where there is anything: a faint shadow has no steps.
        grain = (ordered(*full.shape).astype(np.float32) / 256 - 0.5) / 255
        cv2.add(full, grain, dst=full, mask=(full > 1 / 255).astype(np.uint8))
        return patch_of_colour(rounded(full * 255), rgb, *self.corner)


def shadows(shape: Silhouette, *, cut_out: bool, weight: float) -> list[Shade]:
    """Return the shadows of a product: on the floor if it is cut out, else on the wall."""
    if cut_out:
        contact = shape.floor(10, 0.16, 0.08) * 0.85 + shape.floor(34, 0.22, 0.4) * 0.5
        # Only low down: a shadow all around is a halo.
        ambient = shape.soft(52, 30) * 0.22 * shape.low()[:, None]
        share = 1 - (1 - np.clip(contact, 0, 1)) * (1 - ambient)
    else:
        near, far = shape.soft(9, 5) * 0.30, shape.soft(44, 30) * 0.46
        share = 1 - (1 - near) * (1 - far)
    black = np.array([6, 6, 10], np.float32)
    return [
        Shade(
            shape.patch(np.minimum(share * weight, 0.85).astype(np.float32), black), breathes=False
        )
    ]


def glow(shape: Silhouette, tone: Tone) -> Shade:
    """Return a light of one colour around a product, which breathes."""
    wide, near = shape.soft(58, 0, 22) * 0.62, shape.soft(20, 0, 6) * 0.55
    share = 1 - (1 - wide) * (1 - near)
    colour = tone.at(0.80, min(max(tone.chroma, 0.09), 0.16)).rgb()
    return Shade(shape.patch((share * 0.92).astype(np.float32), colour), breathes=True)


def plate(box: Box, area: Box, unit: float, tone: Tone) -> tuple[Patch, Patch]:
    """Return a plate for a small product and its shadow: it is set smaller, but not lost."""
    edge = min(min(area.width, area.height) * 0.62, max(box.width, box.height) * PLATE_GROWTH)
    width = max(edge, box.width * (1 + 2 * PLATE_MARGIN))
    height = max(edge, box.height * (1 + 2 * PLATE_MARGIN))
    width, height = min(width, area.width), min(height, area.height)
    centre = (box.x + box.width / 2, box.y + box.height / 2)
    outer = Box(
        x=round(centre[0] - width / 2), y=round(centre[1] - height / 2), width=width, height=height
    )
    mask = rounded_mask(round(width), round(height), 40 * unit)
    rgba = np.empty((*mask.shape, 4), np.float32)
    rgba[..., :3] = tone.rgb()
    rgba[..., 3] = 255
    card = rounded(rgba * (mask[..., None].astype(np.float32) / 255))
    shape = Silhouette(mask, outer, unit)
    dark = shadows(shape, cut_out=False, weight=0.9)[0].patch
    return dark, patch_from_rgba(card, int(outer.x), int(outer.y))


def rounded_mask(width: int, height: int, radius: float) -> Plane:
    """Return an anti-aliased mask (0..255) of a rectangle with rounded corners."""
    x = np.abs(np.arange(width, dtype=np.float32) + 0.5 - width / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height, dtype=np.float32) + 0.5 - height / 2) - (height / 2 - radius)
    away = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None])
    away = away + np.minimum(np.maximum(x[None, :], y[:, None]), 0)
    return rounded(np.clip(radius - away + 0.5, 0, 1) * 255)


__all__ = [
    "SMALL_SHARE",
    "Product",
    "Shade",
    "Silhouette",
    "glow",
    "plate",
    "rounded_mask",
    "shadows",
]
