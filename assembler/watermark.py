"""The logo in the corner: small, translucent, inside the safe box, out of the captions' way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from assembler.planes import Patch, Plane, patch_from_rgba
from events.spec import Box, CaptionPosition, Style

if TYPE_CHECKING:
    from pathlib import Path

WIDTH_PX: Final = 120
# A tall logo is made narrower rather than a banner down the side.
HEIGHT_MAX_PX: Final = 160
OPACITY: Final = 0.6
INSET_PX: Final = 30


def watermark_box(width: int, height: int, style: Style, unit: float = 1.0) -> Box:
    """Give where a logo of ``width``×``height`` px lies, out of the way of the captions.

    ``unit`` is the frame's width over 1080 px.
    """
    scale = min(WIDTH_PX / width, HEIGHT_MAX_PX / height) * unit
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    safe = style.safe_box
    x = (safe.x + safe.width - INSET_PX) * unit - wide
    if style.caption_position is CaptionPosition.UPPER_THIRD:
        y = (safe.y + safe.height - INSET_PX) * unit - high
    else:
        y = (safe.y + INSET_PX) * unit
    return Box(x=x, y=y, width=wide, height=high)


def watermark(still: Path, style: Style, unit: float = 1.0) -> Patch:
    """Draw the logo from its ingested ``still`` (PNG, 8 bits, straight alpha or none).

    ``unit`` is the frame's width over 1080 px.

    Raises ``OSError`` if the file is not such a picture: it is then not what ingest wrote.
    """
    encoded = np.frombuffer(still.read_bytes(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8:
        message = f"{still.name} is not an ingested still"
        raise OSError(message)
    rgba = _rgba(picture.astype(np.uint8, copy=False)).astype(np.float32)
    # Premultiplied before it is made small: what is transparent has no colour to bleed.
    rgba[:, :, :3] *= rgba[:, :, 3:] / 255
    box = watermark_box(rgba.shape[1], rgba.shape[0], style, unit)
    size = (int(box.width), int(box.height))
    smaller = size[0] < rgba.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    small = cv2.resize(rgba, size, interpolation=how) * OPACITY
    return patch_from_rgba(np.rint(small).astype(np.uint8), int(box.x), int(box.y))


def _rgba(picture: Plane) -> Plane:
    """Give OpenCV's grey, BGR or BGRA as RGBA."""
    if picture.ndim == 2:  # noqa: PLR2004
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGBA), np.uint8)
    code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA  # noqa: PLR2004
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)
