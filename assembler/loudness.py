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
CHUNK = 1 << 18

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
    peak = max((float(part.max()) for part in _peak_chunks(sound)), default=0.0)
    return 20 * math.log10(peak) if peak > 0 else None


def limit(sound: Sound, ceiling_db: float) -> Sound:
    """Hold the true peak at ``ceiling_db``: gain goes down before a peak and comes back slowly.

    A sound that stays below the ceiling is returned as it is.
    """
    peaks = np.concatenate(list(_peak_chunks(sound)) or [np.zeros(0, np.float32)])
    ceiling = 10 ** (ceiling_db / 20)
    if peaks.size == 0 or float(peaks.max()) <= ceiling:
        return sound
    reduction_db = 20 * np.log10(np.maximum(peaks / ceiling, 1))
    ramp = np.arange(peaks.size) * (RELEASE_DB_PER_S / RATE)
    released_db = np.maximum.accumulate(reduction_db + ramp) - ramp
    gain = 10 ** (_look_ahead(released_db, round(ATTACK_S * RATE)) / -20)
    return (sound * gain).astype(np.float32)


def _look_ahead(reduction_db: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Let each reduction begin ``reach`` samples early, as a straight ramp; never less than it."""
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


def _peak_chunks(sound: Sound) -> list[Sound]:
    """Per sample the highest magnitude at it and up to the next, over all channels; in chunks."""
    chunks = []
    kernels = _interpolators()
    for start in range(0, sound.shape[1], CHUNK):
        end = min(start + CHUNK, sound.shape[1])
        peaks = np.zeros(end - start, np.float32)
        for channel in sound:
            part = _padded(channel, start - SINC_HALF + 1, end + SINC_HALF)
            exact = part[SINC_HALF - 1 : SINC_HALF - 1 + peaks.size]
            np.maximum(peaks, np.abs(exact), out=peaks)
            for kernel in kernels:
                np.maximum(peaks, np.abs(np.convolve(part, kernel, "valid")), out=peaks)
        chunks.append(peaks)
    return chunks


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


__all__ = ["RATE", "Sound", "integrated_lufs", "limit", "true_peak_db"]
