"""Structured logs: one JSON object a line, with what the work is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from adapters import tracing
from events.trace import TraceContext
from services.logs import _shared_steps, _with_span, bound, set_up


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A log file; what was set up before stands again after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    path = tmp_path / "services.log"
    set_up(file=path)
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_line_tells_what_it_is_about(file: Path) -> None:
    """Bound facts are on each line of the block, and on none after it."""
    logger = structlog.get_logger()
    with bound(job="j", segment=2, attempt=1, engine="null", event_id="e"):
        logger.info("rendered", frames=90)
    logger.warning("idle")
    first, second = _lines(file)
    assert ("rendered", "info", 90) == (first["event"], first["level"], first["frames"])
    about = {name: first[name] for name in ("job", "segment", "attempt", "engine", "event_id")}
    assert {"job": "j", "segment": 2, "attempt": 1, "engine": "null", "event_id": "e"} == about
    assert "job" not in second


def test_libraries_log_the_same_way(file: Path) -> None:
    """A line of the standard library's logging is an object, too."""
    logging.getLogger("pytoon.server").warning("back at %s", "port 1")
    (line,) = _lines(file)
    assert ("back at port 1", "warning") == (line["event"], line["level"])


def test_an_exception_is_one_line(file: Path) -> None:
    """A traceback does not break the lines apart."""
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    (line,) = _lines(file)
    assert "ZeroDivisionError" == line["exception"][0]["exc_type"]


def test_a_file_is_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its limit it is rolled over, and the oldest part goes."""
    monkeypatch.setattr("services.logs.FILE_BYTES_MAX", 500)
    set_up(file=file)
    for number in range(100):
        structlog.get_logger().info("line", number=number)
    assert 4 == len(list(file.parent.iterdir()))
    assert 99 == _lines(file)[-1]["number"]
    assert 500 >= file.stat().st_size


def test_a_line_tells_the_span_that_it_is_written_in(file: Path) -> None:
    """So that lines, events and spans are found together; outside of a span there is none."""
    logger = structlog.get_logger()
    span = tracing.Span(TraceContext("a" * 32, "b" * 16))
    token = tracing.enter(span)
    logger.info("in it")
    logging.getLogger("pytoon.server").warning("a library, too")
    tracing.leave(token)
    with tracing.within(None):
        logger.info("in none")
    logger.info("outside")
    ids = [(line.get("trace_id"), line.get("span_id")) for line in _lines(file)]
    assert [("a" * 32, "b" * 16)] * 2 + [(None, None)] * 2 == ids


def test_a_person_is_told_no_ids() -> None:
    """Seventy characters a line are nothing for a terminal."""
    assert _with_span in _shared_steps(for_person=False)
    assert _with_span not in _shared_steps(for_person=True)
