"""Conversions and blends against float references."""

from __future__ import annotations

import numpy as np
import pytest

from assembler.planes import (
    Frame,
    Patch,
    blend_patch,
    crop,
    frame_from_rgb,
    frame_to_rgb,
    patch_from_rgba,
    rows,
)

KR, KB = 0.2126, 0.0722


def reference_yuv(rgb: np.ndarray) -> np.ndarray:
    """BT.709 by its definition: luma, then scaled colour differences."""
    r, g, b = (rgb[..., index].astype(np.float64) / 255 for index in range(3))
    luma = KR * r + (1 - KR - KB) * g + KB * b
    return np.stack(
        [
            16 + 219 * luma,
            128 + 224 * (b - luma) / (2 * (1 - KB)),
            128 + 224 * (r - luma) / (2 * (1 - KR)),
        ],
        axis=-1,
    )


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        ((255, 255, 255), (235, 128, 128)),
        ((0, 0, 0), (16, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 255, 0), (173, 42, 26)),
        ((0, 0, 255), (32, 240, 118)),
    ],
)
def test_flat_colours_get_the_codes_of_the_standard(
    rgb: tuple[int, ...], yuv: tuple[int, ...]
) -> None:
    """White, black and the primaries have the well-known codes of BT.709, limited range."""
    frame = frame_from_rgb(np.full((4, 4, 3), rgb, np.uint8))
    assert yuv == (frame.y[2, 2], frame.u[1, 1], frame.v[1, 1])


def test_luma_is_within_half_a_code_of_the_float_reference() -> None:
    """Luma of random pixels is the rounded reference."""
    rgb = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    gap = np.abs(frame_from_rgb(rgb).y - reference_yuv(rgb)[..., 0])
    assert gap.max() <= 0.501


def test_chroma_is_sited_left() -> None:
    """Each chroma sample is the 1-2-1 mean about its even column, over its two rows."""
    rgb = np.random.default_rng(2).integers(0, 256, (16, 16, 3), np.uint8)
    u = reference_yuv(rgb)[..., 1]
    rows = (u[0::2] + u[1::2]) / 2
    expected = (rows[:, 3] + 2 * rows[:, 4] + rows[:, 5]) / 4
    assert np.abs(expected - frame_from_rgb(rgb).u[:, 2]).max() <= 0.501


def test_smooth_pictures_survive_the_round_trip() -> None:
    """A gradient comes back within what 8 bits of limited range can hold."""
    y, x = np.mgrid[:64, :96]
    rgb = np.dstack([x * 2, y * 3, 128 + x - y]).astype(np.uint8)
    back = frame_to_rgb(frame_from_rgb(rgb)).astype(int)
    assert np.abs(back - rgb)[2:-2, 2:-2].max() <= 3


@pytest.mark.parametrize("opacity", [1.0, 0.6])
def test_a_blend_is_within_its_roundings_of_the_float_reference(opacity: float) -> None:
    """One code at full opacity, two where opacity is a third rounding."""
    random = np.random.default_rng(3)
    frame = frame_from_rgb(random.integers(0, 256, (80, 60, 3), np.uint8))
    before = frame.copy()
    alpha = random.integers(0, 256, (31, 33, 1))
    rgba = np.concatenate([random.integers(0, 256, (31, 33, 3)) * alpha // 255, alpha], axis=2)
    patch = patch_from_rgba(rgba.astype(np.uint8), 10, 12)
    blend_patch(frame, patch, opacity)
    rows, columns = slice(12, 12 + patch.height), slice(10, 10 + patch.width)
    keep = 1 - opacity * patch.alpha / 255
    expected = before.y[rows, columns] * keep + opacity * patch.luma
    assert np.abs(expected - frame.y[rows, columns]).max() <= (1.0 if opacity == 1 else 2.0)
    untouched = np.ones(frame.y.shape, bool)
    untouched[rows, columns] = False
    assert (before.y == frame.y)[untouched].all()


def test_an_opaque_patch_replaces_what_lies_below() -> None:
    """Alpha 255 leaves nothing of the frame, in no plane."""
    frame = frame_from_rgb(np.zeros((40, 40, 3), np.uint8))
    colour = np.full((20, 20, 4), (200, 30, 90, 255), np.uint8)
    blend_patch(frame, patch_from_rgba(colour, 10, 10))
    expected = frame_from_rgb(colour)
    assert (expected.y == frame.y[10:30, 10:30]).all()
    assert (expected.u[:, 1:] == frame.u[5:15, 6:15]).all()
    assert (expected.v[:, 1:] == frame.v[5:15, 6:15]).all()


@pytest.mark.parametrize(("x", "y"), [(-7, -9), (33, 35), (-100, 4), (4, 100), (13, 21)])
def test_patches_may_lie_at_odd_places_and_over_the_edges(x: int, y: int) -> None:
    """Luma changes exactly where the picture lies inside the frame."""
    frame = frame_from_rgb(np.full((40, 40, 3), 90, np.uint8))
    before = frame.copy()
    blend_patch(frame, patch_from_rgba(np.full((11, 13, 4), 255, np.uint8), x, y))
    expected = np.zeros((40, 40), bool)
    expected[max(y, 0) : max(y + 11, 0), max(x, 0) : max(x + 13, 0)] = True
    assert (expected == (before.y != frame.y)).all()


def test_transparent_margins_are_cut_away() -> None:
    """A patch is no larger than its ink; one without ink is empty and harmless."""
    rgba = np.zeros((100, 100, 4), np.uint8)
    rgba[40:50, 60:70] = 255
    patch = patch_from_rgba(rgba, 2, 4)
    assert (62, 44, 12, 10) == (patch.x, patch.y, patch.width, patch.height)
    nothing = patch_from_rgba(rgba * 0, 2, 4)
    assert (0, 0) == (nothing.width, nothing.height)
    frame = frame_from_rgb(rgba)
    blend_patch(frame, nothing)


def test_a_cut_out_has_no_fringe() -> None:
    """White under alpha 0 does not bleed: every blended pixel lies between its two colours."""
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[:, :10] = (40, 0, 0, 255)
    rgba[:, 10] = (20, 0, 0, 128)
    frame = frame_from_rgb(np.full((40, 40, 3), (0, 0, 60), np.uint8))
    ends = [frame.y[0, 0], frame_from_rgb(np.full((2, 2, 3), (40, 0, 0), np.uint8)).y[0, 0]]
    blend_patch(frame, patch_from_rgba(rgba, 10, 10))
    assert min(ends) - 1 <= frame.y.min()
    assert frame.y.max() <= max(ends) + 1


def test_the_rows_of_a_patch_are_its_parts() -> None:
    """Blending the part above and the part below a row is blending the whole."""
    rgba = np.random.default_rng(5).integers(0, 200, (24, 24, 4), np.uint8)
    rgba[..., 3] = 220
    patch = patch_from_rgba(rgba, 4, 6)
    whole, parts = (frame_from_rgb(np.full((40, 40, 3), 70, np.uint8)) for _ in range(2))
    blend_patch(whole, patch)
    for part in (rows(patch, -9, 16), rows(patch, 16, 99), rows(patch, 60, 70)):
        blend_patch(parts, part)
    assert (whole.y == parts.y).all()
    assert (whole.v == parts.v).all()


def test_a_crop_is_a_view() -> None:
    """What is drawn into a crop is in the frame."""
    frame = Frame(*(np.zeros(shape, np.uint8) for shape in ((20, 20), (10, 10), (10, 10))))
    part = crop(frame, 4, 6, 8, 10)
    part.y[:] = 9
    part.u[:] = 7
    assert (80 * 9, 20 * 7) == (frame.y.sum(), frame.u.sum())


def test_a_patch_of_zeros_changes_nothing() -> None:
    """Zero alpha keeps every code value, whatever the rounding."""
    plane = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = Frame(plane.copy(), plane[:8, :8].copy(), plane[:8, :8].copy())
    full, half = np.zeros((16, 16), np.uint8), np.zeros((8, 8), np.uint8)
    blend_patch(frame, Patch(0, 0, full, full, half, half, half))
    assert (plane == frame.y).all()
