"""Pictures of wider light and colour than a film has, brought into its BT.709 planes.

HDR clips (PQ or HLG) and BT.2020 ones are computed in linear light: white stays where it is,
what is brighter than white is compressed into the little room that is left below it.  Sources:
SMPTE ST 2084, ITU-R BT.2100 and BT.2408 (white at 203 cd/m²), BT.2087 (the matrix).
"""

from __future__ import annotations

import functools

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from assembler.planes import Floats, Frame, frame_from_rgb

BT2020 = 9
"""Primaries and matrix (not constant luminance), as H.273 and FFmpeg number them."""
PQ, HLG = 16, 18

WHITE_NITS = 203.0
PEAK_NITS = 1000.0
KNEE = 0.7
"""Up to this share of white light is kept as it is."""
DISPLAY_GAMMA = 2.2
STEPS = 4096

FROM_2020 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ],
    np.float32,
)
KR, KB = 0.2627, 0.0593


def is_wide(picture: av.VideoFrame) -> bool:
    """Whether a picture's codes mean other light or other colours than BT.709's."""
    return picture.color_trc in {PQ, HLG} or picture.color_primaries == BT2020


def to_sdr(picture: av.VideoFrame, reformatter: VideoReformatter) -> Frame:
    """Convert a picture (any pixel format, any size) to BT.709, limited range, of even size."""
    ten = reformatter.reformat(picture, format="yuv420p10le", dst_color_range=1, threads=1)
    high, wide = ten.height & ~1, ten.width & ~1
    y, u, v = (_plane(plane) for plane in ten.planes)
    size = (wide, high)
    luma = (y[:high, :wide].astype(np.float32) - 64) / 876
    blue, red = (
        cv2.resize((half.astype(np.float32) - 512) / 896, size, interpolation=cv2.INTER_LINEAR)
        for half in (u[: high // 2, : wide // 2], v[: high // 2, : wide // 2])
    )
    r = luma + 2 * (1 - KR) * red
    b = luma + 2 * (1 - KB) * blue
    g = (luma - KR * r - KB * b) / (1 - KR - KB)
    codes = np.stack([r, g, b], axis=2)
    light = np.take(_light(int(picture.color_trc)), _steps(codes))
    if picture.color_trc == HLG:
        # The display makes the picture's own luminance steeper (BT.2100's OOTF at 1,000 nits).
        luminance = light @ np.array([KR, 1 - KR - KB, KB], np.float32)
        light *= np.maximum(luminance, 1e-6)[..., None] ** 0.2 * (PEAK_NITS / WHITE_NITS)
    narrow = np.maximum(cv2.transform(light.astype(np.float32), FROM_2020), 0)
    return frame_from_rgb(np.take(_code(), _steps(_held(np.asarray(narrow, np.float32)))))


def _held(light: Floats) -> Floats:
    """Light of which 1 is white, held to 0..1; a colour keeps its hue."""
    brightest = np.max(light, axis=2)
    t = np.maximum((brightest - KNEE) / (1 - KNEE), 0)
    most = (PEAK_NITS / WHITE_NITS - KNEE) / (1 - KNEE)
    above = KNEE + (1 - KNEE) * t * (1 + t / most**2) / (1 + t)
    share = np.where(t > 0, above / np.maximum(brightest, 1e-6), 1.0)
    held: Floats = np.minimum(light * share[..., None], 1.0).astype(np.float32)
    return held


def _plane(plane: av.video.plane.VideoPlane) -> np.ndarray:
    rows = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)
    return rows[:, : plane.width]


def _steps(values: Floats) -> np.ndarray:
    return np.clip(np.rint(values * (STEPS - 1)), 0, STEPS - 1).astype(np.uint16)


@functools.cache
def _light(transfer: int) -> Floats:
    """Light (1 is white; for HLG scene light, 0..1) of each code."""
    code = np.linspace(0, 1, STEPS)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
        return np.asarray(nits / WHITE_NITS, np.float32)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)  # noqa: PLR2004
        return np.asarray(scene, np.float32)
    return np.asarray(code**DISPLAY_GAMMA, np.float32)


@functools.cache
def _code() -> Floats:
    """The code, 0..255, of each step of light."""
    light = np.linspace(0, 1, STEPS)
    return np.asarray(255 * light ** (1 / DISPLAY_GAMMA), np.float32)


__all__ = ["BT2020", "HLG", "PQ", "is_wide", "to_sdr"]
