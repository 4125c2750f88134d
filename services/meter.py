"""What a runtime tells of its own work, to whoever counts it.

``Meter`` tells nobody; ``services.metrics`` has the one that Prometheus reads.  A process without
metrics so imports nothing for them, and pays a call of an empty function.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.job import Job
from events.types import Event


class Meter:
    """Counts nothing."""

    def appended(self, job: Job, events: Sequence[Event], *, now_s: float, took_s: float) -> None:
        """``events`` were appended to ``job`` (as it was before) within ``took_s`` seconds."""

    def conflicted(self) -> None:
        """An append found the job changed by somebody else."""

    def loaded(self, took_s: float) -> None:
        """A job was brought up to date within ``took_s`` seconds."""

    def took_in_hand(self, deliveries: int) -> None:
        """A message is being handled; ``deliveries`` is how often it was handed out by now."""

    def let_go(self) -> None:
        """A message that was in hand is settled or given back."""

    def gave_back(self) -> None:
        """A message is to come again: its work could not be done now."""
