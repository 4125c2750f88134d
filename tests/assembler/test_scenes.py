"""Which layers a segment is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assembler.kept import Kept
from assembler.layers import Beats, Panel, PictureLayer, ShapesLayer, WashLayer
from assembler.scenes import Scenes, View
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
        (2400, 600, PictureLayer),
        (512, 512, PictureLayer),
        (300, 300, Panel),
        (64, 64, Panel),
        (3000, 300, Panel),
    ],
)
def test_a_hero_fills_the_frame_where_it_can(
    tmp_path: Path, width: int, height: int, layer: type
) -> None:
    """Only slips and small pictures are set smaller: these are not blown up."""
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


def test_a_hero_is_large(tmp_path: Path) -> None:
    """A cut-out takes most of what its words leave of the frame."""
    tall = np.zeros((1200, 700, 4), np.uint8)
    tall[20:1180, 20:680] = (150, 60, 20, 255)
    found = view(tmp_path, Archetype.PRODUCT_HERO, tall, Motion.SUBTLE)
    assert found.product is not None
    assert found.product.where.box.width > 880
    overlay = view(tmp_path, Archetype.OVERLAY, tall, Motion.SUBTLE)
    assert overlay.product is not None
    assert overlay.product.where.box.width < 0.65 * found.product.where.box.width


def test_what_stands_on_a_plate_is_set_by_its_plate(tmp_path: Path) -> None:
    """The ground of a tiny product is made around its plate, else around the product itself."""
    tiny = view(tmp_path, Archetype.OVERLAY, disc(60), Motion.MINIMAL).product
    usual = view(tmp_path, Archetype.OVERLAY, disc(700), Motion.MINIMAL).product
    assert tiny is not None
    assert usual is not None
    assert tiny.outline.height > 2 * tiny.where.box.height
    assert usual.outline == usual.where.box


@pytest.mark.parametrize(
    ("alpha", "rim"), [(True, False), (False, True)], ids=["cut-out", "photograph"]
)
def test_a_photograph_gets_a_rim(tmp_path: Path, *, alpha: bool, rim: bool) -> None:
    """What has corners becomes a print, of the same aspect as the picture and its rim."""
    pixels = textured(900, 600)
    if alpha:
        pixels = np.dstack([pixels, np.full((600, 900), 254, np.uint8)])
    product = view(tmp_path, Archetype.OVERLAY, pixels, Motion.SUBTLE).product
    assert product is not None
    box = product.where.box
    assert (abs(box.width / box.height - 1.5) > 0.01) is rim


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
