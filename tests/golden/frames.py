"""Which frames of which films the presets are known by, and how far a frame may be off.

The golden frames and the contact sheets show the same films: each preset's with the demo's
bottle, and with a picture that is hard for its archetype.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from assembler.film import Film
from config import SHIPPED, shipped
from events.spec import RenderSpec
from tests.assembler.shots import Shots, rgb, shots
from tests.scenery import hills, on_paper

Pixels = NDArray[np.uint8]

HERE = Path(__file__).resolve().parent
HEIGHT, WIDTH = 480, 270
QUALITY = 90
BOTTLE = SHIPPED / "demo" / "product.png"
WORDS: Mapping[str, Any] = {
    "hook": "Sleep does the rest",
    "beats": ["Rosehip. Squalane. Vitamin E.", "Thirty nights in every bottle"],
    "cta": "Try it tonight",
    "target_duration_seconds": 9,
}
BOTTLE_MOMENTS = ("hook", "transition", "cta")
MEAN_MAX = 2.0
"""Mean absolute difference of all pixels and colours, in codes: processors round differently, and
a stored frame has been through a lossy picture format."""
BLOCK_PX = 9
BLOCK_MAX = 6.0
"""Largest difference of the means of a block, any colour: a caption that moved, a shadow that is
not there, are small things of a few blocks."""

SECOND: Mapping[str, str] = {
    "product_hero_clean": "hills",
    "product_hero_punchy": "paper",
    "overlay_classic": "hills",
    "overlay_glow": "paper",
    "overlay_bold": "hills",
    "meme_fast": "nothing",
    "meme_smooth": "hills",
    "brand_safe_minimal": "paper",
}
"""What the other film of each preset shows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two frames are apart, in codes."""

    mean: float
    block: float

    @property
    def acceptable(self) -> bool:
        """Whether both are the same frame, to the eye."""
        return self.mean <= MEAN_MAX and self.block <= BLOCK_MAX


def presets() -> tuple[str, ...]:
    """All presets that ship."""
    return tuple(shipped().presets)


@functools.cache
def films(preset: str, folder: Path) -> tuple[tuple[str, Shots], ...]:
    """The two films of a preset, by what they show; stills and pictures go to ``folder``."""
    second = SECOND[preset]
    pictures = [] if second == "nothing" else [picture(second, folder)]
    return (
        ("bottle", shots(preset, [BOTTLE], folder, **WORDS)),
        (second, shots(preset, pictures, folder, **WORDS)),
    )


def picture(name: str, folder: Path) -> Path:
    """A picture of ours, made once in a folder."""
    path = folder / f"{name}.jpg"
    if path.is_file():
        return path
    return hills(path, 1500, 1000) if name == "hills" else on_paper(BOTTLE, path)


def golden(preset: str, folder: Path) -> Iterator[tuple[str, Pixels]]:
    """The golden frames of a preset, drawn anew, with the names of their files."""
    (_, bottle), (second, other) = films(preset, folder)
    film, moments = bottle.film(), bottle.moments()
    for moment in BOTTLE_MOMENTS:
        yield f"{preset}-{moment}.jpg", rgb(film, moments[moment], HEIGHT)
    yield f"{preset}-{second}.jpg", rgb(other.film(), other.moments()["beat"], HEIGHT)


def drawn(shot: Shots, moment: str, spec: RenderSpec | None = None) -> Pixels:
    """One frame at the size of golden ones, of a film or of a changed plan of it."""
    film = Film(spec or shot.spec, shot.rungs, shot.sources)
    return rgb(film, shot.moments()[moment], HEIGHT)


def encoded(pixels: Pixels) -> bytes:
    """A frame as JPEG, its colours as dense as its light."""
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, content = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    assert done
    return bytes(content)


def stored(path: Path) -> Pixels:
    """A frame that was stored; raises OSError where it is not there."""
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None, f"{path.name} is not a picture"
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def difference(one: Pixels, other: Pixels) -> Difference:
    """Compare two frames: all of them, and block by block."""
    assert one.shape == other.shape
    apart = one.astype(np.float32) - other.astype(np.float32)
    size = (one.shape[1] // BLOCK_PX, one.shape[0] // BLOCK_PX)
    blocks = cv2.resize(apart, size, interpolation=cv2.INTER_AREA)
    return Difference(float(np.abs(apart).mean()), float(np.abs(blocks).max()))


__all__ = [
    "HERE",
    "WORDS",
    "Difference",
    "Pixels",
    "difference",
    "drawn",
    "encoded",
    "films",
    "golden",
    "presets",
    "stored",
]
