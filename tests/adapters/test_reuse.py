"""A body's key names all that its bytes depend on, and leaves out what cannot show."""

from __future__ import annotations

import enum
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import assembler
import config
from adapters.reuse import body_key, maker, processor, seen_by, sound_key
from assembler import kept, produce
from assembler.encode import default_profile
from assembler.film import Film
from events import spec as storage
from events.spec import (
    Archetype,
    Artifact,
    Box,
    Caption,
    CaptionRole,
    Card,
    EnginePolicy,
    FontFile,
    Motion,
    RenderSpec,
    Rung,
    SoundPlan,
    Warned,
)
from tests.assembler.pictures import asset, disc, plan, textured
from tests.assembler.words import STYLES, fonts_for

SEGMENTS = 2
BODY = 5
"""Frames of a body that are drawn."""
RUNG = Rung(engine="compositor", archetype=Archetype.OVERLAY)
WORDS = ("Now", "Later", "Last")
ENUMS = [
    kind
    for kind in vars(storage).values()
    if isinstance(kind, type) and issubclass(kind, enum.Enum)
]
MUSIC, VOICE = (Artifact(sha256=sha * 64, bytes=1, media_type="audio/mp4") for sha in "ab")


def caption(word: str, start: int, frames: int, y: float) -> Caption:
    """A word on one card."""
    box = Box(x=20.0, y=float(y), width=80.0, height=40.0)
    card = Card(start=start, frames=frames, lines=(word,), size_px=20.0, box=box)
    return Caption(role=CaptionRole.BEAT, text=word, cards=(card,))


def film(folder: Path, motion: Motion = Motion.SUBTLE) -> tuple[RenderSpec, dict[str, Path]]:
    """A small film of two bodies with everything that a plan can hold.

    The first word stands in the first body, the others only in the second.
    """
    sources: dict[str, Path] = {}
    shown = Box(x=0.2, y=0.2, width=0.5, height=0.5)
    pictures = [
        asset(folder, textured(120, 160), sources, subject=shown),
        asset(folder, disc(80), sources, subject=shown),
    ]
    style = msgspec.structs.replace(STYLES["overlay_classic"], motion=motion)
    fonts = fonts_for(WORDS, style)
    for index, (_, path) in enumerate(fonts.files):
        sources[f"{index:064x}"] = path
    planned, _ = plan(
        Archetype.OVERLAY,
        pictures,
        frames=12,
        width=180,
        height=320,
        style=style,
        logo=asset(folder, disc(40, (90, 90, 90)), sources),
        captions=(
            caption("Now", 0, 6, 260),
            caption("Later", 6, 3, 250),
            caption("Last", 9, 3, 9),
        ),
        fonts=tuple(
            FontFile(family=family, artifact=Artifact(sha256=f"{i:064x}", bytes=1, media_type="f"))
            for i, (family, _) in enumerate(fonts.files)
        ),
        sound=SoundPlan(music=MUSIC, voice=VOICE),
        prompt="Words for engines",
        warnings=(Warned(code="told", message="in the plan"),),
        encoder=default_profile(width=180, height=320),
    )
    row = [
        msgspec.structs.replace(planned.segments[0], index=i, start=6 * i, frames=6, asset=i)
        for i in range(SEGMENTS)
    ]
    bodies = [(0, BODY), (6 + 6 - BODY, BODY)]
    segments = tuple(
        msgspec.structs.replace(each, body_start=start, body_frames=count, seed=40 + each.index)
        for each, (start, count) in zip(row, bodies, strict=True)
    )
    made = msgspec.structs.replace(planned, segments=segments, cost_max=1.5)
    return msgspec.json.decode(msgspec.json.encode(made), type=RenderSpec), sources


def key(spec: RenderSpec, segment: int = 0, *, rung: Rung = RUNG, quality: int = 0) -> str:
    """A body's key, as the compositor takes it."""
    return body_key(seen_by(spec, segment), segment, rung, quality)


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have at hand is theirs."""
    monkeypatch.setattr(kept, "BENCHES", kept.Kept(1))


def body(spec: RenderSpec, sources: dict[str, Path], segment: int, folder: Path) -> bytes:
    """A body drawn from the whole plan, by a process that has drawn nothing before."""
    kept.BENCHES = kept.Kept(1)
    out = folder / "body.mp4"
    rungs = (RUNG,) * len(spec.segments)
    produce.render_body(spec, rungs, segment, sources, out, 0, lambda *_: None)
    return out.read_bytes()


def changed(value: Any) -> list[Any]:
    """Other values of a leaf of the plan."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1]
        case float():
            return [value + 1.5]
        case str():
            known = [[member.value for member in kind] for kind in ENUMS]
            others = [next(o for o in values if o != value) for values in known if value in values]
            return others or [value + "x"]
        case list():
            return [[*value, value[-1]], value[:-1]] if value else []
        case _:
            return []


def mutants(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every path into a plan with another value for what is there."""
    for value in changed(tree):
        yield path, value
    inner: Any = tree.items() if isinstance(tree, dict) else ()
    inner = enumerate(tree) if isinstance(tree, list) else inner
    for name, value in inner:
        yield from mutants(value, (*path, name))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the tree with another value there."""
    if not path:
        return value
    copy = list(tree) if isinstance(tree, list) else dict(tree)
    copy[path[0]] = put(tree[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("segment", range(SEGMENTS))
def test_whatever_changes_the_bytes_changes_the_key(tmp_path: Path, segment: int) -> None:
    """Each value of a plan in turn: where the key stays, so do the bytes of the whole plan."""
    spec, sources = film(tmp_path)
    tree = all_at_once = msgspec.json.decode(msgspec.json.encode(spec))
    before, drawn = key(spec, segment), body(spec, sources, segment, tmp_path)
    tried, kept = set(), set()
    for path, value in mutants(tree):
        try:
            other = msgspec.convert(put(tree, path, value), RenderSpec)
        except msgspec.ValidationError:
            # Two enumerations have a value in common, and this is the other one's.
            assert isinstance(value, str)
            continue
        tried.add(path[0])
        if segment >= len(other.segments) or key(other, segment) != before:
            continue
        kept.add(path[0])
        if isinstance(value, list):
            assert drawn == body(other, sources, segment, tmp_path), (path, value)
        else:
            all_at_once = put(all_at_once, path, value)
    other = msgspec.convert(all_at_once, RenderSpec)
    assert before == key(other, segment)
    assert drawn == body(other, sources, segment, tmp_path), kept
    assert tried == set(RenderSpec.__struct_fields__)
    assert {"prompt", "engine_policy", "sound", "deadline_s", "cost_max", "warnings"} <= kept
    assert {"assets", "logo", "captions", "segments_in_flight_max"} <= kept


@pytest.mark.parametrize("motion", list(Motion))
@pytest.mark.parametrize("archetype", list(Archetype))
def test_a_body_shows_nothing_that_is_not_in_its_key(
    tmp_path: Path, archetype: Archetype, motion: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan as a segment sees it draws the frames that the whole plan does."""
    spec, sources = film(tmp_path, motion)
    spec = msgspec.structs.replace(spec, archetype=archetype)
    rungs = (Rung(engine="compositor", archetype=archetype),) * SEGMENTS
    whole = Film(spec, rungs, sources)
    for segment, each in enumerate(spec.segments):
        # Nothing that the whole plan's pictures were made of is at hand.
        monkeypatch.setattr(kept, "BENCHES", kept.Kept(1))
        seen = Film(seen_by(spec, segment), rungs, sources)
        for n in (each.body_start, each.body_start + each.body_frames - 1):
            expected, found = whole.frame(n), seen.frame(n)
            for plane in ("y", "u", "v"):
                assert np.array_equal(getattr(expected, plane), getattr(found, plane)), (n, plane)


def test_what_only_the_job_or_the_sound_has_leaves_the_key(tmp_path: Path) -> None:
    """Another music, voice, loudness, deadline, prompt or policy draws no picture anew."""
    spec, _ = film(tmp_path)
    changes: list[dict[str, Any]] = [
        {"sound": SoundPlan(music=VOICE, target_lufs=-16.0)},
        {"deadline_s": 7.0},
        {"cost_max": 7.0},
        {"prompt": "Other words"},
        {"engine_policy": EnginePolicy.API_ONLY},
        {"warnings": ()},
        {"segments_in_flight_max": 9},
    ]
    for change in changes:
        other = msgspec.structs.replace(spec, **change)
        assert key(spec) == key(other), change
    other = msgspec.structs.replace(spec, sound=SoundPlan())
    assert sound_key(spec) != sound_key(other)


def test_words_of_another_segment_count_by_their_place_and_time(tmp_path: Path) -> None:
    """A product keeps clear of them wherever they lie; what they say cannot show."""
    spec, _ = film(tmp_path)
    first, second = spec.captions[:2], key(spec, 1)
    for words, same in (
        (caption("Other", 9, 3, 9), True),
        (caption("Last", 9, 3, 2), False),
        (caption("Last", 8, 4, 9), False),
    ):
        other = msgspec.structs.replace(spec, captions=(*first, words))
        assert same == (key(spec, 0) == key(other, 0)), words
        assert second != key(other, 1)
    assert key(spec, 0) != key(msgspec.structs.replace(spec, captions=first), 0)


def test_rung_quality_and_segment_are_in_the_key(tmp_path: Path) -> None:
    """They are asked for beside the plan."""
    spec, _ = film(tmp_path)
    template = Rung(engine="template", archetype=Archetype.OVERLAY)
    keys = {key(spec), key(spec, 1), key(spec, rung=template), key(spec, quality=1)}
    assert 4 == len(keys)
    assert all(len(each) == 64 for each in keys)


@pytest.mark.parametrize("edited", ["assembler/film.py", "config/motion.yaml"])
def test_edited_drawing_has_other_keys(
    tmp_path: Path, edited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code that draws, and how pictures move, are hashed into every key."""
    room, name = edited.split("/")
    for each in ("assembler", "config"):
        (tmp_path / each).mkdir()
    (tmp_path / "assembler" / "film.py").write_text("drawn = 1")
    (tmp_path / "config" / "motion.yaml").write_text("calm: 1")
    monkeypatch.setattr(assembler, "__file__", str(tmp_path / "assembler" / "__init__.py"))
    monkeypatch.setattr(config, "__file__", str(tmp_path / "config" / "__init__.py"))
    before = maker.__wrapped__()
    assert before == maker.__wrapped__()
    (tmp_path / room / name).write_text("edited = 1")
    assert before != maker.__wrapped__()


def test_another_processor_or_library_has_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries round differently with what a processor can do, and from version to version."""
    before = maker.__wrapped__()
    with monkeypatch.context() as patch:
        patch.setenv("OPENCV_CPU_DISABLE", "AVX2")
        assert before != maker.__wrapped__()
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "version", lambda name: f"{name} 0")
        assert before != maker.__wrapped__()
    assert before == maker.__wrapped__()
    assert len(processor()) > 20
