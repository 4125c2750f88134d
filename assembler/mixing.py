"""Music and voice laid together: loops, fades, balance, ducking.

Arithmetic on sounds as ``loudness`` has them; no file is read or written here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from assembler.loudness import RATE, Sound, integrated_lufs

SILENCE = 10 ** (-60 / 20)
"""What is quieter than this at a track's ends is not music, and is left out of a loop."""
LOOP_CROSSFADE_S = 0.08
LOOP_SEARCH_S = 0.025
"""A track is shortened by at most this where it then meets its own start in phase."""
LOOP_S_MIN = 0.05
"""A shorter track is heard once: repeated, it would be a tone of its own."""

MUSIC_FADE_IN_S = 0.05
MUSIC_FADE_OUT_S = 0.8
VOICE_CUT_FADE_S = 0.15
EDGE_FADE_S = 0.004

LEVELLING_DB_MAX = 20.0

DUCK_WINDOW_S = 0.01
DUCK_THRESHOLD_DB = -30.0
"""Level of the voice, relative to its own loudness, above which the music gives way."""
DUCK_DB_MAX = 8.0
DUCK_RATIO = 3.0
DUCK_ATTACK_S = 0.06
DUCK_HOLD_S = 0.25
DUCK_RELEASE_DB_PER_S = 16.0


def lay(
    music: Sound | None, voice: Sound | None, samples: int, *, music_db: float, voice_db: float
) -> Sound:
    """Mix stereo sounds to ``samples`` samples; silence where both are None.

    The gains say how the two stand to one another: music is first brought to the voice's
    loudness (by at most 20 dB), then set ``music_db − voice_db`` against it, and ducked under
    it.  One alone is left at its own level, which the caller sets for the whole mix.
    """
    if music is not None and voice is not None:
        spoken = fitted(voice, samples)
        played = looped(music, samples) * decibels(
            levelling_db(music, voice) + music_db - voice_db
        )
        mix = spoken + played * ducking(spoken, samples)
    elif music is not None:
        mix = looped(music, samples)
    elif voice is not None:
        mix = fitted(voice, samples)
    else:
        return np.zeros((2, samples), np.float32)
    return faded(mix, EDGE_FADE_S, EDGE_FADE_S)


def levelling_db(music: Sound, voice: Sound) -> float:
    """Gain that makes the music as loud as the voice; 0 where either has no loudness."""
    of_music, of_voice = integrated_lufs(music), integrated_lufs(voice)
    if of_music is None or of_voice is None:
        return 0.0
    return min(max(of_voice - of_music, -LEVELLING_DB_MAX), LEVELLING_DB_MAX)


def looped(music: Sound, samples: int) -> Sound:
    """Repeat or cut a track to ``samples``, faded in and out, each repeat into the next."""
    if music.shape[1] >= samples:
        return faded(music[:, :samples], MUSIC_FADE_IN_S, MUSIC_FADE_OUT_S)
    track = _without_silent_ends(music)
    length = track.shape[1]
    if length < LOOP_S_MIN * RATE:
        return fitted(music, samples)
    overlap = min(round(LOOP_CROSSFADE_S * RATE), length // 4)
    length -= _misfit(track, overlap)
    rise = np.sin(np.linspace(0, math.pi / 2, overlap, dtype=np.float32))
    fall = rise[::-1]
    likeness = _likeness(track[:, :overlap], track[:, length - overlap : length])
    even = 1 / np.sqrt(1 + 2 * likeness * rise * fall)
    turn = track[:, :length].copy()
    turn[:, :overlap] *= rise * even
    turn[:, length - overlap :] *= fall * even
    first = turn.copy()
    first[:, :overlap] = track[:, :overlap]
    out = np.zeros((track.shape[0], samples), np.float32)
    for at in range(0, samples, length - overlap):
        part = (turn if at else first)[:, : samples - at]
        out[:, at : at + part.shape[1]] += part
    return faded(out, MUSIC_FADE_IN_S, MUSIC_FADE_OUT_S)


def fitted(sound: Sound, samples: int) -> Sound:
    """Cut a sound to ``samples`` with a short fade, or let silence follow it."""
    if sound.shape[1] > samples:
        return faded(sound[:, :samples], 0.0, VOICE_CUT_FADE_S)
    return np.pad(sound, ((0, 0), (0, samples - sound.shape[1])))


def faded(sound: Sound, in_s: float, out_s: float) -> Sound:
    """Copy a sound with raised-cosine fades, each at most a quarter of its length."""
    out = sound.copy()
    most = out.shape[1] // 4
    rising, falling = (min(round(length * RATE), most) for length in (in_s, out_s))
    out[:, :rising] *= _ramp(rising)
    out[:, out.shape[1] - falling :] *= _ramp(falling)[::-1]
    return out


def ducking(voice: Sound, samples: int) -> Sound:
    """Gain of the music in each sample: down just before the voice speaks, slowly up after it.

    A side-chain compressor with a soft hold: its level is the voice's, relative to the voice's
    own loudness, so that quiet and loud recordings duck alike.
    """
    loudness = integrated_lufs(voice)
    window = round(DUCK_WINDOW_S * RATE)
    count = math.ceil(samples / window)
    padded = np.pad(voice, ((0, 0), (0, count * window - samples)))
    energy = np.square(padded).sum(axis=0).reshape(count, window).mean(axis=1)
    reference = loudness if loudness is not None else -20.0
    level_db = 10 * np.log10(energy + 1e-12) - reference
    over_db = np.clip(level_db - DUCK_THRESHOLD_DB, 0, None) * (1 - 1 / DUCK_RATIO)
    wanted_db = _reaching(np.minimum(over_db, DUCK_DB_MAX))
    middles = (np.arange(count) + 0.5) * window
    return np.interp(np.arange(samples), middles, 10 ** (wanted_db / -20)).astype(np.float32)


def decibels(gain_db: float) -> np.float32:
    """Factor of a gain."""
    return np.float32(10 ** (gain_db / 20))


def _reaching(wanted_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread the ducking: begun by the attack's length early, held, then released evenly."""
    attack = round(DUCK_ATTACK_S / DUCK_WINDOW_S)
    hold = round(DUCK_HOLD_S / DUCK_WINDOW_S)
    held = wanted_db.copy()
    for shift in range(1, hold + 1):
        held[shift:] = np.maximum(held[shift:], wanted_db[:-shift])
    ramp = np.arange(held.size) * (DUCK_RELEASE_DB_PER_S * DUCK_WINDOW_S)
    released = np.maximum.accumulate(held + ramp) - ramp
    rise = np.arange(held.size) * (DUCK_DB_MAX / attack)
    early: NDArray[np.float64] = np.maximum.accumulate((released + rise[::-1])[::-1])[::-1]
    return early - rise[::-1]


def _misfit(track: Sound, overlap: int) -> int:
    """How many samples to leave off a track's end so that its waves meet those of its start."""
    reach = min(round(LOOP_SEARCH_S * RATE), track.shape[1] // 4)
    head = track[:, :overlap].sum(axis=0)
    tail = track[:, track.shape[1] - overlap - reach :].sum(axis=0)
    fits = np.correlate(tail, head, "valid")
    energy = np.convolve(np.square(tail), np.ones(overlap, np.float32), "valid")
    best = int(np.argmax(fits / np.sqrt(energy + SILENCE**2 * overlap)))
    return int(reach - best)


def _likeness(one: Sound, other: Sound) -> float:
    """Correlation of two sounds, 0 (unrelated) to 1 (the same)."""
    energy = math.sqrt(float(np.square(one).sum()) * float(np.square(other).sum()))
    return max(0.0, float((one * other).sum()) / energy) if energy > 0 else 0.0


def _without_silent_ends(music: Sound) -> Sound:
    """Leave out what encoders put before and after a track."""
    heard = np.flatnonzero(np.abs(music).max(axis=0) > SILENCE)
    return music[:, heard[0] : heard[-1] + 1] if heard.size else music[:, :0]


def _ramp(length: int) -> Sound:
    """A raised cosine from 0 to 1."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(length, 1))).astype(
        np.float32
    )


__all__ = ["decibels", "ducking", "faded", "fitted", "lay", "levelling_db", "looped"]
