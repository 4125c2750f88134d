"""What the benchmark's films are made from, besides the demo's product and track.

The photograph is made, because none of 3000×2000 px ships: a dead-leaves picture, discs of all
sizes that lie over one another.  Its edges, its occlusions and its spectrum are those of natural
photographs, which neither noise nor a gradient has; the encoder finds it harder than most of them.
``--photo`` takes a real one instead.
"""

from __future__ import annotations

import wave
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

RADIUS_MIN_PX, RADIUS_MAX_PX = 5.0, 420.0
LEAVES = 30_000
GRAIN = 1.6
"""Noise of a good sensor, in code values."""
VOICE_RATE = 24_000


def photograph(path: Path, width: int, height: int, seed: int = 7) -> None:
    """Write a picture of natural statistics as JPEG."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128, np.uint8)
    # Areas of discs that fall off with the cube of the radius: no size is preferred.
    share = rng.random(LEAVES)
    low, high = RADIUS_MIN_PX**-2, RADIUS_MAX_PX**-2
    radii = (low + share * (high - low)) ** -0.5
    base = rng.beta(2.0, 2.6, LEAVES) * 235
    for index, radius in enumerate(np.sort(radii)[::-1]):
        hue = rng.normal(0, 26, 3)
        colour = np.clip(base[index] + hue, 6, 250)
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (round(radius), round(radius * rng.uniform(0.35, 1.0)))
        cv2.ellipse(
            picture,
            (centre, (2 * axes[0], 2 * axes[1]), float(rng.uniform(0, 180))),
            tuple(float(code) for code in colour),
            -1,
            cv2.LINE_AA,
        )
    cv2.imwrite(str(path), _shot(picture, rng), [cv2.IMWRITE_JPEG_QUALITY, 93])


def _shot(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Light that falls off, texture on every leaf, a lens, a sensor."""
    height, width = picture.shape[:2]
    lit = picture.astype(np.float32)
    for scale, weight in ((6, 5.0), (24, 7.0), (160, 16.0)):
        grain = rng.standard_normal((height // scale + 2, width // scale + 2), np.float32)
        grown = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
        lit += weight * grown[..., None]
    lit = cv2.GaussianBlur(lit, (0, 0), 0.8).astype(np.float32)
    lit += GRAIN * rng.standard_normal((height, width, 1), np.float32)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def other_product(source: Path, path: Path) -> None:
    """Write a product cut out like ``source``, in another colour."""
    picture = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    turned = cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2HSV)
    turned[..., 0] = (turned[..., 0].astype(np.int32) + 85) % 180
    picture[..., :3] = cv2.cvtColor(turned, cv2.COLOR_HSV2BGR)
    cv2.imwrite(str(path), picture)


def voice(path: Path, seconds: float, seed: int = 3) -> None:
    """Write speech-like sound as WAV: a pulse train through formants, syllables, pauses."""
    rng = np.random.default_rng(seed)
    count = round(seconds * VOICE_RATE)
    spoken = np.zeros(count, np.float32)
    at = 0
    while at < count:
        length = round(rng.uniform(0.12, 0.26) * VOICE_RATE)
        part = spoken[at : at + length]
        part += _syllable(rng, length)[: part.size]
        # A sentence ends now and then: side-chains and loudness gates see real pauses.
        pause_s = rng.uniform(0.5, 1.1) if rng.random() < 0.09 else rng.uniform(0.0, 0.05)
        at += length + round(pause_s * VOICE_RATE)
    codes = np.rint(spoken / np.abs(spoken).max() * 0.5 * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_RATE)
        file.writeframes(codes.tobytes())


def _syllable(rng: np.random.Generator, length: int) -> NDArray[np.float32]:
    time_s = np.arange(length) / VOICE_RATE
    pitch = rng.uniform(105, 165) * (1 - 0.6 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch) / VOICE_RATE
    formants = (rng.uniform(350, 750), rng.uniform(900, 2100), rng.uniform(2400, 3000))
    sound = np.zeros(length)
    for harmonic in range(1, 32):
        tone = harmonic * 130.0
        gain = sum(1 / (1 + ((tone - peak) / 120) ** 2) for peak in formants)
        sound += gain * np.sin(harmonic * phase)
    envelope = np.clip(np.sin(np.pi * time_s / time_s[-1]), 0, 1) ** 0.6
    breath = 0.3 * rng.standard_normal(length) * (time_s < rng.uniform(0, 0.06))
    spoken: NDArray[np.float32] = ((sound + breath) * envelope).astype(np.float32)
    return spoken


__all__ = ["other_product", "photograph", "voice"]
