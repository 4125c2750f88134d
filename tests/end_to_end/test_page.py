"""The page in a real browser, before real services: a film is made, watched, played."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml
from playwright.sync_api import Browser, FilePayload, Page, expect

from config import shipped
from tests.assembler.shots import Pixels
from tests.end_to_end.browsing import (
    IN_A_BROWSER,
    PHONE,
    PRODUCT,
    opened,
    preview_of,
    until,
    up,
)
from tests.golden.frames import difference

FILM_MS = 60_000
KEY = "a-key-for-the-page"
LOOKER = "a-key-that-looks"
HEIGHT, WIDTH = 960, 540
"""Of what is previewed."""

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module", name="address")
def an_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``pytoon up`` without keys."""
    with up(tmp_path_factory.mktemp("page")) as address:
        yield address


@pytest.fixture(scope="module", name="guarded")
def a_guarded_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``pytoon up`` that asks for a key."""
    keys = f"page:{KEY},wall:{LOOKER}:read"
    with up(tmp_path_factory.mktemp("guarded"), PYTOON_API_KEYS=keys) as address:
        yield address


def _frame_of(film: Path, n: int) -> Pixels:
    """A frame of a film's file, as small as the preview."""
    with av.open(str(film)) as container:
        frames = container.decode(video=0)
        shown = next(frame for at, frame in enumerate(frames) if at == n)
        pixels = shown.to_ndarray(format="rgb24", src_colorspace="ITU709")
    return np.asarray(cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def test_a_film_is_made_watched_played_and_stepped_through(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    """By clicking alone; and the film's file has the very frame that was previewed."""
    with opened(browser, address) as page:
        page.set_input_files("#pictures", PRODUCT)
        expect(page.locator(".pictures li:not(.sending)")).to_have_count(1)
        page.locator(".look", has_text="Product before its own colours").click()
        page.get_by_label("Hook").fill("Sleep does the rest")
        page.get_by_label("Length", exact=False).fill("2")
        expect(page.locator(".track .hook")).to_have_count(1)
        expect(page.locator("img.frame")).to_have_attribute(
            "alt", re.compile("Sleep does the rest")
        )
        previewed = preview_of(page, "Words: Sleep does the rest")
        n = int(page.get_by_label("Moment of the film").input_value())
        page.get_by_role("button", name="Make the film").click()

        expect(page.locator(".tiles li")).to_have_count(1)
        expect(page.locator(".tiles [data-state=rendered] video")).to_have_count(
            1, timeout=FILM_MS
        )
        video = page.locator(".player video[controls]")
        expect(video).to_have_count(1, timeout=FILM_MS)
        expect(page.locator(".head .state")).to_have_text("Done")
        until(page, "document.querySelector('.player video').readyState >= 2")
        size = video.evaluate("v => [v.videoWidth, v.videoHeight, Math.round(v.duration * 30)]")
        assert size == [1080, 1920, 60]
        video.evaluate("v => { v.muted = true; return v.play(); }")
        until(page, "document.querySelector('.player video').currentTime > 0.2")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        film = tmp_path / "film.mp4"
        download.value.save_as(film)
        assert difference(_frame_of(film, n), previewed).acceptable

        steps = page.locator(".log li button")
        assert steps.first.inner_text().startswith("Asked for")
        steps.nth(1).click()
        expect(page.locator(".head .state")).to_have_text("Rendering")
        expect(page.locator(".tiles [data-state=pending]")).to_have_count(1)
        page.get_by_role("button", name="Back to now").click()
        expect(page.locator(".head .state")).to_have_text("Done")

        page.get_by_role("link", name="Make another like it").click()
        expect(page.get_by_label("Hook")).to_have_value("Sleep does the rest")
        expect(page.locator(".pictures img")).to_have_count(1)
        page.get_by_role("navigation").get_by_role("link", name="Films").click()
        expect(page.locator(".films li")).to_have_count(1)


@pytest.mark.slow
def test_a_film_is_made_by_the_keyboard(browser: Browser, address: str) -> None:
    """Tab, arrows and Enter are enough, to make a film as well as to go through its past."""
    with opened(browser, address) as page:
        page.wait_for_selector("#make")
        reached = _tabbed_to(page, "hook")
        assert {"pictures", "preset"} <= reached
        page.keyboard.type("By the keyboard")
        _tabbed_to(page, "duration")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_label("Length", exact=False)).to_have_value("2")
        _tabbed_to(page, "Make the film")
        page.keyboard.press("Enter")
        expect(page.locator(".player video[controls]")).to_have_count(1, timeout=FILM_MS)
        _tabbed_to(page, "Step of the film's history")
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".past")).to_contain_text("As it was at")
        page.keyboard.press("End")
        expect(page.locator(".past")).to_be_hidden()


def _tabbed_to(page: Page, wanted: str, most: int = 60) -> set[str]:
    """Press Tab until a control has the focus; returns the names of those passed."""
    reached: set[str] = set()
    for _ in range(most):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => { const at = document.activeElement;
                 return (at.name || at.id || at.ariaLabel || at.textContent || "").trim(); }"""
        )
        # A film's own controls show theirs inside of it.
        ring = page.evaluate("document.activeElement.matches(':focus-visible, video')")
        assert ring, f"nobody sees that {name} has the focus"
        reached.add(name)
        if name == wanted:
            return reached
    raise AssertionError(f"{wanted} is not reached by Tab: {reached}")


def test_looks_are_chosen_by_the_arrow_keys(browser: Browser, address: str) -> None:
    """And the preview follows."""
    with opened(browser, address) as page:
        page.get_by_label("Hook").fill("Words")
        before = page.locator("input[name=preset]:checked").input_value()
        page.locator("input[name=preset]:checked").focus()
        with page.expect_response(lambda answer: "/frames" in answer.url) as drawn:
            page.keyboard.press("ArrowRight")
        assert page.locator("input[name=preset]:checked").input_value() != before
        assert drawn.value.status == 200


def test_the_preview_is_where_the_words_are_written(browser: Browser, address: str) -> None:
    """Whoever writes the last words sees the frame on which they stand, on their lines."""
    with opened(browser, address) as page:
        page.get_by_label("Hook").fill("First words")
        page.get_by_label("Call to action").fill("The last\nwords")
        expect(page.locator("img.frame")).to_have_attribute(
            "alt", re.compile("Words: The last words")
        )
        page.get_by_label("Hook").focus()
        expect(page.locator("img.frame")).to_have_attribute(
            "alt", re.compile("Words: First words")
        )


def test_nothing_written_is_lost(browser: Browser, address: str) -> None:
    """Neither by looking at films nor by a reload; a fresh start forgets it."""
    with opened(browser, address) as page:
        page.set_input_files("#pictures", PRODUCT)
        page.get_by_label("Hook").fill("Kept words")
        page.get_by_role("button", name="Add a line").click()
        page.get_by_role("textbox", name="Line 2").fill("A second line")
        expect(page.locator(".pictures li:not(.sending)")).to_have_count(1)
        page.get_by_role("link", name="Films").click()
        page.wait_for_selector(".films-view h1, .films-view h2")
        page.reload()
        page.get_by_role("link", name="Make", exact=True).click()
        expect(page.get_by_label("Hook")).to_have_value("Kept words")
        expect(page.get_by_role("textbox", name="Line 2")).to_have_value("A second line")
        expect(page.locator(".pictures img")).to_have_count(1)
        page.get_by_role("button", name="Start afresh").click()
        expect(page.get_by_label("Hook")).to_have_value("")
        expect(page.locator(".pictures li")).to_have_count(0)


def test_what_is_wrong_is_told_where_it_stands(browser: Browser, address: str) -> None:
    """Each at its own field, in the server's words; the way there is beside the button."""
    with opened(browser, address) as page:
        broken: FilePayload = {
            "name": "x.png",
            "mimeType": "image/png",
            "buffer": b"no picture at all",
        }
        page.set_input_files("#pictures", broken)
        page.get_by_label("Hook").fill("𓀀")
        expect(page.locator(".notes .error")).to_contain_text("x.png: Must be a picture")
        expect(page.get_by_label("Hook")).to_have_attribute("aria-invalid", "true")
        expect(page.locator(".verdict .error")).to_contain_text("2 things to put right")
        page.get_by_role("button", name="Remove x.png").click()
        expect(page.locator(".verdict .error")).to_contain_text("1 thing to put right")
        page.get_by_role("button", name="Show me").click()
        expect(page.get_by_label("Hook")).to_be_focused()
        page.get_by_label("Hook").fill("Words")
        expect(page.locator(".verdict .error")).to_have_count(0)


def test_a_film_of_nothing_is_not_asked_for(browser: Browser, address: str) -> None:
    """The page says with what to begin, where the pictures go."""
    with opened(browser, address) as page:
        page.get_by_role("button", name="Make the film").click()
        expect(page.get_by_role("alert").first).to_contain_text("Begin with a picture")
        assert "#/film" not in page.url


@pytest.mark.parametrize("what", ["dropped", "chosen"])
def test_what_is_no_picture_is_refused_by_its_name(
    browser: Browser, address: str, what: str
) -> None:
    """Dropped anywhere on the page, or chosen."""
    with opened(browser, address) as page:
        page.wait_for_selector("#make")
        if what == "chosen":
            notes: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
            page.set_input_files("#pictures", notes)
        else:
            files = page.evaluate_handle(
                """() => { const files = new DataTransfer();
                     files.items.add(new File(["x"], "notes.txt", { type: "text/plain" }));
                     return files; }"""
            )
            page.dispatch_event("body", "dragenter", {"dataTransfer": files})
            expect(page.locator(".dropping")).to_be_visible()
            page.dispatch_event("body", "drop", {"dataTransfer": files})
            expect(page.locator(".dropping")).to_have_count(0)
        expect(page.locator(".notes .error")).to_contain_text("notes.txt is not a picture")


@pytest.mark.slow
def test_a_server_that_goes_away_is_told_and_waited_for(browser: Browser, address: str) -> None:
    """Without a network the page says so; with it, it goes on by itself."""
    with opened(browser, address) as page:
        page.wait_for_selector("#make")
        page.context.set_offline(True)
        page.get_by_label("Hook").fill("Words that wait")
        expect(page.locator(".verdict .error")).to_contain_text("does not answer")
        page.context.set_offline(False)
        expect(page.locator("img.frame")).to_have_attribute("alt", re.compile("Words that wait"))
        expect(page.locator(".verdict .error")).to_have_count(0)


def test_a_key_is_asked_for_once_and_kept_from_scripts(browser: Browser, guarded: str) -> None:
    """The page asks for the key, tells a wrong one, goes on with the right one, and forgets it."""
    with opened(browser, guarded) as page:
        dialog = page.locator("dialog[open]")
        dialog.get_by_label("API key").fill("a-wrong-key")
        dialog.get_by_role("button", name="Go on").click()
        expect(dialog.get_by_role("alert")).to_contain_text("not known")
        dialog.get_by_label("API key").fill(KEY)
        dialog.get_by_role("button", name="Go on").click()
        page.wait_for_selector("#make")
        assert KEY not in page.evaluate("document.cookie")
        page.reload()
        page.wait_for_selector("#make")
        expect(page.locator("dialog[open]")).to_have_count(0)
        page.get_by_role("button", name="Forget the key").click()
        expect(page.locator("dialog[open]")).to_have_count(1)


def test_a_key_that_may_only_look_looks(browser: Browser, guarded: str) -> None:
    """It gets in, sees the films, and is told why it makes none."""
    with opened(browser, guarded) as page:
        dialog = page.locator("dialog[open]")
        dialog.get_by_label("API key").fill(LOOKER)
        dialog.get_by_role("button", name="Go on").click()
        expect(page.locator(".verdict .error")).to_contain_text("'write'")
        page.get_by_role("link", name="Films").click()
        expect(page.get_by_role("heading", name="No film yet")).to_be_visible()


def test_on_a_phone_the_preview_is_a_sheet(browser: Browser, address: str) -> None:
    """It opens from the bar at the bottom and closes by Escape; the page is not too wide."""
    with opened(browser, address, size=PHONE, has_touch=True) as page:
        page.get_by_label("Hook").fill("On a phone")
        expect(page.locator(".peek img")).to_be_visible()
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("dialog.sheet img.frame")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog.sheet[open]")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.slow
def test_a_look_without_a_sample_is_drawn(browser: Browser, tmp_path: Path) -> None:
    """An operator's own preset is shown by a frame with its name."""
    settings = tmp_path / "settings"
    settings.mkdir()
    ours = shipped().presets["meme_smooth"].model_dump(mode="json", exclude_none=True)
    looks = {"ours": {**ours, "title": "A look of ours"}}
    (settings / "presets.yaml").write_text(yaml.safe_dump(looks), "utf-8")
    with up(tmp_path, PYTOON_CONFIG=str(settings)) as address, opened(browser, address) as page:
        card = page.locator(".look", has_text="A look of ours")
        expect(card.locator(".sample img")).to_be_visible(timeout=15_000)
        card.click()
        page.get_by_label("Hook").fill("In our own look")
        preview_of(page, "Words: In our own look")
