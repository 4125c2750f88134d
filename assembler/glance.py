"""One frame of a film to look at before the film is there: the film's own, made small.

Left out: which frame is worth a look, and who asks for it (the gateway).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from assembler.draft import as_drawn
from assembler.film import Film
from assembler.planes import frame_to_rgb
from events.spec import RenderSpec, Rung

JPEG_QUALITY = 88


def glance(  # noqa: PLR0917 - all that a frame depends on, across the process boundary
    spec: RenderSpec,
    rungs: Sequence[Rung],
    n: int,
    width: int,
    sources: Mapping[str, Path],
    clips: Mapping[int, Path] | None = None,
) -> bytes:
    """Draw frame ``n`` as a JPEG of at most ``width`` pixels a row.

    Raises what ``Film.frame`` raises.
    """
    pixels = frame_to_rgb(Film(as_drawn(spec), rungs, sources, clips).frame(n))
    high, wide = pixels.shape[:2]
    if wide > width:
        size = (width, max(1, round(high * width / wide)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Colours as dense as light: words on coloured plates would fray otherwise.
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, encoded = cv2.imencode(".jpg", pixels[..., ::-1], options)
    assert done
    return np.asarray(encoded).tobytes()


__all__ = ["glance"]
