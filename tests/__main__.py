"""``python -m tests``: every check that a change must pass, the tests last.

The same on a developer's machine and in CI.  Arguments go to pytest: ``python -m tests -m slow``.
Each check runs even if one before it failed, so that one run tells everything.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent

CHECKS: tuple[tuple[str, ...], ...] = (
    (sys.executable, "-m", "ruff", "check", "--quiet", "."),
    (sys.executable, "-m", "ruff", "format", "--check", "--quiet", "."),
    (sys.executable, "-m", "mypy", "--no-error-summary"),
    (str(SCRIPTS / "lint-imports"),),
    (sys.executable, "-m", "schemas", "--check"),
    (sys.executable, "-m", "tests.reference", "--check"),
)
"""Commands whose exit status must be 0."""

PYTEST = (sys.executable, "-m", "pytest", "-q")
SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")
"""The default run shares its test modules among three processes: many of them wait a lot."""


def main(arguments: list[str]) -> int:
    """Run the checks, then pytest.  Returns 0 when all of them passed, else 1."""
    failed = [name for name in map(_run, CHECKS) if name]
    tests_failed = _run((*PYTEST, *(arguments or SIDE_BY_SIDE)))
    if failed:
        print(f"failed besides the tests: {', '.join(failed)}")
    return 1 if failed or tests_failed else 0


def _run(command: tuple[str, ...]) -> str:
    """Run one check; returns what it is called when it failed, else nothing."""
    words = [word for word in command[1:] if word not in {"-m", "-q", "--quiet", "."}]
    name = " ".join(words[:2]) or Path(command[0]).name
    print(f"── {name}", flush=True)
    began_s = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    verdict = "passed" if status == 0 else f"FAILED with status {status}"
    print(f"   {verdict} in {time.monotonic() - began_s:.1f} s", flush=True)
    return name if status else ""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
