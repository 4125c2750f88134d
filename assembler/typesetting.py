"""Lines of text as Skia shapes them: where they may break, how wide they are, what they ink.

Planning measures with what lettering draws with, so the two cannot disagree.  One line is one
paragraph of Skia's; which lines there are is decided in ``captions.py``.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import regex
import skia

from assembler.fonts import FontSet, covers, graphemes, is_emoji, open_face, split_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNBOUNDED_PX: Final = 1e6
# Colour emoji fill their em, capitals about 0.7 of it: set a little smaller, they sit in line.
EMOJI_SCALE: Final = 0.9
# ICU sees this many graphemes beyond a bound: its dictionaries (Thai) need the context.
BREAK_CONTEXT: Final = 24
# Ink fainter than this (of 255) is not seen, and may differ between processors.
INK_MIN: Final = 8

# Measurements kept in a process.
MEASUREMENTS_MAX: Final = 4096

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_TEXTLAYOUT: Any = skia.textlayout
_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_STRONG = regex.compile(r"[\p{Bidi_Class=L}\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_SPACES = regex.compile(r"[^\S\n\u00A0\u2007\u202F]+")
_NEWLINES = regex.compile(r"\r\n|[\r\v\f\x1C-\x1E\x85\u2028\u2029]")
# Embeddings and isolates would be cut in two by a line's end; plain marks (LRM, RLM) stay.
_DROPPED = regex.compile(
    r"[\p{Cc}--[\n\t]]|[\u00AD\u202A-\u202E\u2066-\u2069\uFEFF\uFFF9-\uFFFB]", regex.V1
)
# No script stacks more marks on a letter; text that does is meant to burst its lines.
MARKS_MAX: Final = 4
_STACKED = regex.compile(rf"(\p{{Mn}}{{{MARKS_MAX}}})\p{{Mn}}+")
_INSEPARABLE = regex.compile(
    r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Nd}\p{M}'’.,:;!?%&]+"
)
# Space between letters would tear the joins of these apart.
_SPACEABLE = regex.compile(r"[\p{Latin}\p{Greek}\p{Cyrillic}\p{Common}\p{Inherited}]+")
_RLI, _PDI = "\u2067", "\u2069"


@dataclass(frozen=True, slots=True)
class Ink:
    """What a line covers, in pixels from the left end of its baseline; y grows downwards."""

    left: int
    top: int
    right: int
    bottom: int


def clean(text: str) -> str:
    r"""Give ``text`` as it is set: composed, without controls, single spaces, trimmed lines.

    Line ends of any kind become ``\n``; blank lines are dropped, and so are marks stacked higher
    than any script does.
    """
    unified = _NEWLINES.sub("\n", unicodedata.normalize("NFC", text))
    lines = _STACKED.sub(r"\1", _DROPPED.sub("", unified)).split("\n")
    trimmed = (_SPACES.sub(" ", line).strip() for line in lines)
    return "\n".join(line for line in trimmed if line)


def is_right_to_left(text: str) -> bool:
    """Tell the direction of ``text`` by its first letter that has one."""
    first = _STRONG.search(text)
    return first is not None and _RIGHT_TO_LEFT.match(first.group()) is not None


class Typesetter:
    """Shapes, measures and paints single lines in the fonts of one film."""

    def __init__(self, fonts: FontSet) -> None:
        """Open the files of ``fonts``; raises ``FontError`` if one cannot be read."""
        provider = _TEXTLAYOUT.TypefaceFontProvider()
        self._typefaces: list[Any] = []
        for family, path in fonts.files:
            typeface = open_face(path, family)
            provider.registerTypeface(typeface, family)
            self._typefaces.append(typeface)
        self._families = [family for family, _ in fonts.files]
        self._collection = _TEXTLAYOUT.FontCollection()
        self._collection.setDefaultFontManager(provider)
        self._unicode = skia.Unicodes.ICU.Make()
        self._inks: dict[tuple[str, float, float, bool], Ink] = {}
        self._widths: dict[tuple[str, float, float], float] = {}

    def runs(self, text: str) -> list[tuple[str, str]]:
        """Cut ``text`` into runs, each with the family that draws it."""
        found = split_runs(text, self._typefaces)
        return [(run, self._families[index]) for run, index in found]

    def covers(self, text: str) -> bool:
        """Tell whether each run of ``text`` has all its glyphs in the font that it is set in."""
        found = split_runs(text, self._typefaces)
        return all(covers(self._typefaces[index], run) for run, index in found)

    def width(self, text: str, size_px: float, tracking_em: float = 0.0) -> float:
        """Measure the advance of ``text`` as one line."""
        key = (text, size_px, tracking_em)
        if key not in self._widths:
            width = float(self._paragraph(text, size_px, tracking_em).MaxIntrinsicWidth)
            _remember(self._widths, key, width)
        return self._widths[key]

    def ink(
        self, text: str, size_px: float, tracking_em: float = 0.0, *, rtl: bool = False
    ) -> Ink:
        """Measure what ``text`` covers as one line, by drawing it."""
        key = (text, size_px, tracking_em, rtl)
        if key not in self._inks:
            ink = self._draw_and_measure(text, size_px, tracking_em, rtl=rtl)
            _remember(self._inks, key, ink)
        return self._inks[key]

    def _draw_and_measure(
        self, text: str, size_px: float, tracking_em: float, *, rtl: bool
    ) -> Ink:
        pad = math.ceil(2 * size_px)
        paragraph = self._paragraph(text, size_px, tracking_em, rtl=rtl)
        width = math.ceil(paragraph.MaxIntrinsicWidth) + 2 * pad
        height = math.ceil(paragraph.Height) + 2 * pad
        # Skia adds alpha up in place: the array is the canvas.
        pixels: NDArray[np.uint8] = np.zeros((height, width, 4), np.uint8)
        canvas = skia.Surface(pixels).getCanvas()
        paragraph.paint(canvas, pad, pad)
        seen = pixels[:, :, 3] >= INK_MIN
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if rows.size == 0:
            return Ink(0, 0, 0, 0)
        base = pad + round(paragraph.AlphabeticBaseline)
        return Ink(
            left=int(columns[0]) - pad,
            top=int(rows[0]) - base,
            right=int(columns[-1]) + 1 - pad,
            bottom=int(rows[-1]) + 1 - base,
        )

    def paint(
        self,
        canvas: Any,
        text: str,
        at: tuple[float, float],
        *,
        size_px: float,
        tracking_em: float = 0.0,
        rtl: bool = False,
        paint: Any = None,
    ) -> None:
        """Draw ``text`` as one line; ``at`` is the left end of its baseline."""
        paragraph = self._paragraph(text, size_px, tracking_em, rtl=rtl, paint=paint)
        paragraph.paint(canvas, at[0], at[1] - round(paragraph.AlphabeticBaseline))

    def breakable(self, text: str) -> list[str]:
        """Cut ``text``, which has no line ends, where a line may end: the parts joined are it.

        A part may end in a space, which has no width at a line's end.
        """
        parts: list[str] = []
        for word in regex.findall(r"[^ ]* ?", text):
            if word:
                parts.extend(self._parts(word))
        return parts

    def _parts(self, word: str) -> list[str]:
        if _INSEPARABLE.fullmatch(word.rstrip(" ")):
            return [word]
        units = graphemes(word)
        parts, start = [units[0]], 0
        for at in range(1, len(units)):
            if units[at] != " " and self._breaks_at(units, start, at):
                parts.append("")
                start = at
            parts[-1] += units[at]
        return parts

    def _breaks_at(self, units: Sequence[str], start: int, at: int) -> bool:
        """Ask ICU, through Skia, whether a line may end before ``units[at]``.

        The least width of a paragraph is its widest unbreakable part.  With the two graphemes
        at the bound set large and all others tiny, it is one's width or both's.
        """
        if is_emoji(units[at - 1]) and is_emoji(units[at]):
            # Unicode allows it; Skia keeps a run of pictures together.
            return True
        low = max(start, at - BREAK_CONTEXT)
        before, after = "".join(units[low : at - 1]), "".join(units[at + 1 : at + BREAK_CONTEXT])
        large, tiny = 100.0, 0.01
        pieces = [(before, tiny), (units[at - 1], large), (units[at], large), (after, tiny)]
        least = float(self._build(self._pieces(pieces)).MinIntrinsicWidth)
        alone = max(
            float(self._build(self._pieces([(unit, large)])).MinIntrinsicWidth)
            for unit in (units[at - 1], units[at])
        )
        return least < alone + 1.0

    def _pieces(self, texts: Sequence[tuple[str, float]]) -> list[tuple[str, str, float]]:
        return [(run, family, size) for text, size in texts for run, family in self.runs(text)]

    def _paragraph(
        self,
        text: str,
        size_px: float,
        tracking_em: float,
        *,
        rtl: bool = False,
        paint: Any = None,
    ) -> Any:
        pieces = []
        for run, family in self.runs(text):
            emoji = is_emoji(run) and "Emoji" in family
            pieces.append((run, family, size_px * (EMOJI_SCALE if emoji else 1.0)))
        if rtl and pieces:
            # Skia's binding cannot set a paragraph's direction; an isolate does the same.
            first, last = pieces[0], pieces[-1]
            pieces = [(_RLI, first[1], size_px), *pieces, (_PDI, last[1], size_px)]
        return self._build(pieces, tracking_em * size_px, paint)

    def _build(
        self,
        pieces: Sequence[tuple[str, str, float]],
        tracking_px: float = 0.0,
        paint: Any = None,
    ) -> Any:
        style = _TEXTLAYOUT.ParagraphStyle()
        style.setTextAlign(_TEXTLAYOUT.TextAlign.kLeft)
        builder = _TEXTLAYOUT.ParagraphBuilder.make(style, self._collection, self._unicode)
        for run, family, size_px in pieces:
            look = _TEXTLAYOUT.TextStyle()
            look.setFontFamilies([family, *(name for name in self._families if name != family)])
            look.setFontSize(size_px)
            if tracking_px and _SPACEABLE.fullmatch(run):
                look.setLetterSpacing(tracking_px)
            if paint is None:
                look.setColor(0xFFFFFFFF)
            else:
                look.setForegroundPaint(paint)
            builder.pushStyle(look)
            builder.addText(run)
            builder.pop()
        paragraph = builder.Build()
        paragraph.layout(UNBOUNDED_PX)
        return paragraph


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Keep a measurement; a worker that plans many films starts afresh now and then."""
    if len(memory) >= MEASUREMENTS_MAX:
        memory.clear()
    memory[key] = value


@lru_cache(maxsize=4)
def typesetter(fonts: FontSet) -> Typesetter:
    """Give the typesetter of ``fonts``, opened once a process."""
    return Typesetter(fonts)
