"""The page in a real browser: a film is made by clicking, watched, played, and stepped through.

It needs a Chromium (``PYTOON_CHROMIUM``, or on the PATH); without one these tests are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from services.home import Home
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
FILM_MS = 60_000
KEY = "a-key-for-the-page"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
    # the driver's own pipes
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module", name="browser")
def a_browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def _up(folder: Path, **environ: str) -> Iterator[str]:
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


@pytest.fixture(scope="module", name="address")
def an_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``pytoon up`` without keys."""
    yield from _up(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module", name="guarded")
def a_guarded_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``pytoon up`` that asks for a key."""
    yield from _up(tmp_path_factory.mktemp("guarded"), PYTOON_API_KEYS=f"page:{KEY}")


def _open(browser: Browser, address: str, **options: object) -> tuple[BrowserContext, Page]:
    context = browser.new_context(base_url=address, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/")
    return context, page


def _until(page: Page, condition: str) -> None:
    """Wait for an expression; asked from outside, since the page's own policy forbids eval."""
    deadline_s = time.monotonic() + 15
    while not page.evaluate(condition):
        assert time.monotonic() < deadline_s, condition
        page.wait_for_timeout(50)


def test_a_film_is_made_watched_played_and_stepped_through(browser: Browser, address: str) -> None:
    """By clicking alone; nothing goes wrong in the console."""
    context, page = _open(browser, address)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_input_files("#pictures", ROOT / "config" / "demo" / "product.png")
    expect(page.locator(".pictures li")).to_have_count(1)
    page.locator(".look", has_text="Product before its own colours").click()
    page.get_by_label("Hook").fill("Sleep does the rest")
    page.get_by_label("Length").fill("2")
    expect(page.locator("svg .caption")).to_have_text("Sleep does the rest")
    page.get_by_role("button", name="Make the film").click()

    expect(page.locator(".tiles li")).to_have_count(1)
    expect(page.locator(".tiles li.rendered video")).to_have_count(1, timeout=FILM_MS)
    video = page.locator(".player video")
    expect(video).to_have_count(1, timeout=FILM_MS)
    expect(page.locator(".head .state")).to_have_text("completed")
    _until(page, "document.querySelector('.player video').readyState >= 2")
    size = video.evaluate("v => [v.videoWidth, v.videoHeight, Math.round(v.duration * 30)]")
    assert size == [1080, 1920, 60]
    video.evaluate("v => { v.muted = true; return v.play(); }")
    _until(page, "document.querySelector('.player video').currentTime > 0.2")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"

    rows = page.locator(".log li")
    assert rows.first.inner_text().split(maxsplit=1)[1].startswith("render requested")
    rows.nth(1).locator("button").click()
    expect(page.locator(".head .state")).to_have_text("rendering")
    expect(page.locator(".tiles li.pending")).to_have_count(1)
    page.get_by_role("button", name="Back to now").click()
    expect(page.locator(".head .state")).to_have_text("completed")

    page.get_by_role("link", name="Films").click()
    expect(page.locator(".films li")).to_have_count(1)
    assert errors == []
    context.close()


def test_words_stand_in_the_preview_where_the_plan_has_them(
    browser: Browser, address: str
) -> None:
    """In the film's own letters each line is within the box that its ink may cover."""
    context, page = _open(browser, address)
    page.locator(".look", has_text="Product, full frame, loud").click()
    with page.expect_response(lambda answer: "/page/fonts/" in answer.url) as font:
        page.get_by_label("Hook").fill("Sleep does the rest of the work")
    assert font.value.status == 200
    expect(page.locator("svg .caption")).not_to_have_count(0)
    _until(page, "[...document.fonts].every(font => font.status === 'loaded')")
    with page.expect_response(lambda answer: "dry_run" in answer.url) as planned:
        page.get_by_label("Hook").fill("Sleep does the rest of our work")
    card = planned.value.json()["plan"]["captions"][0]["cards"][0]
    expect(page.locator("svg .caption").last).to_contain_text(card["lines"][-1])
    page.wait_for_timeout(200)
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('svg .caption')].map(text => {
             const box = text.getBBox();
             return [text.textContent, box.x, box.x + box.width, box.y + box.height / 2]; })"""
    )
    box, size = card["box"], card["size_px"]
    assert [line[0] for line in drawn] == card["lines"]
    for _, left, right, middle in drawn:
        assert box["x"] - 0.15 * size <= left <= right <= box["x"] + box["width"] + 0.15 * size
        assert box["y"] <= middle <= box["y"] + box["height"]
    # The widest line fills the box: it is not merely small.
    assert max(right - left for _, left, right, _ in drawn) >= 0.8 * box["width"]
    context.close()


def test_a_server_that_goes_away_is_told_and_waited_for(browser: Browser, address: str) -> None:
    """Without a network the page says so; with it, it goes on by itself."""
    context, page = _open(browser, address)
    page.wait_for_selector("form.make")
    context.set_offline(True)
    page.get_by_label("Hook").fill("Words that wait")
    expect(page.locator(".problems .error")).to_contain_text("does not answer")
    context.set_offline(False)
    expect(page.locator("svg .caption")).to_have_text("Words that wait")
    expect(page.locator(".problems .error")).to_have_count(0)
    context.close()


def test_what_is_wrong_is_told_beside_the_button(browser: Browser, address: str) -> None:
    """The server's own words, before anything is asked for."""
    context, page = _open(browser, address)
    page.set_input_files(
        "#pictures", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    )
    page.get_by_label("Hook").fill("Words")
    expect(page.locator(".problems .error")).to_contain_text("image_uris[0]")
    context.close()


def test_the_keyboard_is_enough(browser: Browser, address: str) -> None:
    """Every control is reached by Tab, and a look is chosen by the arrow keys."""
    context, page = _open(browser, address)
    page.wait_for_selector("form.make")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(document.activeElement.name || document.activeElement.id"
                " || document.activeElement.textContent).trim()"
            )
        )
    wanted = {"pictures", "preset", "hook", "beat", "cta", "duration", "Make the film", "Films"}
    assert wanted <= reached, reached
    before = page.locator("input[name=preset]:checked").get_attribute("value")
    page.locator("input[name=preset]:checked").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("input[name=preset]:checked").get_attribute("value") != before
    context.close()


def test_every_control_has_a_name(browser: Browser, address: str) -> None:
    """What a screen reader is told of each field and button."""
    context, page = _open(browser, address)
    page.wait_for_selector("form.make")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, select, textarea, button, a, video')]
             .filter(e => !e.closest('dialog') && !e.getAttribute('aria-hidden'))
             .filter(e => !e.getAttribute('aria-label') && !e.labels?.length)
             .filter(e => !e.textContent.trim())
             .map(e => e.outerHTML)"""
    )
    assert nameless == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(browser: Browser, address: str, scheme: str) -> None:
    """Nothing is wider than the screen, and the text stands out from its ground."""
    context, page = _open(
        browser, address, viewport={"width": 360, "height": 740}, color_scheme=scheme
    )
    page.wait_for_selector("form.make")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ink, paper = page.evaluate(
        """() => { const style = getComputedStyle(document.body);
             return [style.color, style.backgroundColor].map(
               colour => colour.match(/\\d+/g).slice(0, 3).map(Number)); }"""
    )
    assert abs(sum(ink) - sum(paper)) > 3 * 150
    context.close()


def test_a_key_is_asked_for_once_and_kept_from_scripts(browser: Browser, guarded: str) -> None:
    """The page asks for the key, tells a wrong one, and goes on with the right one."""
    context, page = _open(browser, guarded)
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Key", exact=True).fill("a-wrong-key")
    dialog.get_by_role("button", name="Enter").click()
    expect(dialog.get_by_role("alert")).to_contain_text("not known")
    dialog.get_by_label("Key", exact=True).fill(KEY)
    dialog.get_by_role("button", name="Enter").click()
    page.wait_for_selector("form.make")
    assert KEY not in page.evaluate("document.cookie")
    page.reload()
    page.wait_for_selector("form.make")
    expect(page.locator("dialog[open]")).to_have_count(0)
    context.close()
