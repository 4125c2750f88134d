"""The moving samples that the page shows: one a preset, small, silent, ready to stream."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from config import shipped
from tests.assembler.shots import rgb
from tests.golden.frames import BLOCK_MAX, difference
from tests.samples import (
    ALL_BYTES_MAX,
    BYTES_MAX,
    HEIGHT,
    SAMPLES,
    SECONDS,
    WIDTH,
    planned,
)

SEEN_AT = 40
MEAN_MAX = 4.0
"""Mean difference, in codes, of a sample's frame and the film's: it is coarsely encoded."""


def test_all_of_them_are_a_small_page() -> None:
    """Each preset has one, and no other is there."""
    sizes = {path.stem: path.stat().st_size for path in SAMPLES.glob("*")}
    assert set(sizes) == set(shipped().presets)
    assert max(sizes.values()) <= BYTES_MAX
    assert sum(sizes.values()) <= ALL_BYTES_MAX


@pytest.mark.parametrize("preset", list(shipped().presets))
def test_a_sample_plays_in_any_browser(preset: str) -> None:
    """H.264 of 4:2:0, its index in front, no sound."""
    path = SAMPLES / f"{preset}.mp4"
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert stream.frames == SECONDS * 30


@pytest.mark.parametrize("preset", list(shipped().presets))
def test_a_sample_shows_what_the_preset_makes(preset: str, tmp_path: Path) -> None:
    """As it is drawn today: `python -m tests.samples` draws anew what has changed."""
    with av.open(str(SAMPLES / f"{preset}.mp4")) as container:
        frames = container.decode(video=0)
        shown = next(frame for n, frame in enumerate(frames) if n == SEEN_AT)
        pixels = shown.to_ndarray(format="rgb24", src_colorspace="ITU601")
    drawn = rgb(planned(preset, tmp_path).film(), SEEN_AT, HEIGHT)
    apart = difference(np.asarray(pixels, np.uint8), drawn)
    assert apart.mean <= MEAN_MAX
    assert apart.block <= 4 * BLOCK_MAX
