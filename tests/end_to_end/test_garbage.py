"""Whatever is asked, it is rendered right or rejected by name, and the services go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTCollection, TTFont

from tests.end_to_end.film_checks import check_film, frames_of, ink
from tests.end_to_end.pictures import KINDS, bomb, text_named_png, truncated
from tests.end_to_end.shell import Called, Shell, opened

SOON_S = 20.0
"""A request that cannot be met is rejected within this; the old system took 245 s."""
LEFT_PX, TOP_PX, RIGHT_PX, BOTTOM_PX = 108, 276, 900, 1260
"""The safe box, and 12 px for outlines and shadows."""
TEXTS = {
    "quotes": 'He said: "it\'s 50% off" — 100% {true}; a\\b',
    "formats": "%{pts} %s {0} $HOME `ls` <b>",
    "newlines": "first line\nsecond line\r\nthird\tline",
    "emoji": "Love it 😀🎉 👨‍👩‍👧",
    "arabic": "صباح الخير",
    "chinese": "早上好，世界",
    "hindi": "नमस्ते दुनिया",
}
JOINERS = {0x200D, 0xFE0F}
"""Characters that shape their neighbours and need no glyph of their own."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One home, one set of services for all of this."""
    with opened(tmp_path_factory.mktemp("garbage")) as shell:
        called = _render(shell, "--prompt", "First")
        assert called.code == 0, called.err
        yield shell


@pytest.fixture(scope="module")
def blank(shell: Shell) -> Path:
    """A film without words."""
    out = shell.folder / "blank.mp4"
    assert _render(shell, "--hook", "", "-o", str(out)).code == 0
    return out


@pytest.fixture(autouse=True)
def _services_go_on(shell: Shell) -> Iterator[None]:
    """The same process serves before and after, and the next film is made."""
    before = shell.services_pid()
    yield
    assert before == shell.services_pid()


def _render(shell: Shell, *arguments: str, duration: str = "1") -> Called:
    plain = (
        "render",
        "--preset",
        "overlay_classic",
        "--duration",
        duration,
        "--seed",
        "7",
        "--json",
    )
    out = () if "-o" in arguments else ("-o", str(shell.folder / "film.mp4"))
    return shell.call(*plain, *out, *arguments)


def _missing(folder: Path) -> Path:
    return folder / "nowhere.png"


@pytest.mark.parametrize(
    ("option", "make", "said"),
    [
        ("--image", text_named_png, "not a picture that can be decoded"),
        ("--logo", text_named_png, "not a picture that can be decoded"),
        ("--image", truncated, "cut off"),
        ("--image", bomb, "12000 px"),
        ("--image", _missing, "no such file"),
    ],
)
def test_a_picture_that_is_none(
    shell: Shell, option: str, make: Callable[[Path], Path], said: str
) -> None:
    """It is rejected within seconds, by the option that named it and with the reason."""
    began_s = time.monotonic()
    called = _render(shell, option, str(make(shell.folder)))
    assert (called.code, time.monotonic() - began_s < SOON_S) == (2, True)
    assert option in called.err
    assert said in called.err


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "file://{here}/../../../../../../etc/passwd",
        "file://{here}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "file://{here}/link",
        "http://127.0.0.1:9/picture.png",
    ],
)
def test_what_services_must_not_read(shell: Shell, uri: str) -> None:
    """Neither the host's files nor its network, by no detour."""
    link = shell.folder / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    called = _render(shell, "--image", uri.format(here=shell.folder))
    assert called.code == 2
    assert "image_uris[0] (--image)" in called.err
    assert "root:" not in called.err + called.out
    stored = (path for path in shell.home.artifacts.rglob("*") if path.is_file())
    assert all(b"root:x:0:0" not in path.read_bytes()[:4096] for path in stored)


@pytest.mark.parametrize(
    ("arguments", "duration", "field"),
    [
        ((), "0", "--duration"),
        ((), "61", "--duration"),
        ((), "nan", "--duration"),
        (("--preset", "overlay_clasic"), "1", "--preset"),
        (("--prompt", "x " * 5000), "1", "--prompt"),
        (("--prompt", "a\x07b"), "1", "--prompt"),
        (("--job-id", "../../outside"), "1", "--job-id"),
        (("--job-id", "a" * 65), "1", "--job-id"),
        (("--image", "file:///film.mov"), "1", "--image"),
    ],
)
def test_a_request_out_of_bounds(
    shell: Shell, arguments: tuple[str, ...], duration: str, field: str
) -> None:
    """Rejected with the option's name, and nothing is written anywhere."""
    called = _render(shell, "--prompt", "Hello", *arguments, duration=duration)
    assert called.code == 2
    assert field in called.err
    assert not list(shell.folder.parent.glob("outside*"))


@pytest.fixture(scope="module")
def spoken(shell: Shell) -> dict[str, Called]:
    """What was answered to each of the texts, all asked for at once."""
    commands = {
        name: shell.start(
            *("render", "--preset", "overlay_classic", "--duration", "1", "--seed", "7", "--json"),
            *("--prompt", text, "-o", str(shell.folder / f"{name}.mp4"), "--job-id", name),
        )
        for name, text in TEXTS.items()
    }
    return {name: shell.finish(command) for name, command in commands.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_words_of_any_kind(
    shell: Shell, blank: Path, spoken: dict[str, Called], name: str
) -> None:
    """Every letter has a glyph in a font of the film and is seen; or is rejected by name."""
    called, text = spoken[name], TEXTS[name]
    if called.code == 2:
        assert "prompt (--prompt)" in called.err
        assert "U+" in called.err
        assert "Debian: fonts-" in called.err
        return
    assert called.code == 0, called.err
    out = shell.folder / f"{name}.mp4"
    check_film(out, 1)
    planned = next(line for line in shell.log(name) if line["type"] == "render_planned")
    spec = planned["data"]["spec"]
    lines = [
        line for caption in spec["captions"] for card in caption["cards"] for line in card["lines"]
    ]
    assert text.split() == " ".join(lines).split()
    assert _letters(text) <= _glyphs(shell, spec)
    left, top, right, bottom = ink(frames_of(out, [20])[20], frames_of(blank, [20])[20])
    assert LEFT_PX <= left < right <= RIGHT_PX
    assert TOP_PX <= top < bottom <= BOTTOM_PX


def _letters(text: str) -> set[int]:
    return {ord(character) for character in text if not character.isspace()} - JOINERS


def _glyphs(shell: Shell, spec: dict[str, Any]) -> set[int]:
    """Every character that a font of the film draws."""
    found: set[int] = set()
    for font in spec["fonts"]:
        sha256 = font["artifact"]["sha256"]
        path = next(path for path in shell.home.artifacts.rglob(f"{sha256}*") if path.is_file())
        fonts = TTCollection(path).fonts if path.read_bytes()[:4] == b"ttcf" else [TTFont(path)]
        for each in fonts:
            found |= set(each.getBestCmap())
    return found


def test_a_sound_that_is_none(shell: Shell) -> None:
    """Words in a file that is called music."""
    called = _render(shell, "--music", str(text_named_png(shell.folder)))
    assert called.code == 2
    assert "music_uri (--music)" in called.err


def test_after_all_that_a_film_is_made(shell: Shell) -> None:
    """The services still work."""
    out = shell.folder / "last.mp4"
    picture = KINDS["png"](shell.folder)
    called = _render(shell, "--image", str(picture), "--prompt", "Last", "-o", str(out))
    assert called.code == 0, called.err
    check_film(out, 1)
