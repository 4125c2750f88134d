"""A recorder of spans that keeps them in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters import tracing
from adapters.spans import Fact, Facts
from events.trace import SAMPLED, TraceContext


@dataclass
class Kept:
    """A span as it was told; ``end_ns`` None: it is under way, or was dropped."""

    begun: tracing.Begun
    name: str
    facts: dict[str, Fact] = field(default_factory=dict)
    failed: bool = False
    end_ns: int | None = None

    @property
    def context(self) -> TraceContext:
        """Its ids."""
        return self.begun.context

    def note(self, facts: Facts) -> None:
        """Keep more of it."""
        self.facts |= {str(name): fact for name, fact in facts.items()}

    def rename(self, name: str) -> None:
        """Call it so."""
        self.name = name

    def fail(self) -> None:
        """It failed."""
        self.failed = True

    def end(self, end_ns: int) -> None:
        """It is over, once."""
        assert self.end_ns is None
        self.end_ns = end_ns


class MemoryRecorder:
    """Keeps what is begun, unless its trace is not sampled; ``root_flags`` for those of ours."""

    def __init__(self, root_flags: int = SAMPLED) -> None:
        self.root_flags = root_flags
        self.begun: list[Kept] = []

    @property
    def spans(self) -> list[Kept]:
        """Those that have ended: what a collector would see."""
        return [span for span in self.begun if span.end_ns is not None]

    def named(self, name: str) -> list[Kept]:
        """Those of a name that have ended."""
        return [span for span in self.spans if span.name == name]

    def begin(self, begun: tracing.Begun) -> tuple[tracing.Recording | None, int]:
        """Keep a span."""
        flags = begun.parent.flags if begun.parent else self.root_flags
        if not flags & SAMPLED:
            return None, flags
        kept = Kept(begun, begun.name)
        self.begun.append(kept)
        return kept, flags

    def flags_at_root(self, trace_id: str) -> int:
        """Of a trace that begins with us."""
        del trace_id
        return self.root_flags
