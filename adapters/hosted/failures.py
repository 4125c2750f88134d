"""How an attempt at a hosted service comes to nothing, and what the service's own words mean.

What it cost is 0 only where the service, or the rules of HTTP, prove that nothing was made; it is
None where nobody knows, and then nothing is created again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from adapters.base import EngineFailure
from adapters.hosted.declaration import Failure
from events.types import Reason

DETAIL_CHARS_MAX = 700
CODE_CHARS_MAX = 400


class Meaning(NamedTuple):
    """What a failure means."""

    reason: Reason
    again: bool
    billed: bool | None


def meaning(rules: Sequence[Failure], words: str) -> Meaning | None:
    """What the first rule that finds something in a service's words says of them."""
    for rule in rules:
        if re.search(rule.match, words[:CODE_CHARS_MAX]):
            return Meaning(rule.reason, rule.again, rule.billed)
    return None


def failed(
    reason: Reason, detail: str, *, again: bool = False, cost: float | None = None
) -> EngineFailure:
    """A failure that ends the attempt; ``again``: another attempt may do better."""
    plain = " ".join(detail.split())
    if len(plain) > DETAIL_CHARS_MAX:
        plain = plain[: DETAIL_CHARS_MAX - 1] + "…"
    return EngineFailure(reason, plain, retryable=again, cost=cost)
