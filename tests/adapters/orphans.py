"""Services in little: a pool with a call that never ends, to be killed from outside.

``python -m tests.adapters.orphans`` prints the worker's process id and then waits for ever.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from adapters.workers import WorkerPool


def hang(path: str, report: Callable[[int, int], None]) -> None:
    """Say who this is, then never end."""
    Path(path).write_text(str(os.getpid()), encoding="utf-8")
    while True:
        time.sleep(1)


async def main(path: str) -> None:
    """Run the call that never ends."""
    await WorkerPool(1).run(hang, path, deadline_s=60)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
