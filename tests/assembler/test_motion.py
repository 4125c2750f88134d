"""Paths of the camera: smooth, inside the picture, the subject in frame."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assembler.motion import Camera, Easing, Scene, camera, closest_zoom, eased, profiles, wave
from events.spec import Box, Motion

ASPECT = 9 / 16


def path(motion: Motion, *, seed: int = 1, scene: Scene | None = None, frames: int = 94) -> Camera:
    """A camera over a picture."""
    return camera(
        scene or Scene(3000, 2000),
        ASPECT,
        profiles()[motion].picture,
        seed=seed,
        start=86,
        frames=frames,
        fps=30,
    )


def test_every_motion_has_a_profile() -> None:
    """The data covers the whole enumeration."""
    assert set(Motion) == set(profiles())


def test_profiles_get_livelier() -> None:
    """Each profile zooms further than the one before it."""
    zooms = [profiles()[motion].picture.zoom for motion in Motion]
    assert sorted(zooms) == zooms
    assert len(set(zooms)) == len(zooms)


@pytest.mark.parametrize("easing", list(Easing))
def test_an_easing_begins_ends_and_never_goes_back(easing: Easing) -> None:
    """0 at 0, 1 at 1, monotonic in between."""
    values = [eased(easing, index / 100) for index in range(101)]
    assert values[0] == 0.0
    assert values[-1] == pytest.approx(1.0)
    assert all(later >= earlier for earlier, later in itertools.pairwise(values))


@settings(max_examples=150, deadline=None)
@given(
    motion=st.sampled_from(list(Motion)),
    seed=st.integers(0, 2**31 - 1),
    width=st.integers(64, 4096),
    shape=st.floats(0.25, 4.0),
    aspect=st.floats(0.4, 2.0),
)
def test_no_edge_is_ever_shown(
    motion: Motion, seed: int, width: int, shape: float, aspect: float
) -> None:
    """Every window of every path lies inside its picture."""
    scene = Scene(width, width / shape)
    made = camera(
        scene, aspect, profiles()[motion].picture, seed=seed, start=10, frames=80, fps=30
    )
    left, top, right, bottom = made.extent()
    assert left >= -1e-6
    assert top >= -1e-6
    assert right <= scene.width + 1e-6
    assert bottom <= scene.height + 1e-6
    for n in range(5, 96, 3):
        window = made.at(n)
        assert left - 1e-6 <= window.x
        assert window.x + window.width <= right + 1e-6
        assert top - 1e-6 <= window.y
        assert window.y + window.width / aspect <= bottom + 1e-6


@pytest.mark.parametrize("motion", [Motion.MINIMAL, Motion.SUBTLE, Motion.SMOOTH, Motion.PUNCHY])
@pytest.mark.parametrize("seed", range(6))
def test_motion_has_no_jumps(motion: Motion, seed: int) -> None:
    """From frame to frame the window moves a little, and its speed changes a little."""
    made = path(motion, seed=seed)
    windows = np.array([(w.x, w.y, w.width) for w in (made.at(n) for n in range(86, 180))])
    speed = np.diff(windows, axis=0)
    width = windows[:, 2].max()
    assert np.abs(speed).max() < 0.03 * width
    assert np.abs(np.diff(speed, axis=0)).max() < 0.006 * width
    assert np.abs(speed).sum() > 0


def test_chaos_jumps_only_on_its_beats() -> None:
    """Within a beat motion is continuous; at its end the framing changes."""
    made = path(Motion.CHAOTIC)
    starts = {move.start for move in made.moves}
    assert len(starts) >= 3
    for n in range(87, 180):
        before, after = made.at(n - 1), made.at(n)
        if n not in starts:
            assert abs(after.width - before.width) < 0.12 * before.width


def test_the_same_seed_makes_the_same_path_and_others_differ() -> None:
    """Paths follow from the seed alone, and vary with it."""
    assert path(Motion.SUBTLE, seed=4) == path(Motion.SUBTLE, seed=4)
    assert len({path(Motion.SUBTLE, seed=seed).moves for seed in range(12)}) >= 3


@pytest.mark.parametrize("motion", list(Motion))
@pytest.mark.parametrize("seed", range(5))
def test_a_subject_stays_in_frame(motion: Motion, seed: int) -> None:
    """A subject near the picture's edge that fits the frame is never cut."""
    subject = Box(x=0.72, y=0.1, width=0.13, height=0.5)
    scene = Scene(3000, 2000, subject)
    made = path(motion, seed=seed, scene=scene)
    for n in range(86, 180):
        window = made.at(n)
        assert window.x <= subject.x * 3000 + 1e-6
        assert (subject.x + subject.width) * 3000 <= window.x + window.width + 1e-6
        assert window.y <= subject.y * 2000 + 1e-6
        assert (subject.y + subject.height) * 2000 <= window.y + window.width / ASPECT + 1e-6


@pytest.mark.parametrize("motion", list(Motion))
@pytest.mark.parametrize("seed", range(5))
def test_an_anchored_subject_keeps_its_height_in_the_frame(motion: Motion, seed: int) -> None:
    """Whatever the camera does, words above or below a subject that has a place stay free."""
    subject = Box(x=0.4, y=0.53, width=0.1, height=0.04)
    scene = Scene(4000, 9000, subject, widest=1400, anchor=(0.47, 0.7))
    made = path(motion, seed=seed, scene=scene)
    widths = []
    for n in range(86, 180):
        window = made.at(n)
        widths.append(window.width)
        middle = (0.55 * 9000 - window.y) / (window.width / ASPECT)
        assert middle == pytest.approx(0.7, abs=1e-6)
    assert 1400 / min(widths) <= closest_zoom(profiles()[motion].picture) + 1e-6


def test_a_wide_picture_is_panned_over() -> None:
    """Calm films show a good part of what is beside the frame; nervous ones do not sweep."""
    scene = Scene(4000, 2000, widest=1100)
    reach = {}
    for motion in (Motion.SUBTLE, Motion.CHAOTIC):
        spans = []
        for seed in range(8):
            left, _, right, _ = path(motion, seed=seed, scene=scene).extent()
            spans.append(right - left)
        reach[motion] = max(spans)
    assert reach[Motion.SUBTLE] > 1100 + 0.3 * 2900
    assert reach[Motion.CHAOTIC] < 1100 + 0.2 * 2900


def test_a_wave_comes_back() -> None:
    """After its period a wave is where it was."""
    assert wave(7, 30, 2.0) == pytest.approx(wave(67, 30, 2.0))
    assert wave(15, 30, 2.0) == pytest.approx(1.0)
