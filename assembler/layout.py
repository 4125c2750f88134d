"""Where a product lies: the safe box less the words and the watermark, and its place in that.

Lengths are pixels of the finished frame.  The area is reserved for the whole film, so that a
product never jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assembler.captions import block_box
from assembler.watermark import watermark_box
from events.spec import Box, RenderSpec

GAP_PX = 24
REFERENCE_WIDTH_PX = 1080
STAGE_WIDTH_PX, STAGE_TOP_PX, STAGE_BOTTOM_PX = 1000, 84, 1836


@dataclass(frozen=True, slots=True)
class Place:
    """Where a product lies: its box, and how many frame pixels a pixel of it is wide."""

    box: Box
    scale: float


def safe_box(spec: RenderSpec) -> Box:
    """Return the box that no platform's controls cover, at the film's size."""
    return _scaled(spec.style.safe_box, spec.width / REFERENCE_WIDTH_PX)


def stage_box(spec: RenderSpec) -> Box:
    """Return where what is set smaller than the frame may stand: about the words' middle."""
    safe = spec.style.safe_box
    wide = min(
        STAGE_WIDTH_PX, 2 * min(middle := safe.x + safe.width / 2, REFERENCE_WIDTH_PX - middle)
    )
    stage = Box(
        x=middle - wide / 2,
        y=STAGE_TOP_PX,
        width=wide,
        height=STAGE_BOTTOM_PX - STAGE_TOP_PX,
    )
    return _scaled(stage, spec.width / REFERENCE_WIDTH_PX)


def _scaled(box: Box, unit: float) -> Box:
    return Box(x=box.x * unit, y=box.y * unit, width=box.width * unit, height=box.height * unit)


def product_areas(spec: RenderSpec, within: Box) -> tuple[Box, ...]:
    """Return the areas that neither captions nor the watermark ever reach, the larger first."""
    gap = GAP_PX * spec.width / REFERENCE_WIDTH_PX
    taken = [] if (block := block_box(spec.captions)) is None else [block]
    if spec.logo is not None:
        unit = spec.width / REFERENCE_WIDTH_PX
        taken.append(watermark_box(spec.logo.width, spec.logo.height, spec.style, unit))
    areas = [within]
    for box in taken:
        areas = [left for area in areas for left in _less(area, box, gap)] or areas
    return tuple(sorted(areas, key=lambda area: -area.width * area.height))


def _less(area: Box, taken: Box, gap: float) -> list[Box]:
    """Return what is left of an area above, below, left and right of a taken box."""
    left, top = max(area.x, taken.x - gap), max(area.y, taken.y - gap)
    right = min(area.x + area.width, taken.x + taken.width + gap)
    bottom = min(area.y + area.height, taken.y + taken.height + gap)
    if left >= right or top >= bottom:
        return [area]
    rest = [
        Box(x=area.x, y=area.y, width=area.width, height=top - area.y),
        Box(x=area.x, y=bottom, width=area.width, height=area.y + area.height - bottom),
        Box(x=area.x, y=area.y, width=left - area.x, height=area.height),
        Box(x=right, y=area.y, width=area.x + area.width - right, height=area.height),
    ]
    return [box for box in rest if box.width > gap and box.height > gap]


def place(
    areas: Sequence[Box],
    width: float,
    height: float,
    *,
    room: float,
    scale_max: float,
    towards: tuple[float, float],
) -> Place:
    """Return where a ``width``×``height`` product stands best, whole, inside one of the areas.

    Best is large and near ``towards``: being a tenth of an area's width off costs a fifth of the
    size.  ``room`` pixels are left free on every side for its motion; it grows to ``scale_max``
    at most.
    """
    best: Place | None = None
    best_score = -1.0
    for area in areas:
        free_w = max(area.width - 2 * room, 2.0)
        free_h = max(area.height - 2 * room, 2.0)
        scale = min(free_w / width, free_h / height, scale_max)
        wide, high = width * scale, height * scale
        box = Box(
            x=_near(towards[0] - wide / 2, area.x + room, area.x + area.width - room - wide),
            y=_near(towards[1] - high / 2, area.y + room, area.y + area.height - room - high),
            width=wide,
            height=high,
        )
        off = abs(box.x + wide / 2 - towards[0]) / max(each.width for each in areas)
        score = scale * max(1 - 2 * off, 0.05)
        if score > best_score * 1.001:
            best, best_score = Place(box, scale), score
    assert best is not None, "there is always an area"
    return best


def around(where: Place, width: float, height: float) -> Place:
    """Return a place about the same middle at the same scale, for another size in pixels."""
    wide, high = width * where.scale, height * where.scale
    box = where.box
    grown = Box(
        x=box.x + (box.width - wide) / 2,
        y=box.y + (box.height - high) / 2,
        width=wide,
        height=high,
    )
    return Place(grown, where.scale)


def _near(wanted: float, low: float, high: float) -> float:
    """Return the place nearest to what is wanted; the middle where there is no room at all."""
    return (low + high) / 2 if low > high else min(max(wanted, low), high)


def clear_middle(spec: RenderSpec, within: Box) -> tuple[float, float]:
    """Return the middle of the larger part of a box above or below the captions."""
    across = within.x + within.width / 2
    block = block_box(spec.captions)
    if block is None:
        return across, within.y + within.height / 2
    bottom = within.y + within.height
    above = max(0.0, min(block.y, bottom) - within.y)
    below = max(0.0, bottom - max(block.y + block.height, within.y))
    return across, within.y + above / 2 if above >= below else bottom - below / 2


__all__ = ["Place", "around", "clear_middle", "place", "product_areas", "safe_box", "stage_box"]
