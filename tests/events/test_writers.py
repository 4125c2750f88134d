"""Tests of ``events.writers``: everything that can be said is somebody's to say."""

from __future__ import annotations

from events.notices import NOTICE_TYPES, notice_name
from events.types import CLIENT_ASKS, EVENT_TYPES, type_name
from events.writers import APPENDS, TELLS, WHO_SAYS, WRITERS
from services.composition import SERVICES


def test_the_writers_are_the_services() -> None:
    """By the names under which they run."""
    assert set(SERVICES) == set(WRITERS) == set(APPENDS) == set(TELLS)


def test_every_event_and_notice_has_a_writer() -> None:
    """A new type is somebody's, or nobody could append it."""
    events = {type_name(kind) for kind in EVENT_TYPES} - CLIENT_ASKS
    assert events == {type_name(kind) for kinds in APPENDS.values() for kind in kinds}
    notices = {notice_name(kind) for kind in NOTICE_TYPES}
    assert notices == {notice_name(kind) for kinds in TELLS.values() for kind in kinds}
    assert events | notices == set(WHO_SAYS)
    assert not events & notices


def test_who_may_say_what_two_services_say() -> None:
    """Both, and nobody else."""
    assert ("fallback-controller", "planner") == WHO_SAYS["segment_requested"]
    assert ("assembler",) == WHO_SAYS["render_completed"]
