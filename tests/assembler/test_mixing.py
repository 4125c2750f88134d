"""Loops without clicks, fades, the balance of music and voice, ducking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assembler import mixing
from assembler.loudness import RATE, Sound, integrated_lufs
from tests.assembler.reels import tone

FADES = round(mixing.MUSIC_FADE_OUT_S * RATE)


def steepest(sound: Sound) -> float:
    """The largest step between two samples: a click is one far above the sound's own."""
    return float(np.abs(np.diff(sound[0])).max())


def powers(sound: Sound) -> NDArray[np.floating]:
    """Power in windows of 50 ms, away from the film's own fades."""
    window = RATE // 20
    middle = sound[0, RATE // 2 : -RATE]
    windows = np.square(middle[: middle.size // window * window].reshape(-1, window))
    power: NDArray[np.floating] = windows.mean(axis=1)
    return power


@pytest.mark.parametrize("length", [40_000, 47_999, 100_001])
def test_loop_point_has_no_click(length: int) -> None:
    """A tone that is cut at any phase loops without a step, and without a dip to silence."""
    track = tone(length, 333.3, 0.5)
    looped = mixing.looped(track, 5 * RATE)
    assert looped.shape == (2, 5 * RATE)
    assert steepest(looped) < 1.6 * steepest(track)


@pytest.mark.parametrize("length", [40_000, 47_999, 100_001])
@pytest.mark.parametrize("hz", [0.0, 97.0, 333.3, 1000.0])
def test_loop_keeps_its_level(length: int, hz: float) -> None:
    """Neither noise (0 Hz) nor a tone dips or swells where one turn is faded into the next."""
    noise = np.random.default_rng(1).standard_normal((2, length)).astype(np.float32) * 0.1
    power = powers(mixing.looped(tone(length, hz) if hz else noise, 6 * RATE))
    assert power.min() > 0.7 * np.median(power)
    assert power.max() < 1.4 * np.median(power)


def test_silence_around_a_track_is_not_looped() -> None:
    """What encoders put before and after a track does not become a gap at each loop point."""
    gap = np.zeros((2, RATE // 2), np.float32)
    looped = mixing.looped(np.concatenate([gap, tone(RATE), gap], axis=1), 6 * RATE)
    heard = np.abs(looped[0, RATE // 10 : 5 * RATE])
    assert heard.reshape(-1, RATE // 100).max(axis=1).min() > 0.05


def test_long_track_is_cut_and_faded() -> None:
    """The music ends softly at the film's last sample."""
    cut = mixing.looped(tone(10 * RATE), 4 * RATE)
    assert cut.shape == (2, 4 * RATE)
    assert np.abs(cut[:, -20:]).max() < 0.001
    assert np.abs(cut[:, -FADES // 2 :]).max() > 0.1
    assert np.abs(cut[:, 2 * RATE : 2 * RATE + 400]).max() == pytest.approx(0.3, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(track=st.integers(0, 9000), samples=st.integers(0, 20_000), level=st.sampled_from([0, 0.3]))
def test_any_track_fits_any_film(track: int, samples: int, level: float) -> None:
    """Tracks of any length, silent ones too, become as long as the film."""
    sound = mixing.looped(tone(track, level=level), samples)
    assert sound.shape == (2, samples)
    assert np.isfinite(sound).all()


def test_short_voice_is_followed_by_silence_and_long_one_cut() -> None:
    """A voice is never looped."""
    voice = tone(RATE)
    padded = mixing.fitted(voice, 2 * RATE)
    assert np.array_equal(voice, padded[:, :RATE])
    assert not padded[:, RATE:].any()
    assert np.abs(mixing.fitted(voice, RATE // 2)[:, -10:]).max() < 0.01


def test_music_gives_way_to_the_voice_and_comes_back() -> None:
    """Down by 8 dB while someone speaks, already at the first sample; back within a second."""
    voice = np.zeros((2, 6 * RATE), np.float32)
    voice[:, 2 * RATE : 3 * RATE] = tone(RATE, 200, 0.2)
    gain = mixing.ducking(voice, 6 * RATE)
    down = 10 ** (-mixing.DUCK_DB_MAX / 20)
    assert gain[RATE] == pytest.approx(1.0)
    assert gain[2 * RATE + 480] == pytest.approx(down, abs=0.02)
    assert gain[2 * RATE + RATE // 2] == pytest.approx(down, abs=0.001)
    assert gain[3 * RATE + RATE // 5] == pytest.approx(down, abs=0.01)
    assert gain[4 * RATE] > 0.9
    assert np.abs(np.diff(gain)).max() < 0.001


def test_silent_voice_ducks_nothing() -> None:
    """A voice track without a voice leaves the music alone."""
    gain = mixing.ducking(np.zeros((2, RATE), np.float32), RATE)
    assert np.array_equal(np.ones(RATE, np.float32), gain)


@pytest.mark.parametrize("music_level", [0.01, 0.1, 0.5])
def test_balance_does_not_depend_on_the_tracks_levels(music_level: float) -> None:
    """The presets' decibels say how music stands to voice, however loud either was recorded."""
    music, voice = tone(3 * RATE, 500, music_level), tone(3 * RATE, 500, 0.1)
    gain_db = mixing.levelling_db(music, voice)
    levelled = integrated_lufs(music * mixing.decibels(gain_db))
    assert levelled == pytest.approx(integrated_lufs(voice), abs=0.01)
    mixed = mixing.lay(music * 0, voice, 3 * RATE, music_db=-18, voice_db=-6)
    both = mixing.lay(music, voice, 3 * RATE, music_db=-18, voice_db=-6)
    share = np.abs(both - mixed)[0, RATE : 2 * RATE].max() / 0.1
    expected_db = -18 + 6 - mixing.DUCK_DB_MAX
    assert 20 * np.log10(share) == pytest.approx(expected_db, abs=0.2)


def test_levelling_has_a_bound() -> None:
    """Music is not raised by more than 20 dB: that would be raising noise."""
    assert mixing.levelling_db(tone(RATE, 500, 0.003), tone(RATE, 500, 0.5)) == 20.0


def test_nothing_is_silence() -> None:
    """Without music and voice there is silence as long as the film."""
    sound = mixing.lay(None, None, 1000, music_db=0, voice_db=0)
    assert sound.shape == (2, 1000)
    assert not sound.any()
