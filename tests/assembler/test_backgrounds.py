"""Grounds: large enough to drift, smooth, and told apart."""

from __future__ import annotations

import numpy as np
import pytest

from assembler import backgrounds
from assembler.backgrounds import RING, ROOM, SHAPES_DENSITY, TILE, Stage
from assembler.colour import tone
from assembler.planes import Frame, frame_to_rgb
from assembler.sampling import Level, Wash, Window, draw_level
from tests.assembler.pictures import textured

STAGE = Stage(16 / 9, (0.47, 0.6), 0.85)
GREEN = tone("#1b6b4f")
WIDTH = 180


def washes() -> dict[str, Wash]:
    """One of each soft ground."""
    picture = np.dstack([textured(300, 200), np.full((200, 300), 255, np.uint8)])
    return {
        "dark product": backgrounds.studio(GREEN, STAGE, 0.3),
        "light product": backgrounds.studio(GREEN, STAGE, 0.9),
        "daylight": backgrounds.daylight(GREEN, STAGE, 0.3),
        "evening": backgrounds.daylight(GREEN, STAGE, 0.9),
        "night": backgrounds.night(GREEN, STAGE),
        "blur": backgrounds.own_blur(picture, STAGE, dim=0.6),
        "aurora": backgrounds.aurora(4, STAGE.tall),
    }


def test_soft_grounds_have_no_edges() -> None:
    """Neighbouring pixels of a wash differ by a few codes at most."""
    for name, wash in washes().items():
        luma = wash.luma.astype(float) / 256
        assert np.abs(np.diff(luma, axis=0)).max() < 5, name
        assert np.abs(np.diff(luma, axis=1)).max() < 5, name


def test_grounds_suit_their_products() -> None:
    """Light behind what is dark, deep behind what is light, and each style its own brightness."""
    means = {name: wash.luma.mean() / 256 for name, wash in washes().items()}
    assert means["dark product"] > means["light product"] + 60
    assert means["daylight"] > means["evening"] + 60
    assert means["night"] < 70


def test_daylight_falls_through_a_window() -> None:
    """Panes are lit on the wall and below the product's foot, the bars between them are not."""
    wash = backgrounds.daylight(GREEN, STAGE, 0.3)
    luma = wash.luma.astype(float) / 256
    for half in (luma[: len(luma) // 2], luma[len(luma) // 2 :]):
        row = half[len(half) // 2]
        turns = np.flatnonzero(np.diff(np.sign(np.diff(row))))
        assert len(turns) >= 3
        assert np.ptp(row) > 20


def test_a_plinth_bears_the_product_and_the_words() -> None:
    """From the product's foot down to the frame's end there is one colour; above it an arch."""
    frame = frame_to_rgb(drawn(backgrounds.shelf(GREEN, STAGE, WIDTH), 0, 0)).astype(int)
    middle, foot = round(STAGE.centre[0] * WIDTH), round(STAGE.foot * WIDTH)
    front = frame[foot + 8 :, middle - 50 : middle + 50]
    assert np.ptp(front.reshape(-1, 3), axis=0).max() <= 6
    assert np.abs(front.mean(axis=(0, 1)) - frame[foot - 12, middle]).max() > 6
    assert np.abs(frame[foot - 12, middle] - frame[foot - 12, 2]).max() > 6


def test_rays_come_from_behind_the_product() -> None:
    """Around its middle colours take turns, and they are turned by half a ray in the variant."""
    stage = Stage(16 / 9, (0.5, 0.8), 1.0)
    rings = []
    for variant in (0, 1):
        level = backgrounds.rays(GREEN, stage, 0.4, WIDTH, variant=variant)
        luma = drawn(level, 0, 0).y.astype(int)
        turns = np.linspace(0, 2 * np.pi, 360, endpoint=False) - np.pi
        rows = np.rint((0.8 + 0.49 * np.sin(turns)) * WIDTH).astype(int)
        columns = np.rint((0.5 + 0.49 * np.cos(turns)) * WIDTH).astype(int)
        rings.append(luma[rows, columns.clip(0, WIDTH - 1)])
        assert np.abs(np.diff(rings[-1])).max() > 15
    assert np.abs(rings[0] - rings[1]).mean() > 8


def test_a_bright_picture_is_dimmed_for_words() -> None:
    """White words have to be read on any blurred picture."""
    white = np.full((100, 100, 4), 255, np.uint8)
    wash = backgrounds.own_blur(white, STAGE, dim=0.62)
    assert wash.luma.max() / 256 < 130


@pytest.mark.parametrize("shape", [(40, 160), (160, 40), (64, 64), (3, 5)])
def test_any_shape_covers_the_ground_with_its_blur(shape: tuple[int, int]) -> None:
    """Very wide, very tall and tiny pictures all fill it."""
    picture = np.full((*shape, 4), 200, np.uint8)
    wash = backgrounds.own_blur(picture, STAGE, dim=0.6)
    assert wash.luma.min() / 256 > 40


def drawn(level: Level, x: float, y: float, width: float = 1.0) -> Frame:
    """A window of a ground with edges, in frame widths."""
    frame = Frame.empty(WIDTH, WIDTH * 16 // 9)
    unit = WIDTH * SHAPES_DENSITY
    draw_level(level, Window((x + ROOM) * unit, (y + ROOM) * unit, width * unit), frame)
    return frame


@pytest.mark.parametrize("kind", ["stripes", "dots"])
def test_patterns_are_endless(kind: str) -> None:
    """Moved by a period, a pattern is what it was."""
    level = backgrounds.pattern(kind, backgrounds.pop_tones(1), 16 / 9, WIDTH)
    down = -TILE if kind == "dots" else 0.0
    one, other = drawn(level, -TILE / 2, TILE / 2), drawn(level, TILE / 2, TILE / 2 + down)
    assert np.abs(one.y.astype(int) - other.y).mean() < 1.5


def test_rings_grow_for_ever() -> None:
    """Grown by the square of their ratio, rings are what they were."""
    level = backgrounds.pattern("rings", backgrounds.pop_tones(2), 16 / 9, WIDTH)
    width = RING**-2
    margin = (1 - width) / 2
    one = drawn(level, 0, 0)
    other = drawn(level, margin, margin * 16 / 9, width)
    assert np.abs(one.y.astype(int) - other.y).mean() < 3


def test_variants_share_the_disc() -> None:
    """Both variants of the bold ground are alike about the product and differ elsewhere."""
    stage = Stage(16 / 9, (0.5, 0.8), 1.0)
    one, other = (
        frame_to_rgb(
            drawn(backgrounds.bold(GREEN, stage, 0.4, WIDTH, variant=variant), 0, 0)
        ).astype(int)
        for variant in (0, 1)
    )
    middle = (slice(110, 180), slice(60, 120))
    assert np.abs(one - other)[middle].mean() < 25
    assert np.abs(one - other)[:60].mean() > 15


def test_the_same_arguments_make_the_same_ground() -> None:
    """Grounds are functions of what they are given."""
    for name, wash in washes().items():
        assert (wash.luma == washes()[name].luma).all(), name
        break
    levels = [backgrounds.bold(GREEN, STAGE, 0.4, WIDTH, variant=0) for _ in range(2)]
    assert (levels[0].luma == levels[1].luma).all()
