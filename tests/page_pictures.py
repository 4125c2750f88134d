"""``python -m tests.page_pictures`` takes the pictures of the web page that the documents show.

A film is made before real services; states that pass in a moment are staged (``stage.py``).  It
needs a Chromium (``PYTOON_CHROMIUM``, or on the PATH).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browsing import PHONE, PRODUCT, a_browser, opened, preview_of, up
from tests.end_to_end.shell import ROOT
from tests.end_to_end.stage import Stage

PICTURES = ROOT / "docs" / "reference" / "page"
BYTES_MAX = 80_000
QUALITY = 80
FILM_MS = 120_000
SETTLED_MS = 1_500
DAYS_S = 3 * 86_400
BEGUN_S = 20.0
TOLD_TIMES = 10


def _take(page: Page, name: str) -> None:
    # Nothing is pointed at.
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLED_MS)
    pixels = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    done, content = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done
    assert len(content) <= BYTES_MAX, f"{name} is too large for a page: {len(content)} bytes"
    (PICTURES / f"{name}.webp").write_bytes(bytes(content))
    print(f"{name}.webp: {len(content)} bytes")


def _fill(page: Page) -> None:
    page.set_input_files("#pictures", PRODUCT)
    expect(page.locator(".pictures li:not(.sending)")).to_have_count(1)
    page.get_by_label("Call to action").fill("Try it tonight")
    page.get_by_label("Hook").fill("Sleep does the rest")
    preview_of(page, "Words: Sleep does the rest")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def _made(browser: Browser, address: str) -> None:
    """Of the real thing: making a film, and having it."""
    with opened(browser, address) as page:
        page.wait_for_selector("#make")
        _take(page, "make-empty")
        _fill(page)
        _take(page, "make")
        page.get_by_role("button", name="Make the film").click()
        expect(page.locator(".player video[controls]")).to_have_count(1, timeout=FILM_MS)
        _take(page, "film")
    with opened(browser, address, size=PHONE, color_scheme="dark", has_touch=True) as page:
        page.wait_for_selector("#make")
        _fill(page)
        _take(page, "make-phone")
        page.get_by_role("button", name="Preview").click()
        _take(page, "preview-phone")


def _staged(browser: Browser, stage: Stage) -> None:
    """Of what passes in a moment, or came about long ago."""

    def shown(
        name: str, path: str, scheme: str, act: Callable[[Page], None] | None = None
    ) -> None:
        with opened(browser, stage.address, path, color_scheme=scheme) as page:
            page.wait_for_selector("main h1")
            if act:
                act(page)
            _take(page, name)

    def under_way(page: Page) -> None:
        expect(page.locator("img.ahead")).to_have_count(2)
        # Progress is told once, to whoever listens then: the page may not yet.
        for _ in range(TOLD_TIMES):
            page.wait_for_timeout(100)
            for segment, frames in ((2, 54), (3, 27)):
                stage.progress("rendering", segment=segment, frames_done=frames, frames=90)

    shown("watch-dark", "/#/film/rendering", "dark", under_way)
    shown("downgraded", "/#/film/downgraded", "light")
    shown("history", "/#/film/done/10", "light")
    shown("films", "/#/films", "light")
    with opened(
        browser, stage.address, "/#/film/done/10", size=PHONE, color_scheme="dark", has_touch=True
    ) as page:
        page.wait_for_selector(".tiles video")
        page.evaluate("scrollTo(0, 560)")
        _take(page, "history-phone")


def main() -> int:
    """Take them.  Returns the exit status."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, a_browser() as browser:
        with up(Path(folder)) as address:
            _made(browser, address)
        with closing(Stage(Path(folder), time.time() - DAYS_S)) as stage:
            stage.many(16)
            for scene in ("done", "cancelled", "downgraded"):
                getattr(stage, scene)()
            stage.at(time.time() - BEGUN_S)
            stage.rendering("rendering", 2, 2, 3)
            _staged(browser, stage)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
