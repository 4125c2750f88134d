"""The assembler's decider."""

from __future__ import annotations

from events.types import AssemblyFailed, RenderCancelRequested
from services.assembler.core import AssembleFilm, MixSoundtrack, decide
from tests.builders import (
    assembly_requested,
    completed,
    planned,
    requested,
    segment_rendered,
    segment_requested,
    soundtrack_mixed,
    spec,
)
from tests.spec import given

PLANNED = (requested(), planned(spec(1)))
READY = (*PLANNED, segment_requested(), segment_rendered(), soundtrack_mixed())


def test_sound_is_mixed_as_soon_as_the_film_is_planned() -> None:
    """It does not wait for the picture."""
    assert given(decide, *PLANNED).when() == (MixSoundtrack(),)


def test_sound_is_mixed_once() -> None:
    """A redelivery of the plan finds the soundtrack."""
    assert given(decide, *PLANNED, soundtrack_mixed()).when(PLANNED[1]) == ()


def test_a_ready_film_is_assembled() -> None:
    """The ask for it leads to the command."""
    assert given(decide, *READY, assembly_requested()).when() == (AssembleFilm(attempt=1),)


def test_a_complete_film_is_not_assembled_again() -> None:
    """Two assemblers never publish two completions."""
    past = (*READY, assembly_requested(), completed())
    assert given(decide, *past).when(assembly_requested()) == ()


def test_an_assembly_out_of_place_is_ignored() -> None:
    """An ask that came before the parts is not the job's."""
    assert given(decide, *PLANNED, assembly_requested()).when() == ()


def test_a_cancelled_job_is_not_assembled() -> None:
    """All work is moot from the cancel on."""
    past = (*READY, assembly_requested(), RenderCancelRequested(job_id="job-1"))
    assert given(decide, *past).when(assembly_requested()) == ()


def test_the_last_delivery_is_a_failure() -> None:
    """A message that comes for ever ends in an event that says so."""
    (failed,) = given(decide, *READY, assembly_requested()).when(deliveries=50)
    assert isinstance(failed, AssemblyFailed)
    assert failed.attempt == 1
