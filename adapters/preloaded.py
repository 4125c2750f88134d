"""What worker processes have loaded before their first call, and how to have it loaded in time.

Left out: the workers themselves (``workers``), whose own imports would only come first.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from typing import Any

PRELOADED = (
    "adapters.children",
    "adapters.preparing",
    "assembler.warm",
    "assembler.produce",
)
"""The modules that media work needs: half a second of a core."""


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""What the algebra libraries of NumPy and OpenCV read as they are loaded.  There is little for
more threads to do, which wait for it in a busy loop: each process that calls for any algebra
spends a tenth of a second so.  And how sums are shared out, and rounded, would depend on the
number of cores."""


def context_with(preload: Sequence[str]) -> Any:
    """How children are born: from a server process that has loaded the libraries once.

    Never from this process itself, whose threads and connections no child may inherit.  On
    macOS, where system libraries do not survive a fork, each child starts from nothing.
    They take this process's environment, which gets ``ONE_THREAD``.
    """
    os.environ.update(ONE_THREAD)
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload])
    return context


def load_ahead() -> None:
    """Have the server process load the libraries from now on, and do not wait for it."""
    if context_with(PRELOADED).get_start_method() == "forkserver":
        forkserver.ensure_running()


__all__ = ["PRELOADED", "context_with", "load_ahead"]
