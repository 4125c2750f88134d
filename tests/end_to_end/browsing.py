"""A real Chromium before a real gateway.

It needs a Chromium (``PYTOON_CHROMIUM``, or on the PATH); tests that need one are skipped without.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from services.home import Home
from tests.assembler.shots import Pixels
from tests.end_to_end.shell import ROOT, Shell

CHROMIUM = os.environ.get("PYTOON_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PRODUCT = ROOT / "config" / "demo" / "product.png"
DESKTOP, PHONE = (1440, 900), (390, 844)
UNTIL_S = 30.0
expect.set_options(timeout=20_000)

IN_A_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
    # the driver's own pipes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
"""What every module of such tests is marked with."""


@contextmanager
def a_browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def up(folder: Path, **environ: str) -> Iterator[str]:
    """``pytoon up`` in a home of its own: the gateway's address."""
    shell = Shell(Home(folder / "home"), folder, environ)
    shell.home.create()
    command = shell.start("up", "--http", "127.0.0.1:0")
    try:
        assert command.stderr is not None
        told = command.stderr.readline()
        found = re.search(r"http://\S+", told)
        assert found, told
        shell.services_pid()
        yield found.group()
    finally:
        command.terminate()
        command.wait(timeout=30)
        shell.leave()


@contextmanager
def opened(
    browser: Browser,
    address: str,
    path: str = "/",
    *,
    size: tuple[int, int] = DESKTOP,
    **more: Any,
) -> Iterator[Page]:
    """A page of its own; at the end no script of it may have failed, nor the policy been hurt."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(base_url=address, viewport=viewport, **more)  # type: ignore[arg-type]
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if "Policy" in told.text else None)
    page.goto(path)
    try:
        yield page
        assert wrong == []
    finally:
        context.close()


def until(page: Page, condition: str) -> None:
    """Wait for an expression; asked from outside, since the page's own policy forbids eval."""
    deadline_s = time.monotonic() + UNTIL_S
    while not page.evaluate(condition):
        assert time.monotonic() < deadline_s, condition
        page.wait_for_timeout(50)


def preview_of(page: Page, words: str) -> Pixels:
    """What the form's preview shows, once it is a frame with these words."""
    image = page.locator(".screen:not(.busy):not(.stale) img.frame")
    expect(image).to_have_attribute("alt", re.compile(re.escape(words)))
    drawn = image.evaluate(
        """image => { const canvas = document.createElement("canvas");
             canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
             canvas.getContext("2d").drawImage(image, 0, 0);
             return canvas.toDataURL("image/png").split(",")[1]; }"""
    )
    coded = np.frombuffer(base64.b64decode(drawn), np.uint8)
    found = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found[..., ::-1], np.uint8)
