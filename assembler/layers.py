"""Picture layers: what fills the frame behind words, and how it moves, segment by segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from assembler.backgrounds import RING, ROOM, SHAPES_DENSITY, TILE, WASH_EDGE_PX
from assembler.motion import BackgroundMotion, Camera, wave
from assembler.planes import Frame, Patch, blend_patch, crop
from assembler.sampling import Dither, Level, Wash, Window, draw_level, level_for
from assembler.stills import Pixels


class Layer(Protocol):
    """Something that fills a frame at any film frame."""

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame`` with what is seen at film frame ``n``."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How a ground wanders: a window of it, in frame widths, at any film frame."""

    motion: BackgroundMotion
    fps: int
    aspect: float
    phase: float = 0.0
    flow: str = ""

    @property
    def rests(self) -> bool:
        """Whether the ground never moves."""
        return not (self.motion.drift or self.motion.swell or self.flow)

    def at(self, n: int) -> Window:
        """Return the window: its corner relative to the frame's, its width in frame widths."""
        motion = self.motion
        width = 1.0
        if motion.swell:
            swing = 0.5 + 0.5 * wave(n, self.fps, motion.period_s * 1.31, self.phase + 0.17)
            width = 1 / (1 + motion.swell * swing)
        gone = motion.flow * n / self.fps
        if self.flow == "rings":
            # One turn of growing is the square of the ring's ratio; the picture is then the same.
            width = RING ** (-2 * ((gone * 1.6) % 1))
        x, y = (1 - width) / 2, (1 - width) / 2 / self.aspect
        if self.flow in ("stripes", "dots"):
            away = (gone + self.phase) % TILE
            down = TILE / 2 - away if self.flow == "dots" else 0.0
            return Window(x - TILE / 2 + away, y - down, width)
        if self.flow == "rings":
            return Window(x, y, width)
        return Window(
            x + motion.drift * wave(n, self.fps, motion.period_s, self.phase),
            y + motion.drift * wave(n, self.fps, motion.period_s * 1.37, self.phase + 0.3),
            width,
        )


class WashLayer:
    """A soft ground that drifts."""

    def __init__(self, wash: Wash, drift: Drift, dither: Dither) -> None:
        """Draw ``wash`` through the film's ``dither``."""
        self._wash, self._drift, self._dither = wash, drift, dither
        self._kept: Frame | None = None

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame``; a ground that rests is drawn once and copied."""
        still = self._drift.rests
        if still and self._kept is not None:
            _copy(self._kept, frame)
            return
        window = self._drift.at(n)
        unit = WASH_EDGE_PX / (1 + 2 * ROOM)
        there = Window((window.x + ROOM) * unit, (window.y + ROOM) * unit, window.width * unit)
        self._dither.draw(self._wash, there, frame)
        if still:
            self._kept = frame.copy()


class ShapesLayer:
    """A ground with edges that drifts or flows."""

    def __init__(self, level: Level, drift: Drift, width_px: int) -> None:
        """Draw ``level``, made for frames ``width_px`` wide."""
        self._level, self._drift, self._width = level, drift, width_px
        self._kept: Frame | None = None

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame``; a ground that rests is drawn once and copied."""
        if self._kept is not None:
            _copy(self._kept, frame)
            return
        window = self._drift.at(n)
        unit = self._width * SHAPES_DENSITY
        there = Window((window.x + ROOM) * unit, (window.y + ROOM) * unit, window.width * unit)
        draw_level(self._level, there, frame)
        if self._drift.rests:
            self._kept = frame.copy()


class PictureLayer:
    """A picture that fills the frame (or a part of it) and moves."""

    def __init__(
        self, pixels: Pixels, path: Camera, width_px: int, at: tuple[int, int] = (0, 0)
    ) -> None:
        """Prepare what ``path`` shows of ``pixels`` for a frame ``width_px`` wide.

        ``at`` is where the corner of ``pixels`` is in the picture that the path goes over.
        """
        self.path = path
        left, top, right, bottom = path.extent()
        x, y = max(math.floor(left) - 2, at[0]), max(math.floor(top) - 2, at[1])
        part = pixels[
            y - at[1] : math.ceil(bottom) + 2 - at[1], x - at[0] : math.ceil(right) + 2 - at[0]
        ]
        # Of even sizes a half is quickly made; a row and a column are to spare.
        part = part[: part.shape[0] & ~1 or 1, : part.shape[1] & ~1 or 1]
        closest, widest = path.widths()
        self._level = level_for(part, x, y, width_px / closest, widest / closest, alpha=False)

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame``."""
        draw_level(self._level, self.path.at(n), frame)


class Panel:
    """A picture in a part of the frame, over a ground of its own."""

    def __init__(
        self,
        ground: Layer,
        under: Sequence[Patch],
        picture: Layer,
        area: tuple[int, int, int, int],
    ) -> None:
        """Lay ``picture`` into ``area`` (x, y, width, height; even) over ``ground``."""
        self._ground, self._under, self._picture, self.area = ground, under, picture, area

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame``; where the picture covers all of its lower part, only what is above."""
        height, width = frame.y.shape
        covered = self.area[2] == width and self.area[1] + self.area[3] == height
        if covered and self.area[1] > 0:
            self._ground.draw(n, crop(frame, 0, 0, width, self.area[1]))
        elif not covered:
            self._ground.draw(n, frame)
        for patch in self._under:
            blend_patch(frame, patch)
        self._picture.draw(n, crop(frame, *self.area))


class Beats:
    """Grounds that take turns, one beat each."""

    def __init__(self, grounds: Sequence[Layer], frames: int) -> None:
        """Show each of ``grounds`` for ``frames`` frames."""
        self._grounds, self._frames = grounds, max(1, frames)

    def draw(self, n: int, frame: Frame) -> None:
        """Fill ``frame``."""
        self._grounds[n // self._frames % len(self._grounds)].draw(n, frame)


def _copy(kept: Frame, frame: Frame) -> None:
    np.copyto(frame.y, kept.y)
    np.copyto(frame.u, kept.u)
    np.copyto(frame.v, kept.v)


__all__ = ["Beats", "Drift", "Layer", "Panel", "PictureLayer", "ShapesLayer", "WashLayer"]
