"""The film's arithmetic: segments, transitions, pieces, seeds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembler import timeline

FPS = st.sampled_from([24, 25, 30, 50, 60])


def plan(frames: int, fps: int, segment_s: float, transition: int, assets: int = 1) -> Any:
    """Cut a film and return what ``pieces`` reads of a spec."""
    segments = timeline.segment_plans(frames, fps, segment_s, transition, 7, assets)
    return SimpleNamespace(frames=frames, segments=segments)


@pytest.mark.parametrize(
    ("target_s", "fps", "frames"),
    [(15, 30, 450), (1, 30, 30), (0.7, 30, 21), (0.001, 30, 1), (2.3, 25, 58), (59.99, 30, 1800)],
)
def test_target_frames(target_s: float, fps: int, frames: int) -> None:
    """A length in seconds becomes the nearest whole frame, at least one."""
    assert timeline.target_frames(target_s, fps) == frames


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
@pytest.mark.parametrize("segment_s", [0.5, 2.0, 3.0, 4.0, 9.0])
def test_segment_lengths_for_every_second(fps: int, segment_s: float) -> None:
    """From 2 to 60 s all segments are 2 to 4 s long and equal within one frame."""
    for seconds in range(2, 61):
        lengths = timeline.segment_frames(seconds * fps, fps, segment_s)
        assert sum(lengths) == seconds * fps
        assert min(lengths) >= 2 * fps
        assert max(lengths) <= 4 * fps
        assert max(lengths) - min(lengths) <= 1


@given(frames=st.integers(1, 3600), fps=FPS, segment_s=st.floats(0.1, 30))
def test_segment_lengths_for_any_film(frames: int, fps: int, segment_s: float) -> None:
    """Films of any number of frames are cut within the limits; short ones not at all."""
    lengths = timeline.segment_frames(frames, fps, segment_s)
    assert sum(lengths) == frames
    assert max(lengths) - min(lengths) <= 1
    if frames < 2 * fps:
        assert lengths == (frames,)
    else:
        assert min(lengths) >= 2 * fps
        assert max(lengths) <= 4 * fps


def test_usual_film_has_segments_as_wished() -> None:
    """15 s in segments of 3 s are five of 90 frames."""
    assert timeline.segment_frames(450, 30, 3.0) == (90,) * 5


@pytest.mark.parametrize(
    ("duration_ms", "fps", "expected"),
    [
        (150, 30, 4),
        (150, 60, 9),
        (150, 25, 4),
        (100, 30, 3),
        (10, 30, 1),
        (0, 30, 1),
        (500, 30, 15),
    ],
)
def test_transition_length(duration_ms: float, fps: int, expected: int) -> None:
    """Durations are rounded to whole frames, halves down, at least one frame."""
    assert timeline.transition_frames(duration_ms, fps, 90) == (expected, None)


def test_long_transition_is_shortened_and_told() -> None:
    """A transition takes at most a third of the shortest segment, with a warning."""
    frames, warned = timeline.transition_frames(2000, 30, 60)
    assert frames == 20
    assert warned is not None
    assert warned.code == "transition_shortened"
    assert "60 frames" in warned.message


@given(data=st.data(), frames=st.integers(1, 3600), fps=FPS, segment_s=st.floats(1, 5))
def test_pieces_tile_the_film(
    data: st.DataObject, frames: int, fps: int, segment_s: float
) -> None:
    """Pieces cover each frame exactly once, in order, bodies and transitions in turn."""
    lengths = timeline.segment_frames(frames, fps, segment_s)
    transition = data.draw(st.integers(0, min(lengths) // 3))
    spec = plan(frames, fps, segment_s, transition)
    row = timeline.pieces(spec)
    covered = [n for piece in row for n in range(piece.start, piece.start + piece.frames)]
    assert covered == list(range(frames))
    assert [p.index for p in row if p.kind == "body"] == list(range(len(lengths)))
    spans = [p for p in row if p.kind == "transition"]
    assert len(spans) == (len(lengths) - 1 if transition else 0)
    for piece in spans:
        boundary = spec.segments[piece.index + 1].start
        assert piece.frames == transition
        assert piece.start == boundary - transition // 2


def test_weights_are_even_and_never_pure() -> None:
    """Frame k of T weighs (k + 1)/(T + 1)."""
    assert [timeline.weight(k, 4) for k in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_seeds_depend_on_film_and_index_alone() -> None:
    """Each segment has its own seed, the same for every cut and every run, within 31 bits."""
    seeds = [timeline.segment_seed(1, index) for index in range(30)]
    assert len(set(seeds)) == 30
    assert timeline.segment_seed(1, 0) == 208367845
    assert timeline.segment_seed(2, 0) != seeds[0]
    assert all(0 <= seed < 2**31 for seed in seeds)
    plans = plan(450, 30, 3.0, 4).segments
    assert [p.seed for p in plans] == [timeline.segment_seed(7, i) for i in range(5)]


def test_pictures_are_shown_in_turn() -> None:
    """Segments take the pictures one after the other, and none where there is none."""
    assert [p.asset for p in plan(450, 30, 3.0, 4, 3).segments] == [0, 1, 2, 0, 1]
    assert [p.asset for p in plan(450, 30, 3.0, 4, 0).segments] == [None] * 5
