"""Windows of levels and washes against direct computation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from assembler.planes import Frame, crop, frame_from_rgb
from assembler.sampling import (
    STEPS,
    WASH_STEP,
    Dither,
    Window,
    _lead,
    draw_level,
    level_for,
    level_patch,
    make_wash,
    ordered,
)
from tests.assembler.pictures import textured

SIZE = (180, 320)


def opaque(width: int, height: int) -> np.ndarray:
    """A textured RGBA picture."""
    rgb = textured(width, height, 3)
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def shown(window: Window, picture: np.ndarray) -> Frame:
    """A window of a picture, drawn from a level."""
    level = level_for(picture, 0, 0, SIZE[0] / window.width, 1.0, alpha=False)
    frame = Frame.empty(*SIZE)
    draw_level(level, window, frame)
    return frame


def ideal(window: Window, picture: np.ndarray) -> np.ndarray:
    """The luma of a window by cubic interpolation in float."""
    luma = frame_from_rgb(picture).y.astype(np.float32)
    step = window.width / SIZE[0]
    matrix = np.array([[step, 0, window.x + step / 2 - 0.5], [0, step, window.y + step / 2 - 0.5]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(luma, matrix, SIZE, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


@pytest.mark.parametrize(
    "window", [Window(0, 0, 360), Window(11.37, 8.81, 300.3), Window(40.5, 60.25, 225)]
)
def test_a_window_shows_what_it_should(window: Window) -> None:
    """Luma is near an ideal resampling of the same window."""
    picture = opaque(360, 640)
    gap = np.abs(shown(window, picture).y - ideal(window, picture))
    assert gap.mean() < 1.2
    assert np.quantile(gap, 0.99) < 6


def test_windows_move_by_parts_of_a_pixel() -> None:
    """What is drawn follows a slow pan within a quarter of a pixel, frame by frame."""
    picture = opaque(400, 700)
    level = level_for(picture, 0, 0, SIZE[0] / 300, 1.1, alpha=False)
    frame, first = Frame.empty(*SIZE), Frame.empty(*SIZE)
    draw_level(level, Window(20, 30, 300), first)
    weights = cv2.createHanningWindow(SIZE, cv2.CV_32F)
    for index in range(1, 24):
        moved = 0.31 * index
        draw_level(level, Window(20 + moved * 300 / SIZE[0], 30, 300), frame)
        (dx, dy), _ = cv2.phaseCorrelate(
            first.y.astype(np.float32), frame.y.astype(np.float32), weights
        )
        assert abs(dx + moved) < 0.25
        assert abs(dy) < 0.25


def test_every_step_begins_where_it_should() -> None:
    """At whatever width between the bounds, what is drawn is hardly ever off its place."""
    for low, high in STEPS:
        for step in np.arange(low, high + 0.001, 0.002):
            for at in np.arange(60, 61, 0.01):
                lead, whole = _lead(at, step)
                assert abs(at - lead * step - whole) / step < 0.08


def test_a_level_is_as_dense_as_its_windows_need() -> None:
    """Its density stays between the bounds over all widths; wider spreads take the last ones."""
    picture = opaque(200, 200)
    for spread in (1.0, 1.05, 1.06, 1.14, 1.15, 1.2):
        least = level_for(picture, 0, 0, 1.0, spread, alpha=False).scale[0]
        assert any(low <= least and least * spread <= high for low, high in STEPS)
    assert STEPS[-1][0] == level_for(picture, 0, 0, 1.0, 1.9, alpha=False).scale[0]


def test_chroma_moves_with_luma() -> None:
    """Grey edges stay grey: chroma of a coloured step is where its luma is."""
    picture = np.zeros((640, 360, 4), np.uint8)
    picture[..., 3] = 255
    picture[:, 180:, 0] = 255
    expected = frame_from_rgb(
        np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    )
    frame = shown(Window(0, 0, 360), picture)
    for plane, wanted in ((frame.u, expected.u), (frame.v, expected.v)):
        assert np.abs(plane.astype(int) - wanted)[4:-4, 4:-4].max() <= 16
        assert np.abs(plane.astype(int) - wanted).mean() < 1


def test_a_patch_is_transparent_where_the_picture_ends() -> None:
    """Alpha is 255 inside, 0 outside, and colours never exceed what alpha allows."""
    picture = np.zeros((140, 140, 4), np.uint8)
    picture[20:120, 20:120] = (200, 180, 40, 255)
    level = level_for(picture, -20, -20, 1.0, 1.0, alpha=True)
    patch = level_patch(level, Window(-10, -10, 120), (30, 40, 120, 120))
    assert 255 == patch.alpha[14:-14, 14:-14].min()
    assert 0 == patch.alpha[:6].max()
    assert (patch.luma <= patch.alpha).all()


def test_a_wash_is_drawn_without_bias() -> None:
    """The mean of a dithered flat colour is the colour, to a fraction of a code."""
    wash = make_wash(np.full((64, 40, 3), (100.4, 80.2, 60.7), np.float32))
    frame = Frame.empty(*SIZE)
    Dither(*SIZE).draw(wash, Window(4, 4, 30), frame)
    wanted = 16 + 219 / 255 * (0.2126 * 100.4 + 0.7152 * 80.2 + 0.0722 * 60.7)
    assert abs(frame.y.mean() - wanted) < 0.05
    assert len(np.unique(frame.y)) <= 2


def test_a_faint_gradient_has_no_steps() -> None:
    """Over three codes of rise, the mean of each column rises evenly."""
    ramp = np.linspace(100, 103, 80, dtype=np.float32)
    wash = make_wash(np.repeat(np.broadcast_to(ramp, (120, 80))[..., None], 3, axis=2))
    frame = Frame.empty(*SIZE)
    Dither(*SIZE).draw(wash, Window(0, 0, 80), frame)
    columns = frame.y.astype(float).mean(axis=0).reshape(-1, 12).mean(axis=1)
    ideal_rise = np.linspace(columns[0], columns[-1], columns.size)
    assert np.abs(columns - ideal_rise).max() < 0.12


def test_faint_colours_have_no_steps_either() -> None:
    """Where chroma rises by two codes over a frame, so do the means of its columns, evenly."""
    ramp = np.linspace(100, 106, 80, dtype=np.float32)
    rgb = np.stack([np.full(80, 140), np.full(80, 120), ramp], axis=1).astype(np.float32)
    wash = make_wash(np.ascontiguousarray(np.broadcast_to(rgb, (120, 80, 3))))
    frame = Frame.empty(*SIZE)
    Dither(*SIZE).draw(wash, Window(0, 0, 80), frame)
    columns = frame.u.astype(float).mean(axis=0).reshape(-1, 9).mean(axis=1)
    ideal_rise = np.linspace(columns[0], columns[-1], columns.size)
    assert columns[-1] - columns[0] > 2
    assert np.abs(columns - ideal_rise).max() < 0.12


def test_the_upper_part_of_a_frame_is_drawn_as_in_the_whole() -> None:
    """A ground of which only the top is seen is drawn there alone, as good as the same."""
    wash = make_wash(np.asarray(opaque(80, 142)[..., :3], np.float32))
    whole, part = Frame.empty(*SIZE), Frame.empty(*SIZE)
    dither = Dither(*SIZE)
    dither.draw(wash, Window(1.5, 2.5, 70), whole)
    rows = SIZE[1] // 16 * 8
    dither.draw(wash, Window(1.5, 2.5, 70), crop(part, 0, 0, SIZE[0], rows))
    for one, other in (
        (whole.y[:rows], part.y[:rows]),
        (whole.u[: rows // 2], part.u[: rows // 2]),
    ):
        # The last coarse row has no next one to go over into.
        assert np.abs(one.astype(int) - other)[:-WASH_STEP].max() <= 1


def test_ordered_values_are_spread_evenly() -> None:
    """Any 8×8 pixels hold 64 different values about the middle, in frames of any size."""
    values = ordered(37, 53)
    assert (37, 53) == values.shape
    assert 64 == len(np.unique(values[5:13, 9:17]))
    assert values[:8, :8].mean() == 128


def test_the_same_window_gives_the_same_bytes() -> None:
    """Nothing about a draw depends on the draws before it."""
    picture = opaque(360, 640)
    level = level_for(picture, 0, 0, SIZE[0] / 300, 1.1, alpha=False)
    window = Window(3.7, 5.1, 301)
    one, other = Frame.empty(*SIZE), Frame.empty(*SIZE)
    draw_level(level, window, one)
    draw_level(level, Window(30, 50, 300), other)
    draw_level(level, window, other)
    assert (one.y == other.y).all()
    assert (one.u == other.u).all()
