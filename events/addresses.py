"""Addresses of NATS servers: several with commas between, user and password in them or not."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from events.subjects import is_token


def servers(url: str) -> list[str]:
    """Each server's address."""
    return [one.strip() for one in url.split(",") if one.strip()]


def shown(url: str) -> str:
    """The servers' addresses without what may be secret in them."""
    found: list[str] = []
    for one in servers(url):
        scheme, mark, rest = one.rpartition("://")
        found.append(f"{scheme}{mark}{rest.rpartition('@')[2]}")
    return ",".join(found)


def credentials(url: str) -> tuple[str, str]:
    """User and password of the first server's address that has both; else two empty texts."""
    for one in servers(url):
        parts = urlsplit(one)
        if parts.username and parts.password:
            return unquote(parts.username), unquote(parts.password)
    return "", ""


def inbox_prefix_of(url: str) -> str:
    """Where answers to the user of an address come: ``_INBOX_<user>``, which others cannot read.

    It is what the permissions of ``nats.conf`` let that user subscribe to.
    """
    user, _ = credentials(url)
    return f"_INBOX_{user}" if is_token(user) else "_INBOX"
