"""Products: whole, the upload's pixels, no fringes; shadows and plates below them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from assembler.colour import tone
from assembler.layout import Place
from assembler.motion import ProductMotion
from assembler.planes import frame_from_rgb
from assembler.product import Product, Silhouette, glow, plate, rounded_mask, shadows
from events.spec import Box
from tests.assembler.pictures import disc, textured

REST = ProductMotion(float_px=0, swell=0.0, period_s=6)
GENTLE = ProductMotion(float_px=8, swell=0.01, period_s=6)
WILD = ProductMotion(float_px=18, swell=0.05, period_s=1.6)
PLACE = Place(Box(x=60, y=80, width=200, height=200), 0.5)


def product(pixels: np.ndarray, motion: ProductMotion = REST) -> Product:
    """A product of 400×400 px at half its size."""
    return Product(pixels, PLACE, cut_out=True, motion=motion, fps=30, unit=1.0)


def photo() -> np.ndarray:
    """An opaque product."""
    return np.dstack([textured(400, 400), np.full((400, 400), 255, np.uint8)])


def test_a_product_is_the_upload_resampled() -> None:
    """Inside its edges, luma is that of the picture scaled by area, within a few codes."""
    pixels = photo()
    frame = frame_from_rgb(np.full((400, 320, 3), 90, np.uint8))
    product(pixels).draw(0, frame)
    small = cv2.resize(pixels, (200, 200), interpolation=cv2.INTER_AREA)
    expected = frame_from_rgb(np.asarray(small)).y
    gap = np.abs(expected.astype(int) - frame.y[80:280, 60:260])[2:-2, 2:-2]
    assert gap.mean() < 1.5
    assert gap.max() < 14


def test_nothing_outside_its_box_is_touched_at_rest() -> None:
    """A product at rest without shadow changes only its own box."""
    frame = frame_from_rgb(np.full((400, 320, 3), 90, np.uint8))
    before = frame.copy()
    product(photo()).draw(0, frame)
    frame.y[78:282, 58:262] = before.y[78:282, 58:262]
    assert (before.y == frame.y).all()


def test_a_cut_out_has_no_fringe() -> None:
    """A dark disc whose file has white around it shows no pixel lighter than the ground."""
    frame = frame_from_rgb(np.full((400, 320, 3), 120, np.uint8))
    ground = int(frame.y[0, 0])
    for n in (0, 17, 40):
        into = frame.copy()
        product(disc(400, (20, 10, 10)), GENTLE).draw(n, into)
        assert into.y.max() <= ground + 1


@pytest.mark.parametrize("motion", [REST, GENTLE, WILD])
def test_a_product_never_leaves_its_patch(motion: ProductMotion) -> None:
    """At no frame does its alpha reach the edge of its area: nothing is cut off."""
    made = product(photo(), motion)
    for n in range(0, 200, 7):
        alpha = made.patch(n).alpha
        edges = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
        assert max(int(edge.max()) for edge in edges) == 0


def test_motion_is_small_and_smooth() -> None:
    """It floats within its amplitude, and no step is larger than half a pixel."""
    made = product(photo(), GENTLE)
    tops = np.array([-made.window(n).y * 0.5 for n in range(180)])
    assert 8 < np.ptp(tops) < 22
    assert np.abs(np.diff(tops)).max() < 0.5


def test_a_product_at_rest_is_drawn_once() -> None:
    """Its patch is the same object at every frame."""
    made = product(photo())
    assert made.patch(3) is made.patch(90)


def test_a_standing_products_shadow_is_at_its_foot() -> None:
    """Most of what a cut-out throws is near the bottom of its box, and it is soft."""
    shape = Silhouette(np.full((200, 200), 255, np.uint8), PLACE.box, 1.0)
    patch = shadows(shape, cut_out=True, weight=1.0)[0].patch
    rows = patch.alpha.astype(float).sum(axis=1)
    beside = patch.alpha[:, : 60 - patch.x].astype(float).sum(axis=1)
    heaviest = patch.y + int(np.argmax(beside))
    assert 240 < heaviest < 320
    assert rows.max() > 0
    assert np.abs(np.diff(patch.alpha.astype(int), axis=1)).max() < 24


def test_a_standing_product_has_no_halo() -> None:
    """Its shadow is low down: around its upper half there is none."""
    shape = Silhouette(np.full((200, 200), 255, np.uint8), PLACE.box, 1.0)
    patch = shadows(shape, cut_out=True, weight=1.0)[0].patch
    upper = patch.alpha[: max(0, 80 + 80 - patch.y)]
    assert int(upper.max(initial=0)) <= 3
    assert patch.alpha.max() > 60


def test_glow_has_the_products_hue_and_breathes() -> None:
    """Light around a green product is green."""
    shape = Silhouette(np.full((200, 200), 255, np.uint8), PLACE.box, 1.0)
    shade = glow(shape, tone("#1b6b4f"))
    frame = frame_from_rgb(np.zeros((400, 320, 3), np.uint8))
    made = product(photo())
    made.shades = [shade]
    made.draw(0, frame)
    assert shade.breathes
    assert frame.v[20:30, 70:90].mean() < 126


def test_a_plate_holds_its_product() -> None:
    """It reaches over the product on every side and stays in its area."""
    area = Box(x=0, y=0, width=320, height=400)
    _, card = plate(Box(x=150, y=180, width=40, height=30), area, 1.0, tone("#f0f0f0"))
    assert card.x < 145
    assert card.y < 175
    assert card.x + card.width > 195
    assert card.x >= 0


def test_rounded_corners_are_round() -> None:
    """Corners are cut, sides are not, and the edge is anti-aliased."""
    mask = rounded_mask(60, 40, 12)
    assert 0 == mask[0, 0]
    assert 255 == mask[20, 0] == mask[0, 30] == mask[20, 30]
    assert ((mask > 0) & (mask < 255)).any()
