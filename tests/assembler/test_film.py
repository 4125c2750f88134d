"""Whole films: every frame a function of the plan, whatever the picture and the archetype."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from assembler.film import Film
from assembler.planes import Frame, frame_to_rgb
from events.spec import Archetype, AssetRole, Motion, Rung, TransitionKind
from tests.assembler.pictures import asset, disc, plan, textured


def planes(frame: Frame) -> bytes:
    """All bytes of a frame."""
    return frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes()


@pytest.mark.parametrize("archetype", list(Archetype))
@pytest.mark.parametrize("kind", ["photo", "cut-out", "none"])
def test_the_same_plan_draws_the_same_bytes(
    tmp_path: Path, archetype: Archetype, kind: str
) -> None:
    """Frames are equal in two films and in any order; they have the film's size."""
    sources: dict[str, Path] = {}
    pixels = {"photo": textured(600, 900), "cut-out": disc(300)}.get(kind)
    assets = [] if pixels is None else [asset(tmp_path, pixels, sources)]
    spec, rungs = plan(archetype, assets)
    wanted = (0, 50, 88, 89, 130, 179)
    one, other = Film(spec, rungs, sources), Film(spec, rungs, sources)
    first = {n: planes(one.frame(n)) for n in wanted}
    second = {n: planes(other.frame(n)) for n in reversed(wanted)}
    assert first == second
    assert (640, 360) == one.frame(0).y.shape
    assert (320, 180) == one.frame(0).v.shape
    assert len({first[n] for n in wanted[:4]}) == 4


@pytest.mark.parametrize("archetype", list(Archetype))
@pytest.mark.parametrize("motion", list(Motion))
def test_every_motion_draws_every_archetype(
    tmp_path: Path, archetype: Archetype, motion: Motion
) -> None:
    """No frame is flat, and codes stay in their limited range."""
    sources: dict[str, Path] = {}
    spec, rungs = plan(archetype, [asset(tmp_path, textured(500, 400), sources)], motion=motion)
    frame = Film(spec, rungs, sources).frame(40)
    assert frame.y.std() > 3
    assert frame.y.min() >= 14
    assert frame.y.max() <= 237


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (64, 16), (16, 64), (1000, 250), (250, 1000), (1, 1), (3, 700)]
)
@pytest.mark.parametrize("archetype", list(Archetype))
def test_any_shape_and_size_makes_a_frame(
    tmp_path: Path, archetype: Archetype, width: int, height: int
) -> None:
    """From 1:4 to 4:1, tiny and absurd pictures, opaque and cut out."""
    for index, alpha in enumerate((255, 200)):
        pixels = np.dstack(
            [textured(width, height, index), np.full((height, width), alpha, np.uint8)]
        )
        sources: dict[str, Path] = {}
        spec, rungs = plan(archetype, [asset(tmp_path, pixels, sources)], frames=60)
        assert Film(spec, rungs, sources).frame(30).y.std() > 1


@pytest.mark.parametrize(
    "kind", [kind for kind in TransitionKind if kind is not TransitionKind.CUT]
)
def test_a_shared_product_stands_still_in_a_transition(
    tmp_path: Path, kind: TransitionKind
) -> None:
    """Through the boundary the product's pixels are the lossless ones, sharp as ever."""
    sources: dict[str, Path] = {}
    photo = np.random.default_rng(1).integers(0, 256, (240, 200, 3), np.uint8)
    spec, rungs = plan(
        Archetype.OVERLAY,
        [asset(tmp_path, photo, sources)],
        motion=Motion.MINIMAL,
        transition=kind,
    )
    film = Film(spec, rungs, sources)
    mask = film.product_mask(60) == 255
    assert mask.sum() > 2000
    before = film.frame(60).y[mask]
    for n in range(86, 94):
        assert (before == film.frame(n).y[mask]).all()


def test_a_crossfade_weighs_its_sides(tmp_path: Path) -> None:
    """Frame k of T weighs (k + 1)/(T + 1), between the pictures at the same frame."""
    sources: dict[str, Path] = {}
    flat = [np.full((640, 360, 3), value, np.uint8) for value in (20, 220)]
    assets = [asset(tmp_path, pixels, sources) for pixels in flat]
    spec, rungs = plan(Archetype.PRODUCT_HERO, assets)
    film = Film(spec, rungs, sources)
    dark, light = int(film.frame(60).y[320, 180]), int(film.frame(120).y[320, 180])
    first = spec.segments[0].body_start + spec.segments[0].body_frames
    found = [int(film.frame(first + k).y[320, 180]) for k in range(4)]
    expected = [round(dark + (light - dark) * (k + 1) / 5) for k in range(4)]
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 1
    assert (dark, light) == (film.frame(first - 1).y[320, 180], film.frame(first + 4).y[320, 180])


def test_a_product_in_an_overlay_is_whole(tmp_path: Path) -> None:
    """All four coloured corners of a photo are in the frame, inside the safe box."""
    pixels = np.full((300, 420, 3), 128, np.uint8)
    corners = {
        (0, 0): (255, 0, 0),
        (0, 1): (0, 255, 0),
        (1, 0): (0, 0, 255),
        (1, 1): (255, 255, 0),
    }
    for (row, column), colour in corners.items():
        pixels[row * 240 : row * 240 + 60, column * 360 : column * 360 + 60] = colour
    sources: dict[str, Path] = {}
    spec, rungs = plan(
        Archetype.OVERLAY,
        [asset(tmp_path, pixels, sources)],
        motion=Motion.MINIMAL,
        width=1080,
        height=1920,
    )
    rgb = frame_to_rgb(Film(spec, rungs, sources).frame(30)).astype(int)
    for colour in corners.values():
        there = np.abs(rgb - colour).max(axis=2) < 40
        rows, columns = np.nonzero(there)
        assert there.sum() > 60 * 60 * 1.6**2 * 0.9
        assert columns.min() >= 120
        assert columns.max() < 888
        assert rows.min() >= 288
        assert rows.max() < 1248


def test_assets_take_turns(tmp_path: Path) -> None:
    """Each segment shows its own picture."""
    sources: dict[str, Path] = {}
    colours = ((200, 20, 20), (20, 160, 40), (30, 40, 200))
    flats = [np.full((640, 360, 3), colour, np.uint8) for colour in colours]
    spec, rungs = plan(
        Archetype.PRODUCT_HERO,
        [asset(tmp_path, pixels, sources) for pixels in flats],
        frames=270,
    )
    film = Film(spec, rungs, sources)
    for index, colour in enumerate(colours):
        found = frame_to_rgb(film.frame(45 + 90 * index))[320, 180]
        assert np.abs(found.astype(int) - colour).max() <= 4


def test_a_background_picture_fills_the_frame(tmp_path: Path) -> None:
    """An asset that is a background is never set as a product."""
    sources: dict[str, Path] = {}
    made = asset(tmp_path, np.full((1280, 720, 3), (90, 120, 60), np.uint8), sources)
    spec, rungs = plan(
        Archetype.OVERLAY, [msgspec.structs.replace(made, role=AssetRole.BACKGROUND)]
    )
    rgb = frame_to_rgb(Film(spec, rungs, sources).frame(30))
    assert np.abs(rgb.astype(int) - (90, 120, 60)).max() <= 4


def test_the_template_needs_no_source(tmp_path: Path) -> None:
    """The last rung draws without reading any file, at rest."""
    made = asset(tmp_path, textured(200, 200), {})
    spec, _ = plan(Archetype.OVERLAY, [made])
    film = Film(spec, [Rung(engine="template", archetype=Archetype.MEME_TEXT)] * 2, {})
    assert planes(film.frame(10)) == planes(film.frame(100))
    assert film.frame(10).y.std() > 3
    no_picture, rungs = plan(Archetype.MEME_TEXT)
    still = [msgspec.structs.replace(rung, engine="template") for rung in rungs]
    assert Film(no_picture, still, {}).frame(0).y.std() > 3


def test_a_watermark_lies_on_every_frame_and_off_the_proof(tmp_path: Path) -> None:
    """The logo is drawn in its corner, in transitions too, and is no part of the product."""
    sources: dict[str, Path] = {}
    logo = asset(tmp_path, np.full((100, 100, 3), 255, np.uint8), sources)
    picture = asset(tmp_path, np.full((1920, 1080, 3), 30, np.uint8), sources)
    spec, rungs = plan(Archetype.PRODUCT_HERO, [picture], width=1080, height=1920, logo=logo)
    film = Film(spec, rungs, sources)
    for n in (10, 90):
        frame = film.frame(n)
        assert frame.y[340, 800] > 120
        assert frame.y[340, 700] < 60
        assert film.lossless_product(n).y[340, 800] < 60
        assert film.product_mask(n)[340, 800] == 0
        assert film.product_mask(n)[900, 500] == 255


def test_the_hero_moves_smoothly_across_a_segment(tmp_path: Path) -> None:
    """Displacement between neighbouring frames changes by less than half a pixel a frame."""
    sources: dict[str, Path] = {}
    spec, rungs = plan(
        Archetype.PRODUCT_HERO, [asset(tmp_path, textured(900, 1200), sources)], frames=60
    )
    film = Film(spec, rungs, sources)
    window = cv2.createHanningWindow((360, 640), cv2.CV_32F)
    moves = []
    before = film.frame(0).y.astype(np.float32)
    for n in range(1, 40):
        after = film.frame(n).y.astype(np.float32)
        moves.append(cv2.phaseCorrelate(before, after, window)[0])
        before = after
    steps = np.diff(np.array(moves), axis=0)
    assert np.abs(steps).max() < 0.5


def test_a_film_keeps_few_pictures(tmp_path: Path) -> None:
    """However many segments are drawn, only a few are kept prepared."""
    sources: dict[str, Path] = {}
    assets = [asset(tmp_path, textured(400, 700, seed), sources) for seed in range(4)]
    spec, rungs = plan(Archetype.OVERLAY, assets, frames=900)
    film = Film(spec, rungs, sources)
    for n in range(10, 900, 90):
        film.frame(n)
    assert len(film._bench.views) <= 6
    assert len(film._scenes._parts) <= 8


def test_what_is_not_the_product_is_no_part_of_the_proof(tmp_path: Path) -> None:
    """Where a logo is transparent it shows the background, and that is not the product."""
    sources: dict[str, Path] = {}
    ring = np.full((100, 100, 4), 255, np.uint8)
    ring[10:90, 10:90] = 0
    logo = asset(tmp_path, ring, sources)
    photo = np.random.default_rng(1).integers(0, 256, (900, 300, 3), np.uint8)
    picture = asset(tmp_path, photo, sources)
    spec, rungs = plan(Archetype.OVERLAY, [picture], width=1080, height=1920, logo=logo)
    mask = Film(spec, rungs, sources).product_mask(10)
    assert mask.any()
    assert not mask[318:438, 738:858].any()
