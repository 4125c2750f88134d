"""Who may say what: which service appends which events and posts which notices.

One truth for three: the permissions of a server's users (``services.permissions``), whose
signature an event must have (``events.keys``), and the documentation.  What no service says is a
client's ask, which anybody may publish who is let in.
"""

from __future__ import annotations

from collections.abc import Iterator

from events.notices import (
    BudgetReserved,
    BudgetSettled,
    CircuitClosed,
    CircuitOpened,
    CircuitProbed,
    Notice,
    notice_name,
)
from events.types import (
    AssemblyFailed,
    AssemblyRequested,
    Event,
    GenerationIntended,
    GenerationSubmitted,
    RenderCancelled,
    RenderCompleted,
    RenderFailed,
    RenderPlanned,
    RenderRejected,
    RungDescended,
    SegmentFailed,
    SegmentRendered,
    SegmentRequested,
    SegmentTimedOut,
    SoundtrackMixed,
    type_name,
)

PLANNER = "planner"
SEGMENT_RENDERER = "segment-renderer"
FALLBACK_CONTROLLER = "fallback-controller"
ASSEMBLER = "assembler"

APPENDS: dict[str, tuple[type[Event], ...]] = {
    PLANNER: (RenderRejected, RenderPlanned, SegmentRequested, AssemblyRequested),
    SEGMENT_RENDERER: (
        SegmentRendered,
        SegmentFailed,
        GenerationIntended,
        GenerationSubmitted,
    ),
    FALLBACK_CONTROLLER: (
        SegmentRequested,
        SegmentTimedOut,
        RungDescended,
        AssemblyRequested,
        RenderCancelled,
        RenderFailed,
    ),
    ASSEMBLER: (SoundtrackMixed, RenderCompleted, AssemblyFailed),
}
"""Which events each service appends."""

TELLS: dict[str, tuple[type[Notice], ...]] = {
    PLANNER: (),
    SEGMENT_RENDERER: (CircuitProbed, CircuitClosed, BudgetReserved, BudgetSettled),
    FALLBACK_CONTROLLER: (CircuitOpened, CircuitClosed),
    ASSEMBLER: (),
}
"""Which notices each service posts."""

WRITERS: tuple[str, ...] = tuple(APPENDS)
"""Every service that writes to the log."""

SOURCE = "pytoon/"
"""What a service's name follows in ``ce-source``."""


def _said() -> Iterator[tuple[str, str]]:
    """Each name on the wire with one who may say it."""
    for service, events in APPENDS.items():
        yield from ((type_name(kind), service) for kind in events)
    for service, notices in TELLS.items():
        yield from ((notice_name(kind), service) for kind in notices)


WHO_SAYS: dict[str, tuple[str, ...]] = {
    name: tuple(sorted(service for said, service in _said() if said == name))
    for name, _ in _said()
}
"""The services that may say an event or a notice, by its name on the wire."""
