"""Addresses of NATS servers, read."""

from __future__ import annotations

import pytest

from events.addresses import credentials, inbox_prefix_of, servers, shown

THREE = "nats://planner:a%40b@one:4222, nats://planner:a%40b@two:4222,tls://three"


def test_several_servers() -> None:
    """With commas between."""
    assert ["nats://a:1", "nats://b:2"] == servers("nats://a:1, nats://b:2,")


def test_nothing_secret_is_shown() -> None:
    """Neither of the first server nor of the others."""
    assert "nats://one:4222,nats://two:4222,tls://three" == shown(THREE)
    assert "host:4222" == shown("token@host:4222")


def test_who_asks() -> None:
    """The user of the first address that has one, unquoted; a token alone is no user."""
    assert ("planner", "a@b") == credentials(THREE)
    assert ("", "") == credentials("nats://token@host")


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        (THREE, "_INBOX_planner"),
        ("nats://host", "_INBOX"),
        ("nats://token@host", "_INBOX"),
        ("nats://a.b:c@host", "_INBOX"),
    ],
)
def test_each_user_has_an_inbox(url: str, prefix: str) -> None:
    """Of its name, where that can be part of a subject."""
    assert prefix == inbox_prefix_of(url)
