"""Loudness, true peak and limiter against what the standards define."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assembler.loudness import RATE, Sound, integrated_lufs, limit, true_peak_db
from tests.assembler.reels import band, tone

SECOND = RATE


def quieter(sound: Sound, by_db: float) -> Sound:
    """The sound, turned down."""
    return (sound * 10 ** (-by_db / 20)).astype(np.float32)


def test_full_scale_sine_is_at_the_reference() -> None:
    """A stereo sine of 997 Hz at full scale has 0 LUFS: the definition's calibration."""
    assert integrated_lufs(tone(5 * SECOND, 997, 1.0)) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("level_lufs", [-23.0, -33.0])
def test_level_is_followed(level_lufs: float) -> None:
    """EBU Tech 3341, cases 1 and 2: 1 kHz sines at −23 and −33 dBFS read their level."""
    assert integrated_lufs(tone(20 * SECOND, 1000, 10 ** (level_lufs / 20))) == pytest.approx(
        level_lufs, abs=0.1
    )


def test_quiet_stretches_are_gated() -> None:
    """EBU Tech 3341, case 3: −36, −23, −36 dBFS for 10, 60 and 10 s read −23."""
    parts = [(10, -36.0), (60, -23.0), (10, -36.0)]
    sound = np.concatenate(
        [tone(length * SECOND, 1000, 10 ** (level / 20)) for length, level in parts], axis=1
    )
    assert integrated_lufs(sound) == pytest.approx(-23.0, abs=0.1)


def test_low_tones_weigh_less_and_high_ones_more() -> None:
    """The weighting takes about 6 dB off at 40 Hz and adds about 3 dB at 8 kHz."""
    middle = integrated_lufs(tone(3 * SECOND, 997))
    low, high = (integrated_lufs(tone(3 * SECOND, hz)) for hz in (40, 8000))
    assert middle is not None
    assert low is not None
    assert high is not None
    assert low - middle == pytest.approx(-6.3, abs=1.0)
    assert high - middle == pytest.approx(3.3, abs=0.3)


@pytest.mark.parametrize(
    "sound", [np.zeros((2, 5 * SECOND), np.float32), tone(SECOND // 3), tone(0), tone(9, level=0)]
)
def test_what_has_no_loudness(sound: Sound) -> None:
    """Silence, and what is shorter than a block of 400 ms, has none."""
    assert integrated_lufs(sound) is None


def test_peaks_between_samples_are_found() -> None:
    """A sine at a quarter of the rate, sampled 45° off its crests, peaks 3 dB above them."""
    at = np.arange(SECOND)
    sine = np.sin(np.pi * at / 2 + np.pi / 4) * np.minimum(1, at / 1000)
    sound = np.stack([sine, sine]).astype(np.float32)
    assert 20 * np.log10(np.abs(sound).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak_db(sound) == pytest.approx(0.0, abs=0.15)


def test_silence_has_no_peak() -> None:
    """Zero has no level in decibels."""
    assert true_peak_db(np.zeros((2, 100), np.float32)) is None
    assert true_peak_db(np.zeros((2, 0), np.float32)) is None


@pytest.mark.parametrize("ceiling_db", [-2.0, -6.0])
def test_limiter_holds_the_true_peak(ceiling_db: float) -> None:
    """However hot the sound, its true peak ends at the ceiling and not far below."""
    for sound in (band(3 * SECOND, 1.5), np.sign(band(2 * SECOND)), tone(SECOND, 12_000, 2.0)):
        peak_db = true_peak_db(limit(sound, ceiling_db))
        assert peak_db is not None
        assert ceiling_db - 0.6 <= peak_db <= ceiling_db + 0.1


def test_limiter_leaves_alone_what_is_below_the_ceiling() -> None:
    """A sound without too high peaks comes back bit for bit."""
    sound = band(SECOND, 0.01)
    assert np.array_equal(sound, limit(sound, -2.0))


def test_limiter_begins_before_the_peak_and_lets_go_slowly() -> None:
    """Around a single loud moment the level goes down without a jump and recovers."""
    sound = np.full((2, 2 * SECOND), 0.4, np.float32)
    sound[:, SECOND : SECOND + 500] *= 3
    gain = (limit(sound, -2.0) / sound)[0]
    assert np.abs(np.diff(gain)).max() < 0.02
    assert gain[SECOND - 1000] == pytest.approx(1.0, abs=1e-6)
    assert gain[SECOND - 50] < 0.9
    assert gain[SECOND + 2000] < 0.9
    assert gain[-1] == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(gain_db=st.floats(0, 40), length=st.integers(1, 30_000), seed=st.integers(0, 99))
def test_limiter_on_anything(gain_db: float, length: int, seed: int) -> None:
    """Any level and length comes out finite, as long, and at most a little over the ceiling."""
    sound = quieter(band(length, 0.1, seed), -gain_db)
    limited = limit(sound, -2.0)
    assert limited.shape == sound.shape
    assert np.isfinite(limited).all()
    assert np.abs(limited).max() <= 10 ** (-2.0 / 20) * 1.001
