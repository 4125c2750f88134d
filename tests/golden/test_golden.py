"""The presets look as they did when somebody last looked; ``python -m tests.golden`` renews.

Each guard is proven by something broken on purpose: it has to be seen.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from assembler import kept, scenes
from assembler.product import Shade
from events.spec import Box, RenderSpec
from tests.assembler.shots import Shots
from tests.golden.frames import HERE, difference, drawn, films, golden, presets, stored

MOVED_PX = 24
"""What a caption is moved by in a full frame: 6 px in a golden one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures and stills lie."""
    return tmp_path_factory.mktemp("golden")


@pytest.mark.parametrize("preset", presets())
def test_the_preset_looks_as_it_did(preset: str, folder: Path) -> None:
    """All of its golden frames, within what processors and picture formats may differ by."""
    found = {
        name: difference(stored(HERE / name), pixels) for name, pixels in golden(preset, folder)
    }
    assert {} == {name: apart for name, apart in found.items() if not apart.acceptable}


def test_no_golden_frame_is_left_over(folder: Path) -> None:
    """Each stored frame is one that is compared."""
    second = {f"{preset}-{films(preset, folder)[1][0]}.jpg" for preset in presets()}
    first = {f"{preset}-{moment}.jpg" for preset in presets() for moment in _moments()}
    assert first | second == {path.name for path in HERE.glob("*.jpg")}


def _moments() -> tuple[str, ...]:
    return ("hook", "transition", "cta")


def _bottle(preset: str, folder: Path) -> Shots:
    return films(preset, folder)[0][1]


@pytest.mark.parametrize("preset", presets())
def test_a_moved_caption_is_seen(preset: str, folder: Path) -> None:
    """By 24 px of 1920."""
    shot = _bottle(preset, folder)
    moved = drawn(shot, "hook", _with_captions_moved(shot.spec))
    assert not difference(stored(HERE / f"{preset}-hook.jpg"), moved).acceptable


def _with_captions_moved(spec: RenderSpec) -> RenderSpec:
    def moved(box: Box) -> Box:
        return msgspec.structs.replace(box, y=box.y - MOVED_PX)

    captions = tuple(
        msgspec.structs.replace(
            caption,
            cards=tuple(
                msgspec.structs.replace(card, box=moved(card.box)) for card in caption.cards
            ),
        )
        for caption in spec.captions
    )
    return msgspec.structs.replace(spec, captions=captions)


@pytest.mark.parametrize("preset", ["overlay_classic", "product_hero_punchy", "overlay_bold"])
def test_a_wrong_colour_is_seen(preset: str, folder: Path) -> None:
    """A ground from a slightly other hue: green for amber, and the next shade of amber."""
    shot = _bottle(preset, folder)
    for palette in (("#3f9f6c",), ("#b8912e",)):
        assets = tuple(
            msgspec.structs.replace(asset, palette=palette) for asset in shot.spec.assets
        )
        spec = msgspec.structs.replace(shot.spec, assets=assets)
        found = difference(stored(HERE / f"{preset}-hook.jpg"), drawn(shot, "hook", spec))
        assert not found.acceptable


@pytest.mark.parametrize("preset", ["overlay_classic", "product_hero_clean", "brand_safe_minimal"])
def test_a_missing_shadow_is_seen(
    preset: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product that does not stand on anything."""

    def none(*_: object, **__: object) -> list[Shade]:
        return []

    monkeypatch.setattr(scenes, "shadows", none)
    monkeypatch.setattr(kept, "BENCHES", kept.Kept(1))
    found = drawn(_bottle(preset, folder), "hook")
    assert not difference(stored(HERE / f"{preset}-hook.jpg"), found).acceptable


def test_presets_are_told_apart_at_a_glance() -> None:
    """Any two of them differ in their hooks by far more than any frame may be off."""
    frames = {preset: stored(HERE / f"{preset}-hook.jpg") for preset in presets()}
    for index, one in enumerate(frames):
        for other in list(frames)[index + 1 :]:
            apart = difference(frames[one], frames[other])
            assert apart.mean > 8, (one, other)
            assert apart.block > 60, (one, other)
