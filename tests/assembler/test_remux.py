"""Clips of other makers: read whole, and written again without a word about how."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from assembler.remux import ClipError, remux


def clip(path: Path, *, frames: int = 9, sound: bool = False) -> Path:
    """A clip with a prompt in it."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["prompt"] = "a secret recipe"
        container.metadata["title"] = "a secret title"
        stream: Any = container.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.metadata["comment"] = "another secret"
        track: Any = container.add_stream("aac", rate=48_000) if sound else None
        for number in range(frames):
            picture = np.full((96, 64, 3), number * 9 % 250, np.uint8)
            frame: Any = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if track is not None:
            samples = np.zeros((1, 48_000), np.float32)
            heard: Any = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            heard.sample_rate = 48_000
            container.mux(track.encode(heard))
            container.mux(track.encode())
    return path


def pictures(path: Path) -> list[bytes]:
    """Every frame of a clip."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.mark.parametrize("sound", [False, True])
def test_the_picture_stays_and_the_words_go(tmp_path: Path, *, sound: bool) -> None:
    """Frame for frame the same, without tags and without sound."""
    source, out = clip(tmp_path / "in.mp4", sound=sound), tmp_path / "out.mp4"
    told: list[int] = []
    facts = remux(source, out, told.append)
    assert (64, 96, 9, Fraction(24)) == (facts.width, facts.height, facts.frames, facts.fps)
    assert "a secret recipe" == facts.tags["prompt"]
    assert pictures(source) == pictures(out)
    assert b"secret" in source.read_bytes()
    assert b"secret" not in out.read_bytes()
    assert 9 == told[-1]
    with av.open(str(out)) as container:
        assert ["video"] == [stream.type for stream in container.streams]


def test_what_is_no_clip(tmp_path: Path) -> None:
    """Garbage, half a clip, a clip of sound, and nothing at all."""
    whole = clip(tmp_path / "in.mp4", frames=30).read_bytes()
    for name, content in (("garbage", b"\x17" * 5000), ("half", whole[: len(whole) // 2])):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ClipError):
            remux(path, tmp_path / "out.mp4", lambda _frames: None)
    with pytest.raises(ClipError, match="cannot be read"):
        remux(tmp_path / "absent.mp4", tmp_path / "out.mp4", lambda _frames: None)


def test_a_clip_that_breaks_in_the_midst(tmp_path: Path) -> None:
    """The index promises frames whose bytes are not theirs: what is left is no clip."""
    content = bytearray(clip(tmp_path / "in.mp4", frames=30).read_bytes())
    # From the third of the frames on; the index, which comes last, stays as it is.
    start, end = content.find(b"mdat") + 4, content.find(b"moov") - 4
    at = start + (end - start) * 2 // 3
    content[at:end] = bytes(end - at)
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError):
        remux(path, tmp_path / "out.mp4", lambda _frames: None)
