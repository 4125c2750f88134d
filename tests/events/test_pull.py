"""Reading what is stored, where the server is not there."""

from __future__ import annotations

import pytest

from events.log import LogUnavailable
from events.pull import Follower


class Away:
    """A connection that does not come back."""

    async def connected(self, timeout_s: float) -> bool:
        """No."""
        return timeout_s < 0


async def test_reading_to_the_end_ends_without_a_server() -> None:
    """It is told, instead of being tried for ever."""
    follower = Follower(Away(), "pytoon.jobs.>", 0)  # type: ignore[arg-type]  # it asks no more
    with pytest.raises(LogUnavailable, match="the connection was lost"):
        await anext(follower.to_end())
