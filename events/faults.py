"""What the in-memory log can be made to do wrong, by chance or for certain.

A simulation gives chances and a seed; a test says how often something happens next.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What can be made to go wrong."""

    STALE_READ = "stale_read"
    """A read lacks the newest of the job's messages."""
    LOST_ACKNOWLEDGEMENT = "lost_acknowledgement"
    """An append is stored, and its writer is told that the log did not answer."""
    REFUSED_APPEND = "refused_append"
    """An append is not stored, and its writer is told the same."""
    REPEATED_DELIVERY = "repeated_delivery"
    """A message is handed out once more while its reader still holds it."""
    FORGOTTEN_ACK = "forgotten_ack"
    """A message that was acknowledged comes again after ``ack_wait``."""
    REORDERED_DELIVERY = "reordered_delivery"
    """A message is passed over, and comes after later ones."""


@dataclass
class Faults:
    """How often what goes wrong: by chance (0..1), or the next so many times for certain."""

    chance: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0
    upcoming: dict[Fault, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the row of chances that the seed stands for."""
        self.random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    def strikes(self, fault: Fault) -> bool:
        """Whether the fault happens now."""
        if self.upcoming.get(fault, 0) > 0:
            self.upcoming[fault] -= 1
            return True
        chance = self.chance.get(fault, 0.0)
        return chance > 0 and self.random.random() < chance
