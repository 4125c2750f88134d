"""Where the gateway listens: parsed and bound before anything heavy is loaded."""

from __future__ import annotations

import socket

BACKLOG = 1024


class AddressError(OSError):
    """The address cannot be served; the message says what to do."""


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.  Raises ``AddressError``."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004 - the highest port
        raise AddressError(f"{text[:80]!r} must be HOST:PORT, such as 127.0.0.1:8080")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.  Raises ``AddressError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise AddressError(
            f"{host}:{port} cannot be served: {error.strerror or error}; "
            "name another one with --http HOST:PORT"
        ) from error
    found.settimeout(0)
    return found
