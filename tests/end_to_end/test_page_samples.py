"""The moving samples that the page shows: one a preset, small, silent, ready to stream."""

from __future__ import annotations

import av
import pytest

from config import shipped
from tests.samples import ALL_BYTES_MAX, BYTES_MAX, HEIGHT, SAMPLES, SECONDS, WIDTH


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
