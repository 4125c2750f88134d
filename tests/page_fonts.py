"""``python -m tests.page_fonts`` cuts the fonts of the web page out of those that ship.

Inter with the letters of European languages, small enough to come with the page.  What a film's
words need beside them a browser takes from its own.
"""

from __future__ import annotations

from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from config import SHIPPED
from services.gateway.app import PAGE

FONTS = PAGE / "fonts"
BYTES_MAX = 60_000
SOURCES = {
    "inter-400.woff": SHIPPED / "fonts" / "inter" / "Inter_400Regular.ttf",
    "inter-600.woff": SHIPPED / "fonts" / "inter" / "Inter_600SemiBold.ttf",
}
LICENCE = SHIPPED / "fonts" / "inter" / "OFL.txt"
RANGES = ((0x20, 0x7E), (0xA0, 0x17F), (0x218, 0x21B), (0x2010, 0x2026), (0x2030, 0x203A))
SINGLE = "€™←↑→↓−×·"
FEATURES = ["calt", "case", "ccmp", "kern", "liga", "locl", "mark", "mkmk", "tnum"]


def cut(source: Path, path: Path) -> None:
    """Write the page's part of a font as WOFF."""
    options = Options()
    options.layout_features = FEATURES
    options.flavor = "woff"
    options.hinting = False
    options.drop_tables += ["DSIG"]
    # The same font gives the same bytes.
    font = TTFont(source, recalcTimestamp=False)
    subsetter = Subsetter(options)
    letters = [code for first, last in RANGES for code in range(first, last + 1)]
    subsetter.populate(unicodes=[*letters, *map(ord, SINGLE)])
    subsetter.subset(font)
    font.flavor = "woff"
    font.save(path)


def main() -> int:
    """Write them.  Returns the exit status."""
    FONTS.mkdir(exist_ok=True)
    for name, source in SOURCES.items():
        cut(source, FONTS / name)
        print(f"{name}: {(FONTS / name).stat().st_size} bytes")
    (FONTS / LICENCE.name).write_bytes(LICENCE.read_bytes())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
