"""What ships is what was promised, and refers only to what exists."""

from __future__ import annotations

import pytest

from config import load, shipped
from events.stream import LogSettings

PROMISED = {
    "product_hero_clean": (
        "PRODUCT_HERO yes subtle Inter auto lower_third 120 crossfade 150 -18/-6"
    ),
    "product_hero_punchy": (
        "PRODUCT_HERO no punchy Bebas Neue large center 120 crossfade 150 -14/-5"
    ),
    "overlay_classic": "OVERLAY yes subtle Inter auto lower_third 120 crossfade 150 -20/-6",
    "overlay_glow": (
        "OVERLAY yes smooth Inter auto lower_third 120 crossfade 150 -18/-6 shadow glow"
    ),
    "overlay_bold": "OVERLAY yes punchy Montserrat large upper_third 120 crossfade 150 -16/-6",
    "meme_fast": "MEME_TEXT no chaotic Impact large center 120 cut None -12/-6",
    "meme_smooth": "MEME_TEXT no smooth Arial Black large center 120 crossfade 150 -14/-6",
    "brand_safe_minimal": (
        "OVERLAY yes minimal Inter small lower_third 140 crossfade 150 -22/-8 local_only"
    ),
}


def test_the_eight_presets_are_as_promised() -> None:
    """Every value of every preset, in one line each."""
    told = {}
    for name, preset in shipped().presets.items():
        ms = preset.transition_ms
        words = [
            preset.archetype,
            "yes" if preset.brand_safe else "no",
            preset.motion,
            preset.font,
            preset.caption_size,
            preset.caption_position,
            preset.margin_px,
            preset.transition,
            f"{ms:g}" if ms is not None else None,
            f"{preset.music_db:g}/{preset.voice_db:g}",
            *(["shadow"] if preset.shadow else []),
            *(["glow"] if preset.glow else []),
            *([preset.engine_policy] if preset.engine_policy else []),
        ]
        told[name] = " ".join(str(word) for word in words)
    assert PROMISED == told


@pytest.mark.parametrize(
    ("name", "family"), [("Impact", "Anton"), ("Arial Black", "Archivo Black"), ("Inter", "Inter")]
)
def test_fonts_are_found_by_their_own_name_and_by_alias(name: str, family: str) -> None:
    """A family that is not free stands for the free one nearest to it."""
    assert family == shipped().fonts.family(name)


def test_unknown_font_is_none() -> None:
    """Nothing stands for a font that does not ship."""
    assert shipped().fonts.family("Comic Sans") is None


@pytest.mark.parametrize(
    ("name", "weight", "file"),
    [
        ("Inter", None, "Inter_800ExtraBold.ttf"),
        ("Inter", 500, "Inter_400Regular.ttf"),
        ("Inter", 600, "Inter_600SemiBold.ttf"),
        ("Impact", None, "Anton_400Regular.ttf"),
    ],
)
def test_font_file_is_the_one_nearest_in_weight(name: str, weight: int | None, file: str) -> None:
    """Captions have a weight of their own; any other is met as nearly as can be."""
    assert file == shipped().fonts.file(name, weight).name


def test_every_font_has_its_licence_beside_it() -> None:
    """The Open Font License asks for it."""
    fonts = shipped().fonts
    for family in fonts.families.values():
        text = (fonts.directory / family.license).read_text(encoding="utf-8")
        assert "SIL OPEN FONT LICENSE Version 1.1" in text
        for face in family.files:
            assert (fonts.directory / face.path).is_file()


def test_safe_box_is_the_measured_one() -> None:
    """The box of the platforms, with its date and source."""
    delivery = shipped().delivery
    box = delivery.safe_box
    assert (120, 288, 888, 1248) == (box.left, box.top, box.right, box.bottom)
    assert delivery.as_of
    assert delivery.source


def test_log_settings_are_the_configured_ones() -> None:
    """Every bound that a log takes can be set; keys are no matter of the configuration."""
    config = load(environ={"PYTOON_LOG__BYTES_MAX": "1000000", "PYTOON_LOG__REPLICAS": "3"})
    settings = config.log.settings()
    assert (1_000_000, 3) == (settings.bytes_max, settings.replicas)
    expected = {"ack_wait_s", "heartbeat_s", *LogSettings.__struct_fields__} - {"keyring"}
    assert expected == set(type(config.log).model_fields)
