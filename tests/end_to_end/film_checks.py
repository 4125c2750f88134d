"""What a finished film must be, measured by decoding all of it: nothing of ours is asked.

Also how pictures and words are found again in its frames.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 1080, 1920, 30
AAC_FRAME_S = Fraction(1024, 48_000)
BT709 = 1
"""The number of primaries, transfer and matrix in H.273."""
LIMITED = 1
BOXES_MAX = 16
OVERSAMPLING = 4

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FilmFacts:
    """A film file, every frame and every sample of it decoded; ``tags`` are primaries, transfer,
    matrix and range; ``steps`` the differences of presentation times, in seconds.
    """

    boxes: tuple[str, ...]
    size: tuple[int, int]
    codec: str
    pixel_format: str
    tags: tuple[int, int, int, int]
    rate: Fraction
    frames: int
    first_s: Fraction
    steps: Collection[Fraction]
    sound_codec: str
    sound_rate: int
    sound_channels: int
    sound_s: Fraction
    true_peak_db: float


def measured(path: Path) -> FilmFacts:
    """Decode a film from its first byte to its last."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        times: list[Fraction] = []
        samples: list[NDArray[np.float32]] = []
        for frame in container.decode(video, audio):
            if isinstance(frame, av.VideoFrame):
                assert not frame.is_corrupt
                assert frame.pts is not None
                times.append(frame.pts * Fraction(frame.time_base or 0))
            elif isinstance(frame, av.AudioFrame):
                samples.append(frame.to_ndarray().astype(np.float32))
        context = video.codec_context
        heard = np.concatenate(samples, axis=1)
        return FilmFacts(
            boxes=tuple(_boxes(path)),
            size=(context.width, context.height),
            codec=context.name,
            pixel_format=context.pix_fmt or "",
            tags=(
                int(context.color_primaries),
                int(context.color_trc),
                int(context.colorspace),
                int(context.color_range),
            ),
            rate=Fraction(video.average_rate or 0),
            frames=len(times),
            first_s=times[0],
            steps=frozenset(b - a for a, b in pairwise(times)),
            sound_codec=audio.codec_context.name,
            sound_rate=audio.rate or 0,
            sound_channels=audio.channels,
            sound_s=Fraction(heard.shape[1], audio.rate or 1),
            true_peak_db=_peak_db(heard),
        )


def check_film(path: Path, seconds: float) -> FilmFacts:
    """Assert everything that every film must be; returns what was measured."""
    found = measured(path)
    frames = round(FPS * seconds)
    assert ((WIDTH, HEIGHT), "h264", "yuv420p") == (found.size, found.codec, found.pixel_format)
    assert (BT709, BT709, BT709, LIMITED) == found.tags
    assert Fraction(FPS) == found.rate
    assert frames == found.frames
    assert found.first_s == 0
    assert {Fraction(1, FPS)} == found.steps
    assert found.boxes.index("moov") < found.boxes.index("mdat")
    assert ("aac", 48_000, 2) == (found.sound_codec, found.sound_rate, found.sound_channels)
    assert abs(found.sound_s - Fraction(frames, FPS)) <= AAC_FRAME_S
    assert found.true_peak_db <= -1
    return found


def frames_of(path: Path, numbers: Collection[int]) -> Mapping[int, Pixels]:
    """Some frames of a film as RGB, height×width×3."""
    found: dict[int, Pixels] = {}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in numbers:
                found[number] = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            if len(found) == len(numbers):
                break
    assert len(found) == len(numbers)
    return found


@dataclass(frozen=True)
class Sighting:
    """Where a picture was found in a frame: how alike (−1 to 1), frame pixels per picture pixel,
    its left top corner in the frame, and how alike the next best place is.
    """

    likeness: float
    scale: float
    x: float
    y: float
    runner_up: float


def find_picture(frame: Pixels, picture: Pixels, *, scales: tuple[float, float]) -> Sighting:
    """Find ``picture`` (RGB), its aspect kept, in a frame; ``scales`` are the least and the most.

    The whole of ``picture`` must be there: give a part of it where a film may crop.
    """
    shrink = 0.25
    scene = _detail(cv2.resize(frame, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))
    best: Sighting | None = None
    for scale in np.geomspace(*scales, num=90):
        size = [max(8, round(edge * scale * shrink)) for edge in picture.shape[1::-1]]
        if size[0] > scene.shape[1] or size[1] > scene.shape[0]:
            continue
        part = _detail(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        likeness = cv2.matchTemplate(scene, part, cv2.TM_CCOEFF_NORMED)
        _, top, _, (x, y) = cv2.minMaxLoc(likeness)
        if best is not None and top <= best.likeness:
            continue
        half_w, half_h = max(4, size[0] // 4), max(4, size[1] // 4)
        likeness[max(0, y - half_h) : y + half_h, max(0, x - half_w) : x + half_w] = -1
        best = Sighting(
            float(top), float(scale), x / shrink, y / shrink, float(likeness.max(initial=-1))
        )
    assert best is not None, "the picture fits into the frame at some scale"
    return best


def difference(one: Pixels, other: Pixels) -> float:
    """Mean absolute difference of two frames, 0 to 255."""
    return float(cv2.absdiff(one, other).mean())


def ink(with_words: Pixels, without: Pixels) -> tuple[int, int, int, int]:
    """The box of what words changed in a frame: left, top, right, bottom (one past)."""
    changed = cv2.absdiff(with_words, without).max(axis=2) > 60
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows.size, "no word is to be seen"
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _detail(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Luma without its slow changes: a blurred copy of a picture is not that picture."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), 6), np.float32)


def _boxes(path: Path) -> list[str]:
    """The names of an MP4's top-level boxes in their order."""
    names: list[str] = []
    with path.open("rb") as file:
        while len(names) < BOXES_MAX and len(header := file.read(8)) == 8:
            size = int.from_bytes(header[:4], "big")
            skip = size - 8
            if size == 1:
                skip = int.from_bytes(file.read(8), "big") - 16
            names.append(header[4:].decode("ascii"))
            file.seek(skip, 1)
    return names


def _peak_db(samples: NDArray[np.float32]) -> float:
    """The true peak of planar samples: of the sound oversampled by four, dB full scale."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=OVERSAMPLING * 48_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
    frame.sample_rate = 48_000
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    peak = max(float(np.abs(piece.to_ndarray()).max(initial=0)) for piece in pieces)
    return 20 * float(np.log10(max(peak, 1e-9)))
