"""Colours as the eye orders them: OKLCH (lightness 0..1, chroma 0..~0.3, hue in degrees).

Backgrounds are designed in it, because equal steps in it look equal, and a gradient between two
of its colours does not go grey half way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LMS_BACK = np.linalg.inv(_LMS)
_LAB_BACK = np.linalg.inv(_LAB)

GREY_CHROMA_MAX = 0.03
"""Below this chroma a colour reads as grey and its hue means nothing."""


@dataclass(frozen=True, slots=True)
class Tone:
    """One colour in OKLCH."""

    lightness: float
    chroma: float
    hue: float

    def at(self, lightness: float, chroma: float | None = None, turn: float = 0.0) -> Tone:
        """Return the same hue (turned by ``turn`` degrees) at another lightness and chroma."""
        return Tone(lightness, self.chroma if chroma is None else chroma, self.hue + turn)

    def rgb(self) -> Floats:
        """Return three sRGB codes 0..255 (not rounded), chroma lowered until they exist."""
        chroma = self.chroma
        for _ in range(24):
            linear = _linear_rgb(self.lightness, chroma, self.hue)
            if linear.min() >= -1e-4 and linear.max() <= 1 + 1e-4:  # noqa: PLR2004
                break
            chroma *= 0.9
        codes = np.clip(_linear_rgb(self.lightness, chroma, self.hue), 0, 1)
        curved = np.where(codes <= 0.0031308, codes * 12.92, 1.055 * codes ** (1 / 2.4) - 0.055)  # noqa: PLR2004
        return (curved * 255).astype(np.float32)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> NDArray[np.float64]:
    angle = math.radians(hue)
    lab = np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)])
    linear: NDArray[np.float64] = _LMS_BACK @ ((_LAB_BACK @ lab) ** 3)
    return linear


def tone(hexed: str) -> Tone:
    """Return the tone of ``#rrggbb``."""
    codes = np.array([int(hexed[index : index + 2], 16) for index in (1, 3, 5)]) / 255
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
    lightness, a, b = _LAB @ np.cbrt(_LMS @ linear)
    return Tone(float(lightness), float(math.hypot(a, b)), float(math.degrees(math.atan2(b, a))))


def accent(palette: Sequence[str]) -> Tone:
    """Return the most telling colour of a palette (most frequent first).

    Chroma counts most and frequency some; a palette of greys gives its first colour with a cool
    hue, so that what is made from it is still a colour.
    """
    tones = [tone(hexed) for hexed in palette] or [Tone(0.5, 0.0, 255.0)]
    scores = [each.chroma * (1 - 0.12 * place) for place, each in enumerate(tones)]
    best = tones[int(np.argmax(scores))]
    if best.chroma < GREY_CHROMA_MAX:
        return Tone(best.lightness, GREY_CHROMA_MAX, 255.0)
    return best


__all__ = ["Tone", "accent", "tone"]
