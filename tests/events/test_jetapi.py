"""Tests of ``events.jetapi``: what the broker's answers mean."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from events import jetapi
from events.jetapi import Place, Refused, Reply


def test_answers_and_errors() -> None:
    """An error carries the broker's number; what is no JSON object is one as well."""
    assert {"seq": 1} == jetapi.answer(b'{"seq": 1}')
    with pytest.raises(Refused, match="wrong last sequence") as caught:
        jetapi.answer(
            b'{"error": {"code": 400, "err_code": 10071, "description": "wrong last sequence"}}'
        )
    assert 10071 == caught.value.code
    for body in (b"", b"[]", b"+OK"):
        with pytest.raises(Refused, match="no JSON"):
            jetapi.answer(body)


def test_the_place_of_a_consumed_message() -> None:
    """Both forms of the reply subject tell the same; other subjects tell nothing."""
    expected = Place(2, 30, 4, 1.5, 6)
    assert expected == jetapi.place("$JS.ACK.EVENTS.c.2.30.4.1500000000.6")
    assert expected == jetapi.place("$JS.ACK._.hash.EVENTS.c.2.30.4.1500000000.6.token")
    assert jetapi.place("_INBOX.x.y") is None
    assert jetapi.place("") is None


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (1.5, "1970-01-01T00:00:01.5Z"),
        (1_700_000_000_123_456_789 / 10**9, "2023-11-14T22:13:20.123456789Z"),
    ],
)
def test_times_are_read_to_the_nanosecond(expected: float, text: str) -> None:
    """As many decimals as there are, and the same float that a consumer's message has."""
    assert expected == jetapi.seconds(text)


def test_headers_are_read_as_the_client_reads_them() -> None:
    """Names are tokens, the last value wins, and what is malformed is left out."""
    block = b"NATS/1.0\r\na: 1\r\nb:2 \r\na: 3\r\nno colon\r\nc d: 4\r\n\xff: 5\r\ne: \xff\r\n\r\n"
    assert {"a": "3", "b": "2", "e": "�"} == jetapi.parse_headers(block)
    assert {} == jetapi.parse_headers(b"")


def test_a_message_from_the_leader() -> None:
    """Headers and body come in base64, and may be missing."""
    encoded = base64.b64encode(b"NATS/1.0\r\nce-id: x\r\n\r\n").decode()
    times = {"seq": 3, "time": "1970-01-01T00:00:01Z"}
    message = jetapi.got({"subject": "a", "hdrs": encoded, "data": "e30=", **times})
    assert ({"ce-id": "x"}, b"{}", 1.0) == (message.headers, message.body, message.time_s)
    bare = jetapi.got({"subject": "a", **times})
    assert ({}, b"") == (bare.headers, bare.body)


def test_a_status_is_no_message() -> None:
    """What ends a batch has no sequence, whatever other headers it has."""
    end = Reply("_INBOX.x", {"Status": "204", "Nats-Last-Sequence": "4"}, b"", "")
    assert jetapi.direct(end) is None
    assert "204" == end.status


def test_an_update_takes_nothing_away() -> None:
    """Subjects and notes of a newer build stay, and fields that are not ours as they are."""
    config = {"subjects": ["a"], "metadata": {"m": "1"}, "max_bytes": 2, "num_replicas": 1}
    current = {"subjects": ["a", "b"], "metadata": {"n": "0"}, "max_bytes": 1, "sealed": False}
    expected = {
        "num_replicas": 1,
        "subjects": ["a", "b"],
        "metadata": {"m": "1", "n": "0"},
        "max_bytes": 2,
        "sealed": False,
    }
    assert expected == jetapi.updated(config, current)


def test_an_update_takes_no_copies_away() -> None:
    """Who would make the stream with one copy leaves a cluster's three; three are made of one."""
    one: dict[str, Any] = {"subjects": [], "num_replicas": 1}
    three: dict[str, Any] = {"subjects": [], "num_replicas": 3}
    assert 3 == jetapi.updated(one, three)["num_replicas"]
    assert 3 == jetapi.updated(three, one)["num_replicas"]
