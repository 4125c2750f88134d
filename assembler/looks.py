"""How captions look: one look a font, in proportion to the size of the letters.

Each of the presets' fonts has a look of its own, so that films can be told apart at a glance.
Everything but colours is in em: it grows and shrinks with the text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from assembler.fonts import canonical
from events.spec import CaptionSize, Motion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from events.spec import Style

WHITE: Final = 0xFFFFFFFF
BLACK: Final = 0xFF000000
INK: Final = 0xFF0E0E12


class Plate(Enum):
    """When a plate lies under the words."""

    NEVER = "never"
    WHEN_NEEDED = "when needed"
    ALWAYS = "always"


class Entrance(Enum):
    """How a card comes and goes."""

    NONE = "none"
    FADE = "fade"
    RISE = "rise"
    POP = "pop"


@dataclass(frozen=True, slots=True)
class Look:
    """A look of captions: colours are 0xAARRGGBB, lengths em, sizes pixels.

    ``pad_x`` and ``pad_y`` are what the block has around its ink, for outline, shadow or plate;
    ``hugging`` plates follow each line's width, others are one rectangle.  ``large_px`` is what
    "large" means in this font: wide ones are set smaller.
    """

    fill: int = WHITE
    outline: float = 0.0
    outline_colour: int = BLACK
    shadow_blur: float = 0.0
    shadow_drop: float = 0.0
    shadow_strength: float = 0.0
    glow_blur: float = 0.0
    glow_colour: int = WHITE
    plate: Plate = Plate.WHEN_NEEDED
    plate_colour: int = 0xD6101014
    plate_radius: float = 0.3
    hugging: bool = False
    pad_x: float = 0.42
    pad_y: float = 0.28
    leading: float = 1.2
    tracking: float = 0.0
    large_px: int = 96


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes to choose from, in pixels: not below ``comfort_px`` while another card will do."""

    largest_px: int
    comfort_px: int
    lines_max: int


_PLAIN: Final = Look(
    shadow_blur=0.11, shadow_drop=0.045, shadow_strength=0.85, tracking=-0.012, large_px=92
)
_LOOKS: Final[Mapping[str, Look]] = {
    "Inter": _PLAIN,
    "Montserrat": Look(
        fill=INK,
        plate=Plate.ALWAYS,
        plate_colour=0xFFFFD60A,
        plate_radius=0.2,
        hugging=True,
        pad_x=0.34,
        pad_y=0.24,
        leading=1.28,
        tracking=-0.015,
        large_px=92,
    ),
    "Bebas Neue": Look(
        outline=0.035,
        outline_colour=INK,
        shadow_blur=0.06,
        shadow_drop=0.075,
        shadow_strength=1.0,
        plate=Plate.NEVER,
        pad_x=0.24,
        pad_y=0.27,
        leading=0.94,
        tracking=0.012,
        large_px=148,
    ),
    "Anton": Look(
        outline=0.075,
        plate=Plate.NEVER,
        pad_x=0.1,
        pad_y=0.1,
        leading=1.16,
        tracking=0.008,
        large_px=120,
    ),
    "Archivo Black": Look(
        fill=BLACK,
        plate=Plate.ALWAYS,
        plate_colour=WHITE,
        plate_radius=0.16,
        pad_x=0.4,
        pad_y=0.34,
        leading=1.14,
        tracking=-0.01,
        large_px=84,
    ),
}
_ENTRANCES: Final[Mapping[Motion, Entrance]] = {
    Motion.MINIMAL: Entrance.NONE,
    Motion.SUBTLE: Entrance.FADE,
    Motion.SMOOTH: Entrance.RISE,
    Motion.PUNCHY: Entrance.POP,
    Motion.CHAOTIC: Entrance.POP,
}


def look_of(style: Style) -> Look:
    """Give the look of ``style``; a brand's own font is set as Inter is."""
    look = _LOOKS.get(canonical(style.font), _PLAIN)
    if style.glow and look.plate is not Plate.ALWAYS:
        return replace(
            look,
            shadow_strength=look.shadow_strength / 2,
            glow_blur=0.16,
            glow_colour=0xFFFFE9B8,
            pad_x=0.46,
            pad_y=0.42,
        )
    return look


def sizes_of(style: Style) -> Sizes:
    """Give the sizes that ``style`` allows."""
    if style.caption_size is CaptionSize.LARGE:
        largest = look_of(style).large_px
        return Sizes(largest, max(60, largest * 6 // 10), 4)
    if style.caption_size is CaptionSize.SMALL:
        return Sizes(48, 44, 3)
    return Sizes(72, 54, 3)


def entrance_of(style: Style) -> Entrance:
    """Give how cards come and go under the motion of ``style``."""
    return _ENTRANCES[style.motion]


def weight_of(style: Style) -> int | None:
    """Give the weight to ask of the font (None: its heaviest): small captions are quiet ones."""
    return 600 if style.caption_size is CaptionSize.SMALL else None
