"""``python -m tests.page_pictures`` takes the pictures of the web page that the tutorial shows.

A real gateway, a real film and a Chromium (``PYTOON_CHROMIUM``, or on the PATH).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.end_to_end.shell import ROOT
from tests.end_to_end.test_page import ARGUMENTS, CHROMIUM, _up

PICTURES = ROOT / "docs" / "reference" / "page"
BYTES_MAX = 100_000
QUALITY = 80
FILM_MS = 120_000
DESKTOP, PHONE = (1280, 900), (390, 844)


@contextmanager
def _page(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> Iterator[Page]:
    viewport = {"width": size[0], "height": size[1]}
    with closing(
        browser.new_context(base_url=address, viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    ) as context:
        page = context.new_page()
        page.goto("/")
        page.wait_for_selector("form.make")
        yield page


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(1500)
    pixels = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    done, content = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done
    assert len(content) <= BYTES_MAX, f"{name} is too large for a page: {len(content)} bytes"
    (PICTURES / f"{name}.webp").write_bytes(bytes(content))
    print(f"{name}.webp: {len(content)} bytes")


def _fill(page: Page) -> None:
    page.set_input_files("#pictures", ROOT / "config" / "demo" / "product.png")
    page.get_by_label("Hook").fill("Sleep does the rest")
    page.get_by_label("Call to action").fill("Try it tonight")
    expect(page.locator("svg .caption")).to_have_count(1)
    page.evaluate("scrollTo(0, 0)")


def _pictures(browser: Browser, address: str) -> None:
    with _page(browser, address, DESKTOP, "light") as page:
        _fill(page)
        _take(page, "make")
        page.get_by_role("button", name="Make the film").click()
        expect(page.locator(".actions")).to_have_count(1, timeout=FILM_MS)
        film = page.url
        _take(page, "film")
    with _page(browser, address, DESKTOP, "dark") as page:
        page.goto(film)
        expect(page.locator(".actions")).to_have_count(1)
        _take(page, "film-dark")
    with _page(browser, address, PHONE, "dark") as page:
        _fill(page)
        _take(page, "make-phone")


def main() -> int:
    """Take them.  Returns the exit status."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        served = _up(Path(folder))
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            _pictures(browser, next(served))
        finally:
            browser.close()
            served.close()  # type: ignore[attr-defined]
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
