"""Captions: time, size, lines and place of the words of a film."""

from __future__ import annotations

import math

import pytest

from assembler.captions import BLOCK_SHARE, SIZE_MIN_PX, block_box, plan_captions, safe_area
from assembler.typesetting import clean
from events.spec import Caption, CaptionRole
from tests.assembler.words import FPS, HARD_TEXTS, STYLES, fonts_for, plan

HOOK, BEAT, CTA = CaptionRole.HOOK, CaptionRole.BEAT, CaptionRole.CTA
CARD_MIN_FRAMES = 36
MONTSERRAT_LARGE_PX = 92


def _squeezed(text: str) -> str:
    return "".join(clean(text).split())


def _shown(caption: Caption) -> str:
    return _squeezed("".join(line for card in caption.cards for line in card.lines))


@pytest.mark.parametrize("preset", STYLES)
def test_hard_texts_keep_every_word_size_and_box(preset: str) -> None:
    """Forty texts lose nothing, stay legible, in the safe box, and fill the film."""
    area = safe_area(STYLES[preset])
    for text in HARD_TEXTS:
        planned, _ = plan(preset, (HOOK, text), seconds=30)
        (caption,) = planned.captions
        assert _squeezed(text) == _shown(caption)
        assert {w.code for w in planned.warnings} <= {"caption_fast"}
        end = 0
        for card in caption.cards:
            assert card.start == end
            end += card.frames
            assert card.frames >= CARD_MIN_FRAMES
            assert card.size_px >= SIZE_MIN_PX
            assert card.box.x >= area.x
            assert card.box.y >= area.y
            assert card.box.x + card.box.width <= area.x + area.width
            assert card.box.y + card.box.height <= area.y + area.height
        assert end == 30 * FPS


def test_hook_beats_and_cta_stand_in_turn_over_the_whole_film() -> None:
    """Roles set the order, reading length the time."""
    texts = ((CTA, "Buy"), (BEAT, "A rather longer text that takes time"), (HOOK, "Hello there"))
    planned, _ = plan("overlay_classic", *texts)
    assert [HOOK, BEAT, CTA] == [each.role for each in planned.captions]
    hook, beat, cta = (each.cards[0] for each in planned.captions)
    assert (hook.start, beat.start, cta.start) == (0, hook.frames, hook.frames + beat.frames)
    assert cta.start + cta.frames == 15 * FPS
    assert beat.frames > hook.frames > cta.frames >= CARD_MIN_FRAMES


def test_a_short_text_beside_a_long_one_has_its_least_time() -> None:
    """A card of one word stands 1.2 s even where its share would be less."""
    planned, _ = plan("overlay_classic", (HOOK, "word " * 30), (CTA, "Go"), seconds=8)
    cta = planned.captions[-1].cards[0]
    assert cta.frames == CARD_MIN_FRAMES
    assert all(c.frames >= CARD_MIN_FRAMES for c in planned.captions[0].cards)


def test_beats_are_dropped_from_the_last_and_told() -> None:
    """Hook and CTA stay when there is no time for all."""
    beats = [(BEAT, f"beat {number}") for number in range(4)]
    planned, _ = plan("overlay_classic", (HOOK, "Hook"), *beats, (CTA, "Cta"), seconds=5)
    assert ["Hook", "beat 0", "beat 1", "Cta"] == [each.text for each in planned.captions]
    assert ["caption_dropped", "caption_dropped"] == [each.code for each in planned.warnings]
    assert "beat 3" in planned.warnings[0].message
    assert "beat 2" in planned.warnings[1].message


def test_a_lone_caption_takes_a_short_film_whole() -> None:
    """One second of film is one card of one second, without a warning."""
    planned, _ = plan("overlay_classic", (HOOK, "Now or never"), seconds=1)
    (card,) = planned.captions[0].cards
    assert (0, FPS) == (card.start, card.frames)
    assert planned.warnings == ()


def test_hook_and_cta_share_a_film_too_short_for_both() -> None:
    """Both are shown, and that they are brief is told."""
    planned, _ = plan("overlay_classic", (HOOK, "Hook"), (CTA, "Cta"), seconds=1)
    assert ["Hook", "Cta"] == [each.text for each in planned.captions]
    assert FPS == sum(each.cards[0].frames for each in planned.captions)
    assert {"caption_brief"} == {each.code for each in planned.warnings}


def test_what_does_not_fit_in_time_is_cut_and_told() -> None:
    """A text of many cards on a short film ends in an ellipsis; the warning has the rest."""
    text = " ".join(f"word{number}" for number in range(120))
    planned, _ = plan("overlay_classic", (HOOK, text), seconds=3)
    (caption,) = planned.captions
    assert len(caption.cards) == 2
    assert caption.cards[-1].lines[-1].endswith("…")
    shortened = [each for each in planned.warnings if each.code == "caption_shortened"]
    last_shown = int(caption.cards[-1].lines[-1].split()[-1].strip("…").removeprefix("word"))
    assert f"“word{last_shown + 1} " in shortened[0].message


def test_fast_reading_is_told() -> None:
    """More characters a second than one can read are a warning with the figure."""
    planned, _ = plan("overlay_classic", (HOOK, "reading is hard " * 5), seconds=2)
    assert ["caption_fast"] == [each.code for each in planned.warnings]


def test_cards_end_with_sentences_where_they_can() -> None:
    """A text of several sentences is not cut in the middle of one."""
    text = (
        "We roast every Monday, before the sun is up. We ship it on Tuesday, everywhere. "
        "You drink it on Wednesday, and never go back."
    )
    planned, _ = plan("meme_smooth", (HOOK, text), seconds=20)
    (caption,) = planned.captions
    assert len(caption.cards) > 1
    assert all(card.lines[-1].endswith(".") for card in caption.cards)


def test_lines_are_balanced_without_widows() -> None:
    """The last line of a card is not a lone short word."""
    planned, _ = plan("brand_safe_minimal", (HOOK, "A text that is just too long for one line x"))
    (card,) = planned.captions[0].cards
    shortest, longest = sorted(len(line) for line in card.lines)
    assert shortest > 0.7 * longest


def test_line_ends_of_the_text_are_kept() -> None:
    """A newline ends a line, other white space does not."""
    planned, _ = plan("overlay_classic", (HOOK, "One\nTwo\tthree\r\nfour"))
    assert ("One", "Two three", "four") == planned.captions[0].cards[0].lines


def test_words_are_made_smaller_before_they_are_broken() -> None:
    """A long word that fits at a smaller size stays whole."""
    planned, _ = plan("overlay_bold", (HOOK, "Geschwindigkeitsbegrenzung"))
    (card,) = planned.captions[0].cards
    assert ("Geschwindigkeitsbegrenzung",) == card.lines
    assert SIZE_MIN_PX <= card.size_px < MONTSERRAT_LARGE_PX


def test_thai_breaks_between_words() -> None:
    """A script without spaces is broken where its dictionary says."""
    words = ["สวัสดี", "ชาว", "โลก", "กาแฟ", "เย็น", "อร่อย", "มาก"]
    planned, _ = plan("product_hero_punchy", (HOOK, "".join(words)))
    ends, at = set(), 0
    for word in words:
        at += len(word)
        ends.add(at)
    at = 0
    lines = [line for card in planned.captions[0].cards for line in card.lines]
    assert len(lines) > 1
    for line in lines:
        at += len(line)
        assert at in ends


@pytest.mark.parametrize(
    ("preset", "edge", "at"),
    [
        ("overlay_bold", "top", 288),
        ("meme_fast", "middle", 768),
        ("overlay_classic", "bottom", 1248),
    ],
)
def test_each_position_has_its_anchor(preset: str, edge: str, at: int) -> None:
    """The block hangs at 288, is centred at 768 or stands on 1248, whatever its height."""
    for text in ("Sale", "A longer text that takes more than one line of the block"):
        planned, _ = plan(preset, (HOOK, text))
        for card in planned.captions[0].cards:
            share = {"top": 0, "middle": 0.5, "bottom": 1}[edge]
            assert math.isclose(at, card.box.y + share * card.box.height, abs_tol=1)


def test_the_margin_counts_from_the_frames_edges() -> None:
    """A wider margin than the safe box's takes from it; a narrower one gives nothing."""
    area = safe_area(STYLES["brand_safe_minimal"])
    assert (140, 288, 748, 960) == (area.x, area.y, area.width, area.height)
    area = safe_area(STYLES["overlay_classic"])
    assert (120, 288, 768, 960) == (area.x, area.y, area.width, area.height)


def test_captions_leave_the_product_room_in_an_overlay() -> None:
    """The block of any text is at most a third of the safe box, about."""
    for preset in ("overlay_bold", "overlay_classic", "brand_safe_minimal"):
        for text in HARD_TEXTS:
            planned, _ = plan(preset, (HOOK, text), seconds=30)
            assert planned.block is not None
            assert planned.block.height <= BLOCK_SHARE * 960 + 2


def test_the_block_holds_every_card() -> None:
    """It is what captions take at any time, and nothing without captions."""
    planned, _ = plan("overlay_classic", (HOOK, "Short"), (CTA, "A wide line of a caption"))
    block = block_box(planned.captions)
    assert planned.block == block
    assert block is not None
    boxes = [card.box for each in planned.captions for card in each.cards]
    assert block.width == max(box.width for box in boxes)
    assert block.y + block.height == 1248
    assert block_box(()) is None


def test_no_words_are_no_captions() -> None:
    """Empty texts and white space are left out without a warning."""
    planned, _ = plan("overlay_classic", (HOOK, ""), (CTA, " \n\t "))
    assert ((), None, ()) == (planned.captions, planned.block, planned.warnings)


def test_sizes_of_one_film_are_alike() -> None:
    """A word beside a long text is not set many times larger."""
    planned, _ = plan("meme_fast", (HOOK, "word " * 30), (CTA, "Go"), seconds=30)
    sizes = [card.size_px for each in planned.captions for card in each.cards]
    assert max(sizes) <= 1.3 * min(sizes)


def test_the_same_texts_make_the_same_plan() -> None:
    """Nothing depends on what was planned before."""
    style = STYLES["overlay_bold"]
    fonts = fonts_for(HARD_TEXTS, style)
    texts = [(HOOK, HARD_TEXTS[2]), (CTA, "Buy 👍🏽")]
    first = plan_captions(texts, style=style, frames=450, fps=30, fonts=fonts)
    plan("meme_fast", (HOOK, "something else"))
    assert first == plan_captions(texts, style=style, frames=450, fps=30, fonts=fonts)
