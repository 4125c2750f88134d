"""Lettering: captions as patches over the film's frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from assembler.captions import CaptionPlan, safe_area
from assembler.fonts import FontSet
from assembler.lettering import (
    SAMPLES_MAX,
    Captions,
    Overlay,
    Sample,
    Setting,
    contrast_with_white,
    draw_card,
    dressed,
    ink_of,
    luminance,
)
from assembler.looks import look_of
from assembler.planes import Frame, blend_patch
from assembler.typesetting import typesetter
from events.spec import Asset, AssetRole, Box, CaptionRole
from tests import builders
from tests.assembler.words import CJK_TEXTS, HARD_TEXTS, STYLES, film, plan

HOOK, BEAT, CTA = CaptionRole.HOOK, CaptionRole.BEAT, CaptionRole.CTA
# However thin the letters, this much of a card is ink at least.
INK_SHARE_MIN = 0.005


def _sampler(code: int) -> tuple[list[tuple[int, Box]], Sample]:
    asked: list[tuple[int, Box]] = []

    def sample(wanted: Sequence[tuple[int, Box]]) -> list[NDArray[np.uint8]]:
        asked.extend(wanted)
        return [np.full((int(box.height), int(box.width)), code, np.uint8) for _, box in wanted]

    return asked, sample


def _captions(preset: str, planned: CaptionPlan, fonts: FontSet, code: int = 40) -> Captions:
    spec, sources = film(preset, planned, fonts)
    return Captions(spec, sources, _sampler(code)[1])


def _green() -> Asset:
    named = builders.artifact("b")
    return Asset(
        role=AssetRole.AUTO,
        uri="",
        source=named,
        still=named,
        width=10,
        height=10,
        has_alpha=False,
        palette=("#1b6b4f",),
    )


def _same(left: Sequence[Overlay], right: Sequence[Overlay]) -> bool:
    planes = ("luma", "alpha", "u", "v", "alpha_uv")
    return len(left) == len(right) and all(
        (a.patch.x, a.patch.y, a.opacity) == (b.patch.x, b.patch.y, b.opacity)
        and all(bool(np.array_equal(getattr(a.patch, p), getattr(b.patch, p))) for p in planes)
        for a, b in zip(left, right, strict=True)
    )


def _touches_edge(rgba: NDArray[np.uint8]) -> bool:
    """Whether letters reach the card's edge, which would mean that they are cut."""
    alpha = rgba[:, :, 3]
    edges = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    return max(int(edge.max()) for edge in edges) > 100


@pytest.mark.parametrize("preset", STYLES)
def test_all_ink_lies_in_its_box_and_nothing_is_cut(preset: str) -> None:
    """Forty texts are drawn whole, in fonts that have their glyphs, with room on every side."""
    look = look_of(STYLES[preset])
    for text in HARD_TEXTS:
        planned, fonts = plan(preset, (HOOK, text), seconds=30)
        (caption,) = planned.captions
        for index, card in enumerate(caption.cards):
            rgba = draw_card(caption, index, look, fonts, plate=False)
            assert (card.box.height, card.box.width) == rgba.shape[:2]
            assert not _touches_edge(rgba), (text, card.lines)
            assert all(typesetter(fonts).covers(line) for line in card.lines)
            assert (rgba[:, :, 3] > 128).mean() > INK_SHARE_MIN, text


@pytest.mark.parametrize("text", CJK_TEXTS)
def test_chinese_japanese_and_korean_are_drawn_or_refused_by_name(text: str) -> None:
    """They need the system's fonts: without, the script is named; with, all ink is in the box."""
    preset = "meme_smooth"
    _, hidden = plan(preset, (HOOK, "ok"))
    assert hidden.missing == ()
    fonts = plan(preset, (HOOK, text))[1]
    assert {"fonts-noto-cjk"} == {each.package for each in fonts.missing}
    planned, fonts = plan(preset, (HOOK, text), system_dirs=None)
    if fonts.missing:
        pytest.skip("the system has no font for it")
    (caption,) = planned.captions
    for index, card in enumerate(caption.cards):
        rgba = draw_card(caption, index, look_of(STYLES[preset]), fonts, plate=False)
        assert not _touches_edge(rgba)
        assert all(typesetter(fonts).covers(line) for line in card.lines)


@pytest.mark.parametrize("preset", STYLES)
def test_nothing_leaves_the_safe_box_while_it_moves(preset: str) -> None:
    """Through entrance, stand and exit a changed pixel is inside the card's box."""
    planned, fonts = plan(preset, (HOOK, "Moving words, gjp"), (CTA, "Buy 👍🏽"), seconds=3)
    captions = _captions(preset, planned, fonts)
    area = safe_area(STYLES[preset])
    left, top = int(area.x), int(area.y)
    right, bottom = left + int(area.width), top + int(area.height)
    for n in range(90):
        frame = Frame.empty(1080, 1920)
        frame.y[:], frame.u[:], frame.v[:] = 90, 128, 128
        for patch, opacity in captions.overlay(n):
            blend_patch(frame, patch, opacity)
        changed = frame.y != 90
        changed[top:bottom, left:right] = False
        assert not changed.any(), n


def test_each_frame_has_the_card_of_its_time() -> None:
    """Outside all cards there is nothing; inside, the card that stands then."""
    planned, fonts = plan("brand_safe_minimal", (HOOK, "First"), (CTA, "Second one"), seconds=4)
    captions = _captions("brand_safe_minimal", planned, fonts)
    cta = planned.captions[1].cards[0]
    first, second = captions.overlay(cta.start - 1), captions.overlay(cta.start)
    assert first[0].patch.width < second[0].patch.width
    assert captions.overlay(-1) == ()
    assert captions.overlay(120) == ()


def test_entrances_follow_the_presets_motion() -> None:
    """Minimal stands at once, subtle fades, smooth rises, punchy pops; then all stand still."""
    first: dict[str, Overlay] = {}
    for preset in ("brand_safe_minimal", "overlay_classic", "overlay_glow", "overlay_bold"):
        planned, fonts = plan(preset, (HOOK, "Look at this"), seconds=4)
        captions = _captions(preset, planned, fonts)
        (first[preset],) = captions.overlay(0)
        (standing,) = captions.overlay(40)
        assert standing.opacity == 1
        assert _same((standing,), captions.overlay(60))
    assert first["brand_safe_minimal"].opacity == 1
    assert first["overlay_classic"].opacity < 0.3
    assert first["overlay_glow"].opacity < 0.3
    assert first["overlay_bold"].patch.width < standing.patch.width


def test_fades_are_smooth_and_the_last_card_stays() -> None:
    """Opacity rises at the start, falls at the end, never jumps; the film ends with words."""
    planned, fonts = plan("overlay_classic", (HOOK, "Look"), (CTA, "Buy"), seconds=4)
    captions = _captions("overlay_classic", planned, fonts)
    hook = planned.captions[0].cards[0]
    curve = [captions.overlay(n)[0].opacity for n in range(hook.frames)]
    assert curve[:7] == sorted(curve[:7])
    assert curve[-4:] == sorted(curve[-4:], reverse=True)
    assert max(abs(b - a) for a, b in pairwise(curve)) < 0.25
    assert captions.overlay(119)[0].opacity == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [(40, Setting.LIGHT), (122, Setting.PLATE), (215, Setting.DARK)],
)
def test_words_suit_what_they_lie_on(code: int, expected: Setting) -> None:
    """White on what is dark, ink on what is light, a plate where neither can be read."""
    planned, fonts = plan("overlay_classic", (HOOK, "Readable"))
    spec, sources = film("overlay_classic", planned, fonts)
    asked, sample = _sampler(code)
    captions = Captions(spec, sources, sample)
    assert asked == []
    captions.overlay(50)
    count = len(asked)
    captions.overlay(80)
    assert expected is captions.setting
    assert count == len(asked)
    assert {planned.captions[0].cards[0].box} == {box for _, box in asked}
    assert all(0 <= n < 450 for n, _ in asked)


def test_one_setting_holds_for_the_whole_film() -> None:
    """A bright moment puts all captions on a plate: it does not come and go."""
    planned, fonts = plan("overlay_classic", (HOOK, "Readable"), (BEAT, "Still"), (CTA, "Go"))
    spec, sources = film("overlay_classic", planned, fonts)
    asked: list[int] = []

    def sample(wanted: Sequence[tuple[int, Box]]) -> list[NDArray[np.uint8]]:
        asked.extend(n for n, _ in wanted)
        return [np.full((4, 4), 220 if n > 300 else 30, np.uint8) for n, _ in wanted]

    captions = Captions(spec, sources, sample)
    assert captions.setting is Setting.PLATE
    middles = [c.cards[0].start + c.cards[0].frames // 2 for c in planned.captions]
    assert middles == asked
    plated = [captions.overlay(n)[0].patch.alpha[2, 40] for n in middles]
    assert min(plated) > 100


def test_few_frames_of_many_captions_are_looked_at() -> None:
    """The first and the last are among them."""
    beats = [(BEAT, f"Beat {index}") for index in range(8)]
    planned, fonts = plan("overlay_classic", (HOOK, "First"), *beats, (CTA, "Last"), seconds=30)
    spec, sources = film("overlay_classic", planned, fonts)
    asked, sample = _sampler(40)
    assert Captions(spec, sources, sample).setting is Setting.LIGHT
    boxes = [box for _, box in asked]
    assert len(boxes) == SAMPLES_MAX
    assert boxes[0] == planned.captions[0].cards[0].box
    assert boxes[-1] == planned.captions[-1].cards[0].box


def test_ink_and_plate_have_the_films_hue_and_are_deep() -> None:
    """A green product's words are dark green; both are far from what they are read against."""
    planned, fonts = plan("overlay_classic", (HOOK, "Readable"))
    spec, _ = film("overlay_classic", planned, fonts)
    green = msgspec.structs.replace(spec, assets=(_green(),))
    red, strong, blue = ink_of(green)
    assert strong > red
    assert strong > blue
    assert luminance(ink_of(green)) < 0.03
    look = look_of(STYLES["overlay_classic"])
    assert look.plate_colour != dressed(look, Setting.PLATE, green).plate_colour
    assert dressed(look, Setting.LIGHT, green) == look


def test_words_on_their_plate_reach_the_contrast() -> None:
    """White on the plate over pure white is at least 4.5 to 1."""
    planned, fonts = plan("overlay_classic", (HOOK, "Readable"))
    spec, sources = film("overlay_classic", planned, fonts)
    captions = Captions(spec, sources)
    frame = Frame.empty(1080, 1920)
    frame.y[:], frame.u[:], frame.v[:] = 235, 128, 128
    (over,) = captions.overlay(50)
    blend_patch(frame, over.patch, over.opacity)
    box = planned.captions[0].cards[0].box
    x, y = int(box.x), int(box.y)
    plate = frame.y[y + 3 : y + 8, x + 40 : x + int(box.width) - 40]
    assert contrast_with_white(plate) >= 4.5


def test_contrast_is_that_of_the_guidelines() -> None:
    """White on white is 1, on black 21, on the grey #767676 just above 4.5."""
    flat = np.full((8, 8), 16, np.uint8)
    assert contrast_with_white(flat) == pytest.approx(21.0)
    assert contrast_with_white(flat + 219) == pytest.approx(1.0)
    grey = round(16 + 219 * 0x76 / 255)
    assert contrast_with_white(np.full((8, 8), grey, np.uint8)) == pytest.approx(4.54, abs=0.1)


def test_emoji_are_drawn_in_colour_and_skin_tones_differ() -> None:
    """Colour emoji keep their colours over a plate, in an outline, and in white text."""
    look = look_of(STYLES["meme_fast"])
    pictures = []
    for text in ("👍🏻", "👍🏿", "🔥"):
        planned, fonts = plan("meme_fast", (HOOK, text))
        rgba = draw_card(planned.captions[0], 0, look, fonts, plate=False)
        solid = rgba[rgba[:, :, 3] == 255][:, :3].astype(int)
        spread = solid.max(axis=1) - solid.min(axis=1)
        pictures.append(solid.mean())
        assert np.median(spread) > 20
    assert pictures[0] - pictures[1] > 50


def test_right_to_left_punctuation_ends_on_the_left() -> None:
    """An Arabic sentence's exclamation mark stands at its left end."""
    with_mark, fonts = plan("brand_safe_minimal", (HOOK, "مرحبا!"))
    box = with_mark.captions[0].cards[0].box
    look = look_of(STYLES["brand_safe_minimal"])
    drawn = draw_card(with_mark.captions[0], 0, look, fonts, plate=False)
    columns = np.flatnonzero((drawn[:, :, 1] > 200).any(axis=0))
    gaps = np.flatnonzero(np.diff(columns) > 1)
    mark = columns[: gaps[0] + 1]
    assert len(mark) < 0.15 * box.width
    rows = np.flatnonzero((drawn[:, mark, 1] > 200).any(axis=1))
    assert rows[-1] - rows[0] > 0.6 * 48


def test_the_same_plan_is_drawn_to_the_same_bytes() -> None:
    """Neither the order of frames nor what was drawn before changes a patch."""
    planned, fonts = plan("overlay_glow", (HOOK, "Same 👍🏽 bytes"), (CTA, "Go"), seconds=4)
    one = _captions("overlay_glow", planned, fonts)
    other = _captions("overlay_glow", planned, fonts)
    forward = [one.overlay(n) for n in range(0, 120, 3)]
    backward = [other.overlay(n) for n in reversed(range(0, 120, 3))]
    assert all(_same(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_a_film_without_captions_opens_no_font() -> None:
    """No words, no fonts, no overlay."""
    spec, sources = film("overlay_classic", CaptionPlan((), None), FontSet(()))
    assert Captions(spec, sources).overlay(0) == ()
