"""W3C trace context: what is read, what is made of a job's id, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.trace import TraceContext, found_in, headers_of, of_job, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_a_header_is_read_and_written() -> None:
    """What was written is what was read."""
    found = parse(GOOD)
    assert TraceContext(TRACE, SPAN, 1) == found
    assert found is not None
    assert GOOD == found.traceparent


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        # Flags of a later version are nobody's yet, and its further fields are skipped.
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", 1),
    ],
)
def test_flags_go_along(text: str, flags: int) -> None:
    """Those that are known to us."""
    assert TraceContext(TRACE, SPAN, flags) == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        GOOD.upper(),
        f" {GOOD}",
        f"{GOOD}\r\nNats-Msg-Id: mine",
        f"{GOOD}-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}é-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01more",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 1000}",
    ],
)
def test_what_is_no_header_names_nothing(text: str) -> None:
    """It is as good as none, and nothing of it is sent on."""
    assert parse(text) is None
    assert {} == headers_of(text)
    assert of_job("a", "") == of_job("a", text)


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{15,17}-.*"))
def test_no_text_stops_a_reader(text: str) -> None:
    """Whatever stands there, it is read or it is not; what is sent on can be read."""
    headers = headers_of(text)
    assert all(parse(sent) == parse(text) for sent in headers.values())
    assert parse(of_job("a", text)[0].traceparent) == of_job("a", text)[0]


def test_the_name_is_found_in_any_case() -> None:
    """Some libraries write header names with capitals."""
    assert "x" == found_in({"traceparent": "x", "Traceparent": "y"})
    assert "y" == found_in({"Nats-Msg-Id": "1", "Traceparent": "y"})
    assert not found_in({"tracestate": "x"})


def test_a_jobs_trace_follows_from_its_id() -> None:
    """Every process comes to the same one, and another job has another."""
    own, above = of_job("film", "")
    assert (None, 1) == (above, own.flags)
    assert own == of_job("film", "")[0]
    assert own.trace_id != of_job("film-2", "")[0].trace_id
    assert "5e8bd9b8a1c91d45d75ddca4b6ea53d3" == own.trace_id, "logs of before have this one"


def test_a_jobs_trace_is_its_clients() -> None:
    """With the client's span above the job's own, and its word on sampling."""
    own, above = of_job("film", f"00-{TRACE}-{SPAN}-00")
    assert TraceContext(TRACE, SPAN, 0) == above
    assert (TRACE, 0, of_job("film", "")[0].span_id) == (own.trace_id, own.flags, own.span_id)
