"""Words of every script, planned for real: drawn in a font that has them, or rejected by name.

Chinese, Japanese and Korean are not bundled.  Whatever this machine has installed, both ways are
tried: with the system's fonts hidden, and with a font of our own making in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from assembler import fonts
from assembler.captions import SIZE_MIN_PX, safe_area
from assembler.fonts import FontSet, drawn
from assembler.lettering import draw_card
from assembler.looks import look_of
from assembler.typesetting import typesetter
from events.types import Problem
from tests.assembler.words import CJK_TEXTS, STYLES
from tests.end_to_end.making import Planned, Rejected, planned

FAMILY = "Boxes CJK"
EM = 1000
SCRIPTS = {"Han", "Hiragana", "Katakana", "Hangul"}


def box_font(path: Path, texts: Sequence[str]) -> Path:
    """Write a font that draws each character of ``texts`` beyond Latin as a box of its own."""
    chars = sorted({char for text in texts for char in text if ord(char) > 0x2E00})
    names = {ord(char): f"u{ord(char):04X}" for char in chars}
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    glyphs = {name: _box(40 + 10 * (at % 12)) for at, name in enumerate(names.values())}
    builder.setupGlyf({".notdef": _box(300), **glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (EM, 40)))
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": FAMILY, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=880, sTypoDescender=-120, usWeightClass=700)
    builder.setupPost()
    builder.save(str(path))
    return path


def _box(hole: int) -> object:
    """A square with a square hole whose edge tells the glyphs apart."""
    pen = TTGlyphPen(None)
    outer = [(40, -80), (40, 840), (960, 840), (960, -80)]
    inner = [
        (500 - hole, 300),
        (500 + hole, 300),
        (500 + hole, 300 + hole),
        (500 - hole, 300 + hole),
    ]
    for corners in (outer, inner):
        pen.moveTo(corners[0])
        for corner in corners[1:]:
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with such a font, as a system has them."""
    folder = tmp_path_factory.mktemp("fonts")
    box_font(folder / "boxes.ttf", CJK_TEXTS)
    return folder


def _system(monkeypatch: pytest.MonkeyPatch, *places: Path) -> None:
    """Let the system have these font directories and no others."""
    monkeypatch.setattr(fonts, "system_font_dirs", lambda: places)


def _check_rejected(problems: Sequence[Problem], text: str) -> None:
    """Every character that cannot be drawn is named, with its script and what to install."""
    told = {problem.value for problem in problems}
    needed = {char for char in drawn(text) if ord(char) > 0x2E00}
    assert {f"{char} (U+{ord(char):04X})" for char in needed} == told
    for problem in problems:
        assert problem.field == "hook"
        assert "fonts-noto-cjk" in problem.hint
    assert any(script in problem.limit for problem in problems for script in SCRIPTS)


def _check_drawn(made: Planned, preset: str) -> None:
    """All of the text is on the cards, whole, legible and in the safe box."""
    spec, area = made.spec, safe_area(STYLES[preset])
    (caption,) = spec.captions
    shown = "".join(line for card in caption.cards for line in card.lines)
    assert "".join(shown.split()) == "".join(caption.text.split())
    font_set = FontSet.from_spec(spec.fonts, made.sources)
    for index, card in enumerate(caption.cards):
        assert card.size_px >= SIZE_MIN_PX
        assert area.x <= card.box.x <= card.box.x + card.box.width <= area.x + area.width
        assert area.y <= card.box.y <= card.box.y + card.box.height <= area.y + area.height
        assert all(typesetter(font_set).covers(line) for line in card.lines)
        alpha = draw_card(caption, index, look_of(spec.style), font_set, plate=False)[..., 3]
        edges = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
        assert max(int(edge.max()) for edge in edges) <= 100
        letters = sum(len(drawn(line)) for line in card.lines)
        assert (alpha > 128).sum() > 0.05 * letters * card.size_px**2


@pytest.mark.parametrize("text", CJK_TEXTS)
def test_without_a_font_it_is_rejected_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Character, script and the package to install, whatever this machine has."""
    _system(monkeypatch)
    with pytest.raises(Rejected) as caught:
        planned(tmp_path, "overlay_classic", hook=text)
    _check_rejected(caught.value.problems, text)


@pytest.mark.parametrize("preset", STYLES)
def test_with_a_font_of_the_system_it_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boxes: Path, preset: str
) -> None:
    """In every preset, all of it, in the safe box; the font becomes an artifact of the plan."""
    _system(monkeypatch, boxes)
    for number, text in enumerate(CJK_TEXTS):
        made = planned(tmp_path / str(number), preset, hook=text, target_duration_seconds=8)
        assert FAMILY in [font.family for font in made.spec.fonts]
        _check_drawn(made, preset)


@pytest.mark.parametrize("text", CJK_TEXTS)
def test_this_machine_draws_it_or_rejects_it(tmp_path: Path, text: str) -> None:
    """With what is installed here one of the two happens, and nothing else."""
    problems: Sequence[Problem] = ()
    try:
        made = planned(tmp_path, "overlay_classic", hook=text, target_duration_seconds=8)
    except Rejected as rejected:
        problems = rejected.problems
    else:
        _check_drawn(made, "overlay_classic")
    assert {problem.value[0] for problem in problems} <= set(text)
    assert all("Debian: fonts-" in problem.hint for problem in problems)


def test_a_frame_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boxes: Path) -> None:
    """What is drawn is in the film: the boxes' ink, inside the safe box and nowhere else."""
    _system(monkeypatch, boxes)
    texts = {"with": CJK_TEXTS[0], "without": ""}
    made = {name: planned(tmp_path / name, "meme_fast", hook=text) for name, text in texts.items()}
    frames = {name: each.film().frame(30).y.astype(int) for name, each in made.items()}
    rows, columns = np.nonzero(np.abs(frames["with"] - frames["without"]) > 60)
    assert rows.size > 20_000
    assert rows.min() >= 288
    assert rows.max() < 1248
    assert columns.min() >= 120
    assert columns.max() < 888
