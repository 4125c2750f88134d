"""What workers would each load at their first call, loaded once before they are born.

Libraries load parts of themselves only when these are used.  Whatever a worker has got from the
process that it is forked from, it need not load again.
"""

from __future__ import annotations

import importlib

from assembler.motion import profiles

LATE = ("av.subtitles.stream", "numpy.ma", "numpy.random")
"""Loaded by what we call, at its first use."""

for name in LATE:
    importlib.import_module(name)
profiles()
