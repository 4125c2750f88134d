"""``python -m tests.samples`` draws the moving sample of each preset that the page shows.

A few seconds of a film of our own pictures, a quarter of its size, without sound: hook and call to
action, and a transition between them.  Names of presets draw these only.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av

from services.gateway.app import PAGE
from tests.assembler.shots import Shots, rgb, shots
from tests.golden.frames import BOTTLE, picture, presets

SAMPLES = PAGE / "samples"
HEIGHT, WIDTH = 480, 270
SECONDS = 4
BYTES_MAX = 150_000
ALL_BYTES_MAX = 1_200_000
CRF, CRF_MAX = 26, 34
"""Where a sample is too large it is encoded more coarsely, up to this."""
WORDS: Mapping[str, Any] = {
    "hook": "Sleep does the rest",
    "cta": "Try it tonight",
    "target_duration_seconds": SECONDS,
}
HILLS = frozenset({"meme_fast", "meme_smooth"})
"""Looks that are known by their words: behind these a wide photograph says more."""


def planned(preset: str, folder: Path) -> Shots:
    """The film of a preset's sample; stills and pictures go to ``folder``."""
    shown = picture("hills", folder) if preset in HILLS else BOTTLE
    return shots(preset, [shown], folder, **WORDS)


def draw(shot: Shots, path: Path) -> None:
    """Write an MP4 of the whole film, at most ``BYTES_MAX`` bytes of it."""
    film = shot.film()
    frames = [rgb(film, n, HEIGHT) for n in range(shot.spec.frames)]
    for crf in range(CRF, CRF_MAX + 1, 2):
        _encode(frames, shot.spec.fps, crf, path)
        if path.stat().st_size <= BYTES_MAX:
            return
    raise AssertionError(f"a sample has more than {BYTES_MAX} bytes at the coarsest")


def _encode(frames: list[Any], fps: int, crf: int, path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        # One thread: the same pictures give the same bytes.
        stream.options = {"crf": str(crf), "preset": "veryslow", "threads": "1"}
        for pixels in frames:
            shown = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))


def main() -> int:
    """Write them.  Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.samples", description=__doc__)
    parser.add_argument("preset", nargs="*", help="draw these only")
    asked = parser.parse_args()
    SAMPLES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for preset in asked.preset or presets():
            path = SAMPLES / f"{preset}.mp4"
            draw(planned(preset, Path(folder)), path)
            print(f"{path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
