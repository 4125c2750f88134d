"""Which layers a segment is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assembler.layers import Beats, Panel, PictureLayer, ShapesLayer, WashLayer
from assembler.scenes import Kept, Scenes, View
from events.spec import Archetype, Motion
from tests.assembler.pictures import asset, disc, plan, textured


def view(tmp_path: Path, archetype: Archetype, pixels: np.ndarray | None, motion: Motion) -> View:
    """The view of the first segment of a film with one picture (or none), at full size."""
    sources: dict[str, Path] = {}
    assets = [] if pixels is None else [asset(tmp_path, pixels, sources)]
    spec, rungs = plan(archetype, assets, motion=motion, width=1080, height=1920)
    return Scenes(spec, sources).view(spec.segments[0], rungs[0])


@pytest.mark.parametrize(
    ("width", "height", "layer"),
    [
        (1080, 1920, PictureLayer),
        (1500, 1000, PictureLayer),
        (700, 2800, PictureLayer),
        (2400, 600, Panel),
        (512, 512, Panel),
        (64, 64, Panel),
    ],
)
def test_a_hero_fills_the_frame_where_it_can(
    tmp_path: Path, width: int, height: int, layer: type
) -> None:
    """Very wide pictures are not cropped absurdly, small ones not blown up."""
    found = view(tmp_path, Archetype.PRODUCT_HERO, textured(width, height), Motion.SUBTLE)
    assert isinstance(found.picture, layer)
    assert found.product is None


def test_a_meme_of_a_wide_picture_is_a_panel(tmp_path: Path) -> None:
    """A landscape is set below the words rather than cropped to a strip."""
    found = view(tmp_path, Archetype.MEME_TEXT, textured(1500, 1000), Motion.SMOOTH)
    assert isinstance(found.picture, Panel)


@pytest.mark.parametrize(
    ("motion", "layer"),
    [(Motion.CHAOTIC, Beats), (Motion.PUNCHY, ShapesLayer), (Motion.SMOOTH, WashLayer)],
)
def test_words_alone_have_a_lively_ground(tmp_path: Path, motion: Motion, layer: type) -> None:
    """The livelier the film, the bolder what is behind its words."""
    assert isinstance(view(tmp_path, Archetype.MEME_TEXT, None, motion).picture, layer)


@pytest.mark.parametrize("archetype", list(Archetype))
def test_a_cut_out_is_never_cropped(tmp_path: Path, archetype: Archetype) -> None:
    """In every archetype it stands whole before a ground, within the frame."""
    found = view(tmp_path, archetype, disc(500), Motion.SUBTLE)
    assert found.product is not None
    box = found.product.where.box
    assert box.x > 0
    assert box.y > 0
    assert box.x + box.width < 1080
    assert box.y + box.height < 1920


def test_segments_with_one_picture_share_their_product(tmp_path: Path) -> None:
    """The product is one object over the film, the ground varies."""
    sources: dict[str, Path] = {}
    spec, rungs = plan(Archetype.OVERLAY, [asset(tmp_path, disc(300), sources)])
    scenes = Scenes(spec, sources)
    one, other = (scenes.view(plan_, rungs[0]) for plan_ in spec.segments[:2])
    assert one.product is other.product
    assert one.picture is not other.picture


def test_what_is_kept_is_bounded() -> None:
    """The least recently used thing goes first, and is made again when it is asked for."""
    kept = Kept(2)
    made: list[str] = []

    def make() -> str:
        made.append(asked)
        return asked

    for asked in ("a", "b", "a", "c", "a", "b"):
        assert asked == kept.get(asked, make)
    assert ["a", "b", "c", "b"] == made
    assert len(kept) == 2
