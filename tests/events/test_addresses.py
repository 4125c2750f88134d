"""Addresses of NATS servers, read."""

from __future__ import annotations

import pytest

from events.addresses import (
    Said,
    credentials,
    inbox_prefix_of,
    servers,
    shown,
    with_password,
)

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


def test_a_password_is_put_beside_the_first_user() -> None:
    """It is quoted, and replaces one that stands there; the other addresses stay."""
    told = with_password("tls://planner@one:4222,tls://two:4222", "a@b/c")
    assert "tls://planner:a%40b%2Fc@one:4222,tls://two:4222" == told
    assert ("planner", "a@b/c") == credentials(told)
    assert "nats://planner:new@one" == with_password("nats://planner:old@one", "new")


def test_a_password_needs_a_user() -> None:
    """The address is shown, the password is not."""
    with pytest.raises(ValueError, match="nats://one names no user") as caught:
        with_password("nats://one", "secret")
    assert "secret" not in str(caught.value)


def test_a_verdict_is_not_talked_over() -> None:
    """What breaks after the server's word is noise; before it, noise is all there is."""
    said = Said()
    said.hear(ConnectionRefusedError(111, "refused"))
    assert "refused" in said.text
    said.hear(RuntimeError("nats: 'Authorization Violation'"))
    said.hear(BrokenPipeError(32, "Broken pipe"))
    assert "look at user, password or token" in said.text
