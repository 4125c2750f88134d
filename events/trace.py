"""W3C trace context: which trace a job belongs to, and which span led to a message.

A job's trace is that of the ``traceparent`` with which it was asked for.  Without one it follows
from the job's id, so that a replay and any number of processes agree without a word.  The header
is told along and is no part of what happened: no event's id and no digest depends on it, and one
that cannot be read is as good as none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

HEADER = "traceparent"
SAMPLED = 1
"""The flag that says: whoever exports spans exports those of this trace."""

_FLAGS_KNOWN = 0x03
"""Sampled, and random; others mean something to a later version only."""
_FORM = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?",
    re.ASCII | re.DOTALL,
)
_CHARS_MAX = 512
"""A later version may be longer than our 55 characters, but nothing needs to be that long."""


class TraceContext(NamedTuple):
    """A span by its ids, in hex; ``flags`` go along with them."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED

    @property
    def traceparent(self) -> str:
        """The header of a message that this span leads to."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse(traceparent: str) -> TraceContext | None:
    """The span that a header names; None where it names none, whatever it holds."""
    found = _FORM.fullmatch(traceparent) if len(traceparent) <= _CHARS_MAX else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    if not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return TraceContext(found["trace"], found["span"], int(found["flags"], 16) & _FLAGS_KNOWN)


def found_in(headers: Mapping[str, str]) -> str:
    """The header as it stands in a message; some clients write its name with capitals."""
    if HEADER in headers:
        return headers[HEADER]
    return next((text for name, text in headers.items() if name.lower() == HEADER), "")


def headers_of(traceparent: str) -> dict[str, str]:
    """What a client's ask is published with: nothing of a header that cannot be read."""
    found = parse(traceparent)
    return {HEADER: found.traceparent} if found else {}


def of_job(job_id: str, traceparent: str) -> tuple[TraceContext, TraceContext | None]:
    """The span that is the whole job, from its request to its end; and the span above it.

    ``traceparent`` is what the job was asked for with.
    """
    digest = hashlib.sha256(b"pytoon job\0" + job_id.encode()).hexdigest()
    parent = parse(traceparent)
    if parent is None:
        return TraceContext(digest[:32], digest[32:48]), None
    return TraceContext(parent.trace_id, digest[32:48], parent.flags), parent
