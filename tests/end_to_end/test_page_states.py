"""The page in states that pass in a moment or come once a year: each is told, legible, reachable.

The gateway is real, and so are plans and frames; what the services would append is staged.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from events.types import AssemblyRequested, RenderCancelRequested
from tests.end_to_end.browsing import (
    DESKTOP,
    IN_A_BROWSER,
    PHONE,
    opened,
)
from tests.end_to_end.stage import Stage

FILMS = 60
SMALL_PHONE = (360, 740)
CONTRAST_MIN = 4.5
TARGET_PX_MIN = 44
SHIFT_MAX = 0.02
TOLD_TIMES = 200
"""How often something is told or looked for, at most: a tenth of a second apart."""
OF_THE_VISIT = ("/page/fonts/inter-400.woff", "/page/samples/meme_fast.mp4")
BYTES_MAX = 600_000
"""Of the first visit: markup, styles, scripts, fonts and the looks' samples."""

pytestmark = IN_A_BROWSER

FAINT = """(least) => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const coded = (colour) => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data]; };
  const over = (top, low) => [0, 1, 2].map((at) => low[at] + (top[at] - low[at]) * top[3] / 255);
  const luminance = (colour) => { const [r, g, b] = colour.map((code) => code / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (element) => { const found = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = coded(getComputedStyle(at).backgroundColor);
      if (colour[3]) found.unshift(colour);
      if (colour[3] === 255) break;
    }
    return found.reduce((low, top) => over(top, low), [255, 255, 255]); };
  return [...document.querySelectorAll("body *")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
    && element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    // Over pictures nobody knows the ground: these have a shade of their own.
    && !element.closest(".screen, .badge, .waiting, .hidden, .skip, :disabled, svg, dialog"))
    .map((element) => { const low = ground(element);
      const ink = over(coded(getComputedStyle(element).color), low);
      const [light, dark] = [luminance(ink), luminance(low)].sort((a, b) => b - a);
      return [element.className || element.tagName, element.textContent.trim().slice(0, 30),
        (light + 0.05) / (dark + 0.05)]; })
    .filter(([, , contrast]) => contrast < least);
}"""
"""Texts that do not stand out from their ground as WCAG AA wants it."""

SMALL = """(least) =>
  [...document.querySelectorAll("a, button, select, summary, textarea, input")]
  .filter((element) => element.checkVisibility() && !element.matches(".skip, .unseen, .link"))
  .map((element) => element.matches("[type=checkbox]") ? element.closest("label") : element)
  .map((element) => [element.textContent.trim().slice(0, 30) || element.ariaLabel,
    Math.round(element.getBoundingClientRect().height)])
  .filter(([, height]) => height < least)"""
"""What a thumb does not find."""

NAMELESS = """() =>
  [...document.querySelectorAll("input, select, textarea, button, a, video, ol, aside")]
  .filter((element) => !element.closest("dialog, [aria-hidden=true]"))
  .filter((element) => !element.ariaLabel && !element.labels?.length
    && !element.getAttribute("aria-labelledby") && !element.textContent.trim())
  .map((element) => element.outerHTML)"""
"""What a screen reader has no name for."""


@pytest.fixture(scope="module", name="stage")
def the_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Films at all moments, and many of the days before."""
    stage = Stage(tmp_path_factory.mktemp("stage"), time.time() - 3 * 86_400)
    stage.many(FILMS)
    for scene in ("done", "remarked", "failed", "rejected", "cancelled", "downgraded", "doubt"):
        getattr(stage, scene)()
    stage.rendering("rendering", 2, 2, 3)
    stage.planning()
    yield stage
    stage.close()


def _film(page: Page, state: str) -> None:
    expect(page.locator(".head .state")).to_have_text(state)


def _views() -> Iterator[Any]:
    """All of them; those that differ least from others only where there is time."""
    yield from ("/", "/#/films", "/#/film/downgraded", "/#/film/done/5")
    for film in ("planning", "rendering", "doubt", "failed", "rejected", "done", "remarked"):
        yield pytest.param(f"/#/film/{film}", marks=pytest.mark.slow)
    yield pytest.param("/#/film/nobody", marks=pytest.mark.slow)


@pytest.mark.parametrize("view", tuple(_views()))
def test_all_is_legible_named_and_within_reach(browser: Browser, stage: Stage, view: str) -> None:
    """In light and dark each text stands out from its ground; on a phone nothing is too wide or
    too small for a thumb; a screen reader has a name for everything.
    """
    with opened(browser, stage.address, view, size=DESKTOP) as page:
        page.wait_for_selector("main h1")
        page.emulate_media(reduced_motion="reduce")
        for scheme in ("light", "dark"):
            page.evaluate("scheme => { document.documentElement.dataset.theme = scheme; }", scheme)
            assert [] == page.evaluate(FAINT, CONTRAST_MIN), scheme
        assert [] == page.evaluate(NAMELESS)
        page.set_viewport_size({"width": SMALL_PHONE[0], "height": SMALL_PHONE[1]})
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE[0]
        assert [] == page.evaluate(SMALL, TARGET_PX_MIN)


def test_the_first_visit_is_light_and_still(browser: Browser, stage: Stage) -> None:
    """Everything comes from the gateway, little of it, and nothing jumps as it comes."""
    with opened(browser, "about:blank", "about:blank") as page:
        seen: dict[str, int] = {}
        wanted = {f"{stage.address}{path}" for path in OF_THE_VISIT}
        page.on(
            "requestfinished",
            lambda asked: seen.update({asked.url: asked.sizes()["responseBodySize"]}),
        )
        page.goto(stage.address)
        page.wait_for_load_state("networkidle")
        for _ in range(TOLD_TIMES):
            if wanted <= {url.partition("#")[0] for url in seen}:
                break
            page.wait_for_timeout(100)
        shifts = page.evaluate(
            """() => new Promise((told) => { let sum = 0;
                 new PerformanceObserver((list) => {
                   for (const one of list.getEntries()) sum += one.value;
                 }).observe({ type: "layout-shift", buffered: true });
                 setTimeout(() => told(sum), 300); })"""
        )
        elsewhere = [url for url in seen if not url.startswith((stage.address, "blob:"))]
    assert [] == elsewhere
    assert wanted <= {url.partition("#")[0] for url in seen}
    assert sum(seen.values()) <= BYTES_MAX, seen
    assert shifts <= SHIFT_MAX


def test_a_tile_fills_and_then_plays(browser: Browser, stage: Stage) -> None:
    """From below, as far as its service tells; the first one drawn is shown large."""
    job = stage.rendering("filling", 0, 0, 1)
    with opened(browser, stage.address, f"/#/film/{job}") as page:
        tile = page.locator(".tiles li").first
        expect(tile.locator("img.ahead")).to_be_visible()
        # Progress is told once, to whoever listens then: the page may not yet.
        for _ in range(TOLD_TIMES):
            stage.progress(job, segment=0, frames_done=45, frames=90)
            page.wait_for_timeout(100)
            if "--done: 50%" in (tile.get_attribute("style") or ""):
                break
        expect(tile).to_have_attribute("style", re.compile("--done: 50%"))
        expect(page.locator(".going strong")).not_to_have_text("3 %")
        expect(page.locator(".player")).to_contain_text("So it will look")
        stage.drawn(job, 0)
        expect(tile.locator("video")).to_have_count(1)
        expect(tile).to_contain_text("compositor")
        expect(page.locator(".player .badge")).to_have_text("Segment 1 of 5")
        expect(page.locator(".going")).to_contain_text("1 of 5 segments drawn")
        expect(page.locator(".log li").last).to_contain_text("Segment 1 drawn")


def test_a_tile_shows_what_its_engine_sees_so_far(browser: Browser, stage: Stage) -> None:
    """A preview of a generation under way; it goes when the segment is drawn."""
    job = stage.rendering("seen", 0, 0)
    stage.still("meme_fast")
    picture = (stage.folder / "meme_fast.jpg").read_bytes()
    url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    with opened(browser, stage.address, f"/#/film/{job}") as page:
        tile = page.locator(".tiles li").first
        expect(tile.locator("img.ahead")).to_be_visible()
        seen = tile.locator("img.preview")
        for _ in range(TOLD_TIMES):
            stage.progress(job, segment=0, preview="javascript:alert(1)")
            stage.progress(job, segment=0, preview=url)
            page.wait_for_timeout(100)
            if seen.count():
                break
        expect(seen).to_have_count(1)
        assert seen.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
        stage.drawn(job, 0)
        expect(tile.locator("video")).to_have_count(1)
        expect(seen).to_have_count(0)


def test_one_that_is_being_stopped_says_so(browser: Browser, stage: Stage) -> None:
    """Also to whoever opens it only now: it cannot be stopped a second time."""
    job = stage.rendering("stopping", 1, 1)
    stage.append(RenderCancelRequested(job_id=job, why="the campaign was called off"))
    with opened(browser, stage.address, f"/#/film/{job}") as page:
        expect(page.locator(".named .state")).to_have_text("Stopping")
        expect(page.locator(".actions button")).to_be_disabled()


def test_a_downgrade_is_told_where_it_happened(browser: Browser, stage: Stage) -> None:
    """On the tiles, and once for all of them with the reason."""
    with opened(browser, stage.address, "/#/film/downgraded") as page:
        expect(page.locator(".remarks .warning")).to_have_text(
            "Segments 2–3 are drawn by compositor instead of runway: "
            "it does not answer (no answer within 30 s)."
        )
        tile = page.locator(".tiles li").nth(1)
        expect(tile).to_contain_text("attempt 2")
        expect(tile).to_contain_text("instead of runway")
        expect(page.locator(".tiles li").first).not_to_contain_text("instead")


def test_a_create_in_doubt_asks_for_a_word(browser: Browser, stage: Stage) -> None:
    """With the command to say it by, and what happens without."""
    with opened(browser, stage.address, "/#/film/doubt") as page:
        asked = page.locator(".doubt")
        expect(asked).to_contain_text("Segment 1 waits for your word")
        expect(asked).to_contain_text("task-8f2c91")
        expect(asked.locator("code")).to_have_text("pytoon settle doubt 1 --give-up")
        expect(page.locator("[data-state=doubt]")).to_contain_text("needs your word")


@pytest.mark.parametrize(
    ("film", "state", "told"),
    [
        ("failed", "Failed", "448 frames and not 450"),
        ("rejected", "Rejected", "Picture 1. Must be a picture that can be read"),
        ("cancelled", "Stopped", "the campaign was called off"),
    ],
)
def test_an_end_without_a_film_says_why_and_what_next(
    browser: Browser, stage: Stage, film: str, state: str, told: str
) -> None:
    """In words, and with a way to try again that begins from what was asked for."""
    with opened(browser, stage.address, f"/#/film/{film}") as page:
        _film(page, state)
        expect(page.locator(".remarks")).to_contain_text(told)
        expect(page.get_by_role("link", name="Download")).to_have_count(0)
        page.get_by_role("link", name="Change it and try again").click()
        expect(page.get_by_label("Call to action")).to_have_value("Try it tonight")


def test_time_travel_goes_to_each_step(browser: Browser, stage: Stage) -> None:
    """By the log, the slider, the buttons and the address; the history stays where it is."""
    with opened(browser, stage.address, "/#/film/done") as page:
        _film(page, "Done")
        slider = page.get_by_label("Step of the film's history")
        place = slider.bounding_box()
        page.get_by_role("button", name="One step back").click()
        _film(page, "Joining")
        assert place == slider.bounding_box()
        expect(page.locator(".log [aria-current=step]")).to_contain_text("Joining begun")
        page.locator(".log button", has_text="Planned").click()
        _film(page, "Rendering")
        expect(page.locator(".tiles [data-state=pending]")).to_have_count(5)
        expect(page.locator(".log [data-later]")).to_have_count(13)
        assert page.url.endswith("#/film/done/2")
        page.locator(".stored summary").click()
        expect(page.locator(".stored pre")).to_contain_text('"type": "render_planned"')
        page.reload()
        expect(page.locator(".past")).to_contain_text("after step 2 of 15")
        page.get_by_role("button", name="Back to now").click()
        _film(page, "Done")
        expect(page.locator(".player video[controls]")).to_have_count(1)
        assert page.url.endswith("#/film/done")


@pytest.mark.slow
def test_a_gateway_that_goes_away_while_one_watches(browser: Browser, stage: Stage) -> None:
    """It is told, and what happened meanwhile comes once each when it is back."""
    job = stage.rendering("interrupted", 1, 1)
    with opened(browser, stage.address, f"/#/film/{job}") as page:
        steps = page.locator(".log li")
        expect(page.locator(".player video")).to_have_count(1)
        before = steps.count()
        stage.go()
        expect(page.locator(".lost")).to_contain_text("What it was asked for is kept")
        stage.drawn(job, 1)
        stage.drawing(job, 2, 3, 4)
        stage.come_back()
        expect(page.locator(".lost")).to_be_hidden(timeout=15_000)
        expect(steps).to_have_count(before + 4)
        expect(page.locator(".tiles [data-state=rendered]")).to_have_count(2)
        stage.drawn(job, 2, 3, 4)
        stage.append(AssemblyRequested(job_id=job, attempt=1))
        stage.completed(job)
        _film(page, "Done")
        expect(steps).to_have_count(before + 9)


@pytest.mark.slow
def test_a_gateway_that_is_away_at_first(browser: Browser, stage: Stage) -> None:
    """The page says so, and shows what was asked for as soon as there is somebody to ask."""
    with opened(browser, stage.address) as page:
        page.wait_for_selector("#make")
        stage.go()
        page.get_by_role("link", name="Films").click()
        expect(page.get_by_role("heading", name="The server is away")).to_be_visible()
        stage.come_back()
        expect(page.locator(".films li")).to_have_count(24, timeout=15_000)


def test_many_films_come_a_page_at_a_time(browser: Browser, stage: Stage) -> None:
    """Newest first, filtered by state and look; an empty answer has a way out."""
    with opened(browser, stage.address, "/#/films") as page:
        cards = page.locator(".films li")
        expect(cards).to_have_count(24)
        page.get_by_role("button", name="Show older films").click()
        expect(cards).to_have_count(48)
        page.get_by_role("button", name="Stopped").click()
        expect(page.get_by_role("button", name="Stopped")).to_have_attribute(
            "aria-pressed", "true"
        )
        expect(page.locator(".films .state")).to_have_text(["Stopped"] * 8)
        page.get_by_role("button", name="Rejected").click()
        page.get_by_label("Look", exact=True).select_option("meme_fast")
        expect(page.get_by_role("heading", name="No such film")).to_be_visible()
        page.get_by_role("button", name="Show all films").click()
        expect(cards).to_have_count(24)


@pytest.mark.slow
def test_films_under_way_go_on_in_the_list(browser: Browser, stage: Stage) -> None:
    """Without a reload."""
    job = stage.rendering("listed", 1, 1)
    with opened(browser, stage.address, "/#/films") as page:
        bar = page.locator(".films li").first.locator("progress")
        expect(bar).to_have_js_property("value", 0.2)
        stage.drawn(job, 1)
        expect(bar).to_have_js_property("value", 0.4, timeout=10_000)


@pytest.mark.slow
def test_nothing_moves_for_whoever_wants_it_still(browser: Browser, stage: Stage) -> None:
    """Neither the samples of the looks nor what is drawn of a film."""
    playing = "[...document.querySelectorAll('video')].some(film => !film.paused)"
    with opened(browser, stage.address, reduced_motion="reduce") as page:
        page.locator(".look").nth(1).hover()
        page.wait_for_timeout(300)
        assert not page.evaluate(playing)
        page.goto(f"{stage.address}/#/film/rendering")
        expect(page.locator(".player video[controls]")).to_have_count(1)
        assert not page.evaluate(playing)
    with opened(browser, stage.address) as page:
        page.locator(".look").nth(1).hover()
        page.wait_for_function(playing)


def test_on_a_phone_the_slider_stays_in_sight(browser: Browser, stage: Stage) -> None:
    """Whoever goes through the past sees the tiles change."""
    with opened(browser, stage.address, "/#/film/done/9", size=PHONE, has_touch=True) as page:
        slider = page.get_by_label("Step of the film's history")
        expect(slider).to_be_in_viewport()
        page.evaluate("document.querySelector('.tiles').scrollIntoView()")
        expect(slider).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
