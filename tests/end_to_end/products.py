"""Products for the proof: a bottle with a printed label, and photographs, smooth and grainy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tests.end_to_end.pictures import coffee

FONTS = Path(__file__).parents[2] / "config" / "fonts" / "inter"
INK, PAPER, GLASS = (30, 60, 50), (238, 232, 220), (60, 120, 90)
Pixels = NDArray[np.uint8]


def label(width: int, height: int) -> Pixels:
    """A printed label, RGB: large letters, small print and plain paper."""
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    for text, weight, size, at in (
        ("ROSEHIP", "Inter_800ExtraBold", 0.2, 0.25),
        ("cold pressed oil", "Inter_600SemiBold", 0.065, 0.5),
        ("30 ml · 1 fl oz", "Inter_600SemiBold", 0.065, 0.7),
    ):
        font = ImageFont.truetype(str(FONTS / f"{weight}.ttf"), round(size * width))
        draw.text((width / 2, at * height), text, font=font, fill=INK, anchor="mm")
    return np.asarray(picture, np.uint8)


def grained(pixels: NDArray[Any], grain: float, seed: int = 1) -> Pixels:
    """A picture with grain of so many codes (standard deviation), alike in all its colours."""
    noise = np.random.default_rng(seed).normal(0, 1, pixels.shape[:2])[..., None] * grain
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def raised(plane: Pixels, by: int) -> Pixels:
    """A plane whose codes are all so much higher."""
    return np.clip(plane.astype(np.int16) + by, 0, 255).astype(np.uint8)


def bottle(grain: float = 0.0) -> Pixels:
    """A bottle with a label, cut out, RGBA."""
    width, height = 700, 1100
    across = np.arange(width)
    shade = 0.55 + 0.45 * np.cos((across - width * 0.4) / width * 2.4)
    rgb = np.ones((height, width, 1)) * shade[None, :, None] * np.array(GLASS)
    rgb[420:860, 90:610] = label(520, 440)
    alpha = np.zeros((height, width), np.uint8)
    cv2.rectangle(alpha, (60, 200), (640, 1060), 255, -1)
    cv2.rectangle(alpha, (260, 20), (440, 220), 255, -1)
    return np.dstack([grained(rgb, grain), alpha])


def photograph(grain: float = 0.0) -> Pixels:
    """A cup on a table, 1200×800, RGB."""
    large = coffee().resize((1200, 800), Image.Resampling.LANCZOS)
    return grained(np.asarray(large, np.float64), grain)


def saved(pixels: Pixels, path: Path) -> Path:
    """Write a picture."""
    Image.fromarray(pixels).save(path)
    return path
