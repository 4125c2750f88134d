"""Where a product lies: the safe box less the words and the watermark, and its place in that.

Lengths are pixels of the finished frame.  The area is reserved for the whole film, so that a
product never jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assembler.captions import (
    SAFE_BOTTOM_PX,
    SAFE_LEFT_PX,
    SAFE_RIGHT_PX,
    SAFE_TOP_PX,
    block_box,
)
from assembler.watermark import watermark_box
from events.spec import Box, RenderSpec

GAP_PX = 24
REFERENCE_WIDTH_PX = 1080
STAGE = Box(x=60, y=200, width=960, height=1400)
"""Where a cut-out hero may stand: the whole frame less the edges."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a product lies: its box, and how many frame pixels a pixel of it is wide."""

    box: Box
    scale: float


def safe_box(spec: RenderSpec) -> Box:
    """Return the safe box S of a film, at its size."""
    unit = spec.width / REFERENCE_WIDTH_PX
    return Box(
        x=SAFE_LEFT_PX * unit,
        y=SAFE_TOP_PX * unit,
        width=(SAFE_RIGHT_PX - SAFE_LEFT_PX) * unit,
        height=(SAFE_BOTTOM_PX - SAFE_TOP_PX) * unit,
    )


def product_areas(spec: RenderSpec, within: Box) -> tuple[Box, ...]:
    """Return the areas that neither captions nor the watermark ever reach, the larger first."""
    gap = GAP_PX * spec.width / REFERENCE_WIDTH_PX
    taken = [] if (block := block_box(spec.captions)) is None else [block]
    if spec.logo is not None:
        taken.append(
            watermark_box(spec.logo.width, spec.logo.height, spec.style.caption_position)
        )
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
    areas: Sequence[Box], width: float, height: float, *, room: float, scale_max: float
) -> Place:
    """Return where a ``width``×``height`` product is largest, whole, in the middle of an area.

    ``room`` pixels are left free on every side for its motion; it grows to ``scale_max`` at most.
    """
    best: Place | None = None
    for area in areas:
        free_w = max(area.width - 2 * room, 2.0)
        free_h = max(area.height - 2 * room, 2.0)
        scale = min(free_w / width, free_h / height, scale_max)
        if best is None or scale > best.scale * 1.001:
            box = Box(
                x=area.x + (area.width - width * scale) / 2,
                y=area.y + (area.height - height * scale) / 2,
                width=width * scale,
                height=height * scale,
            )
            best = Place(box, scale)
    assert best is not None, "there is always an area"
    return best


__all__ = ["STAGE", "Place", "place", "product_areas", "safe_box"]
