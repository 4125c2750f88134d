"""The watermark: its place, size and strength."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from assembler.planes import Frame, blend_patch
from assembler.watermark import watermark, watermark_box
from events.spec import CaptionPosition, Style
from tests.builders import style

LOWER, UPPER = (
    msgspec.structs.replace(style(), caption_position=position)
    for position in (CaptionPosition.LOWER_THIRD, CaptionPosition.UPPER_THIRD)
)
CENTER = msgspec.structs.replace(style(), caption_position=CaptionPosition.CENTER)


def _logo(path: Path, picture: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(path), picture)
    return path


def _over_grey(logo: Path, look: Style) -> Frame:
    frame = Frame.empty(1080, 1920)
    frame.y[:], frame.u[:], frame.v[:] = 100, 128, 128
    blend_patch(frame, watermark(logo, look))
    return frame


@pytest.mark.parametrize(("look", "top"), [(LOWER, 318), (CENTER, 318), (UPPER, 1218 - 60)])
def test_it_lies_in_the_corner_away_from_the_captions(
    tmp_path: Path, look: Style, top: int
) -> None:
    """120 px wide, 30 px inside the safe box: at the top right, or at the bottom right."""
    logo = _logo(tmp_path / "logo.png", np.full((200, 400, 3), 255, np.uint8))
    rows, columns = np.nonzero(_over_grey(logo, look).y != 100)
    assert (top, top + 59, 738, 857) == (rows.min(), rows.max(), columns.min(), columns.max())


def test_it_is_translucent_and_its_alpha_counts(tmp_path: Path) -> None:
    """60 % of white over grey; nothing where the logo is transparent, whatever its colour."""
    picture = np.full((120, 120, 4), 255, np.uint8)
    picture[:, 60:, 3] = 0
    frame = _over_grey(_logo(tmp_path / "logo.png", picture), LOWER)
    assert round(100 * 0.4 + 235 * 0.6) == pytest.approx(int(frame.y[378, 760]), abs=1)
    assert int(frame.y[378, 840]) == 100


def test_small_and_tall_logos_have_a_sensible_size() -> None:
    """A small one is brought to 120 px; a tall one is bounded in height."""
    assert (120, 60) == (watermark_box(20, 10, LOWER).width, watermark_box(20, 10, LOWER).height)
    tall = watermark_box(100, 1000, UPPER)
    assert (16, 160, 1218) == (tall.width, tall.height, tall.y + tall.height)


def test_grey_and_opaque_pictures_are_drawn(tmp_path: Path) -> None:
    """A grey PNG is a logo too."""
    logo = _logo(tmp_path / "grey.png", np.full((100, 100), 255, np.uint8))
    assert (_over_grey(logo, LOWER).y > 150).sum() == 120 * 120


def test_what_is_no_picture_is_an_error(tmp_path: Path) -> None:
    """The message names the file."""
    path = tmp_path / "logo.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(OSError, match=r"logo\.png"):
        watermark(path, LOWER)
