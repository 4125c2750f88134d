"""A draft is its film made smaller: the same composition, words and times."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from assembler.draft import DRAFT_SHARE, as_drawn, scaled, size_drawn
from assembler.film import Film
from assembler.planes import Plane, frame_to_rgb
from assembler.watermark import watermark_box
from events.spec import Archetype, Artifact, CaptionRole, FontFile, RenderSpec, Rung
from tests.assembler import words
from tests.assembler.pictures import asset, disc, plan, textured
from tests.builders import style

FRAMES = 120
WANTED = (5, 45, 59, 90)
"""Amid the first words, in the second segment's, and in the transition between the two."""
PRESETS = ("overlay_classic", "product_hero_punchy", "meme_fast", "meme_smooth")


def film(folder: Path, preset: str, kind: str) -> tuple[RenderSpec, list[Rung], dict[str, Path]]:
    """A film of 4 s at its full size, with words and a watermark."""
    sources: dict[str, Path] = {}
    soft = cv2.GaussianBlur(textured(900, 700), (0, 0), 6).astype(np.uint8)
    pixels = {"photo": soft, "cut-out": disc(500), "small": textured(200, 300)}
    pictures = [asset(folder, pixels[kind], sources)] if kind in pixels else []
    told = ((CaptionRole.HOOK, "Sleep does the rest"), (CaptionRole.CTA, "Try it tonight"))
    planned, fonts = words.plan(preset, *told, seconds=FRAMES / 30)
    archetype = {"over": Archetype.OVERLAY, "prod": Archetype.PRODUCT_HERO}.get(
        preset[:4], Archetype.MEME_TEXT
    )
    files = []
    for index, (family, path) in enumerate(fonts.files):
        sources[f"{index:064x}"] = path
        font = Artifact(sha256=f"{index:064x}", bytes=1, media_type="font/ttf")
        files.append(FontFile(family=family, artifact=font))
    spec, rungs = plan(
        archetype,
        pictures,
        frames=FRAMES,
        width=1080,
        height=1920,
        style=words.STYLES[preset],
        captions=planned.captions,
        fonts=tuple(files),
        logo=asset(folder, disc(300, (90, 90, 90)), sources),
    )
    return spec, rungs, sources


def looked_at(film: Film, number: int) -> Plane:
    """A frame of a film as its viewer sees it, at a draft's size."""
    rgb = frame_to_rgb(film.frame(number))
    return np.asarray(cv2.resize(rgb, (540, 960), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", ["photo", "cut-out", "small", "none"])
def test_a_draft_looks_like_its_film(tmp_path: Path, preset: str, kind: str) -> None:
    """Each frame is the film's, made smaller: picture, product, words and watermark."""
    spec, rungs, sources = film(tmp_path, preset, kind)
    whole = Film(spec, rungs, sources)
    draft = Film(as_drawn(msgspec.structs.replace(spec, draft=True)), rungs, sources)
    for number in WANTED:
        apart = cv2.absdiff(looked_at(whole, number), looked_at(draft, number))
        assert apart.mean() < 2.5, (number, apart.mean())
        # Nothing larger than an edge is elsewhere.
        coarse = cv2.resize(apart, (27, 48), interpolation=cv2.INTER_AREA)
        assert coarse.max() < 50, (number, coarse.max())


def test_a_draft_is_a_quarter_and_a_film_is_whole() -> None:
    """The plan of a film is drawn as it is; a draft's at half the width and height."""
    spec, _ = plan(Archetype.OVERLAY, width=1080, height=1920)
    draft = as_drawn(msgspec.structs.replace(spec, draft=True))
    assert spec is as_drawn(spec)
    assert (540, 960) == (draft.width, draft.height)
    assert (540, 960) == size_drawn(1080, 1920, draft=True)
    assert (1080, 1920) == size_drawn(1080, 1920, draft=False)
    assert (draft.frames, draft.segments) == (spec.frames, spec.segments)
    for edges in ((722, 1282), (64, 66)):
        assert [0, 0] == [edge % 2 for edge in size_drawn(*edges, draft=True)]


def test_what_is_planned_comes_back_by_doubling(tmp_path: Path) -> None:
    """A draft's cards are exactly half of the plan's, so that letters are a film's."""
    spec, _, _ = film(tmp_path, "overlay_classic", "none")
    small = scaled(spec, DRAFT_SHARE)
    assert spec.captions == scaled(small, 1 / DRAFT_SHARE).captions
    assert spec.captions[0].cards[0].size_px / 2 == small.captions[0].cards[0].size_px


def test_a_watermark_keeps_its_corner() -> None:
    """At half the size all its distances are halves."""
    whole, half = (watermark_box(400, 200, style(), unit) for unit in (1.0, 0.5))
    assert (whole.x / 2, whole.y / 2) == (half.x, half.y)
    assert (whole.width / 2, whole.height / 2) == (half.width, half.height)
