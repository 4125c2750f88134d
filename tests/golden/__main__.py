"""``python -m tests.golden`` draws the golden frames anew; look at each before it is committed.

Only frames that differ are written.  Names of presets draw these only.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.golden.frames import HERE, difference, encoded, golden, presets, stored


def main() -> int:
    """Write what has changed.  Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("preset", nargs="*", help="draw these only")
    wanted = parser.parse_args().preset or presets()
    with tempfile.TemporaryDirectory() as folder:
        for preset in wanted:
            for name, pixels in golden(preset, Path(folder)):
                path = HERE / name
                if path.is_file() and difference(stored(path), pixels).acceptable:
                    continue
                path.write_bytes(encoded(pixels))
                print(f"tests/golden/{name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
