"""Subjects before plain grounds: found where the evidence is strong, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from assembler.subjects import plain_subject
from events.spec import Box
from tests.assembler.pictures import disc, textured

Pixels = np.ndarray


def on_ground(
    ground: Pixels, size: int = 300, at: tuple[int, int] = (500, 250), *, seed: int = 0
) -> Pixels:
    """A disc of 84 % of ``size`` px on a ground, its grain on both."""
    cut = disc(size, (150, 70, 20)).astype(np.float32)
    picture = ground.astype(np.float32)
    part = picture[at[1] : at[1] + size, at[0] : at[0] + size]
    share = cut[..., 3:] / 255
    part[:] = part * (1 - share) + cut[..., :3] * share
    picture += np.random.default_rng(seed).normal(0, 1.5, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def flat(*rgb: int, height: int = 800, width: int = 1200) -> Pixels:
    """A sheet of paper."""
    return np.full((height, width, 3), rgb, np.uint8)


def assert_box(found: Box | None, expected: tuple[float, float, float, float]) -> None:
    """The box is the expected one within a hundredth."""
    assert found is not None
    assert np.abs(np.array([found.x, found.y, found.width, found.height]) - expected).max() < 0.012


@pytest.mark.parametrize("rgb", [(250, 250, 250), (20, 22, 28), (190, 220, 205)])
def test_a_product_on_paper_is_found(rgb: tuple[int, int, int]) -> None:
    """White, black and coloured grounds, the product anywhere."""
    expected = (524 / 1200, 274 / 800, 252 / 1200, 252 / 800)
    assert_box(plain_subject(on_ground(flat(*rgb))), expected)


def test_light_may_fall_off_over_the_ground() -> None:
    """A swept backdrop is darker at one side, and plain all the same."""
    ground = flat(240, 238, 235).astype(np.float32)
    ground -= np.linspace(0, 40, 800)[:, None, None]
    expected = (524 / 1200, 274 / 800, 252 / 1200, 252 / 800)
    assert_box(plain_subject(on_ground(ground)), expected)


def test_a_foot_may_touch_the_border() -> None:
    """What stands on the picture's lower edge is a subject down to that edge."""
    picture = on_ground(flat(250, 250, 250))
    picture[500:, 600:700] = (150, 70, 20)
    found = plain_subject(picture)
    assert found is not None
    assert found.y + found.height == pytest.approx(1.0, abs=0.01)


def test_dust_is_no_subject() -> None:
    """Specks do not widen the box, and specks alone are nothing."""
    picture = on_ground(flat(250, 250, 250))
    for x, y in ((100, 100), (1100, 700), (60, 600)):
        picture[y : y + 14, x : x + 14] = 40
    assert_box(plain_subject(picture), (524 / 1200, 274 / 800, 252 / 1200, 252 / 800))
    alone = flat(250, 250, 250)
    alone[100:114, 100:114] = 40
    assert plain_subject(alone) is None


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_claimed_of_a_scene(seed: int) -> None:
    """A picture with something at its border has no plain ground."""
    assert plain_subject(textured(900, 600, seed)) is None
    gradient = np.linspace(0, 255, 900)[None, :, None] * np.ones((600, 1, 3))
    assert plain_subject(gradient.astype(np.uint8)) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (700, 3), (11, 11), (64, 64)])
def test_any_size_is_looked_at(size: tuple[int, int]) -> None:
    """Tiny and absurd pictures have no subject, and do no harm."""
    assert plain_subject(np.full((*size, 3), 200, np.uint8)) is None


def test_a_horizon_is_no_plain_ground() -> None:
    """A thing in the middle of a landscape is not taken for a product on paper."""
    ground = flat(205, 215, 225)
    ground[430:] = (150, 140, 120)
    assert plain_subject(on_ground(ground)) is None


def test_scattered_things_are_no_subject() -> None:
    """Confetti over the whole sheet fills too little of its box."""
    picture = flat(250, 250, 250)
    random = np.random.default_rng(3)
    for x, y in random.integers(80, 700, (40, 2)):
        cv2.circle(picture, (int(x) + 200, int(y)), 12, (200, 30, 60), -1)
    assert plain_subject(picture) is None
