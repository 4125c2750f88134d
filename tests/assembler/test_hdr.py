"""Clips of more light and colour than a film has keep their look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assembler.clips import ClipLayer
from assembler.hdr import HLG, PQ
from assembler.planes import Frame, frame_to_rgb
from tests.assembler.takes import BT2020, flat, make_clip

SIDE = 64


def luma(path: Path) -> float:
    """Mean luma of a clip's first frame."""
    return float(first(path).y.mean())


def first(path: Path) -> Frame:
    """A clip's first frame."""
    frame = Frame.empty(SIDE, SIDE)
    ClipLayer(path, 0, 30, SIDE, SIDE).draw(0, frame)
    return frame


def wide(path: Path, colour: tuple[int, int, int], transfer: int) -> Path:
    """A clip of one colour (codes 0..255) with BT.2020 primaries."""
    return make_clip(
        path,
        flat(SIDE, SIDE, colour),
        frames=1,
        codec="libx265",
        pixel_format="yuv420p10le",
        matrix=BT2020,
        transfer=transfer,
        options={"x265-params": "log-level=none"},
    )


@pytest.mark.parametrize(
    ("transfer", "code", "wanted"),
    [
        (PQ, 0, 16),
        # 36 cd/m²: the grey of a photographer's card.
        (PQ, 103, 116),
        # 203 cd/m²: paper white, which leaves some room for what is brighter.
        (PQ, 148, 219),
        (PQ, 192, 235),
        (PQ, 255, 235),
        (HLG, 0, 16),
        (HLG, 191, 219),
        (HLG, 255, 235),
    ],
)
def test_light_keeps_its_place(transfer: int, code: int, wanted: int, tmp_path: Path) -> None:
    """Black, grey and white are where a standard display shows them."""
    path = wide(tmp_path / "grey.mkv", (code, code, code), transfer)
    assert luma(path) == pytest.approx(wanted, abs=4)


def test_more_light_is_never_darker(tmp_path: Path) -> None:
    """Highlights are compressed, not turned over."""
    levels = [
        luma(wide(tmp_path / f"{code}.mkv", (code, code, code), PQ))
        for code in (40, 90, 130, 150, 170, 190)
    ]
    assert levels == sorted(levels)
    assert len(set(levels)) == len(levels)


def test_wide_colours_are_brought_in(tmp_path: Path) -> None:
    """BT.2020's red is redder than any of ours: it becomes the reddest, not an orange one."""
    seen = frame_to_rgb(first(wide(tmp_path / "red.mkv", (255, 0, 0), 1)))[10, 10]
    assert seen[0] > 240
    assert np.all(seen[1:] < 20)
