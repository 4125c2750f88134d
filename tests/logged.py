"""Everything that is logged while a block runs, in a file, at the level that tells the most."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import structlog

from services import logs


@contextlib.contextmanager
def logged(file: Path) -> Iterator[Path]:
    """Log to a file; logging is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.set_up(level="debug", file=file)
    try:
        yield file
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
