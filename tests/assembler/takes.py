"""Clips as engines make them, drawn and encoded here: lights that drift in front of a dusk.

Small ones for tests of what is read; ``scenery`` looks enough like a picture to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Draw = Callable[[float], Picture]
"""Gives the RGB picture (h×w×3) at a time in seconds."""

BT601, BT709, BT2020 = 5, 1, 9


def scenery(width: int, height: int, seed: int = 0, *, light: float = 1.0) -> Draw:
    """Lights that drift; another ``seed`` is another place, more ``light`` a brighter one."""
    random = np.random.default_rng(seed)
    coarse = (max(2, width // 4), max(2, height // 4))
    down, across = np.mgrid[0 : coarse[1], 0 : coarse[0]].astype(np.float32)
    across, down = across / coarse[0], down / coarse[0]
    hue = random.uniform(0.35, 1.0, 3).astype(np.float32)
    spots = random.uniform(0, 1, (9, 5)).astype(np.float32)

    def draw(at: float) -> Picture:
        ground = 0.16 + 0.3 * down[..., None] * width / height * hue
        for x, y, size, speed, tone in spots:
            where = (x + 0.25 * (speed - 0.5) * at) % 1.2 - 0.1
            far = np.hypot(across - where, down - y * height / width)
            edge = np.clip((0.05 + 0.12 * size - far) * 24, 0, 1)
            ground = ground + 0.45 * edge[..., None] * np.array([1.0, 0.6 + 0.3 * tone, tone])
        grown = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.clip(255 * light * grown, 0, 255), np.uint8)

    return draw


def flat(width: int, height: int, colour: tuple[int, int, int]) -> Draw:
    """One colour, always."""
    picture: Picture = np.full((height, width, 3), colour, np.uint8)
    return lambda _: picture


def counting(width: int, height: int) -> Draw:
    """Grey that rises by 40 codes a second: each time has its own."""
    return lambda at: np.full((height, width, 3), min(255, round(40 + 40 * at)), np.uint8)


def make_clip(
    path: Path,
    draw: Draw,
    *,
    frames: int,
    fps: int = 24,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    matrix: int = BT709,
    full_range: bool = False,
    transfer: int = 1,
    tagged: bool = True,
    shape: Fraction | None = None,
    metadata: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """Encode what is drawn; ``shape`` is that of its pixels."""
    reach = 2 if full_range else 1
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        height, width = draw(0.0).shape[:2]
        stream = container.add_stream(codec, rate=fps, options=dict(options or {"crf": "12"}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        context.thread_count = 1
        if shape is not None:
            context.sample_aspect_ratio = shape
        if tagged:
            context.colorspace, context.color_range = matrix, reach
            context.color_primaries = BT2020 if matrix == BT2020 else 1
            context.color_trc = transfer
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(draw(number / fps), format="rgb24").reformat(
                format=pixel_format, dst_colorspace=matrix, dst_color_range=reach
            )
            picture.pts, picture.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def turned(path: Path) -> Path:
    """Say in a clip's header that it is to be shown turned by 90° with the clock."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4
    assert content[at] == 0, "a header of version 0"
    matrix = at + 4 + 36
    for place, value in enumerate((0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)):
        content[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(
            4, "big", signed=True
        )
    path.write_bytes(content)
    return path


__all__ = ["BT601", "BT709", "BT2020", "counting", "flat", "make_clip", "scenery", "turned"]
