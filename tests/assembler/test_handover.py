"""Pictures as services take them."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from assembler.handover import fit_picture
from tests.hosted.bench import make_still


def test_a_small_one_is_copied(tmp_path: Path) -> None:
    """Byte by byte."""
    still = make_still(tmp_path / "still.png")
    out = tmp_path / "out"
    assert "image/png" == fit_picture(still, out, 100_000)
    assert still.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("bytes_max", [3_000_000, 800_000, 250_000])
def test_a_large_one_becomes_the_best_that_fits(bytes_max: int, tmp_path: Path) -> None:
    """A JPEG of the same shape, within the limit, and not much below it."""
    still = make_still(tmp_path / "still.png", noise=True)
    out = tmp_path / "out"
    assert "image/jpeg" == fit_picture(still, out, bytes_max)
    assert bytes_max / 3 < out.stat().st_size <= bytes_max
    made = cv2.imread(str(out))
    assert made is not None
    high, wide, _ = made.shape
    assert abs(wide / high - 1080 / 1920) < 0.01


def test_what_cannot_be_done(tmp_path: Path) -> None:
    """It is told."""
    still = make_still(tmp_path / "still.png", noise=True)
    with pytest.raises(ValueError, match="smaller than 1000 bytes"):
        fit_picture(still, tmp_path / "out", 1000)
    still.write_bytes(b"no picture" * 100)
    with pytest.raises(ValueError, match="cannot be read"):
        fit_picture(still, tmp_path / "out", 100)
