"""Motion as it is seen: the displacement between consecutive frames against its ideal curve.

Measured by phase correlation of parts of the drawn frames, and of decoded ones.  The ideal is
where the camera's (or the product's) path, which is smooth (``tests/assembler/test_motion.py``),
puts that part of the picture; what may add to it is sampling, rounding and the encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from assembler.film import Film
from assembler.layers import Panel, PictureLayer
from assembler.sampling import Window
from events.spec import Archetype, Motion, Rung
from tests.assembler.pictures import asset, plan
from tests.end_to_end.making import planned
from tests.end_to_end.products import saved

DEVIATION_MAX_PX = 0.25
PART = 256
"""Pixels of an edge of what is compared."""
WIDTH, HEIGHT = 1080, 1920
ZOOM_MAX = 0.03
"""Of a frame; faster is only the first frame of a beat of ``chaotic``, and the measure itself is
not good to a quarter of a pixel there."""
CUT_PX = 150.0
"""More from one frame to the next is a cut to another framing, not motion (``chaotic``)."""
Pixels = NDArray[np.uint8]
Area = tuple[float, float, float, float]
Path_ = Callable[[int], Window]


def textured(width: int, height: int, seed: int = 3) -> Pixels:
    """A picture with detail everywhere, none of it finer than the screen shows, RGB."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width), np.float32)
    for sigma in (2.0, 5.0, 14.0):
        noise = rng.standard_normal((height, width)).astype(np.float32)
        layer = cv2.GaussianBlur(noise, (0, 0), sigma)
        picture += layer / layer.std()
    grey = np.clip(128 + 28 * picture, 8, 247).astype(np.uint8)
    return np.dstack([grey] * 3)


def _path(film: Film, segment: int) -> tuple[Path_, Area]:
    """Which window of the picture (or the product) is shown where in the frame."""
    view = film._view(segment)
    if view.product is not None:
        x, y, width, height = view.product._area
        return view.product.window, (x, y, width, height)
    layer, area = view.picture, (0.0, 0.0, float(WIDTH), float(HEIGHT))
    if isinstance(layer, Panel):
        x, y, width, height = layer.area
        layer, area = layer._picture, (x, y, width, height)
    assert isinstance(layer, PictureLayer)
    return layer.path.at, area


def _parts(film: Film, segment: int, area: Area) -> list[tuple[int, int]]:
    """The left top corners of what is compared: three parts, or a product's middle."""
    product = film._view(segment).product
    if product is not None:
        box = product.where.box
        return [(round(box.x + (box.width - PART) / 2), round(box.y + (box.height - PART) / 2))]
    x, y, width, height = (round(value) for value in area)
    return [
        (x + (width - PART) * across // 4, y + (height - PART) * down // 4)
        for across, down in ((1, 1), (3, 2), (2, 3))
    ]


def _ideal(path: Path_, area: Area, n: int) -> NDArray[np.float64]:
    """Where each point of frame ``n`` should be in the next one: 2×3, scale and shift."""
    before, after = path(n), path(n + 1)
    scale = before.width / after.width
    shifts = [
        (before_at - after_at) * area[2] / after.width + corner * (1 - scale)
        for before_at, after_at, corner in (
            (before.x, after.x, area[0]),
            (before.y, after.y, area[1]),
        )
    ]
    # Pixels have their place in their middle.
    half = (scale - 1) / 2
    return np.array([[scale, 0, shifts[0] + half], [0, scale, shifts[1] + half]])


def deviations(
    film: Film, segment: int, numbers: Sequence[int], frames: Iterable[Pixels]
) -> list[float]:
    """How far each part's motion is from its ideal in each pair of neighbouring frames, px.

    A frame that was moved as it should be is compared with the next one: what is left of motion
    is the deviation.
    """
    path, area = _path(film, segment)
    corners = _parts(film, segment, area)
    hann = cv2.createHanningWindow((PART, PART), cv2.CV_32F)
    found: list[float] = []
    for (n, one), (then, other) in pairwise(zip(numbers, frames, strict=True)):
        ideal = _ideal(path, area, n)
        cut = np.abs(ideal[:, 2]).max() > CUT_PX
        if then != n + 1 or cut or abs(ideal[0, 0] - 1) > ZOOM_MAX:
            continue
        moved = cv2.warpAffine(
            one.astype(np.float32), ideal, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC
        )
        for x, y in corners:
            part = (slice(y, y + PART), slice(x, x + PART))
            left, _ = cv2.phaseCorrelate(moved[part], other[part].astype(np.float32), hann)
            found.append(float(np.hypot(left[0], left[1])))
    return found


def _film(folder: Path, archetype: Archetype, motion: Motion, *, cut_out: bool) -> Film:
    pixels = textured(1300, 2310)
    if cut_out or archetype is Archetype.OVERLAY:
        pixels = textured(760, 900)
    if cut_out:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        pixels[:40, :, 3] = 0
    sources: dict[str, Path] = {}
    made = asset(folder, pixels, sources)
    spec, rungs = plan(archetype, [made], motion=motion, width=WIDTH, height=HEIGHT)
    return Film(spec, rungs, sources)


QUICK = {
    (Archetype.PRODUCT_HERO, Motion.MINIMAL),
    (Archetype.PRODUCT_HERO, Motion.SUBTLE),
    (Archetype.PRODUCT_HERO, Motion.CHAOTIC),
    (Archetype.OVERLAY, Motion.PUNCHY),
}
"""Slow, not so slow and all over the place: each is sampled at other steps."""
CASES = [
    pytest.param(archetype, motion, marks=() if (archetype, motion) in QUICK else pytest.mark.slow)
    for archetype in Archetype
    for motion in Motion
]


@pytest.mark.parametrize(("archetype", "motion"), CASES)
def test_what_is_drawn_moves_as_it_should(
    tmp_path: Path, archetype: Archetype, motion: Motion
) -> None:
    """A photograph that fills the frame, or a product that floats: every profile.  (3 s each)"""
    film = _film(tmp_path, archetype, motion, cut_out=False)
    quick = (archetype, motion) in QUICK
    numbers = [*range(2, 14), *(() if quick else range(40, 52))]
    found = deviations(film, 0, numbers, (film.frame(n).y for n in numbers))
    assert len(found) >= 10
    assert max(found) < DEVIATION_MAX_PX, max(found)


@pytest.mark.slow
@pytest.mark.parametrize("archetype", [Archetype.PRODUCT_HERO, Archetype.MEME_TEXT])
@pytest.mark.parametrize("motion", list(Motion))
def test_a_cut_out_moves_as_it_should(
    tmp_path: Path, archetype: Archetype, motion: Motion
) -> None:
    """A product on a stage or before a pattern floats without jitter.  (3 s each)"""
    film = _film(tmp_path, archetype, motion, cut_out=True)
    numbers = list(range(2, 20))
    found = deviations(film, 0, numbers, (film.frame(n).y for n in numbers))
    assert max(found) < DEVIATION_MAX_PX


@pytest.mark.slow
def test_motion_goes_on_smoothly_through_a_transition(tmp_path: Path) -> None:
    """A product that both sides share floats on; nothing jumps where pieces meet.  (3 s)"""
    film = _film(tmp_path, Archetype.OVERLAY, Motion.SMOOTH, cut_out=True)
    numbers = list(range(80, 100))
    found = deviations(film, 0, numbers, (film.frame(n).y for n in numbers))
    assert max(found) < DEVIATION_MAX_PX


def _decoded(path: Path, first: int, count: int) -> list[Pixels]:
    """The luma of some frames of a film."""
    frames: list[Pixels] = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= first + count:
                break
            if number >= first:
                frames.append(np.asarray(frame.to_ndarray()[: frame.height], np.uint8))
    return frames


@pytest.mark.slow
@pytest.mark.parametrize(
    "preset", ["product_hero_clean", "product_hero_punchy", "overlay_glow", "meme_smooth"]
)
def test_the_finished_film_moves_as_it_should(tmp_path: Path, preset: str) -> None:
    """Planned, encoded and decoded: over two bodies and the transition between.  (15 s each)"""
    size = (760, 900) if preset.startswith("overlay") else (1300, 2310)
    picture = saved(textured(*size), tmp_path / "picture.png")
    made = planned(tmp_path, preset, picture, target_duration_seconds=5)
    assert made.rungs[0] == Rung(engine="compositor", archetype=made.spec.archetype)
    film, path = made.film(), made.assembled(made.bodies()).output
    for part in made.spec.segments:
        numbers = list(range(part.body_start, part.body_start + 40))
        found = deviations(film, part.index, numbers, _decoded(path, numbers[0], 40))
        assert max(found) < DEVIATION_MAX_PX, part.index
