"""A picture as a service takes it: no larger than it allows."""

from __future__ import annotations

from pathlib import Path

import cv2

QUALITIES = (95, 90, 80, 70)
SHARES = (1.0, 0.75, 0.5)
"""Sizes that are tried, as shares of the edges, each with every quality."""


def fit_picture(source: Path, out: Path, bytes_max: int) -> str:
    """Write ``source`` to ``out`` within ``bytes_max``; returns its media type.

    A picture that is small enough is copied; a larger one becomes a JPEG, the best that fits.
    Raises ``ValueError`` where the file is no picture or nothing is small enough.
    """
    content = source.read_bytes()
    if len(content) <= bytes_max:
        out.write_bytes(content)
        return "image/png"
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("the picture cannot be read")
    for share in SHARES:
        scaled = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        for quality in QUALITIES:
            done, encoded = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if done and encoded.nbytes <= bytes_max:
                out.write_bytes(encoded.tobytes())
                return "image/jpeg"
    raise ValueError(f"the picture cannot be made smaller than {bytes_max} bytes")


__all__ = ["fit_picture"]
