"""What the page previews is what the film has: place, size, lines and colours of the words.

The page shows a frame that the gateway had drawn; here the same film is planned and drawn without
either, at full size, and both are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Response, expect

from assembler.planes import frame_to_rgb
from tests.assembler.shots import Pixels, rgb, shots
from tests.end_to_end.browsing import (
    IN_A_BROWSER,
    PRODUCT,
    opened,
    preview_of,
    up,
)
from tests.golden.frames import difference, presets

PREVIEW_WIDTH = 540
SAME_PX = 2
"""By how many pixels of the finished frame, 1080 wide, words may be previewed elsewhere: one of
the preview's own."""
INKED = 40
"""By how many codes a pixel differs from the picture without words where there are some."""
HOOK = "Sleep does the rest of the work"
ALWAYS = ("overlay_classic",)

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module", name="address")
def an_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``pytoon up``."""
    with up(tmp_path_factory.mktemp("preview")) as address:
        yield address


def _looks() -> Iterator[Any]:
    for preset in presets():
        yield preset if preset in ALWAYS else pytest.param(preset, marks=pytest.mark.slow)


def _edges(pixels: Pixels, wordless: Pixels) -> NDArray[np.float64]:
    """Left, top, right and bottom of the words, in pixels of the finished frame."""
    # By their light: the preview is a JPEG, whose colours are half as dense.
    light, dark = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (pixels, wordless))
    apart = cv2.absdiff(light, dark) > INKED
    rows, columns = np.flatnonzero(apart.any(axis=1)), np.flatnonzero(apart.any(axis=0))
    edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    return np.array([edge * 1080 / pixels.shape[1] for edge in edges], np.float64)


def _small(pixels: Pixels) -> Pixels:
    size = (PREVIEW_WIDTH, PREVIEW_WIDTH * 16 // 9)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("preset", tuple(_looks()))
def test_words_are_previewed_as_the_film_has_them(
    browser: Browser, address: str, tmp_path: Path, preset: str
) -> None:
    """Edges of the block agree to a pixel of the preview, lines exactly, the rest to the eye."""
    with opened(browser, address) as page:
        page.set_input_files("#pictures", PRODUCT)
        expect(page.locator(".pictures li:not(.sending)")).to_have_count(1)
        page.locator(f"input[value={preset}]").check(force=True)

        def planned(answer: Response) -> bool:
            asked = answer.request.post_data_json or {}
            return "dry_run" in answer.url and asked.get("hook") == HOOK

        with page.expect_response(planned) as told:
            page.get_by_label("Hook").fill(HOOK)
        plan = told.value.json()["plan"]
        card = plan["captions"][0]["cards"][0]
        words = f"Words: {' '.join(card['lines'])}"
        previewed = preview_of(page, words)
        n = int(page.get_by_label("Moment of the film").input_value())
        cover = page.locator(".apps .zone").get_attribute("d")

    asked = {"hook": HOOK, "target_duration_seconds": 15, "seed": plan["seed"]}
    shot = shots(preset, [PRODUCT], tmp_path, **asked)
    drawn = rgb(shot.film(), n)
    wordless = np.asarray(frame_to_rgb(shot.film().lossless_product(n)), np.uint8)
    assert [list(one.lines) for one in shot.spec.captions[0].cards] == [
        one["lines"] for one in plan["captions"][0]["cards"]
    ]
    apart = _edges(previewed, _small(wordless)) - _edges(drawn, wordless)
    assert np.abs(apart).max() <= SAME_PX, apart
    assert difference(previewed, _small(drawn)).acceptable
    safe = plan["style"]["safe_box"]
    assert cover is not None
    assert f"M{safe['x']:g} {safe['y']:g}v{safe['height']:g}h{safe['width']:g}" in cover
    left, top, right, bottom = _edges(drawn, wordless)
    assert safe["x"] <= left <= right <= safe["x"] + safe["width"]
    assert safe["y"] <= top <= bottom <= safe["y"] + safe["height"]
