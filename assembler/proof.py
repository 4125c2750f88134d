"""The product's proof: what a finished film shows of a product is what was uploaded.

One frame of each body is decoded and compared with the same frame as it was drawn, where the
product is opaque and nothing lies over it.  Two figures, because each sees what the other does
not: structural similarity of luma tells a product that was softened or moved by a fraction of a
pixel, but hardly a letter that is gone or a colour that is another; the mean difference over
small patches tells those, and hears nothing of the grain that an encoder takes or adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from assembler.planes import Frame, Plane

DEPTH = 4
"""The product is looked at this many frames into a body: keyframes alone flatter the encoder."""
SSIM_MIN = 0.96
SSIM_MEAN_MIN = 0.98
SSIM_WINDOW = 7
SSIM_BAND = 64
SSIM_C1 = (0.01 * 255) ** 2
SSIM_C2 = (0.03 * 255) ** 2
PATCH_PX = 16
DIFFERENCE_MAX = 5.0
"""Codes.  Measured over presets and products: at most 2.8 where the film is as it should be, of
grain that takes all the bits there are; over 8 for a shift by one pixel, a blur of one, a letter
of 40 px that is gone, luma or a hue 8 codes off."""


class Product(Protocol):
    """What the film should show of the product: the undamaged picture, and where to look."""

    def lossless_product(self, n: int) -> Frame:
        """Frame ``n`` as it was before encoding."""

    def product_mask(self, n: int) -> Plane:
        """255 where frame ``n`` shows the product and nothing over it, else 0; height×width."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How a product looks in one frame: SSIM of luma, and the most that a patch differs."""

    frame: int
    ssim: float
    difference: float

    @property
    def bad(self) -> bool:
        """Whether this frame alone must not be shipped."""
        return self.ssim < SSIM_MIN or self.difference > DIFFERENCE_MAX


def sight(seen: Frame, number: int, product: Product) -> Sight | None:
    """Compare a decoded frame with what it should be; None where nothing of a product shows."""
    mask = product.product_mask(number) > 0
    if not mask.any():
        return None
    drawn = product.lossless_product(number)
    return Sight(number, ssim(seen.y, drawn.y, mask), difference(seen, drawn, mask))


def mean_ssim(sights: Sequence[Sight]) -> float:
    """Mean over the frames that were looked at; there is at least one."""
    return sum(each.ssim for each in sights) / len(sights)


def at_fault(sights: Sequence[Sight]) -> tuple[int, ...]:
    """The frames that keep the film from being shipped, the worst first; none if it may be.

    Where only the mean is too low, it is all frames below the mean that is wanted: each of them
    has to become better, and no one alone could make up for the others.
    """
    low = bool(sights) and mean_ssim(sights) < SSIM_MEAN_MIN
    faults = [each for each in sights if each.bad or (low and each.ssim < SSIM_MEAN_MIN)]
    faults.sort(key=lambda each: (not each.bad, each.ssim, each.frame))
    return tuple(each.frame for each in faults)


def told(sights: Sequence[Sight]) -> str:
    """The figures, each with its limit."""
    worst = min(sights, key=lambda each: each.ssim)
    other = max(sights, key=lambda each: each.difference)
    return (
        f"SSIM {worst.ssim:.4f} in frame {worst.frame} (at least {SSIM_MIN}), "
        f"mean {mean_ssim(sights):.4f} (at least {SSIM_MEAN_MIN}); "
        f"a patch is {other.difference:.1f} codes off in frame {other.frame} "
        f"(at most {DIFFERENCE_MAX:g})"
    )


def difference(seen: Frame, drawn: Frame, mask: NDArray[np.bool_]) -> float:
    """The most by which the mean of a patch of 16×16 px differs, in codes of Y, U or V.

    Only patches that lie in ``mask`` as a whole count; 0 where there is none.
    """
    whole = _patches_inside(mask.astype(np.uint8), PATCH_PX)
    planes = [(seen.y, drawn.y, whole, PATCH_PX)]
    half = np.ascontiguousarray(whole[::2, ::2])
    planes += [(seen.u, drawn.u, half, PATCH_PX // 2), (seen.v, drawn.v, half, PATCH_PX // 2)]
    return max(_most_off(*plane) for plane in planes)


def _patches_inside(mask: Plane, size: int) -> Plane:
    """1 at the middle of each patch that lies in a mask."""
    kernel = np.ones((size + 1, size + 1), np.uint8)
    return np.asarray(cv2.erode(mask, kernel, borderValue=0), np.uint8)


def _most_off(one: Plane, other: Plane, middles: Plane, size: int) -> float:
    """The highest mean difference of two planes over the patches with these middles."""
    rows, columns = np.flatnonzero(middles.any(axis=1)), np.flatnonzero(middles.any(axis=0))
    if not rows.size:
        return 0.0
    part = (
        slice(max(0, rows[0] - size), rows[-1] + size + 1),
        slice(max(0, columns[0] - size), columns[-1] + size + 1),
    )
    # The sum of 16×16 codes is below 2¹⁶.
    one_sums, other_sums = (
        cv2.boxFilter(
            plane[part], cv2.CV_16U, (size, size), normalize=False, borderType=cv2.BORDER_REPLICATE
        )
        for plane in (one, other)
    )
    off = cv2.absdiff(one_sums, other_sums)
    return float(cv2.minMaxLoc(off, mask=middles[part])[1]) / size**2


def ssim(one: Plane, other: Plane, mask: NDArray[np.bool_]) -> float:
    """Mean structural similarity of two lumas where ``mask`` is, which is somewhere.

    Windows of 7×7 with equal weights; in bands of rows, which stay in the processor's cache.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert rows.size > 0
    reach = SSIM_WINDOW // 2
    across = slice(max(0, columns[0] - reach), columns[-1] + reach + 1)
    total, count = 0.0, 0
    for top in range(rows[0], rows[-1] + 1, SSIM_BAND):
        bottom = min(top + SSIM_BAND, rows[-1] + 1)
        first = max(0, top - reach)
        band = slice(first, bottom + reach)
        likeness = _likenesses(one[band, across], other[band, across])
        inside = mask[top:bottom, across]
        total += float(likeness[top - first : bottom - first][inside].sum(dtype=np.float64))
        count += int(inside.sum())
    return total / count


def _likenesses(one: Plane, other: Plane) -> NDArray[np.floating]:
    """Structural similarity around each pixel of two equally large parts."""
    a, b = one.astype(np.float32), other.astype(np.float32)
    mean_a, mean_b = _windowed(a), _windowed(b)
    squares = _windowed(a * a + b * b)
    product = _windowed(a * b)
    means = mean_a * mean_b
    mean_squares = mean_a * mean_a + mean_b * mean_b
    above = (2 * means + SSIM_C1) * (2 * (product - means) + SSIM_C2)
    below = (mean_squares + SSIM_C1) * (squares - mean_squares + SSIM_C2)
    likeness: NDArray[np.floating] = above / below
    return likeness


def _windowed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the window around each pixel."""
    return np.asarray(cv2.blur(values, (SSIM_WINDOW, SSIM_WINDOW)), np.float32)


__all__ = ["Product", "Sight", "at_fault", "difference", "mean_ssim", "sight", "ssim", "told"]
