"""Addresses of NATS servers: several with commas between, user and password in them or not.

And what is said where one of them cannot be trusted, or does not trust us.
"""

from __future__ import annotations

import re
import ssl
from urllib.parse import quote, unquote, urlsplit

from events.subjects import is_token

NO_TLS = (
    "it does not speak TLS, which tls://, NATS_CA or NATS_CERT ask for: nothing was told to it; "
    "name it by nats:// and without these"
)

_DENIED = re.compile(r'permissions violation for publish to "([^"]+)"')

_OTHER_NAME = 62
"""OpenSSL's number for a certificate that is made out to another host."""


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


def with_password(url: str, password: str) -> str:
    """The address with a password for the user that it names first; ValueError if it names none.

    A password that is in the address already is replaced.
    """
    first, comma, rest = url.partition(",")
    scheme, mark, where = first.rpartition("://")
    user, at, host = where.rpartition("@")
    if not at:
        raise ValueError(f"{shown(url)} names no user: write nats://USER@HOST:PORT")
    return f"{scheme}{mark}{user.partition(':')[0]}:{quote(password, safe='')}@{host}{comma}{rest}"


def advice(error: Exception) -> tuple[str, bool]:
    """What went wrong while connecting, with what to do; and whether it is a verdict.

    A verdict is the server's on us or ours on the server.  What follows one is noise: a
    connection that was given up breaks in many ways.
    """
    text = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        if error.verify_code == _OTHER_NAME:
            return f"the server's certificate is another's ({why}): use a name that is in it", True
        return (
            f"the server's certificate is not trusted ({why}): name its CA's file in NATS_CA",
            True,
        )
    if isinstance(error, ssl.SSLError) and "CERTIFICATE_REQUIRED" in text:
        return (
            "the server wants a certificate of ours: name its files in NATS_CERT, NATS_KEY",
            True,
        )
    if isinstance(error, ssl.SSLError) and "UNKNOWN_CA" in text:
        return "the server does not trust our certificate: its CA must sign NATS_CERT", True
    if "Authorization Violation" in text:
        return f"{text}: look at user, password or token", True
    return text, not isinstance(error, OSError)


def denied_subject(error: Exception) -> str:
    """What we were not allowed to publish to, in lower case; empty where it is another error."""
    found = _DENIED.search(str(error).lower())
    return found.group(1) if found else ""


class Said:
    """The last verdict of a connection's attempts, or the first noise where there was none."""

    def __init__(self) -> None:
        self.text = ""

    def hear(self, error: Exception) -> str:
        """Take an error in, and say what it means."""
        why, verdict = advice(error)
        if verdict or not self.text:
            self.text = why
        return why


def inbox_prefix_of(url: str) -> str:
    """Where answers to the user of an address come: ``_INBOX_<user>``, which others cannot read.

    It is what the permissions of ``nats.conf`` let that user subscribe to.
    """
    user, _ = credentials(url)
    return f"_INBOX_{user}" if is_token(user) else "_INBOX"
