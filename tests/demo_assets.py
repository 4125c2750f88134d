"""``python -m tests.demo_assets`` draws and composes what ``pytoon demo`` shows.

A bottle of serum, cut out on nothing, and nineteen seconds of music that loop without a seam.
Both are ours, made here and by ``demo_music`` alone: no photograph, no sample, no font but those
that ship.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skia

from config import SHIPPED, shipped
from tests.demo_music import music

DEMO = SHIPPED / "demo"
WIDTH, HEIGHT = 800, 1320
MIDDLE = WIDTH / 2

# The picture: pixels, from the top down.
BULB = (MIDDLE - 62, 30, MIDDLE + 62, 262)
COLLAR = (MIDDLE - 108, 240, MIDDLE + 108, 404)
BODY_LEFT, BODY_RIGHT = MIDDLE - 262, MIDDLE + 262
SHOULDER_TOP, SHOULDER_BOTTOM = 400.0, 540.0
BODY_BOTTOM = 1252.0
LABEL_TOP, LABEL_BOTTOM = 690.0, 1086.0
BOW = 16.0
"""How far a ring of the bottle hangs down in its middle: the eye is a little above."""

Stop = tuple[float, int]


def main() -> None:
    """Write both files."""
    DEMO.mkdir(exist_ok=True)
    bottle(DEMO / "product.png")
    music(DEMO / "track.m4a")


def bottle(path: Path) -> None:
    """Draw the bottle: 800×1320 pixels with alpha."""
    surface = skia.Surface(WIDTH, HEIGHT)
    canvas = surface.getCanvas()
    canvas.clear(skia.ColorTRANSPARENT)
    _draw_glass(canvas)
    _draw_reflections(canvas)
    _draw_label(canvas)  # paper is matt: it hides the reflections
    _draw_bulb(canvas)
    _draw_collar(canvas)
    surface.makeImageSnapshot().save(str(path), skia.kPNG)


def _across(left: float, right: float, stops: Sequence[Stop]) -> skia.Shader:
    return skia.GradientShader.MakeLinear(
        points=[(left, 0), (right, 0)],
        colors=[color for _, color in stops],
        positions=[position for position, _ in stops],
    )


def _down(top: float, bottom: float, stops: Sequence[Stop]) -> skia.Shader:
    return skia.GradientShader.MakeLinear(
        points=[(0, top), (0, bottom)],
        colors=[color for _, color in stops],
        positions=[position for position, _ in stops],
    )


def _paint(
    shader: skia.Shader | None = None, color: int = 0xFF000000, blur: float = 0
) -> skia.Paint:
    paint = skia.Paint(AntiAlias=True, Color=color, Dither=True)
    if shader is not None:
        paint.setShader(shader)
    if blur:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def _band(left: float, right: float, top: float, bottom: float, bow: float = BOW) -> skia.Path:
    """A piece of a cylinder between two rings, as seen from a little above."""
    path = skia.Path()
    path.moveTo(left, top)
    path.quadTo(MIDDLE, top + 2 * bow, right, top)
    path.lineTo(right, bottom)
    path.quadTo(MIDDLE, bottom + 2 * bow, left, bottom)
    path.close()
    return path


def _body(inset: float = 0.0) -> skia.Path:
    """The outline of the glass; ``inset`` pixels inside it."""
    left, right = BODY_LEFT + inset, BODY_RIGHT - inset
    neck = 92.0 - inset
    bottom, corner = BODY_BOTTOM - inset, 54.0
    path = skia.Path()
    path.moveTo(MIDDLE - neck, SHOULDER_TOP - 20)
    path.lineTo(MIDDLE + neck, SHOULDER_TOP - 20)
    path.cubicTo(
        MIDDLE + neck, SHOULDER_TOP + 62, right, SHOULDER_TOP + 28, right, SHOULDER_BOTTOM + inset
    )
    path.lineTo(right, bottom - corner)
    path.cubicTo(right, bottom - 6, right - 14, bottom + 4, right - corner, bottom + 8)
    path.quadTo(MIDDLE, bottom + 8 + BOW, left + corner, bottom + 8)
    path.cubicTo(left + 14, bottom + 4, left, bottom - 6, left, bottom - corner)
    path.lineTo(left, SHOULDER_BOTTOM + inset)
    path.cubicTo(
        left, SHOULDER_TOP + 28, MIDDLE - neck, SHOULDER_TOP + 62, MIDDLE - neck, SHOULDER_TOP - 20
    )
    path.close()
    return path


def _draw_glass(canvas: skia.Canvas) -> None:
    glass = [
        (0.0, 0xFF1C0A03),
        (0.035, 0xFF59260A),
        (0.10, 0xFF3A1606),
        (0.26, 0xFF8C4311),
        (0.46, 0xFFC46A1E),
        (0.60, 0xFFB05914),
        (0.82, 0xFF5A270A),
        (0.94, 0xFF351405),
        (0.972, 0xFF7A3A10),
        (1.0, 0xFF1E0B03),
    ]
    canvas.drawPath(_body(), _paint(_across(BODY_LEFT, BODY_RIGHT, glass)))
    canvas.save()
    canvas.clipPath(_body(), doAntiAlias=True)
    # Above the liquid the glass is empty: lighter, and the far wall's ring is seen.
    level = SHOULDER_BOTTOM + 24
    empty = _down(SHOULDER_TOP, level, [(0.0, 0x00FFC78A), (1.0, 0x42FFC78A)])
    canvas.drawPath(_band(0, WIDTH, 0, level, bow=18), _paint(empty))
    ring = skia.Path()
    ring.addOval(skia.Rect(BODY_LEFT, level - 18, BODY_RIGHT, level + 18))
    shade = _across(BODY_LEFT, BODY_RIGHT, [(0, 0x50200A00), (0.45, 0x38FFD9A8), (1, 0x60200A00)])
    canvas.drawPath(ring, _paint(shade))
    edge = skia.Paint(
        AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=2.5, Color=0x73FFE2B8
    )
    canvas.drawArc(skia.Rect(BODY_LEFT, level - 18, BODY_RIGHT, level + 18), 6, 168, False, edge)
    # The dropper's pipette, seen through the liquid.
    pipette = skia.Rect(MIDDLE - 17, SHOULDER_TOP, MIDDLE + 17, LABEL_TOP + 60)
    inside = _across(
        MIDDLE - 17,
        MIDDLE + 17,
        [(0, 0x66280F02), (0.3, 0x40FFE6C4), (0.55, 0x18FFE6C4), (1, 0x59280F02)],
    )
    canvas.drawRect(pipette, _paint(inside))
    # Light gathers in the thick bottom.
    heel = _paint(
        skia.GradientShader.MakeRadial(
            center=(MIDDLE + 40, BODY_BOTTOM - 34),
            radius=250,
            colors=[0xB3FFB45C, 0x40E88A2E, 0x00C05A10],
            positions=[0.0, 0.45, 1.0],
        )
    )
    canvas.save()
    canvas.translate(0, BODY_BOTTOM - 34)
    canvas.scale(1, 0.24)
    canvas.translate(0, -(BODY_BOTTOM - 34))
    canvas.drawCircle(MIDDLE + 40, BODY_BOTTOM - 34, 250, heel)
    canvas.restore()
    floor = _down(
        BODY_BOTTOM - 90, BODY_BOTTOM + 20, [(0, 0x00160600), (0.72, 0x3D160600), (1, 0xB3160600)]
    )
    canvas.drawRect(skia.Rect(0, BODY_BOTTOM - 90, WIDTH, HEIGHT), _paint(floor))
    # The neck throws a shadow on the shoulder.
    under = _down(SHOULDER_TOP - 10, SHOULDER_TOP + 90, [(0, 0xCC140500), (1, 0x00140500)])
    canvas.drawRect(skia.Rect(0, SHOULDER_TOP - 20, WIDTH, SHOULDER_TOP + 90), _paint(under))
    canvas.restore()


def _draw_label(canvas: skia.Canvas) -> None:
    label = _band(BODY_LEFT + 1, BODY_RIGHT - 1, LABEL_TOP, LABEL_BOTTOM)
    canvas.save()
    canvas.clipPath(_body(), doAntiAlias=True)
    canvas.drawPath(
        _band(BODY_LEFT, BODY_RIGHT, LABEL_TOP + 5, LABEL_BOTTOM + 7),
        _paint(None, 0x90100400, blur=7),
    )
    paper = [
        (0.0, 0xFF6F6459),
        (0.06, 0xFFA99C8C),
        (0.20, 0xFFE6DCCD),
        (0.38, 0xFFF7F0E4),
        (0.58, 0xFFF2E9DB),
        (0.80, 0xFFCBBFAE),
        (0.93, 0xFF8B7F72),
        (1.0, 0xFF5D5349),
    ]
    canvas.drawPath(label, _paint(_across(BODY_LEFT, BODY_RIGHT, paper)))
    canvas.clipPath(label, doAntiAlias=True)
    gold = [
        (0.0, 0xFF4A3210),
        (0.3, 0xFFC99A4B),
        (0.42, 0xFFF3D99A),
        (0.6, 0xFFB98838),
        (1.0, 0xFF4A3210),
    ]
    for top, bottom in ((LABEL_TOP + 18, LABEL_TOP + 22), (LABEL_BOTTOM - 22, LABEL_BOTTOM - 18)):
        canvas.drawPath(
            _band(BODY_LEFT, BODY_RIGHT, top, bottom), _paint(_across(BODY_LEFT, BODY_RIGHT, gold))
        )
    _words(canvas)
    canvas.restore()


def _words(canvas: skia.Canvas) -> None:
    ink = 0xFF2A211A
    rows = (
        ("AUREL", 1, 92.0, 868.0, 0.17, ink),
        ("NIGHT  SERUM", 600, 30.0, 932.0, 0.30, ink),
        ("rosehip · squalane · vitamin E", 400, 23.0, 984.0, 0.02, 0xFF5B4D40),
        ("30 ml  ·  1.0 fl oz", 400, 20.0, 1048.0, 0.06, 0xFF5B4D40),
    )
    for text, weight, size, baseline, tracking, color in rows:
        _tracked(canvas, text, weight, size, baseline, tracking, color)
    sun = skia.Paint(
        AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=2.6, Color=0xFFA9792F
    )
    center = LABEL_TOP + 78
    canvas.drawArc(
        skia.Rect(MIDDLE - 17, center - 17, MIDDLE + 17, center + 17), 0, 360, False, sun
    )
    for step in range(12):
        angle = step * np.pi / 6
        along = (np.cos(angle), np.sin(angle))
        canvas.drawLine(
            MIDDLE + 23 * along[0],
            center + 23 * along[1],
            MIDDLE + 30 * along[0],
            center + 30 * along[1],
            sun,
        )


def _tracked(  # noqa: PLR0917 - a row of a table
    canvas: skia.Canvas,
    text: str,
    weight: int,
    size: float,
    baseline: float,
    tracking: float,
    color: int,
) -> None:
    """A centred line with letters ``tracking`` em apart, bowed as the label is."""
    family = "Bebas Neue" if weight == 1 else "Inter"
    font = skia.Font(skia.Typeface.MakeFromFile(str(shipped().fonts.file(family, weight))), size)
    font.setSubpixel(True)
    widths = [font.measureText(letter) + tracking * size for letter in text]
    x = MIDDLE - (sum(widths) - tracking * size) / 2
    half = (BODY_RIGHT - BODY_LEFT) / 2
    paint = skia.Paint(AntiAlias=True, Color=color)
    for letter, width in zip(text, widths, strict=True):
        off = (x + width / 2 - MIDDLE) / half
        canvas.save()
        canvas.translate(x + width / 2, baseline + BOW * (1 - off * off))
        canvas.rotate(float(np.degrees(np.arctan(-2 * BOW * off / half))))
        canvas.drawString(letter, -width / 2, 0, font, paint)
        canvas.restore()
        x += width


def _draw_reflections(canvas: skia.Canvas) -> None:
    canvas.save()
    canvas.clipPath(_body(inset=3), doAntiAlias=True)
    # A tall window to the left, and its dim fellow to the right.
    bright = _down(
        SHOULDER_BOTTOM - 30,
        BODY_BOTTOM - 60,
        [
            (0, 0x00FFFFFF),
            (0.08, 0xA8FFF8EE),
            (0.5, 0x80FFF8EE),
            (0.9, 0x52FFF8EE),
            (1, 0x00FFFFFF),
        ],
    )
    left = skia.Rect(BODY_LEFT + 44, SHOULDER_BOTTOM - 30, BODY_LEFT + 92, BODY_BOTTOM - 60)
    canvas.drawRoundRect(left, 22, 22, _paint(bright, blur=5))
    thin = skia.Rect(BODY_LEFT + 106, SHOULDER_BOTTOM - 10, BODY_LEFT + 114, BODY_BOTTOM - 80)
    canvas.drawRoundRect(thin, 4, 4, _paint(bright, blur=2.5))
    dim = _down(
        SHOULDER_BOTTOM,
        BODY_BOTTOM - 70,
        [(0, 0x00FFFFFF), (0.15, 0x5CFFE9CF), (0.85, 0x38FFE9CF), (1, 0x00FFFFFF)],
    )
    right = skia.Rect(BODY_RIGHT - 58, SHOULDER_BOTTOM, BODY_RIGHT - 36, BODY_BOTTOM - 70)
    canvas.drawRoundRect(right, 10, 10, _paint(dim, blur=4))
    # The window bends over the shoulder.
    shoulder = skia.Path()
    shoulder.moveTo(BODY_LEFT + 62, SHOULDER_BOTTOM + 4)
    shoulder.cubicTo(
        BODY_LEFT + 66,
        SHOULDER_TOP + 84,
        MIDDLE - 150,
        SHOULDER_TOP + 72,
        MIDDLE - 108,
        SHOULDER_TOP + 40,
    )
    stroke = skia.Paint(
        AntiAlias=True,
        Style=skia.Paint.kStroke_Style,
        StrokeWidth=18,
        StrokeCap=skia.Paint.kRound_Cap,
        Color=0x8CFFF3E2,
        MaskFilter=skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 6),
    )
    canvas.drawPath(shoulder, stroke)
    canvas.restore()
    rim = skia.Paint(
        AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=2, Color=0x40FFD9A8
    )
    canvas.save()
    canvas.clipPath(_body(), doAntiAlias=True)
    canvas.drawPath(_body(inset=2), rim)
    canvas.restore()


def _draw_bulb(canvas: skia.Canvas) -> None:
    left, top, right, bottom = BULB
    path = skia.Path()
    path.moveTo(left, bottom)
    path.cubicTo(left - 8, bottom - 70, left + 10, top + 90, left + 12, top + 62)
    path.cubicTo(left + 14, top - 8, right - 14, top - 8, right - 12, top + 62)
    path.cubicTo(right - 10, top + 90, right + 8, bottom - 70, right, bottom)
    path.close()
    rubber = [
        (0.0, 0xFF0B0B0D),
        (0.08, 0xFF2C2C31),
        (0.28, 0xFF57575F),
        (0.42, 0xFF34343A),
        (0.75, 0xFF17171A),
        (0.93, 0xFF2B2B30),
        (1.0, 0xFF0A0A0C),
    ]
    canvas.drawPath(path, _paint(_across(left - 6, right + 6, rubber)))
    canvas.save()
    canvas.clipPath(path, doAntiAlias=True)
    crown = skia.GradientShader.MakeRadial(
        center=(MIDDLE - 20, top + 34), radius=80, colors=[0x80B8B8C4, 0x00606068]
    )
    canvas.drawRect(skia.Rect(left, top - 10, right, top + 130), _paint(crown))
    shine = skia.Rect(left + 28, top + 60, left + 42, bottom - 40)
    canvas.drawRoundRect(shine, 7, 7, _paint(None, 0x6BFFFFFF, blur=5))
    foot = _down(bottom - 60, bottom, [(0, 0x00000000), (1, 0xB3000000)])
    canvas.drawRect(skia.Rect(0, bottom - 60, WIDTH, bottom), _paint(foot))
    canvas.restore()


def _draw_collar(canvas: skia.Canvas) -> None:
    left, top, right, bottom = COLLAR
    bow = 7.0
    metal = [
        (0.0, 0xFF3A270B),
        (0.05, 0xFF8A672B),
        (0.14, 0xFFF6E2B0),
        (0.22, 0xFFD9B467),
        (0.40, 0xFF9A7331),
        (0.55, 0xFFCFA758),
        (0.66, 0xFFF1D798),
        (0.76, 0xFFB0853C),
        (0.93, 0xFF5A3F15),
        (0.975, 0xFF9C783A),
        (1.0, 0xFF34220A),
    ]
    lid = skia.Path()
    lid.addOval(skia.Rect(left, top - 2 * bow, right, top + 2 * bow))
    top_face = _across(
        left, right, [(0, 0xFF6B4E1E), (0.3, 0xFFE8CB8A), (0.7, 0xFFB68D45), (1, 0xFF5A3F15)]
    )
    below = _band(left, right, top, bottom, bow)
    canvas.save()
    canvas.clipPath(_outside(BULB), doAntiAlias=True)
    canvas.drawPath(lid, _paint(top_face))
    canvas.restore()
    front = skia.Path(below)
    canvas.drawPath(front, _paint(_across(left, right, metal)))
    canvas.save()
    canvas.clipPath(front, doAntiAlias=True)
    groove = skia.Paint(
        AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=2.2, Color=0x66301E05
    )
    light = skia.Paint(
        AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=1.6, Color=0x73FFF2CF
    )
    for y in (top + 22, bottom - 26):
        for offset, paint in ((0.0, groove), (2.4, light)):
            ring = skia.Path()
            ring.moveTo(left, y + offset)
            ring.quadTo(MIDDLE, y + offset + 2 * bow, right, y + offset)
            canvas.drawPath(ring, paint)
    foot = _down(bottom - 30, bottom + 14, [(0, 0x00201002), (1, 0x80201002)])
    canvas.drawRect(skia.Rect(left, bottom - 30, right, bottom + 20), _paint(foot))
    canvas.restore()


def _outside(box: tuple[float, float, float, float]) -> skia.Path:
    """All but what the bulb covers of the lid's far half."""
    left, _, right, bottom = box
    path = skia.Path()
    path.addRect(skia.Rect(0, 0, WIDTH, HEIGHT))
    path.addRect(skia.Rect(left, 0, right, bottom - 4))
    path.setFillType(skia.PathFillType.kEvenOdd)
    return path


if __name__ == "__main__":
    main()
