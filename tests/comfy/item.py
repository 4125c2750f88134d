"""What a server has queued, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Item:
    """A prompt and what has become of it."""

    number: int
    prompt_id: str
    graph: dict[str, Any]
    extra: dict[str, Any]
    outputs: list[str]
    status: str = "pending"
    made: dict[str, Any] = field(default_factory=dict)
    messages: list[list[Any]] = field(default_factory=list)
    interrupted: bool = False

    def entry(self) -> list[Any]:
        """As the queue tells it."""
        return [self.number, self.prompt_id, self.graph, self.extra, self.outputs]
