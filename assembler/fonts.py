"""Which font files a film's words need, and what no font can draw.

The bundled fonts come first; the system's are looked at only for characters that none of those
covers.  What is chosen is a row of files in the order of fall-back: the planner stores them as
artifacts, and whoever draws uses those and nothing else.  Shaping and measuring are in
``typesetting.py``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import regex
import skia
from fontTools import unicodedata as scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from events.spec import FontFile

SUFFIXES: Final = (".ttf", ".otf", ".ttc", ".otc")
FALLBACK: Final = "Inter"
EMOJI: Final = "Noto Color Emoji"
ALIASES: Final = {"Impact": "Anton", "Arial Black": "Archivo Black"}
# Bounds on foreign input: faces of one collection, files of one machine.
FACES_MAX: Final = 64
SYSTEM_FILES_MAX: Final = 20_000

_UNDRAWN = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}]")
_EMOJI = regex.compile(r"\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|\uFE0F\u20E3")
_LETTER = regex.compile(r"\p{L}")
_GRAPHEME = regex.compile(r"\X")
_PACKAGES: Final = {
    **dict.fromkeys(("Hani", "Hira", "Kana", "Hang", "Bopo"), "fonts-noto-cjk"),
    "Zzzz": "",
}
# Glyphs that say something else, by family: ≠ is drawn as =, ₵ as ¢, ₿ as ƒ, or as nothing.
_WRONG: Final = {"Anton": "≠₵", "Bebas Neue": "₿\ue0ff\ueffd\uf000"}
# Characters of several scripts are named by their block.
_SHARED: Final = ("Zyyy", "Zinh")
_LAST_RESORTS = regex.compile(r"last ?resort|blank|notdef|tofu|fallback", regex.IGNORECASE)


class FontError(ValueError):
    """A font cannot be used; the message says which and why. Ask for another font."""


@dataclass(frozen=True, slots=True)
class MissingGlyph:
    """A character that no font here draws.

    ``script`` is its script's name in English, or its block's where scripts share it;
    ``package`` the Debian package that has it, or "" where none is known.
    """

    char: str
    script: str
    package: str


@dataclass(frozen=True, slots=True)
class FontSet:
    """Font files in the order of fall-back, as ``(family, file)``; the first is the one asked."""

    files: tuple[tuple[str, Path], ...]
    missing: tuple[MissingGlyph, ...] = ()

    @classmethod
    def from_spec(cls, fonts: Sequence[FontFile], sources: Mapping[str, Path]) -> FontSet:
        """Give the fonts that a plan names, from its artifacts; ``KeyError`` if one is absent."""
        return cls(tuple((font.family, Path(sources[font.artifact.sha256])) for font in fonts))


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a font file: ``index`` counts within a collection, ``weight`` is 100–950."""

    path: Path
    index: int
    family: str
    weight: int
    upright: bool


def canonical(family: str) -> str:
    """Give the bundled family that stands for ``family``."""
    return ALIASES.get(family, family)


def graphemes(text: str) -> list[str]:
    """Split ``text`` at the bounds of what a reader takes for one character."""
    return [str(each) for each in _GRAPHEME.findall(text)]


def is_emoji(grapheme: str) -> bool:
    """Tell whether ``grapheme`` is meant as a colour picture."""
    return _EMOJI.search(grapheme) is not None


def drawn(text: str) -> str:
    """Give ``text`` less what has no ink: white space, controls, joiners, selectors."""
    return str(_UNDRAWN.sub("", text))


def open_face(path: Path, family: str = "") -> Any:
    """Open the face of ``path`` that is named ``family``, or else its first.

    Raises ``FontError`` if the file is not a font.
    """
    first: Any = skia.Typeface.MakeFromFile(str(path))
    if first is None:
        message = f"{path.name} is not a font file that can be read (TrueType or OpenType)"
        raise FontError(message)
    face, index = first, 0
    while family and face is not None and index < FACES_MAX:
        if face.getFamilyName() == family:
            return face
        index += 1
        face = skia.Typeface.MakeFromFile(str(path), index) if _is_collection(path) else None
    return first


def covers(typeface: Any, text: str) -> bool:
    """Tell whether ``typeface`` has a right glyph for all of ``text`` that needs ink."""
    wrong = _WRONG.get(str(typeface.getFamilyName()), "")
    return all(typeface.unicharToGlyph(ord(char)) and char not in wrong for char in drawn(text))


def split_runs(text: str, typefaces: Sequence[Any]) -> list[tuple[str, int]]:
    """Cut ``text`` into runs that one font each can draw: ``(run, index into typefaces)``.

    Letters that stand together stay in one font where any covers them all, so that a word is
    never set in two; emoji go to the colour font; white space stays with what precedes it.
    """
    runs: list[tuple[str, int]] = []
    for word in _words(text):
        whole = _first_cover(word, typefaces)
        parts = [word] if whole is not None else graphemes(word)
        for part in parts:
            chosen = whole if whole is not None else _first_cover(part, typefaces)
            font = chosen if chosen is not None else 0
            if runs and not drawn(part):
                # A colour font's space is as wide as its pictures.
                before = runs[-1][1]
                font = 0 if _is_colour(typefaces[before]) else before
            if runs and runs[-1][1] == font:
                runs[-1] = (runs[-1][0] + part, font)
            else:
                runs.append((part, font))
    return runs


def resolve_fonts(
    texts: Iterable[str],
    family: str,
    weight: int | None = None,
    *,
    bundled: Path,
    extra: Path | None = None,
    system_dirs: Sequence[Path] | None = None,
) -> FontSet:
    """Find the files that draw ``texts`` in ``family``, and the characters that none draws.

    ``weight`` picks among a family's files (default: its heaviest); ``extra`` is a brand's own
    font, which then stands in for ``family``.  ``system_dirs`` are searched, only when the
    bundled fonts do not suffice (None: this system's usual ones; empty: none).

    Raises ``FontError`` for a family that is not bundled, or a brand font that cannot be read
    or has none of the letters.
    """
    faces = list(_bundled_faces(bundled, canonical(family), weight, needed=extra is None))
    if extra is not None:
        own = open_face(extra)
        faces.insert(0, Face(extra, 0, str(own.getFamilyName()), 0, upright=True))
    units = sorted({unit for text in texts for unit in graphemes(text) if drawn(unit)})
    if extra is not None:
        _check_brand_font(extra, units)
    opened = [open_face(face.path, face.family) for face in faces]
    used = {0}
    left: list[str] = []
    for unit in units:
        found = _first_cover(unit, opened)
        if found is None:
            left.append(unit)
        else:
            used.add(found)
    # A word that its font covers in part only is set in the first font that has all of it.
    for text in texts:
        used.update(index for _, index in split_runs(text, opened))
    chosen = [face for index, face in enumerate(faces) if index in used]
    more, left = _from_system(left, system_dirs)
    names = _distinct_names([*chosen, *more])
    chars = sorted({char for unit in left for char in drawn(unit)})
    # Where only a base and its mark have no font in common, both are told.
    alone = [char for char in chars if _first_cover(char, opened) is None]
    return FontSet(names, tuple(_missing(char) for char in alone or chars))


def lacking(path: Path, texts: Iterable[str]) -> tuple[str, str]:
    """The family of a brand's font, and the characters of ``texts`` that it does not draw.

    Emoji are left out: no brand has its own.
    """
    face = open_face(path)
    units = {unit for text in texts for unit in graphemes(text) if not is_emoji(unit)}
    chars = sorted({char for unit in units for char in drawn(unit) if not covers(face, char)})
    return str(face.getFamilyName()), "".join(chars)


def _check_brand_font(path: Path, units: Sequence[str]) -> None:
    face = open_face(path)
    letters = [unit for unit in units if _LETTER.match(unit)]
    if letters and not any(covers(face, unit) for unit in letters):
        message = f"the font {face.getFamilyName()} has none of the letters of these texts"
        raise FontError(message)


def _distinct_names(faces: Sequence[Face]) -> tuple[tuple[str, Path], ...]:
    """Name each file by its family; a brand's font may bear the name of a bundled one."""
    names: dict[str, Path] = {}
    for face in faces:
        name = face.family
        while name in names:
            name += " fallback"
        names[name] = face.path
    return tuple(names.items())


def _words(text: str) -> list[str]:
    """Join graphemes that are letters into words; everything else stays a grapheme."""
    words: list[str] = []
    in_word = False
    for grapheme in graphemes(text):
        letter = _LETTER.match(grapheme) is not None
        if letter and in_word:
            words[-1] += grapheme
        else:
            words.append(grapheme)
        in_word = letter
    return words


def _is_colour(typeface: Any) -> bool:
    return "Emoji" in str(typeface.getFamilyName())


def _first_cover(text: str, typefaces: Sequence[Any]) -> int | None:
    order = range(len(typefaces))
    if is_emoji(text):
        colour = [i for i in order if _is_colour(typefaces[i])]
        order = [*colour, *(i for i in order if i not in colour)]  # type: ignore[assignment]
    return next((index for index in order if covers(typefaces[index], text)), None)


@lru_cache(maxsize=8)
def _faces_of(directory: Path) -> tuple[Face, ...]:
    """List the faces under ``directory``, by file name, so that every machine lists alike."""
    found = sorted(
        (Path(root) / name for root, _, names in os.walk(directory) for name in names),
        key=lambda path: (path.name, str(path)),
    )
    fonts = [path for path in found if path.suffix.lower() in SUFFIXES][:SYSTEM_FILES_MAX]
    return tuple(face for path in fonts for face in _faces_in(path))


def _is_collection(path: Path) -> bool:
    # By content: an artifact's file has no suffix to go by.
    with path.open("rb") as file:
        return file.read(4) == b"ttcf"


def _faces_in(path: Path) -> list[Face]:
    faces: list[Face] = []
    try:
        count = FACES_MAX if _is_collection(path) else 1
    except OSError:
        return faces
    for index in range(count):
        face: Any = skia.Typeface.MakeFromFile(str(path), index)
        if face is None:
            break
        style = face.fontStyle()
        upright = style.slant() == skia.FontStyle.kUpright_Slant
        faces.append(Face(path, index, str(face.getFamilyName()), int(style.weight()), upright))
    return faces


def _bundled_faces(
    bundled: Path, family: str, weight: int | None, *, needed: bool
) -> tuple[Face, ...]:
    """Give the bundled faces in the order of fall-back, one a family: ``family`` first."""
    by_family: dict[str, list[Face]] = {}
    for face in _faces_of(bundled):
        by_family.setdefault(face.family, []).append(face)
    if needed and family not in by_family:
        message = f"there is no font {family}; the bundled ones are {', '.join(sorted(by_family))}"
        raise FontError(message)
    first = [family] if family in by_family else []
    noto = sorted(name for name in by_family if name.startswith("Noto"))
    plain = [name for name in noto if name != EMOJI]
    order = dict.fromkeys([*first, FALLBACK, *plain, EMOJI])
    return tuple(
        _nearest(by_family[name], weight if name == family else None)
        for name in order
        if name in by_family
    )


def _nearest(faces: Sequence[Face], weight: int | None) -> Face:
    aim = max(face.weight for face in faces) if weight is None else weight
    return min(faces, key=lambda face: (abs(face.weight - aim), face.weight, face.path.name))


def system_font_dirs() -> tuple[Path, ...]:
    """Give the directories where this system keeps fonts, those that exist."""
    home = Path.home()
    if sys.platform == "darwin":
        places = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    elif sys.platform == "win32":
        places = [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    else:
        places = [
            Path("/usr/share/fonts"),
            Path("/usr/local/share/fonts"),
            home / ".local/share/fonts",
            home / ".fonts",
        ]
    return tuple(place for place in places if place.is_dir())


def _from_system(
    units: Sequence[str], dirs: Sequence[Path] | None
) -> tuple[list[Face], list[str]]:
    """Cover ``units`` by the system's fonts: the faces, and the units still left."""
    left = list(units)
    chosen: list[Face] = []
    if not left:
        return chosen, left
    places = system_font_dirs() if dirs is None else tuple(dirs)
    faces = [face for place in places for face in _faces_of(place) if _usable(face)]
    locale = _cjk_locale(left)
    faces.sort(key=lambda face: _rank(face, locale))
    for face in faces:
        if not left:
            break
        opened: Any = skia.Typeface.MakeFromFile(str(face.path), face.index)
        rest = [unit for unit in left if not covers(opened, unit)]
        if len(rest) < len(left):
            chosen.append(face)
            left = rest
    return chosen, left


def _usable(face: Face) -> bool:
    return face.upright and _LAST_RESORTS.search(face.family) is None


def _rank(face: Face, locale: str) -> tuple[int, int, int, str]:
    """Sort key: designed sans families first, then bold ones, then by name."""
    name = face.family
    plain = "Mono" not in name and "Serif" not in name
    if name.startswith("Noto Sans") and plain:
        kind = 1 if "CJK" in name and not name.endswith(locale) else 0
    elif plain:
        kind = 2
    else:
        kind = 3
    if regex.search("unifont|bitmap|symbol", name, regex.IGNORECASE):
        kind = 4
    return (kind, abs(face.weight - 700), len(name), name)


def _cjk_locale(units: Sequence[str]) -> str:
    """Tell whose Han shapes to draw: Korean or Japanese if their own letters are there."""
    found = {scripts.script(char) for unit in units for char in unit}
    if found & {"Hira", "Kana"}:
        return "JP"
    return "KR" if "Hang" in found else "SC"


def _missing(char: str) -> MissingGlyph:
    if is_emoji(char) or regex.match(r"\p{Extended_Pictographic}", char):
        return MissingGlyph(char, "Emoji", "fonts-noto-color-emoji")
    code = scripts.script(char)
    if code in _SHARED:
        block = str(scripts.block(char))
        cjk = regex.search("CJK|Katakana|Hiragana|Hangul|Fullwidth", block)
        return MissingGlyph(char, block, "fonts-noto-cjk" if cjk else "fonts-noto-core")
    name = str(scripts.script_name(code)).replace("_", " ")
    return MissingGlyph(char, name, _PACKAGES.get(code, "fonts-noto-core"))
