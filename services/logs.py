"""Structured logs: for a person on a terminal, one JSON object a line everywhere else.

Services log through ``structlog.get_logger()`` with facts as keywords; ``bound`` adds what every
line of a piece of work shares (job, segment, attempt, engine, event id).  For a program there are
trace and span, too: by them lines, events and spans are found together.  What libraries log by
the standard ``logging`` goes the same way.  A file that is logged to is bounded: it is rolled over
at ``FILE_BYTES_MAX``.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.tracing import Span

FILE_BYTES_MAX = 8 * 1024 * 1024
FILES_KEPT = 3

_LIBRARIES_QUIETED = ("nats", "asyncio", "httpx", "httpcore", "websockets", "urllib3")
"""Their reconnects and the like are told by us where they matter; and they would tell addresses
and headers with keys in them.
"""


def set_up(*, level: str = "info", file: Path | None = None) -> None:
    """Send every log line to ``file``, or to stderr when there is none."""
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8"
        )
    for_person = file is None and sys.stderr.isatty()
    shared = _shared_steps(for_person=for_person)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_last_steps(for_person=for_person),
            ],
        )
    )
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _LIBRARIES_QUIETED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


@contextlib.contextmanager
def bound(
    *,
    job: str | None = None,
    segment: int | None = None,
    attempt: int | None = None,
    engine: str | None = None,
    event_id: str | None = None,
) -> Iterator[None]:
    """Add these facts to every line that is logged inside the block, in this task."""
    facts = {
        "job": job,
        "segment": segment,
        "attempt": attempt,
        "engine": engine,
        "event_id": event_id,
    }
    known = {name: fact for name, fact in facts.items() if fact is not None}
    with structlog.contextvars.bound_contextvars(**known):
        yield


def _shared_steps(*, for_person: bool) -> list[structlog.typing.Processor]:
    """What is done to a line wherever it comes from."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(
            fmt="%H:%M:%S" if for_person else "iso", utc=not for_person
        ),
        structlog.processors.StackInfoRenderer(),
        *([] if for_person else [_with_span]),
    ]


def _with_span(
    logger: structlog.typing.WrappedLogger, method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Add the ids of the span that the line is written in."""
    del logger, method
    # Whoever is in a span has loaded it; logs are set up before anything else is.
    tracing = sys.modules.get("adapters.tracing")
    span: Span | None = tracing.current() if tracing else None
    if span is not None and span.context.trace_id:
        line["trace_id"], line["span_id"] = span.context.trace_id, span.context.span_id
    return line


def _last_steps(*, for_person: bool) -> list[structlog.typing.Processor]:
    """How a line is written."""
    if for_person:
        return [structlog.dev.ConsoleRenderer()]
    return [
        structlog.processors.ExceptionRenderer(
            # Local variables stay out: a token may be among them.
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]
