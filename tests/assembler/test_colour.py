"""OKLCH tones."""

from __future__ import annotations

import numpy as np
import pytest

from assembler.colour import Tone, accent, tone


@pytest.mark.parametrize("hexed", ["#000000", "#ffffff", "#c8285a", "#1b6b4f", "#808080"])
def test_a_colour_survives_the_round_trip(hexed: str) -> None:
    """SRGB to OKLCH and back, within half a code."""
    wanted = [int(hexed[index : index + 2], 16) for index in (1, 3, 5)]
    assert np.abs(tone(hexed).rgb() - wanted).max() < 0.5


def test_a_colour_that_no_screen_has_is_made_paler() -> None:
    """Codes stay within 0..255, lightness and hue stay what they were."""
    wild = Tone(0.6, 0.5, 145.0)
    codes = wild.rgb()
    back = tone("#" + "".join(f"{round(float(code)):02x}" for code in codes))
    assert codes.min() >= 0
    assert codes.max() <= 255
    assert back.lightness == pytest.approx(0.6, abs=0.02)
    assert back.hue == pytest.approx(145, abs=3)


def test_the_accent_is_the_most_telling_colour() -> None:
    """A red that is rarer than greys is still the accent."""
    found = accent(("#dddddd", "#222222", "#d02020"))
    assert found == tone("#d02020")


def test_greys_have_an_accent_too() -> None:
    """A palette without any hue gets a cool one; no palette at all does no harm."""
    assert accent(("#808080",)).hue == accent(()).hue == 255.0
