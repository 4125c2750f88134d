"""What is kept of a film makes it sooner, and makes nothing else of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from assembler import kept
from assembler.film import Film
from assembler.kept import Kept, bench_of, pictured
from events.spec import Archetype, Box, Caption, CaptionRole, Card, RenderSpec, Rung
from tests.assembler.pictures import asset, disc, plan, textured


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process does."""
    monkeypatch.setattr(kept, "BENCHES", Kept(kept.FILMS_KEPT))


def other_words(spec: RenderSpec) -> RenderSpec:
    """The same plan with other words at the same places."""
    captions = tuple(
        msgspec.structs.replace(
            caption,
            text="other",
            cards=tuple(msgspec.structs.replace(card, lines=("other",)) for card in caption.cards),
        )
        for caption in spec.captions
    )
    return msgspec.structs.replace(spec, captions=captions, prompt="other")


def film(tmp_path: Path, archetype: Archetype) -> tuple[RenderSpec, list[Rung], dict[str, Path]]:
    """A film of two pictures, one of them with alpha."""
    sources: dict[str, Path] = {}
    assets = [asset(tmp_path, pixels, sources) for pixels in (textured(300, 500), disc(300))]
    spec, rungs = plan(archetype, assets, frames=180, width=180, height=320)
    box = Box(x=24, y=60, width=120, height=30)
    card = Card(start=0, frames=180, lines=("hello",), size_px=20, box=box)
    caption = Caption(role=CaptionRole.HOOK, text="hello", cards=(card,))
    return msgspec.structs.replace(spec, captions=(caption,)), rungs, sources


@pytest.mark.parametrize("archetype", list(Archetype))
def test_a_second_piece_is_drawn_as_a_first_one(tmp_path: Path, archetype: Archetype) -> None:
    """Frames do not depend on what a process drew before, nor in which order."""
    spec, rungs, sources = film(tmp_path, archetype)
    numbers = [20, 89, 130]
    alone = []
    for n in numbers:
        kept.BENCHES = Kept(kept.FILMS_KEPT)
        alone.append(Film(spec, rungs, sources).lossless_product(n))
    kept.BENCHES = Kept(kept.FILMS_KEPT)
    for n, expected in reversed(list(zip(numbers, alone, strict=True))):
        found = Film(spec, rungs, sources).lossless_product(n)
        for plane in ("y", "u", "v"):
            assert np.array_equal(getattr(expected, plane), getattr(found, plane))


@pytest.mark.parametrize("archetype", list(Archetype))
def test_pictures_do_not_depend_on_the_words(tmp_path: Path, archetype: Archetype) -> None:
    """Films that say other things share their pictures, and rightly so."""
    spec, rungs, sources = film(tmp_path, archetype)
    other = other_words(spec)
    assert bench_of(spec, rungs) is bench_of(other, rungs)
    expected = Film(spec, rungs, sources).lossless_product(100)
    kept.BENCHES = Kept(kept.FILMS_KEPT)
    assert np.array_equal(expected.y, Film(other, rungs, sources).lossless_product(100).y)


def test_another_film_has_nothing_in_common(tmp_path: Path) -> None:
    """Seed, size, style, picture and rung each make another film."""
    spec, rungs, _ = film(tmp_path, Archetype.OVERLAY)
    lower = [msgspec.structs.replace(rung, engine="template") for rung in rungs]
    moved = msgspec.structs.replace(spec.assets[0], palette=("#102030",))
    others = [
        msgspec.structs.replace(spec, seed=spec.seed + 1),
        msgspec.structs.replace(spec, width=540, height=960),
        msgspec.structs.replace(spec, style=msgspec.structs.replace(spec.style, glow=True)),
        msgspec.structs.replace(spec, assets=(moved, *spec.assets[1:])),
    ]
    bench = bench_of(spec, rungs)
    assert bench is bench_of(spec, rungs)
    assert bench is not bench_of(spec, lower)
    for other in others:
        kept.BENCHES = Kept(kept.FILMS_KEPT)
        bench = bench_of(spec, rungs)
        assert bench is not bench_of(other, rungs)


def test_few_films_are_kept(tmp_path: Path) -> None:
    """A worker's memory does not grow with the films that it has seen."""
    spec, rungs, _ = film(tmp_path, Archetype.OVERLAY)
    for seed in range(6):
        bench_of(msgspec.structs.replace(spec, seed=seed), rungs)
    assert kept.FILMS_KEPT == len(kept.BENCHES)


def test_where_words_stand_is_part_of_a_picture(tmp_path: Path) -> None:
    """Products keep clear of words, so their boxes stay in the plan that is compared."""
    spec, _, _ = film(tmp_path, Archetype.OVERLAY)
    boxes = [card.box for caption in spec.captions for card in caption.cards]
    assert boxes
    assert boxes == [c.box for caption in pictured(spec).captions for c in caption.cards]
