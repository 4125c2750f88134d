"""Layers by themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assembler.backgrounds import RING, ROOM, TILE, pattern, pop_tones
from assembler.layers import Beats, Drift, Layer, Panel, PictureLayer, ShapesLayer, WashLayer
from assembler.motion import BackgroundMotion, Scene, camera, profiles
from assembler.planes import Frame
from assembler.sampling import Dither, make_wash
from assembler.template import AT_REST
from events.spec import Motion
from tests.assembler.pictures import textured

SIZE = (90, 160)


class Flat:
    """A layer of one luma."""

    def __init__(self, luma: int) -> None:
        self.luma = luma

    def draw(self, n: int, frame: Frame) -> None:
        """Fill the frame."""
        frame.y[:] = self.luma
        frame.u[:] = frame.v[:] = 128


def drawn(layer: Layer, n: int) -> Frame:
    """A frame of a layer."""
    frame = Frame.empty(*SIZE)
    layer.draw(n, frame)
    return frame


@pytest.mark.parametrize("motion", list(Motion))
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.7])
def test_a_drift_stays_on_its_ground(motion: Motion, phase: float) -> None:
    """At no frame does the window leave the room around the frame, and it moves without jumps."""
    drift = Drift(profiles()[motion].background, 30, 9 / 16, phase)
    windows = [drift.at(n) for n in range(900)]
    for window in windows:
        assert window.x >= -ROOM
        assert window.y >= -ROOM
        assert window.x + window.width <= 1 + ROOM
        assert window.y + window.width * 16 / 9 <= 16 / 9 + ROOM
    for before, after in itertools.pairwise(windows):
        assert abs(after.x - before.x) < 0.03
        assert abs(after.width - before.width) < 0.03


@pytest.mark.parametrize("kind", ["stripes", "dots", "rings"])
def test_a_flow_moves_on_or_starts_its_period_again(kind: str) -> None:
    """Each step is the same small one, or a whole period back."""
    motion = BackgroundMotion(drift=0.1, swell=0.0, period_s=3, flow=0.4)
    drift = Drift(motion, 30, 9 / 16, 0.2, kind)
    windows = [drift.at(n) for n in range(200)]
    for before, after in itertools.pairwise(windows):
        assert after.x >= -ROOM
        assert after.y >= -ROOM
        assert after.y + after.width * 16 / 9 <= 16 / 9 + ROOM
        step = after.x - before.x
        if kind == "rings":
            assert after.width < before.width or after.width > before.width * RING**1.5
        else:
            assert step == pytest.approx(0.4 / 30) or step == pytest.approx(0.4 / 30 - TILE)


def test_a_ground_at_rest_is_drawn_once() -> None:
    """It is the same at every frame, and what is drawn over it does not stay on it."""
    wash = make_wash(np.full((40, 30, 3), 77.3, np.float32))
    layer = WashLayer(wash, Drift(AT_REST, 30, 9 / 16), Dither(*SIZE))
    first = drawn(layer, 0)
    again = drawn(layer, 50)
    again.y[:] = 0
    assert (first.y == drawn(layer, 99).y).all()


def test_shapes_at_rest_are_drawn_once() -> None:
    """They are the same at every frame, and what is drawn over them does not stay."""
    level = pattern("dots", pop_tones(1), 16 / 9, SIZE[0])
    layer = ShapesLayer(level, Drift(AT_REST, 30, 9 / 16), SIZE[0])
    first = drawn(layer, 0)
    again = drawn(layer, 50)
    again.y[:] = 0
    assert (first.y == drawn(layer, 99).y).all()
    assert layer._kept is not None


def test_a_part_of_a_picture_shows_what_the_whole_does() -> None:
    """Where only the part that a camera sees is given, with its place, the frames are equal."""
    pixels = np.dstack([textured(400, 300), np.full((300, 400), 255, np.uint8)])
    scene = Scene(400, 300, widest=150)
    path = camera(
        scene, 9 / 16, profiles()[Motion.SUBTLE].picture, seed=3, start=0, frames=30, fps=30
    )
    left, top, _, _ = path.extent()
    at = (max(int(left) - 2, 0), max(int(top) - 2, 0))
    whole = PictureLayer(pixels, path, SIZE[0])
    part = PictureLayer(pixels[at[1] :, at[0] :], path, SIZE[0], at)
    assert at[0] > 10
    assert (drawn(whole, 12).y == drawn(part, 12).y).all()


def test_a_picture_layer_shows_its_camera() -> None:
    """The first and the last frame of a push in are different cuts of one picture."""
    pixels = np.dstack([textured(200, 300), np.full((300, 200), 255, np.uint8)])
    path = camera(
        Scene(200, 300), 9 / 16, profiles()[Motion.PUNCHY].picture, seed=1, start=0, frames=30,
        fps=30,
    )  # fmt: skip
    layer = PictureLayer(pixels, path, SIZE[0])
    assert np.abs(drawn(layer, 0).y.astype(int) - drawn(layer, 29).y).mean() > 2


def test_a_panel_fills_its_area_only() -> None:
    """The picture is in its area, the ground around it."""
    panel = Panel(Flat(50), [], Flat(200), (10, 20, 40, 60))
    frame = drawn(panel, 0)
    assert 200 == frame.y[20:80, 10:50].min()
    frame.y[20:80, 10:50] = 50
    assert 50 == frame.y.max()


def test_a_panel_down_to_the_end_hides_the_ground_there() -> None:
    """Where the picture covers the lower part of the frame, the ground is drawn above it only."""
    panel = Panel(Flat(50), [], Flat(200), (0, 40, SIZE[0], SIZE[1] - 40))
    frame = drawn(panel, 0)
    assert (frame.y[:40] == 50).all()
    assert (frame.y[40:] == 200).all()


def test_beats_take_turns() -> None:
    """Each ground has its frames, then the next one has."""
    beats = Beats([Flat(20), Flat(90)], 3)
    assert [20, 20, 20, 90, 90, 90, 20] == [int(drawn(beats, n).y[0, 0]) for n in range(7)]
