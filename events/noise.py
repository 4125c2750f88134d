"""What a library says that means nothing to anybody, and would stand in every command's output."""

from __future__ import annotations

import logging

_OVER_TLS = "eof_received() has no effect when using ssl"
"""asyncio's remark on how the NATS client reads TLS, once for each connection that ends."""


def _means_something(record: logging.LogRecord) -> bool:
    return _OVER_TLS not in record.getMessage()


def hush() -> None:
    """Leave it out from now on; saying so again changes nothing."""
    logging.getLogger("asyncio").addFilter(_means_something)
