"""``python -m schemas`` writes the schemas; with ``--check`` it says which are stale (exit 1)."""

from __future__ import annotations

import argparse

from schemas.generation import stale, write


def main() -> int:
    """Write or check.  Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            print(f"schemas/{name} is stale: run `python -m schemas`")
        return 1 if names else 0
    for name in write():
        print(f"schemas/{name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
