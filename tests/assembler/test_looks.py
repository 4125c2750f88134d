"""Looks: each preset's captions can be told from the others'."""

from __future__ import annotations

import msgspec
import pytest

from assembler.looks import Entrance, Plate, entrance_of, look_of, sizes_of, weight_of
from events.spec import Motion
from tests.assembler.words import STYLES


def test_the_five_fonts_have_five_looks() -> None:
    """No two of the presets' fonts share a look; an alias has that of its stand-in."""
    looks = {style.font: look_of(style) for name, style in STYLES.items() if "glow" not in name}
    assert len(looks) == len(set(looks.values())) == 5
    impact = STYLES["meme_fast"]
    assert look_of(impact) == look_of(msgspec.structs.replace(impact, font="Anton"))


def test_glow_is_seen_only_where_it_is_asked() -> None:
    """The glow comes from the style, not from the font."""
    assert look_of(STYLES["overlay_glow"]).glow_blur > 0
    assert look_of(STYLES["overlay_classic"]).glow_blur == 0


def test_a_brands_font_is_set_like_the_plain_one() -> None:
    """An unknown family gets a look that may have a plate, so that it can be read anywhere."""
    own = msgspec.structs.replace(STYLES["overlay_classic"], font="House Sans")
    assert look_of(own).plate is Plate.WHEN_NEEDED


@pytest.mark.parametrize("name", STYLES)
def test_sizes_are_legible_and_in_order(name: str) -> None:
    """Nothing starts below 44 px; comfort is not above the largest; large is larger than auto."""
    sizes = sizes_of(STYLES[name])
    assert 44 <= sizes.comfort_px <= sizes.largest_px
    if STYLES[name].caption_size == "large":
        assert sizes.largest_px > sizes_of(STYLES["overlay_classic"]).largest_px


def test_every_motion_has_an_entrance() -> None:
    """The quietest has none, the liveliest pops."""
    style = STYLES["overlay_classic"]
    entrances = [entrance_of(msgspec.structs.replace(style, motion=motion)) for motion in Motion]
    assert [
        Entrance.NONE,
        Entrance.FADE,
        Entrance.RISE,
        Entrance.POP,
        Entrance.POP,
    ] == entrances


def test_small_captions_ask_for_a_lighter_weight() -> None:
    """All others take the family's heaviest."""
    assert weight_of(STYLES["brand_safe_minimal"]) == 600
    assert weight_of(STYLES["overlay_classic"]) is None
