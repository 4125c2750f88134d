"""What lies behind a product or behind words, designed from a palette or from the picture itself.

Soft grounds are washes, grounds with edges are levels.  Both are larger than the frame by
``ROOM``, so that they can drift; coordinates inside this module are in frame widths, with the
frame's corner at (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import skia

from assembler.colour import Tone
from assembler.planes import Floats, Plane
from assembler.sampling import Level, Wash, make_level, make_wash

ROOM = 0.26
"""How far a ground reaches over each edge of the frame, in frame widths."""
WASH_EDGE_PX = 320
"""Width of a wash in its own pixels; its height follows."""
SHAPES_DENSITY = 1.25
"""Pixels of a ground with edges per pixel of the frame."""
TILE = 0.25
"""Period of endless patterns in frame widths; ``ROOM`` holds one."""
EDGE_SHARE = 0.42
TABLE_ABOVE_FOOT = 0.085
"""How far above a product's foot its table ends, in frame widths."""
BOKEH = (
    (0.12, 0.74, 0.085, -14.0, 0.20),
    (0.30, 0.83, 0.055, 8.0, 0.16),
    (0.02, 0.88, 0.110, -30.0, 0.17),
    (0.52, 0.90, 0.095, 12.0, 0.18),
    (0.72, 0.80, 0.048, -8.0, 0.20),
    (0.90, 0.74, 0.075, -34.0, 0.17),
    (0.86, 0.92, 0.120, 4.0, 0.20),
    (0.36, 0.97, 0.070, -22.0, 0.14),
    (0.66, 0.99, 0.055, -18.0, 0.14),
    (0.08, 0.10, 0.060, -44.0, 0.13),
    (0.26, 0.03, 0.085, -60.0, 0.13),
    (0.90, 0.20, 0.060, -66.0, 0.16),
    (0.76, 0.05, 0.100, -52.0, 0.15),
    (0.98, 0.36, 0.050, -30.0, 0.14),
    (0.03, 0.42, 0.045, 10.0, 0.13),
)
"""Lights out of focus: x in frame widths, y in frame heights, radius, turn of hue, strength."""
RING = 1.3
"""Ratio of neighbouring rings: growing a picture of them by its square changes nothing."""
BLUR_SHARE = 0.045
RAYS = 18
ARCH_WIDTH = 0.70
PLINTH_WIDTH = 0.86
PLINTH_LIP = 0.020
"""How far a plinth's upper face reaches behind and before a product's foot, in frame widths."""
LEAF_REACH = 1.8
"""Beyond this many of its lengths a leaf's shadow is less than a tenth of a thousandth."""
LIGHT_FROM = 0.68
"""Mean brightness (0..1) from which a product is light, and set before a deep ground."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where things are: the frame's shape, the product's middle and its foot, in frame widths."""

    tall: float
    centre: tuple[float, float]
    foot: float


def _grid(tall: float, edge_px: int) -> tuple[Floats, Floats]:
    """Return x and y of the pixels of a ground ``edge_px`` wide."""
    across, down = 1 + 2 * ROOM, tall + 2 * ROOM
    rows = round(edge_px * down / across)
    x = (np.arange(edge_px, dtype=np.float32) + 0.5) / edge_px * across - ROOM
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows * down - ROOM
    grid_x, grid_y = np.meshgrid(x, y)
    return grid_x.astype(np.float32), grid_y.astype(np.float32)


def _mixed(under: Floats, colour: Floats, share: Floats) -> Floats:
    mixed: Floats = under + (colour - under) * share[..., None]
    return mixed


def _ramp(low: float, high: float, values: Floats) -> Floats:
    """Return 0 below ``low``, 1 above ``high``, smooth in between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    ramp: Floats = t * t * (3 - 2 * t)
    return ramp


def _glow(x: Floats, y: Floats, centre: tuple[float, float], radius: float) -> Floats:
    gap = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    glow: Floats = np.exp(-gap / (radius * radius)).astype(np.float32)
    return glow


def _graded(y: Floats, tall: float, top: Tone, bottom: Tone) -> Floats:
    """Return a vertical gradient over the frame, h×w×3."""
    share = _ramp(-0.1, tall + 0.1, y)
    start = np.broadcast_to(top.rgb(), (*y.shape, 3))
    return _mixed(start.astype(np.float32), bottom.rgb(), share)


def studio(accent: Tone, stage: Stage, product_lightness: float) -> Wash:
    """Return a photographer's backdrop: a lit wall in the product's hue and a floor below it.

    It is light behind a dark product and deep behind a light one.
    """
    light = product_lightness < LIGHT_FROM
    chroma = min(max(accent.chroma * 0.55, 0.035), 0.085)
    wall, lit, floor, shade = (0.80, 0.95, 0.84, 0.60) if light else (0.34, 0.56, 0.30, 0.16)
    x, y = _grid(stage.tall, WASH_EDGE_PX)
    ground = _graded(y, stage.tall, accent.at(wall + 0.02, chroma), accent.at(wall - 0.06, chroma))
    halo = accent.at(lit, chroma * (0.45 if light else 0.9))
    ground = _mixed(ground, halo.rgb(), 0.95 * _glow(x, y, stage.centre, 0.62))
    below = _ramp(stage.foot - 0.10, stage.foot + 0.14, y)
    ground = _mixed(ground, accent.at(floor, chroma * 0.9).rgb(), 0.55 * below)
    sheen = below * _glow(x, (y - stage.foot) * 2.4, (stage.centre[0], 0.22), 0.55)
    ground = _mixed(ground, halo.rgb(), 0.55 * sheen)
    return make_wash(_edged(ground, (x, y), stage.tall, accent.at(shade, chroma).rgb()))


def daylight(accent: Tone, stage: Stage, product_lightness: float) -> Wash:
    """Return a wall and a table in the product's hue, the sun on both through a window.

    It is light behind a dark product and deep behind a light one.
    """
    light = product_lightness < LIGHT_FROM
    chroma = min(max(accent.chroma * 0.6, 0.04), 0.095)
    wall, lit, table = (0.79, 0.935, 0.745) if light else (0.40, 0.58, 0.34)
    # Drawn at half a wash's size: nothing in it is finer.
    x, y = _grid(stage.tall, WASH_EDGE_PX // 2)
    shade, sun = accent.at(wall, chroma, -6), accent.at(lit, chroma * 0.62, 8)
    ground = _graded(y, stage.tall, accent.at(wall + 0.03, chroma), shade)
    ground = _mixed(ground, sun.rgb(), 0.55 * _glow(x, y, stage.centre, 0.42))
    edge = stage.foot - TABLE_ABOVE_FOOT
    below = _ramp(edge - 0.035, edge + 0.035, y)
    ground = _mixed(ground, accent.at(table, chroma * 1.1, -10).rgb(), 0.85 * below)
    panes = _window(x, y, stage)
    panes = panes * (1 - 0.72 * _frond(x, y, stage))
    ground = _mixed(ground, sun.rgb(), (0.74 - 0.22 * below) * panes)
    far = accent.at(wall - 0.20, chroma * 1.15, -14)
    low = _ramp(stage.foot + 0.25, stage.tall + 0.25, y)
    ground = _mixed(ground, far.rgb(), 0.6 * low * (1 - 0.6 * panes))
    size = _grid(stage.tall, WASH_EDGE_PX)[0].shape[::-1]
    return make_wash(np.asarray(cv2.resize(ground, size, interpolation=cv2.INTER_CUBIC)))


def _window(x: Floats, y: Floats, stage: Stage) -> Floats:
    """Return where the sun falls through a window of two by four panes: 0..1, soft."""
    across = (x - stage.centre[0]) + 0.30 * (y - stage.centre[1])
    down = (y - stage.centre[1]) - 0.42 * (x - stage.centre[0])
    soft = 0.05
    lit = np.zeros_like(x)
    for left in (-0.47, 0.03):
        for top in (-0.80, -0.36, 0.08, 0.52):
            pane = _ramp(left - soft, left + soft, across) * _ramp(
                -left - 0.40 - soft, -left - 0.40 + soft, -across
            )
            pane = pane * _ramp(top - soft, top + soft, down)
            lit += pane * _ramp(-top - 0.36 - soft, -top - 0.36 + soft, -down)
    return np.clip(lit, 0, 1).astype(np.float32)


def _frond(x: Floats, y: Floats, stage: Stage) -> Floats:
    """Return the shadow of a palm's leaf that hangs in from the upper right: 0..1, soft."""
    shadow = np.zeros_like(x)
    root, tip = (1.16, stage.centre[1] - 0.62), (0.30, stage.centre[1] - 0.02)
    for index in range(15):
        along = 0.10 + 0.88 * index / 14
        stem = (root[0] + (tip[0] - root[0]) * along, root[1] + (tip[1] - root[1]) * along**1.25)
        side = 1 if index % 2 else -1
        turn = math.radians(145 + side * (52 - 30 * along))
        long = 0.17 * (1 - 0.45 * along)
        cos, sin = math.cos(turn), math.sin(turn)
        middle = (stem[0] + long * cos, stem[1] + long * sin)
        near = tuple(
            slice(*np.searchsorted(axis, (at - LEAF_REACH * long, at + LEAF_REACH * long)))
            for axis, at in ((y[:, 0], middle[1]), (x[0], middle[0]))
        )
        dx, dy = x[near] - middle[0], y[near] - middle[1]
        run, off = dx * cos + dy * sin, dy * cos - dx * sin
        leaf = np.exp(-((run / long) ** 4) - (off / 0.030) ** 2)
        shadow[near] = np.maximum(shadow[near], leaf.astype(np.float32))
    return shadow


def night(accent: Tone, stage: Stage) -> Wash:
    """Return a dark room in which the product's own colour glows, lights far behind it."""
    chroma = min(max(accent.chroma, 0.08), 0.17)
    x, y = _grid(stage.tall, WASH_EDGE_PX)
    deep, deeper = accent.at(0.21, chroma * 0.45, -14), accent.at(0.12, chroma * 0.35, -10)
    ground = _graded(y, stage.tall, deep, deeper)
    ground = _mixed(ground, accent.at(0.48, chroma).rgb(), 0.85 * _glow(x, y, stage.centre, 0.50))
    low = (0.10, stage.tall * 0.93)
    ground = _mixed(ground, accent.at(0.40, chroma, -26).rgb(), 0.62 * _glow(x, y, low, 0.55))
    high = (0.95, stage.tall * 0.08)
    ground = _mixed(ground, accent.at(0.36, chroma, -58).rgb(), 0.60 * _glow(x, y, high, 0.52))
    # The floor throws the light back in a pool that thins out towards the eye.
    pool = _glow(x, (y - stage.foot) * 3.0, (stage.centre[0], 0.10), 0.46)
    ground = _mixed(ground, accent.at(0.55, chroma, 6).rgb(), 0.55 * pool)
    for at_x, at_y, radius, turn, strength in BOKEH:
        away = np.hypot(x - at_x, y - at_y * stage.tall)
        share = _ramp(-radius - 0.02, -radius + 0.02, -away) * (0.55 + 0.45 * (away / radius) ** 2)
        tone = accent.at(0.66, chroma, turn)
        ground = _mixed(ground, tone.rgb(), np.clip(strength * share, 0, 1).astype(np.float32))
    return make_wash(_edged(ground, (x, y), stage.tall, accent.at(0.07, chroma * 0.3).rgb()))


def own_blur(picture: Plane, stage: Stage, *, dim: float) -> Wash:
    """Return the picture (h×w×4 opaque RGBA) itself, covering, blurred and darkened.

    ``dim`` 0..1 is how much light is left at the frame's middle.
    """
    across, down = 1 + 2 * ROOM, stage.tall + 2 * ROOM
    size = (WASH_EDGE_PX, round(WASH_EDGE_PX * down / across))
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    part_w, part_h = min(width, round(size[0] / scale)), min(height, round(size[1] / scale))
    left, top = (width - part_w) // 2, (height - part_h) // 2
    part = picture[top : top + part_h, left : left + part_w, :3]
    small = part
    if part_w > size[0]:
        small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    grown = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    blur = size[0] * BLUR_SHARE
    soft = np.asarray(
        cv2.GaussianBlur(grown, (0, 0), blur, borderType=cv2.BORDER_REPLICATE), np.float32
    )
    grey = soft @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    soft = grey[..., None] + (soft - grey[..., None]) * 1.25
    # A bright picture is dimmed more than a dark one: words have to be read on both.
    level = float(grey.mean()) / 255
    keep = dim * (1.0 if level < 0.3 else max(0.55, 1.0 - (level - 0.3)))  # noqa: PLR2004
    x, y = _grid(stage.tall, size[0])
    ground = np.clip(soft * keep, 0, 255)
    shade = np.zeros(3, np.float32)
    return make_wash(_edged(ground, (x, y), stage.tall, shade))


def _edged(ground: Floats, grid: tuple[Floats, Floats], tall: float, colour: Floats) -> Floats:
    """Return a ground that goes some way to a colour at the frame's edges."""
    x, y = grid
    away = np.sqrt(((x - 0.5) / 0.62) ** 2 + ((y - tall / 2) / (0.62 * tall)) ** 2)
    return _mixed(ground, colour, EDGE_SHARE * _ramp(0.55, 1.35, away.astype(np.float32)))


class _Board:
    """A drawing board for shapes, in frame widths, larger than the frame by ``ROOM``."""

    def __init__(self, tall: float, width_px: int) -> None:
        self.scale = width_px * SHAPES_DENSITY
        columns = 2 * round((1 + 2 * ROOM) * self.scale / 2)
        rows = 2 * round((tall + 2 * ROOM) * self.scale / 2)
        self.pixels: Plane = np.zeros((rows, columns, 4), np.uint8)
        self.surface = skia.Surface(self.pixels, skia.ColorType.kRGBA_8888_ColorType)
        self.canvas: Any = self.surface.getCanvas()
        self.canvas.scale(self.scale, self.scale)
        self.canvas.translate(ROOM, ROOM)

    def paint(self, colour: Tone, opacity: float = 1.0, stroke: float = 0.0) -> Any:
        red, green, blue = (float(code) / 255 for code in np.clip(colour.rgb(), 0, 255))
        paint = skia.Paint(AntiAlias=True, Color4f=skia.Color4f(red, green, blue, opacity))
        if stroke:
            paint.setStyle(skia.Paint.kStroke_Style)
            paint.setStrokeWidth(stroke)
        return paint

    def level(self) -> Level:
        self.surface.flushAndSubmit()
        return make_level(self.pixels, 0, 0, 1.0, alpha=False, base=1.0)


def bold(
    accent: Tone, stage: Stage, product_lightness: float, width_px: int, *, variant: int
) -> Level:
    """Return flat shapes in strong colours of the product's hue: a disc behind it, bands, dots.

    Variants 0 and 1 have the disc in common and all else mirrored.
    """
    chroma = min(max(accent.chroma * 1.25, 0.12), 0.2)
    dark = product_lightness >= LIGHT_FROM
    base, disc, band = (0.60, 0.42, 0.52) if dark else (0.73, 0.93, 0.64)
    board = _Board(stage.tall, width_px)
    canvas = board.canvas
    accent = accent.at(accent.lightness, turn=-16.0 * variant)
    canvas.drawPaint(board.paint(accent.at(base, chroma)))
    canvas.save()
    if variant:
        canvas.translate(1, 0)
        canvas.scale(-1, 1)
    _band(board, accent.at(band, chroma, 18), (0.0, stage.tall * 0.20), 0.46)
    _band(board, accent.at(base + 0.07, chroma, -24), (0.0, stage.tall * 0.86), 0.30)
    dots = board.paint(accent.at(0.97, 0.01), 0.85)
    for row in range(6):
        for column in range(5):
            canvas.drawCircle(0.77 + column * 0.042, stage.tall * 0.83 + row * 0.042, 0.0075, dots)
    ring = board.paint(accent.at(0.97, 0.01), 0.8, stroke=0.014)
    canvas.drawCircle(0.09, stage.tall * 0.115, 0.075, ring)
    canvas.restore()
    fill = accent.at(disc, chroma * (0.9 if dark else 0.4), -8)
    canvas.drawCircle(*stage.centre, 0.43, board.paint(fill))
    canvas.drawCircle(
        *stage.centre, 0.485, board.paint(accent.at(disc, chroma * 0.6), 0.9, stroke=0.008)
    )
    return board.level()


def rays(
    accent: Tone, stage: Stage, product_lightness: float, width_px: int, *, variant: int
) -> Level:
    """Return a poster's sunburst behind a product: rays of its hue from behind its middle."""
    chroma = min(max(accent.chroma * 1.3, 0.13), 0.2)
    dark = product_lightness >= LIGHT_FROM
    base, ray, core = (0.46, 0.54, 0.34) if dark else (0.70, 0.80, 0.95)
    board = _Board(stage.tall, width_px)
    canvas = board.canvas
    accent = accent.at(accent.lightness, turn=-14.0 * variant)
    canvas.drawPaint(board.paint(accent.at(base, chroma, -10)))
    beam = board.paint(accent.at(ray, chroma * 0.95, 12))
    middle_x, middle_y = stage.centre
    for index in range(RAYS):
        start = (index + 0.5 * variant) * 2 * math.pi / RAYS
        ends = [start, start + math.pi / RAYS]
        points = [(middle_x + 3 * math.cos(turn), middle_y + 3 * math.sin(turn)) for turn in ends]
        _fill(board, [stage.centre, *points], beam)
    # Halftone dots that thin out upwards, as printed.
    for row in range(14):
        dots = board.paint(accent.at(base - 0.16, chroma, -24), 0.9)
        for column in range(40):
            shift = 0.0 if row % 2 else 0.021
            radius = 0.0185 * (1 - row / 14)
            canvas.drawCircle(
                -ROOM + column * 0.042 + shift, stage.tall + 0.06 - row * 0.036, radius, dots
            )
    canvas.drawCircle(middle_x, middle_y, 0.47, board.paint(accent.at(core, chroma * 0.55), 0.35))
    canvas.drawCircle(middle_x, middle_y, 0.385, board.paint(accent.at(core, chroma * 0.5)))
    return board.level()


def shelf(accent: Tone, stage: Stage, width_px: int) -> Level:
    """Return quiet paper with a breath of the product's hue: an arch, and a plinth to stand on.

    The plinth goes down to the frame's end and bears the words.
    """
    chroma = min(max(accent.chroma * 0.3, 0.012), 0.03)
    board = _Board(stage.tall, width_px)
    canvas = board.canvas
    canvas.drawPaint(board.paint(accent.at(0.955, chroma * 0.5)))
    middle, foot = stage.centre[0], stage.foot
    half = ARCH_WIDTH / 2
    top = min(stage.centre[1] - (foot - stage.centre[1]) - 0.16, foot - ARCH_WIDTH)
    canvas.drawPath(_arch(middle, half, top, foot), board.paint(accent.at(0.905, chroma * 1.25)))
    canvas.drawPath(
        _arch(middle, half + 0.026, top - 0.026, foot),
        board.paint(accent.at(0.86, chroma * 1.6), 0.9, stroke=0.0022),
    )
    front = foot + PLINTH_LIP
    floor = stage.tall + ROOM + 0.1
    wide = PLINTH_WIDTH / 2
    canvas.drawRect(
        skia.Rect(middle - wide, front, middle + wide, floor),
        board.paint(accent.at(0.865, chroma * 1.5)),
    )
    back = wide - 0.022
    face = [
        (middle - back, foot - PLINTH_LIP),
        (middle + back, foot - PLINTH_LIP),
        (middle + wide, front),
        (middle - wide, front),
    ]
    _fill(board, face, board.paint(accent.at(0.925, chroma * 1.1)))
    return board.level()


def _arch(middle: float, half: float, top: float, foot: float) -> Any:
    path = skia.PathBuilder() if hasattr(skia, "PathBuilder") else skia.Path()
    path.addRRect(
        skia.RRect.MakeRectXY(
            skia.Rect(middle - half, top, middle + half, foot + 2 * half), half, half
        )
    )
    return path.detach() if hasattr(path, "detach") else path


def _fill(board: _Board, corners: Sequence[tuple[float, float]], paint: Any) -> None:
    """Fill a polygon."""
    path = skia.PathBuilder() if hasattr(skia, "PathBuilder") else skia.Path()
    path.moveTo(*corners[0])
    for corner in corners[1:]:
        path.lineTo(*corner)
    path.close()
    done = path.detach() if hasattr(path, "detach") else path
    board.canvas.drawPath(done, paint)


def _band(board: _Board, colour: Tone, at: tuple[float, float], thick: float) -> None:
    """Draw a band that rises to the right across the whole board."""
    left, right, rise = -ROOM - 0.1, 1 + ROOM + 0.1, 0.62
    corners = [
        (left, at[1]),
        (right, at[1] - rise),
        (right, at[1] - rise + thick),
        (left, at[1] + thick),
    ]
    _fill(board, corners, board.paint(colour))


def pattern(kind: str, tones: Sequence[Tone], tall: float, width_px: int) -> Level:
    """Return a ground for words: ``stripes``, ``dots`` (endless, period ``TILE``) or
    ``rings`` (endless growth, period ``RING`` squared).

    ``tones`` are the ground and the figure.
    """
    board = _Board(tall, width_px)
    board.canvas.drawPaint(board.paint(tones[0]))
    figure = board.paint(tones[1])
    if kind == "stripes":
        for index in range(-4, math.ceil((2 + tall) / TILE) + 4):
            _stripe(board, figure, index * TILE, TILE / 2)
    elif kind == "dots":
        for row in range(-2, math.ceil((tall + 2 * ROOM) / TILE * 2) + 3):
            for column in range(-3, math.ceil((1 + 2 * ROOM) / TILE) + 3):
                shift = TILE / 2 if row % 2 else 0.0
                board.canvas.drawCircle(column * TILE + shift, row * TILE / 2, TILE * 0.19, figure)
    else:
        _rings(board, tones, tall)
    return board.level()


def _stripe(board: _Board, paint: Any, at: float, thick: float) -> None:
    """Draw a stripe at 45° that crosses the board's top edge at ``at``."""
    board.canvas.save()
    board.canvas.translate(at, 0)
    board.canvas.skew(-1, 0)
    board.canvas.drawRect(skia.Rect(0, -ROOM - 0.1, thick, 3), paint)
    board.canvas.restore()


def _rings(board: _Board, tones: Sequence[Tone], tall: float) -> None:
    """Draw rings about the frame's middle, each ``RING`` times as large as the next inner one."""
    radius, index = 2.2, 0
    while radius > 0.004:  # noqa: PLR2004
        colour = board.paint(tones[index % 2])
        board.canvas.drawCircle(0.5, tall / 2, radius, colour)
        radius, index = radius / RING, index + 1


POP_HUES = (28.0, 265.0, 145.0, 325.0, 75.0, 205.0)
PATTERNS = ("rings", "stripes", "dots")


def pop_tones(seed: int) -> tuple[Tone, Tone]:
    """Return two strong neighbours of one hue, chosen by a seed."""
    hue = POP_HUES[seed % len(POP_HUES)]
    lightness = 0.84 if hue == 75.0 else 0.62  # noqa: PLR2004  (yellow is only yellow when light)
    # Darker greens and blues go towards each other; towards yellow they would be brown.
    turn = 20 if 100 < hue < 250 else -12  # noqa: PLR2004
    return Tone(lightness, 0.19, hue), Tone(lightness - 0.11, 0.2, hue + turn)


def aurora(seed: int, tall: float) -> Wash:
    """Return a ground of soft lights in colours chosen by a seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    hue = POP_HUES[int(random.integers(len(POP_HUES)))]
    x, y = _grid(tall, WASH_EDGE_PX)
    ground = _graded(y, tall, Tone(0.42, 0.16, hue), Tone(0.30, 0.14, hue + 40))
    for turn in (-50, 35, 80, -20):
        centre = (float(random.uniform(-0.1, 1.1)), float(random.uniform(0, tall)))
        light = Tone(float(random.uniform(0.55, 0.72)), 0.19, hue + turn)
        ground = _mixed(ground, light.rgb(), 0.8 * _glow(x, y, centre, 0.5))
    return make_wash(ground)


__all__ = [
    "PATTERNS",
    "RING",
    "ROOM",
    "SHAPES_DENSITY",
    "TILE",
    "WASH_EDGE_PX",
    "Stage",
    "aurora",
    "bold",
    "daylight",
    "night",
    "own_blur",
    "pattern",
    "pop_tones",
    "rays",
    "shelf",
    "studio",
]
