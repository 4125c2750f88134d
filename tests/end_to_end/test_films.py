"""Real films of real photographs: what they are, and that they show what was asked.

The films of a module are made at once: by all four actors in this process on the log in memory,
with the real engine; some come from the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ImageFont

from config import load
from tests.end_to_end.film_checks import (
    HEIGHT,
    WIDTH,
    Pixels,
    check_film,
    difference,
    find_picture,
    frames_of,
    ink,
)
from tests.end_to_end.films import Film, ask, made
from tests.end_to_end.pictures import KINDS, SAME_CUP, coffee, cup, music, portrait, voice
from tests.end_to_end.shell import Shell, opened

ARCHETYPES = {
    "product_hero_clean": "PRODUCT_HERO",
    "overlay_classic": "OVERLAY",
    "meme_smooth": "MEME_TEXT",
}
QUICK_KINDS = ("png", "alpha", "portrait", "cmyk", "orientation_6")
"""What the quick run looks at; the slow one does at all."""
SAFE = (120, 288, 888, 1248)
"""Left, top, right and bottom of what no platform covers."""
OUTLINE_PX = 12
"""What an outline or a shadow may add to a word's box."""
LONG = "Hand made in small batches from beans that we roast ourselves, slowly, every single day"
AWKWARD = ("50% off: %{pts}", r"""It's "good", a\b; [e] {f} = 1""")

PIXELS = {
    "alpha": np.asarray(cup().convert("RGB"), np.uint8),
    "portrait": np.asarray(portrait(), np.uint8),
    "png": np.asarray(coffee(), np.uint8),
}


def _quick_asks(folder: Path) -> dict[str, dict[str, Any]]:
    """One film of every kind of picture, and those that the old system got wrong."""
    paths = {kind: KINDS[kind](folder) for kind in QUICK_KINDS}
    asks = {kind: ask("overlay_classic", path) for kind, path in paths.items()}
    asks |= {preset: ask(preset, paths["png"]) for preset in ("product_hero_clean", "meme_smooth")}
    asks["loud"] = ask(
        "overlay_classic",
        paths["alpha"],
        paths["portrait"],
        target_duration_seconds=5,
        music_uri=music(folder),
        voice_uri=voice(folder),
    )
    for preset in ("overlay_classic", "overlay_bold", "meme_fast"):
        asks[f"no-words-{preset}"] = ask(preset, hook="")
        asks[f"words-{preset}"] = ask(preset, hook="Words")
    asks["long"] = ask("overlay_classic", hook=LONG, target_duration_seconds=3)
    asks["awkward"] = ask(
        "overlay_classic",
        target_duration_seconds=3,
        hook=AWKWARD[0],
        cta=AWKWARD[1],
    )
    return asks


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """The films that the quick tests look at."""
    folder = tmp_path_factory.mktemp("films")
    return made(folder, _quick_asks(folder))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell whose services stay up for the module."""
    with opened(tmp_path_factory.mktemp("shell")) as shell:
        yield shell


pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("kind", QUICK_KINDS)
def test_every_kind_of_picture_makes_a_film(films: dict[str, Film], kind: str) -> None:
    """Whatever the format, the film is what every film is, without a downgrade or a warning."""
    check_film(films[kind].path, 1)
    assert films[kind].job.downgrades == ()
    assert films[kind].job.warnings == ()


@pytest.mark.parametrize("kind", [kind for kind in QUICK_KINDS if kind in SAME_CUP])
def test_every_format_shows_the_same_picture(films: dict[str, Film], kind: str) -> None:
    """A CMYK, palette, 16-bit, large or turned picture looks as its plain PNG does."""
    _assert_alike(films[kind].frame(15), films["png"].frame(15), kind)


def _assert_alike(one: Pixels, other: Pixels, kind: str) -> None:
    if kind == "grey":
        # Colours of the background come from the picture: only the picture itself is compared.
        part = (slice(480, 900), slice(200, 800))
        grey = cv2.cvtColor(other[part], cv2.COLOR_RGB2GRAY)
        one, other = one[part], np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    assert difference(one, other) < 6


@pytest.mark.parametrize("kind", ["png", "portrait", "alpha"])
def test_an_overlay_shows_the_whole_product_once(films: dict[str, Film], kind: str) -> None:
    """Neither stretched nor cropped, nowhere a second time, and clear of the words."""
    film = films[kind]
    pixels = PIXELS[kind]
    part = pixels[60:300, 100:420] if kind == "alpha" else pixels
    found = find_picture(film.frame(15), part, scales=(0.4, 3.0))
    assert found.likeness > 0.8
    assert found.runner_up < 0.5
    words_top = min(card.box.y for caption in film.spec.captions for card in caption.cards)
    assert found.y + part.shape[0] * found.scale <= words_top
    assert found.x >= 0
    assert found.x + part.shape[1] * found.scale <= WIDTH


def test_a_hero_is_as_wide_as_the_frame_and_not_stretched(films: dict[str, Film]) -> None:
    """Its middle is found with its aspect kept; above and below it no bar is of one colour."""
    frame = films["product_hero_clean"].frame(15)
    found = find_picture(frame, PIXELS["png"][120:280, 230:370], scales=(1.5, 6.0))
    assert found.likeness > 0.7
    assert found.scale * PIXELS["png"].shape[1] >= WIDTH
    rows = frame.reshape(HEIGHT, -1).astype(float).std(axis=1)
    assert min(rows[:40].min(), rows[-40:].min()) > 2


@pytest.mark.parametrize("name", ["png", "product_hero_clean", "meme_smooth"])
def test_the_picture_moves(films: dict[str, Film], name: str) -> None:
    """No film of a photograph is a still, and none jumps."""
    frames = frames_of(films[name].path, [0, 10, 11, 29])
    assert difference(frames[0], frames[29]) > 0.5
    assert difference(frames[10], frames[11]) < 12


def test_every_picture_is_shown(films: dict[str, Film]) -> None:
    """Two pictures and two segments: one each."""
    frames = frames_of(films["loud"].path, [40, 120])
    seen = [
        find_picture(frames[40], PIXELS["alpha"][60:300, 100:420], scales=(0.4, 3.0)),
        find_picture(frames[120], PIXELS["portrait"], scales=(0.4, 3.0)),
    ]
    assert min(sighting.likeness for sighting in seen) > 0.75


def test_music_voice_and_a_crossfade_keep_film_and_length(films: dict[str, Film]) -> None:
    """The old system turned this into a template slide, and each crossfade ate some frames."""
    film = films["loud"]
    assert film.spec.transition.frames == 4
    found = check_film(film.path, 5)
    assert found.true_peak_db > -20
    assert film.job.downgrades == ()
    assert {rung.engine for rung in film.job.rungs} == {"compositor"}
    assert film.job.soundtrack is not None
    assert film.job.soundtrack.lufs == pytest.approx(-14, abs=1)


def test_a_second_is_enough_for_a_film(films: dict[str, Film]) -> None:
    """A film of 1 s is drawn as any other, not as a template slide."""
    assert {rung.engine for rung in films["png"].job.rungs} == {"compositor"}
    assert len(films["png"].spec.segments) == 1


@pytest.mark.parametrize(
    ("preset", "edge", "at"),
    [
        ("overlay_bold", "top", 288),
        ("meme_fast", "middle", 768),
        ("overlay_classic", "bottom", 1248),
    ],
)
def test_words_lie_where_the_preset_says(
    films: dict[str, Film], preset: str, edge: str, at: int
) -> None:
    """Upper third, centre and lower third are three places."""
    left, top, right, bottom = _ink(films, preset, f"words-{preset}")
    assert {"top": top, "middle": (top + bottom) / 2, "bottom": bottom}[edge] == pytest.approx(
        at, abs=45
    )
    assert left >= SAFE[0] - OUTLINE_PX
    assert right <= SAFE[2] + OUTLINE_PX


def _ink(films: dict[str, Film], preset: str, name: str) -> tuple[int, int, int, int]:
    # Frame 20: what comes in with the first frames has come in.
    return ink(films[name].frame(20), films[f"no-words-{preset}"].frame(20))


def test_a_long_caption_stays_inside(films: dict[str, Film]) -> None:
    """Every line of it lies in the safe box, at a size that can be read."""
    cards = [card for caption in films["long"].spec.captions for card in caption.cards]
    assert " ".join(line for card in cards for line in card.lines) == LONG
    assert min(card.size_px for card in cards) >= 44
    for card in cards:
        frame = films["long"].frame(card.start + card.frames // 2)
        still = films["no-words-overlay_classic"].frame(20)
        left, top, right, bottom = _bright(frame, still)
        assert SAFE[0] - OUTLINE_PX <= left < right <= SAFE[2] + OUTLINE_PX
        assert SAFE[1] - OUTLINE_PX <= top < bottom <= SAFE[3] + OUTLINE_PX


def _bright(frame: Pixels, still: Pixels) -> tuple[int, int, int, int]:
    """The box of what is much brighter than anything in the film without words."""
    return ink(np.where(frame > still.max() + 30, frame, 0).astype(np.uint8), np.zeros_like(frame))


def test_awkward_words_are_shown_as_they_are(films: dict[str, Film]) -> None:
    """Percent signs, braces, quotes, backslashes and colons are letters like any other."""
    film = films["awkward"]
    shown = [
        " ".join(line for card in caption.cards for line in card.lines)
        for caption in film.spec.captions
    ]
    assert shown == list(AWKWARD)
    still = films["no-words-overlay_classic"].frame(20)
    for caption in film.spec.captions:
        for card in caption.cards:
            frame = film.frame(card.start + card.frames // 2)
            left, _, right, _ = _bright(frame, still)
            assert right - left == pytest.approx(_width_px(film, card), abs=2 * OUTLINE_PX + 8)


def _width_px(film: Film, card: Any) -> float:
    """How wide another program sets the card's lines in the font that the presets name."""
    folder = load(environ={}).fonts.directory / "inter"
    widths = []
    for font in sorted(folder.glob("*.ttf")):
        setter = ImageFont.truetype(str(font), 100)
        widths.append(max(setter.getlength(line) for line in card.lines) * card.size_px / 100)
    left, right = card.box.x, card.box.x + card.box.width
    return float(min(widths, key=lambda width: abs(width - (right - left))))


def test_the_command_line_makes_the_same_film(shell: Shell, films: dict[str, Film]) -> None:
    """One line, one film, one verdict: the bytes that the actors make in one process."""
    picture = KINDS["png"](shell.folder)
    out = shell.folder / "film.mp4"
    called = shell.call(
        *("render", "--preset", "overlay_classic", "--image", str(picture)),
        *("--prompt", "Good morning", "--duration", "1", "--seed", "7"),
        *("--json", "-o", str(out)),
    )
    assert called.code == 0, called.err
    assert films["png"].path.read_bytes() == out.read_bytes()
    told = {key: called.told[key] for key in ("frames", "duration_s", "downgrades", "warnings")}
    assert {"frames": 30, "duration_s": 1.0, "downgrades": [], "warnings": []} == told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_picture_in_every_archetype(tmp_path: Path) -> None:
    """All formats, shapes and orientations; what shows the same cup looks the same."""
    paths = {kind: make(tmp_path) for kind, make in KINDS.items()}
    asks = {
        f"{preset}-{kind}": ask(preset, path)
        for preset in ARCHETYPES
        for kind, path in paths.items()
    }
    films = made(tmp_path, asks)
    for preset in ARCHETYPES:
        plain = films[f"{preset}-png"].frame(15)
        for kind in KINDS:
            film = films[f"{preset}-{kind}"]
            check_film(film.path, 1)
            assert film.job.downgrades == ()
            same_size = preset == "overlay_classic" or kind != "large_jpeg"
            # Small pictures are not blown up to fill a frame, large ones may fill it.
            if kind in SAME_CUP and kind != "grey" and same_size:
                assert difference(film.frame(15), plain) < 6, (preset, kind)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seconds", [1, 6, 15, 60])
@pytest.mark.parametrize("preset", ARCHETYPES)
def test_every_length_from_the_command_line(shell: Shell, preset: str, seconds: int) -> None:
    """To the frame, with three photographs, music and words."""
    pictures = [KINDS[kind](shell.folder) for kind in ("alpha", "portrait", "large_jpeg")]
    out = shell.folder / f"{preset}-{seconds}.mp4"
    words = ("--prompt", "Good morning", "--beat", "Fresh every day", "--cta", "Try it")
    called = shell.call(
        *("render", "--preset", preset, "--duration", str(seconds), "--json", "-o", str(out)),
        *(part for picture in pictures for part in ("--image", str(picture))),
        *words,
        *("--music", str(music(shell.folder))),
        within_s=500,
    )
    assert called.code == 0, called.err
    check_film(out, seconds)
    assert called.told["downgrades"] == []
    assert called.told["frames"] == 30 * seconds
