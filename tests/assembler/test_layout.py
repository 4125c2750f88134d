"""Where products lie."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembler.layout import GAP_PX, clear_middle, place, product_areas, safe_box
from assembler.watermark import watermark_box
from events.spec import (
    Archetype,
    Artifact,
    Asset,
    AssetRole,
    Box,
    Caption,
    CaptionRole,
    Card,
    RenderSpec,
)
from tests.assembler.pictures import plan


def spec_with(block: Box | None, *, logo: bool = False) -> RenderSpec:
    """A plan of full size with one caption."""
    captions: tuple[Caption, ...] = ()
    if block is not None:
        card = Card(start=0, frames=60, lines=("Hello",), size_px=64, box=block)
        captions = (Caption(role=CaptionRole.HOOK, text="Hello", cards=(card,)),)
    named = Artifact(sha256="a" * 64, bytes=1, media_type="image/png")
    mark = Asset(
        role=AssetRole.LOGO,
        uri="",
        source=named,
        still=named,
        width=200,
        height=100,
        has_alpha=True,
    )
    spec, _ = plan(Archetype.OVERLAY, width=1080, height=1920, captions=captions)
    return msgspec.structs.replace(spec, logo=mark if logo else None)


def apart(one: Box, other: Box) -> float:
    """The gap between two boxes along the axis that parts them; negative if they overlap."""
    return max(
        one.x - other.x - other.width,
        other.x - one.x - one.width,
        one.y - other.y - other.height,
        other.y - one.y - one.height,
    )


def inside(box: Box, area: Box) -> bool:
    """Whether a box lies in an area."""
    return (
        box.x >= area.x - 1e-6
        and box.y >= area.y - 1e-6
        and box.x + box.width <= area.x + area.width + 1e-6
        and box.y + box.height <= area.y + area.height + 1e-6
    )


def test_the_safe_box_is_that_of_the_blueprint() -> None:
    """X 120–888, y 288–1248 of 1080×1920."""
    spec = spec_with(None)
    assert Box(x=120, y=288, width=768, height=960) == safe_box(spec)


@given(
    y=st.integers(288, 1100),
    height=st.integers(60, 500),
    shape=st.floats(0.25, 4.0),
    logo=st.booleans(),
    room=st.floats(0, 30),
)
def test_a_product_is_whole_and_clear_of_words_and_mark(
    y: int, height: int, shape: float, logo: bool, room: float
) -> None:
    """It keeps its aspect, lies in S, and 24 px from everything, whatever its shape."""
    block = Box(x=150, y=y, width=700, height=min(height, 1248 - y))
    spec = spec_with(block, logo=logo)
    areas = product_areas(spec, safe_box(spec))
    found = place(
        areas,
        1000 * shape,
        1000,
        room=room,
        scale_max=1.6,
        towards=clear_middle(spec, safe_box(spec)),
    )
    assert found.box.width / found.box.height == pytest.approx(shape)
    assert found.scale > 0
    assert inside(found.box, safe_box(spec))
    assert apart(found.box, block) >= GAP_PX - 1e-6
    if logo:
        mark = watermark_box(200, 100, spec.style)
        assert apart(found.box, mark) >= GAP_PX - 1e-6


def test_a_narrow_product_stays_in_the_middle_beside_a_watermark() -> None:
    """The mark in the corner does not push aside what does not touch it."""
    spec = spec_with(Box(x=120, y=1050, width=768, height=198), logo=True)
    within = safe_box(spec)
    found = place(
        product_areas(spec, within),
        400,
        1600,
        room=8,
        scale_max=1.6,
        towards=clear_middle(spec, within),
    )
    assert found.box.x + found.box.width / 2 == pytest.approx(504)
    assert found.box.height > 650


def test_small_products_grow_only_so_far() -> None:
    """64 px become 102, not mush."""
    spec = spec_with(None)
    found = place(
        product_areas(spec, safe_box(spec)), 64, 64, room=5, scale_max=1.6, towards=(504, 768)
    )
    assert found.scale == pytest.approx(1.6)
