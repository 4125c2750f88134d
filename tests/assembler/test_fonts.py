"""Fonts: what is chosen for a text, and what is told to be missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assembler.fonts import (
    FontError,
    FontSet,
    MissingGlyph,
    covers,
    open_face,
    resolve_fonts,
    split_runs,
    system_font_dirs,
)
from events.spec import Artifact, FontFile
from tests.assembler.words import FONTS, HARD_TEXTS


def _families(*texts: str, family: str = "Inter") -> list[str]:
    fonts = resolve_fonts(texts, family, bundled=FONTS, system_dirs=())
    return [name for name, _ in fonts.files]


@pytest.mark.parametrize(
    ("asked", "family", "file"),
    [
        ("Inter", "Inter", "Inter_800ExtraBold.ttf"),
        ("Montserrat", "Montserrat", "Montserrat_900Black.ttf"),
        ("Impact", "Anton", "Anton_400Regular.ttf"),
        ("Arial Black", "Archivo Black", "ArchivoBlack_400Regular.ttf"),
        ("Bebas Neue", "Bebas Neue", "BebasNeue_400Regular.ttf"),
    ],
)
def test_each_presets_font_is_bundled(asked: str, family: str, file: str) -> None:
    """Every family that a preset names, or what stands for it, is found in its heaviest."""
    fonts = resolve_fonts(["Hello"], asked, bundled=FONTS, system_dirs=())
    assert [(family, file)] == [(name, path.name) for name, path in fonts.files]


def test_a_weight_picks_the_nearest_file() -> None:
    """A lighter weight of a family is another file of it."""
    fonts = resolve_fonts(["Hello"], "Inter", 600, bundled=FONTS, system_dirs=())
    assert fonts.files[0][1].name == "Inter_600SemiBold.ttf"


def test_only_what_the_texts_need_is_taken() -> None:
    """Each script adds its own font, in one order, whatever the order of the texts."""
    assert _families("Hello") == ["Inter"]
    assert _families("Hi 👍🏽") == ["Inter", "Noto Color Emoji"]
    mixed = ["Inter", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Thai"]
    assert _families("ไทย", "שלום", "عربي") == mixed
    assert _families("عربي", "ไทย", "שלום") == mixed


def test_all_hard_texts_are_covered_without_the_system() -> None:
    """Everything but Chinese, Japanese and Korean is drawn by what is bundled."""
    for family in ("Inter", "Impact", "Arial Black", "Bebas Neue", "Montserrat"):
        fonts = resolve_fonts(HARD_TEXTS, family, bundled=FONTS, system_dirs=())
        assert fonts.missing == ()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("你好", [("你", "Han", "fonts-noto-cjk"), ("好", "Han", "fonts-noto-cjk")]),
        ("hi あ", [("あ", "Hiragana", "fonts-noto-cjk")]),
        ("한", [("한", "Hangul", "fonts-noto-cjk")]),
        ("。", [("。", "CJK Symbols and Punctuation", "fonts-noto-cjk")]),
        ("ꦏ", [("ꦏ", "Javanese", "fonts-noto-core")]),
        ("\U00050000", [("\U00050000", "Unknown", "")]),
    ],
)
def test_what_no_font_has_is_told_by_name(text: str, missing: list[tuple[str, str, str]]) -> None:
    """A missing character comes with its script and the package that has it."""
    expected = {MissingGlyph(*each) for each in missing}
    assert expected == set(resolve_fonts([text], "Inter", bundled=FONTS, system_dirs=()).missing)


def test_joiners_selectors_and_bidi_marks_are_never_missing() -> None:
    """Characters without ink need no font."""
    text = "a\u200db\ufe0f\u200f\u2067c\u2069\u00ad\ufeff\t\n d"
    assert resolve_fonts([text], "Anton", bundled=FONTS, system_dirs=()).missing == ()


def test_a_system_font_fills_a_gap(tmp_path: Path) -> None:
    """A directory that is searched is used only for what the bundle lacks."""
    bundle, system = tmp_path / "bundle", tmp_path / "system"
    shutil.copytree(FONTS / "inter", bundle / "inter")
    system.mkdir()
    shutil.copy(FONTS / "noto" / "NotoSansThai-Bold.ttf", system)
    shutil.copy(FONTS / "anton" / "Anton_400Regular.ttf", system)
    hidden = resolve_fonts(["ไทย"], "Inter", bundled=bundle, system_dirs=())
    assert {each.script for each in hidden.missing} == {"Thai"}
    fonts = resolve_fonts(["ไทย ok"], "Inter", bundled=bundle, system_dirs=(system,))
    assert ["Inter", "Noto Sans Thai"] == [name for name, _ in fonts.files]
    assert fonts.missing == ()


def test_chinese_and_japanese_come_from_the_system() -> None:
    """Where the system has such a font, it is found, and the same one each time."""
    first = resolve_fonts(["世界"], "Inter", bundled=FONTS)
    if first.missing:
        pytest.skip(f"no font for Han in {system_font_dirs()}")
    assert first == resolve_fonts(["世界"], "Inter", bundled=FONTS)
    (_, path), name = first.files[1], first.files[1][0]
    assert covers(open_face(path, name), "世界")


def test_a_word_is_not_set_in_two_fonts() -> None:
    """One letter that the first font lacks takes its whole word to the next."""
    black = open_face(FONTS / "archivo-black" / "ArchivoBlack_400Regular.ttf")
    inter = open_face(FONTS / "inter" / "Inter_800ExtraBold.ttf")
    assert not covers(black, "ế")
    assert [("xin ", 0), ("Tiếng", 1), ("!", 0)] == split_runs("xin Tiếng!", [black, inter])


def test_emoji_take_the_colour_font_and_their_spaces_do_not() -> None:
    """A heart that Inter has in black is drawn in colour when its selector asks for it."""
    inter = open_face(FONTS / "inter" / "Inter_800ExtraBold.ttf")
    colour = open_face(FONTS / "noto" / "NotoColorEmoji.ttf")
    found = split_runs("1 ❤ ❤️ 3️⃣ ok", [inter, colour])
    assert [("1 ❤ ", 0), ("❤️", 1), (" ", 0), ("3️⃣", 1), (" ok", 0)] == found


def test_glyphs_that_say_something_else_are_not_used() -> None:
    """Anton draws ≠ as =: the sign is taken from another font, the rest stays."""
    fonts = resolve_fonts(["1 ≠ 2"], "Impact", bundled=FONTS, system_dirs=())
    opened = [open_face(path, name) for name, path in fonts.files]
    assert ["Anton", "Inter"] == [name for name, _ in fonts.files]
    assert ("≠", 1) in [(run.strip(), index) for run, index in split_runs("1 ≠ 2", opened)]


def test_a_brand_font_stands_in_for_the_family(tmp_path: Path) -> None:
    """An own font is used first; what it lacks comes from the bundled ones."""
    own = tmp_path / "brand"
    shutil.copy(FONTS / "anton" / "Anton_400Regular.ttf", own)
    fonts = resolve_fonts(["Hi 👍"], "Inter", bundled=FONTS, extra=own, system_dirs=())
    assert [("Anton", own), "Noto Color Emoji"] == [fonts.files[0], fonts.files[1][0]]


def test_a_brand_font_of_a_bundled_name_keeps_both(tmp_path: Path) -> None:
    """Two files of one family name do not hide each other."""
    own = tmp_path / "brand.ttf"
    shutil.copy(FONTS / "noto" / "NotoSansThai-Bold.ttf", own)
    fonts = resolve_fonts(["ไทย ok"], "Inter", bundled=FONTS, extra=own, system_dirs=())
    assert len({name for name, _ in fonts.files}) == len(fonts.files)
    assert fonts.files[0][1] == own


def test_a_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    """Text under a font's name is an error that names the file."""
    own = tmp_path / "brand.ttf"
    own.write_text("not a font")
    with pytest.raises(FontError, match=r"brand\.ttf"):
        resolve_fonts(["Hi"], "Inter", bundled=FONTS, extra=own, system_dirs=())


def test_a_brand_font_without_the_letters_is_refused() -> None:
    """A font of another script cannot be what the brand means."""
    thai = FONTS / "noto" / "NotoSansDevanagari-Bold.ttf"
    with pytest.raises(FontError, match="none of the letters"):
        resolve_fonts(["Grüße"], "Inter", bundled=FONTS, extra=thai, system_dirs=())


def test_an_unknown_family_is_refused() -> None:
    """The message lists the families that there are."""
    with pytest.raises(FontError, match=r"Comic Sans.*Inter"):
        resolve_fonts(["Hi"], "Comic Sans", bundled=FONTS, system_dirs=())


def test_a_plan_gives_its_fonts_back() -> None:
    """Fonts named by a plan are found by their content, in the plan's order."""
    names = ("Anton", "Inter")
    files = tuple(
        FontFile(family=name, artifact=Artifact(sha256=name * 2, bytes=1, media_type="font/ttf"))
        for name in names
    )
    sources = {name * 2: Path(name) for name in names}
    assert FontSet((("Anton", Path("Anton")), ("Inter", Path("Inter")))) == FontSet.from_spec(
        files, sources
    )
