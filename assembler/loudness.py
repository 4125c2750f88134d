"""Loudness and true peak as ITU-R BS.1770 has them, and a limiter that looks ahead.

Sound is a float32 array of shape (channels, samples) at 48 kHz, full scale 1.0.  Everything here
is arithmetic on such arrays: the same on every build of FFmpeg, and readable without its log.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

RATE = 48_000
"""Samples a second; the filters' coefficients below are those of this rate."""
BLOCK_S_MIN = 0.4
"""Loudness is measured in blocks of this length: anything shorter has none."""
GATE_ABSOLUTE_LUFS = -70.0
GATE_RELATIVE_LU = -10.0
OFFSET_LUFS = -0.691
STEP = RATE // 10
"""Blocks of 400 ms begin every 100 ms."""
STEPS_PER_BLOCK = 4

SHELF_B = (1.53512485958697, -2.69169618940638, 1.19839281085285)
SHELF_A = (1.0, -1.69065929318241, 0.73248077421585)
PASS_B = (1.0, -2.0, 1.0)
PASS_A = (1.0, -1.99004745483398, 0.99007225036621)
TAPS = 8192
"""Length of the weighting as an impulse response; it has decayed below −300 dB by then."""
TRANSFORM = 1 << 16

OVERSAMPLING = 4
SINC_HALF = 12
"""Samples on either side that the interpolation between two samples looks at."""
CHUNK = 1 << 14
"""Samples that are worked on at a time: they stay in the processor's cache."""
BLOCK = 16
"""Peaks are kept, and gain is planned, once for so many samples (0.3 ms)."""

ATTACK_S = 0.004
RELEASE_DB_PER_S = 60.0


def integrated_lufs(sound: Sound) -> float | None:
    """Integrated, gated loudness; None where there is none (too short, or silence)."""
    if sound.shape[1] < BLOCK_S_MIN * RATE:
        return None
    steps = _step_energies(sound)
    blocks = np.convolve(steps, np.ones(STEPS_PER_BLOCK), "valid") / (STEPS_PER_BLOCK * STEP)
    loud = blocks[blocks > _power(GATE_ABSOLUTE_LUFS)]
    if loud.size == 0:
        return None
    gate = loud.mean() * 10 ** (GATE_RELATIVE_LU / 10)
    return OFFSET_LUFS + 10 * math.log10(float(loud[loud > gate].mean()))


def true_peak_db(sound: Sound) -> float | None:
    """Highest level between and on the samples in dBTP, 4× oversampled; None for silence."""
    peak = float(peaks_of(sound).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else None


def peaks_of(sound: Sound) -> Sound:
    """Highest magnitude at and between the samples, over all channels, for each 16 samples."""
    samples = sound.shape[1]
    peaks = np.zeros(-(-samples // BLOCK), np.float32)
    for start in range(0, samples, CHUNK):
        count = min(CHUNK, samples - start)
        highest = np.zeros(-(-count // BLOCK) * BLOCK, np.float32)
        for channel in sound:
            part = _padded(channel, start - SINC_HALF + 1, start + count + SINC_HALF)
            for kernel in _interpolators():
                between = kernel[0] * part[:count]
                for tap in range(1, kernel.size):
                    between += kernel[tap] * part[tap : tap + count]
                np.maximum(highest[:count], np.abs(between), out=highest[:count])
            exact = np.abs(part[SINC_HALF - 1 : SINC_HALF - 1 + count])
            np.maximum(highest[:count], exact, out=highest[:count])
        first = start // BLOCK
        peaks[first : first + highest.size // BLOCK] = highest.reshape(-1, BLOCK).max(axis=1)
    return peaks


def limit(
    sound: Sound, ceiling_db: float, *, gain_db: float = 0.0, peaks: Sound | None = None
) -> Sound:
    """Raise a sound by ``gain_db`` and hold its true peak at ``ceiling_db``.

    Gain goes down before a peak and comes back slowly.  ``peaks`` are those of the sound, where
    they are known already.
    """
    factor = np.float32(10 ** (gain_db / 20))
    raised = (peaks_of(sound) if peaks is None else peaks) * factor
    ceiling = 10 ** (ceiling_db / 20)
    if float(raised.max(initial=0.0)) <= ceiling:
        return sound * factor
    wanted_db = 20 * np.log10(np.maximum(raised.astype(np.float64) / ceiling, 1))
    held_db = wanted_db.copy()
    held_db[1:] = np.maximum(held_db[1:], wanted_db[:-1])
    held_db[:-1] = np.maximum(held_db[:-1], wanted_db[1:])
    ramp = np.arange(held_db.size) * (RELEASE_DB_PER_S * BLOCK / RATE)
    released_db = np.maximum.accumulate(held_db + ramp) - ramp
    gain = factor * 10 ** (_look_ahead(released_db, round(ATTACK_S * RATE / BLOCK)) / -20)
    middles = (np.arange(gain.size) + 0.5) * BLOCK
    out = np.empty_like(sound)
    for start in range(0, sound.shape[1], CHUNK):
        end = min(start + CHUNK, sound.shape[1])
        part = np.interp(np.arange(start, end), middles, gain).astype(np.float32)
        np.multiply(sound[:, start:end], part, out=out[:, start:end])
    return out


def _look_ahead(reduction_db: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Let each reduction begin ``reach`` blocks early, as a straight ramp; never less than it."""
    held = np.concatenate([reduction_db, np.zeros(reach)])
    width = 1
    while width < reach + 1:
        step = min(width, reach + 1 - width)
        held[:-step] = np.maximum(held[:-step], held[step:])
        width += step
    padded = np.concatenate([np.full(reach, held[0]), held[: reduction_db.size]])
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    ramped: NDArray[np.float64] = (sums[reach + 1 :] - sums[: -reach - 1]) / (reach + 1)
    return ramped


def _padded(channel: Sound, start: int, end: int) -> Sound:
    """Samples ``[start, end)`` of a channel, zeros beyond its ends."""
    inside = channel[max(0, start) : end]
    return np.pad(inside, (max(0, -start), end - max(0, start) - inside.size))


@functools.cache
def _interpolators() -> tuple[Sound, ...]:
    """Windowed sinc kernels for the three points between two samples."""
    kernels = []
    for phase in range(1, OVERSAMPLING):
        offsets = np.arange(-SINC_HALF + 1, SINC_HALF + 1) - phase / OVERSAMPLING
        window = np.cos(np.pi * offsets / (2 * SINC_HALF)) ** 2
        kernel = np.sinc(offsets) * window
        kernels.append((kernel / kernel.sum())[::-1].astype(np.float32))
    return tuple(kernels)


def _step_energies(sound: Sound) -> NDArray[np.float64]:
    """Energy of the weighted sound in each whole step of 100 ms, summed over the channels."""
    response = _weighting()
    hop = (TRANSFORM - TAPS) // STEP * STEP
    steps = sound.shape[1] // STEP
    energies = np.zeros(steps)
    for first in range(0, steps, hop // STEP):
        start = first * STEP
        for channel in sound:
            part = _padded(channel, start - TAPS, start - TAPS + TRANSFORM)
            weighted = np.fft.irfft(np.fft.rfft(part) * response, TRANSFORM)[TAPS : TAPS + hop]
            squares = np.square(weighted).reshape(-1, STEP).sum(axis=1)
            count = min(squares.size, steps - first)
            energies[first : first + count] += squares[:count]
    return energies


@functools.cache
def _weighting() -> NDArray[np.complex128]:
    """Spectrum of the weighting's impulse response at the transform's length."""
    turn = np.exp(-2j * np.pi * np.arange(TAPS // 2 + 1) / TAPS)
    response = np.ones_like(turn)
    for b, a in ((SHELF_B, SHELF_A), (PASS_B, PASS_A)):
        response *= np.polyval(b[::-1], turn) / np.polyval(a[::-1], turn)
    impulse = np.fft.irfft(response, TAPS)
    spectrum: NDArray[np.complex128] = np.fft.rfft(impulse, TRANSFORM)
    return spectrum


def _power(lufs: float) -> float:
    """Mean square of a loudness."""
    return float(10 ** ((lufs - OFFSET_LUFS) / 10))


__all__ = ["RATE", "Sound", "integrated_lufs", "limit", "peaks_of", "true_peak_db"]
