"""Addresses of artifact stores: one way to write each, and no place for a password."""

from __future__ import annotations

import pytest

from config import ConfigError, load
from config.stores import parse_store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("home", "home"),
        ("file:///srv/films/", "file:///srv/films"),
        ("file://localhost/srv/my%20films", "file:///srv/my films"),
        ("s3://films", "s3://films"),
        ("s3://films/", "s3://films"),
        ("s3://films/a/b/", "s3://films/a/b"),
        ("nats://films", "nats://films"),
        ("nats://films/", "nats://films"),
    ],
)
def test_an_address_has_one_name(text: str, expected: str) -> None:
    """Two processes compare names, however their operators wrote them."""
    assert expected == parse_store(text).name
    assert expected == load(environ={"PYTOON_STORE": text}).store.url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "films",
        "file://elsewhere/srv",
        "file:srv",
        "file:///srv/../etc",
        "s3://",
        "s3://films/../others",
        "s3://films/a//b",
        "s3://fil ms",
        "nats://films/a",
        "nats://a.b",
        "https://films",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """The message has the four that there are."""
    with pytest.raises(ConfigError, match=r"PYTOON_STORE: store\.url: home, file:///path, s3://"):
        load(environ={"PYTOON_STORE": text})


@pytest.mark.parametrize(
    "text",
    ["s3://somebody:hush@films", "s3://hush@films/a", "s3://films?secret=hush", "s3://f#hush"],
)
def test_a_password_has_no_place_and_is_not_repeated(text: str) -> None:
    """An address is stored in the log and shown; an error is logged."""
    with pytest.raises(ConfigError, match="without user, password or query") as caught:
        load(environ={"PYTOON_STORE": text})
    assert "hush" not in str(caught.value)


def test_the_long_name_sets_it_too() -> None:
    """Like any other key."""
    found = load(environ={"PYTOON_STORE__URL": "s3://films", "PYTOON_STORE__RETRY_S": "5"})
    assert ("s3://films", 5.0) == (found.store.url, found.store.retry_s)
