"""What is left out of every output, and what is not."""

from __future__ import annotations

import logging

import pytest

from events.noise import hush


def test_one_remark_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """All others of the same library are heard."""
    hush()
    hush()
    logger = logging.getLogger("asyncio")
    caplog.set_level(logging.WARNING, "asyncio")
    logger.warning("returning true from eof_received() has no effect when using ssl")
    logger.warning("Executing %s took long", "a task")
    assert ["Executing a task took long"] == [record.getMessage() for record in caplog.records]
