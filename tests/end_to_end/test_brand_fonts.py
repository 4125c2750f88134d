"""A brand's own font, from a URI to the letters on the screen, or refused in words."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from events.types import Problem, RenderCompleted, RenderRejected
from tests.end_to_end.film_checks import difference, frames_of
from tests.end_to_end.films import Ended, ask, ended
from tests.end_to_end.pictures import text_named_png

FONTS = Path(__file__).parents[2] / "config" / "fonts"
BEBAS = FONTS / "bebas-neue" / "BebasNeue_400Regular.ttf"
THAI = FONTS / "noto" / "NotoSansThai-Bold.ttf"
EMOJI = FONTS / "noto" / "NotoColorEmoji.ttf"
BYTES_MAX = "PYTOON_LIMITS__FONT_BYTES_MAX"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """What became of films with all kinds of fonts."""
    folder = tmp_path_factory.mktemp("fonts")
    shutil.copy(BEBAS, folder / "brand.ttf")
    asks: Mapping[str, dict[str, object]] = {
        "plain": ask("meme_smooth", hook="Sale"),
        "own": ask("meme_smooth", hook="Sale", font_uri=folder / "brand.ttf"),
        "partly": ask("meme_smooth", hook="Sale تخفيضات 👍🏽", font_uri=folder / "brand.ttf"),
        "safe": ask("meme_smooth", hook="Sale", brand_safe=True, font_uri=folder / "brand.ttf"),
        "no_font": ask("meme_smooth", hook="Sale", font_uri=text_named_png(folder)),
        "no_letters": ask("meme_smooth", hook="Größe", font_uri=EMOJI),
    }
    return ended(folder, asks, {BYTES_MAX: "15000000"})


def _families(end: Ended) -> list[str]:
    assert end.job.spec is not None
    return [font.family for font in end.job.spec.fonts]


def _warned(end: Ended) -> list[str]:
    assert isinstance(end.job.end, RenderCompleted), end.job.end
    return [warned.message for warned in end.job.warnings if warned.code.startswith("font")]


def _refused(end: Ended) -> Problem:
    assert isinstance(end.job.end, RenderRejected), end.job.end
    (problem,) = end.job.end.problems
    assert problem.field == "font_uri"
    return problem


def test_words_are_set_in_it(ends: dict[str, Ended]) -> None:
    """The plan names it alone, and the film looks otherwise than in the preset's font."""
    assert _families(ends["own"]) == ["Bebas Neue"]
    assert _warned(ends["own"]) == []
    assert ends["own"].path is not None
    assert ends["plain"].path is not None
    own, plain = (frames_of(ends[name].path, [20])[20] for name in ("own", "plain"))  # type: ignore[arg-type]
    assert difference(own, plain) > 0.5


def test_what_it_lacks_comes_from_another_and_is_told(ends: dict[str, Ended]) -> None:
    """Arabic is set in Noto, and the warning names the letters; emoji are nobody's own."""
    assert _families(ends["partly"]) == ["Bebas Neue", "Noto Sans Arabic", "Noto Color Emoji"]
    (message,) = _warned(ends["partly"])
    assert "Bebas Neue" in message
    assert "ت" in message
    assert "👍" not in message


def test_a_brand_safe_film_keeps_its_presets_font(ends: dict[str, Ended]) -> None:
    """And says so."""
    assert _families(ends["safe"]) == ["Archivo Black"]
    (message,) = _warned(ends["safe"])
    assert "instead of font_uri" in message


def test_what_is_no_font_is_refused(ends: dict[str, Ended]) -> None:
    """Told by reading it, whatever it is called."""
    problem = _refused(ends["no_font"])
    assert "not a font file" in problem.limit
    assert "TrueType or OpenType" in problem.hint


def test_a_font_without_the_letters_is_refused(ends: dict[str, Ended]) -> None:
    """A brand cannot mean a font that has none of them."""
    assert "none of the letters" in _refused(ends["no_letters"]).limit


def test_a_font_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """By its size, before it is read."""
    body = ask("meme_smooth", hook="Sale", font_uri=BEBAS)
    problem = _refused(ended(tmp_path, {"large": body}, {BYTES_MAX: "1000"})["large"])
    assert "0.001 MB" in problem.limit
