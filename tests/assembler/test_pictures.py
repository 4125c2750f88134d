"""Pictures in the frame: filled to its edges, the product whole and beside the words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from assembler.captions import block_box
from assembler.film import Film
from assembler.kept import Kept
from assembler.layers import Panel, PictureLayer
from assembler.motion import profiles
from assembler.pictures import Pictures, shown, shrunk
from assembler.scenes import Scenes
from events.spec import Archetype, Asset, Box, Caption, CaptionRole, Card, Motion, RenderSpec
from tests.assembler.pictures import asset, plan, textured
from tests.assembler.test_subjects import flat, on_ground

LOWER = Box(x=150, y=1100, width=700, height=148)
MIDDLE = Box(x=150, y=680, width=700, height=176)


def words(box: Box) -> tuple[Caption, ...]:
    """One caption all through the film."""
    card = Card(start=0, frames=180, lines=("Hello",), size_px=64, box=box)
    return (Caption(role=CaptionRole.HOOK, text="Hello", cards=(card,)),)


def planned(
    tmp_path: Path, archetype: Archetype, pixels: np.ndarray, motion: Motion, box: Box
) -> tuple[RenderSpec, Asset, Film]:
    """A film at full size without drawn words: they take room, but have no fonts."""
    sources: dict[str, Path] = {}
    made = asset(tmp_path, pixels, sources)
    spec, rungs = plan(
        archetype, [made], motion=motion, width=1080, height=1920, captions=words(box)
    )
    return spec, made, Film(spec, rungs, sources)


def product_box(luma: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is much darker than the light ground."""
    dark = luma < 130
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


@pytest.mark.parametrize("motion", [Motion.SUBTLE, Motion.PUNCHY, Motion.CHAOTIC])
@pytest.mark.parametrize("box", [LOWER, MIDDLE])
def test_a_product_on_paper_keeps_clear_of_words_and_edges(
    tmp_path: Path, motion: Motion, box: Box
) -> None:
    """In every move of a hero it is whole, and the words never lie on it."""
    picture = flat(245, 245, 245)
    picture[40:760, 700:1080] = (150, 70, 20)
    spec, made, film = planned(tmp_path, Archetype.PRODUCT_HERO, picture, motion, box)
    assert made.subject is not None
    block = block_box(spec.captions)
    assert block is not None
    for n in (0, 44, 110, 179):
        luma = film.lossless_product(n).y
        left, top, right, bottom = product_box(luma)
        assert min(left, top, 1079 - right, 1919 - bottom) > 8
        assert bottom < block.y or top > block.y + block.height
        edges = (luma[0], luma[-1], luma[:, 0], luma[:, -1])
        assert min(int(edge.min()) for edge in edges) > 200


def test_a_product_on_paper_is_large(tmp_path: Path) -> None:
    """At its closest it takes most of the room that the words leave."""
    picture = on_ground(flat(245, 245, 245), size=700, at=(100, 60))
    _, _, film = planned(tmp_path, Archetype.PRODUCT_HERO, picture, Motion.SUBTLE, LOWER)
    heights = []
    for n in (0, 85, 95, 179):
        _, top, _, bottom = product_box(film.lossless_product(n).y)
        heights.append(bottom - top)
    assert max(heights) > 780


def test_a_wide_photograph_fills_the_frame_without_bars(tmp_path: Path) -> None:
    """Every row has something in it, and no row of the frame is an edge."""
    _, _, film = planned(
        tmp_path, Archetype.PRODUCT_HERO, textured(1500, 1000), Motion.SUBTLE, LOWER
    )
    luma = film.lossless_product(40).y.astype(float)
    assert luma.std(axis=1).min() > 1
    steps = np.abs(np.diff(luma.mean(axis=1)))
    assert steps.max() < 8


@pytest.mark.parametrize("size", [(1500, 1000), (600, 400), (2400, 600), (900, 900)])
def test_a_memes_picture_goes_from_the_words_to_the_end(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Below the words there is the picture, down to the last row."""
    sources: dict[str, Path] = {}
    made = asset(tmp_path, textured(*size), sources)
    spec, rungs = plan(
        Archetype.MEME_TEXT,
        [made],
        motion=Motion.SMOOTH,
        width=1080,
        height=1920,
        captions=words(MIDDLE),
    )
    layer = Scenes(spec, sources).view(spec.segments[0], rungs[0]).picture
    assert isinstance(layer, Panel)
    x, y, width, height = layer.area
    assert (0, 1080, 1920) == (x, width, y + height)
    assert MIDDLE.y + MIDDLE.height < y < MIDDLE.y + MIDDLE.height + 60


def test_what_nobody_sees_is_not_kept() -> None:
    """A picture much larger than it is shown is scaled down first, others are used as they are."""
    pixels = np.zeros((2000, 3000, 4), np.uint8)
    small, share = shrunk(pixels, 0.2)
    assert (500, 750) == small.shape[:2]
    assert share == pytest.approx(0.25)
    same, whole = shrunk(pixels, 0.9)
    assert same is pixels
    assert whole == 1.0


def test_a_segment_is_seen_into_its_transitions(tmp_path: Path) -> None:
    """Its moves last from the first frame that it shows in to the last."""
    spec, _ = plan(Archetype.PRODUCT_HERO, frames=270)
    first, middle, last = (shown(spec, each) for each in spec.segments)
    assert first[0] == 0
    assert sum(last) == 270
    assert middle[0] < spec.segments[1].body_start
    assert sum(middle) > spec.segments[1].body_start + spec.segments[1].body_frames


def test_segments_are_framed_differently(tmp_path: Path) -> None:
    """One picture in four segments is not four times the same move, but always the same film."""
    sources: dict[str, Path] = {}
    made = asset(tmp_path, textured(600, 400), sources)
    spec, _ = plan(Archetype.PRODUCT_HERO, [made], frames=360)
    pixels = np.full((400, 600, 4), 255, np.uint8)

    def paths() -> list[tuple[object, ...]]:
        pictures = Pictures(
            spec,
            profiles()[Motion.SUBTLE],
            lambda _: pixels,
            lambda _plan, _asset: pytest.fail("it fills the frame"),
            Kept(2),
        )
        layers = [pictures.layer(each, made, meme=False) for each in spec.segments]
        return [
            tuple((move.begin, move.end) for move in layer.path.moves)
            for layer in layers
            if isinstance(layer, PictureLayer)
        ]

    found = paths()
    assert len(found) == 4
    assert len(set(found)) >= 3
    assert found == paths()


def test_a_person_is_looked_at_a_little_up(tmp_path: Path) -> None:
    """A picture said to be of a person keeps the middle's upper part in frame, also continued."""
    sources: dict[str, Path] = {}
    made = msgspec.structs.replace(asset(tmp_path, textured(1500, 1000), sources), role="person")
    spec, rungs = plan(Archetype.PRODUCT_HERO, [made], width=1080, height=1920)
    layer = Scenes(spec, sources).view(spec.segments[0], rungs[0]).picture
    assert isinstance(layer, PictureLayer)
    window = layer.path.at(40)
    assert window.x < 0.42 * 1500 * 1.01
    assert window.x + window.width > 0.58 * 1500 * 0.99
