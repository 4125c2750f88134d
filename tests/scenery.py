"""A photograph that never was: hills at dusk, one behind the other, a lake before them.

What shows wide pictures in the contact sheets and guards them in the golden frames.  It is ours,
made here: no photograph that anybody took.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SKY = ((250, 214, 165), (233, 138, 106), (122, 84, 128), (52, 58, 104))
"""From the horizon up."""
NEAR, FAR = (24, 30, 46), (196, 122, 118)
RIDGES = 6
SUN = (0.62, 0.47, 0.055)
HORIZON = 0.66
GRAIN = 1.4


def hills(path: Path, width: int, height: int, seed: int = 11) -> Path:
    """Write the hills as JPEG."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x / width, y / height
    picture = _sky(x, y, width / height)
    for index in range(RIDGES):
        depth = index / (RIDGES - 1)
        line = 0.50 + 0.17 * depth - _ridge(random, width, 0.11 - 0.05 * depth)
        share = np.clip((y - line[None, :]) * height / 2 + 0.5, 0, 1)
        colour = np.array(FAR, np.float32) + (np.array(NEAR, np.float32) - FAR) * depth**0.7
        haze = np.clip((y - line[None, :]) / 0.16, 0, 1)[..., None] * (1 - depth) * 0.35
        lit = colour + (np.array(SKY[1], np.float32) - colour) * haze
        picture += (lit - picture) * share[..., None]
    picture = _lake(picture, random)
    picture += random.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    codes = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(codes, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return path


def on_paper(product: Path, path: Path, size: int = 1600) -> Path:
    """Write a cut-out product as a catalogue has it: before white paper, with a soft shadow."""
    cut = cv2.imread(str(product), cv2.IMREAD_UNCHANGED)
    assert cut is not None
    high, wide = cut.shape[:2]
    top, left = (size - high) // 2, (size - wide) // 2
    alpha = np.zeros((size, size), np.float32)
    alpha[top : top + high, left : left + wide] = cut[..., 3].astype(np.float32) / 255
    paper = np.full((size, size, 3), 247, np.float32)
    low = alpha.copy()
    low[: top + high - 120] = 0
    shadow = cv2.GaussianBlur(low, (0, 0), 26, sigmaY=9)
    paper *= (1 - 0.5 * shadow)[..., None]
    colours = np.zeros((size, size, 3), np.float32)
    colours[top : top + high, left : left + wide] = cut[..., :3]
    paper += (colours - paper) * alpha[..., None]
    codes = np.clip(np.rint(paper), 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), codes, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


def _sky(x: Floats, y: Floats, shape: float) -> Floats:
    stops = np.linspace(HORIZON, 0.0, len(SKY))[::-1]
    columns = np.array(SKY[::-1], np.float32)
    sky = np.stack([np.interp(y, stops, columns[:, index]) for index in range(3)], axis=2)
    away = np.hypot((x - SUN[0]) * shape, y - SUN[1])
    glow = np.exp(-((away / 0.24) ** 2))[..., None]
    sky += (np.array((255, 226, 178), np.float32) - sky) * glow * 0.8
    disc = np.clip((SUN[2] - away) * 700 + 0.5, 0, 1)[..., None]
    sky += (np.array((255, 246, 224), np.float32) - sky) * disc
    return sky.astype(np.float32)


def _ridge(random: np.random.Generator, width: int, tall: float) -> Floats:
    """A mountain's outline: waves of all lengths, the shorter the lower."""
    at = np.linspace(0, 1, width, dtype=np.float32)
    line = np.zeros(width, np.float32)
    for octave in range(1, 8):
        phase, turns = random.uniform(0, 1), 1.7**octave * random.uniform(0.8, 1.2)
        line += np.abs(np.sin(np.pi * (at * turns + phase))) * 0.62**octave
    return (line * tall).astype(np.float32)


def _lake(picture: Floats, random: np.random.Generator) -> Floats:
    """The lower part shows the upper one upside down, darker and rippled."""
    height, width = picture.shape[:2]
    shore = round(0.74 * height)
    rows = np.arange(height - shore, dtype=np.float32)
    ripple = cv2.GaussianBlur(
        random.normal(0, 1, (height - shore, width)).astype(np.float32), (0, 0), 26, sigmaY=2
    )
    sway = ripple / ripple.std() * (2 + rows[:, None] * 0.035)
    from_x = np.broadcast_to(np.arange(width, dtype=np.float32), sway.shape)
    from_y = (shore - 1 - rows * 1.5)[:, None] + sway
    water = cv2.remap(
        picture, np.ascontiguousarray(from_x), from_y.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    picture[shore:] = water * 0.78 + np.array((14, 16, 26), np.float32) * 0.22
    return picture


__all__ = ["hills", "on_paper"]
