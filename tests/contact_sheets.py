"""``python -m tests.contact_sheets`` draws a contact sheet of each preset for the reference.

Six frames side by side: hook, beat, transition and CTA of a film of the demo's bottle, hook and
CTA of one of another picture.  ``--check`` draws them anew and says which are stale: by the eye's
measure, as the golden frames are, because no two processors round alike.  Names of presets draw
these only.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from tests.assembler.shots import rgb
from tests.golden.frames import Difference, Pixels, difference, films, presets, stored

SHEETS = Path(__file__).resolve().parent.parent / "docs/reference/presets"
HEIGHT = 480
GAP_PX = 8
GAP_CODE = 255
QUALITY = 82
BYTES_MAX = 150_000
BLOCK_MAX = 20.0
"""A sheet is stored with less care than a golden frame."""
FIRST, SECOND = ("hook", "beat", "transition", "cta"), ("hook", "cta")


def sheet(preset: str, folder: Path) -> Pixels:
    """Draw the frames of a preset side by side."""
    frames = []
    for (_, shot), moments in zip(films(preset, folder), (FIRST, SECOND), strict=True):
        film, numbers = shot.film(), shot.moments()
        frames += [rgb(film, numbers[moment], HEIGHT) for moment in moments]
    gap = np.full((HEIGHT, GAP_PX, 3), GAP_CODE, np.uint8)
    row = [part for frame in frames for part in (gap, frame)][1:]
    return np.hstack(row)


def apart(path: Path, pixels: Pixels) -> Difference | None:
    """How far a stored sheet is from a drawn one; None if there is none of its size."""
    if not path.is_file() or (found := stored(path)).shape != pixels.shape:
        return None
    return difference(found, pixels)


def _write(path: Path, pixels: Pixels) -> None:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done
    assert len(content) <= BYTES_MAX, f"{path.name} is too large for a page: {len(content)} bytes"
    path.write_bytes(bytes(content))


def main() -> int:
    """Write or check.  Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.contact_sheets", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    parser.add_argument("preset", nargs="*", help="draw these only")
    asked = parser.parse_args()
    stale = 0
    SHEETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for preset in asked.preset or presets():
            path, pixels = SHEETS / f"{preset}.webp", sheet(preset, Path(folder))
            found = apart(path, pixels)
            if found is not None and found.block <= BLOCK_MAX:
                continue
            stale += 1
            name = path.relative_to(SHEETS.parent.parent.parent)
            if asked.check:
                print(f"{name} is stale: run `python -m tests.contact_sheets`")
            else:
                _write(path, pixels)
                print(name)
    return 1 if asked.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
