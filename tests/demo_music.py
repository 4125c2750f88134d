"""The music of the demonstration: a hundred beats a minute, eight bars of four, without a seam.

Additive and FM voices, drums made of noise, and a room around them that is convolved in a circle.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

RATE = 48_000
SAMPLES = 1024
"""Samples of a frame of AAC."""

BEAT_S = 0.6
BEATS = 32
CHORDS = (
    (53, 57, 60, 64),  # F major 7
    (55, 59, 62, 64),  # G 6
    (52, 55, 59, 62),  # E minor 7
    (57, 60, 64, 67),  # A minor 7
    (53, 57, 60, 64),
    (55, 59, 62, 67),
    (48, 55, 59, 64),  # C major 7
    (48, 55, 60, 64),
)
ROOTS = (41, 43, 40, 45, 41, 43, 36, 36)
MELODY = (
    (0, 76), (1.5, 72), (2.5, 74), (4, 71), (5.5, 74), (6.5, 76), (8, 79), (9.5, 76), (10.5, 74),
    (12, 72), (13.5, 76), (16, 81), (17.5, 79), (18.5, 76), (20, 79), (21.5, 74), (22.5, 76),
    (24, 72), (25.5, 74), (26.5, 76), (28, 67), (29.5, 72),
)  # fmt: skip
SEED = 20_261_123


def music(path: Path) -> None:
    """Compose the loop: stereo, 19.2 s, AAC in MP4."""
    noise = np.random.default_rng(SEED)
    length = round(BEATS * BEAT_S * RATE)
    dry = np.zeros((2, length))
    wet = np.zeros((2, length))
    for bar, chord in enumerate(CHORDS):
        for index, note in enumerate(chord):
            pan = 0.5 + 0.12 * (index - 1.5)
            _add(wet, _pad(note, 4 * BEAT_S + 0.9), bar * 4, 0.032, pan)
            for beat in (0.0, 1.5, 2.5):
                _add(wet, _keys(note, 1.3), bar * 4 + beat, 0.055, pan)
        for beat, step in ((0.0, 0), (1.5, 0), (2.0, 12), (3.0, 7)):
            _add(dry, _bass(ROOTS[bar] + step, 0.5), bar * 4 + beat, 0.20, 0.5)
    for beat, note in MELODY:
        _add(wet, _bell(note, 1.6), beat, 0.12, 0.60)
    _drums(dry, wet, noise)
    mixed = dry + wet * 0.8 + _reverberated(wet, noise) * 0.38
    mixed = np.tanh(mixed * 1.25) / 1.25
    _write(path, 0.82 * mixed / np.abs(mixed).max())


def _add(bus: Signal, sound: Signal, beat: float, gain: float, pan: float) -> None:
    """Add a sound at a beat; what hangs over the end goes round to the start."""
    at = (round(beat * BEAT_S * RATE) + np.arange(sound.size)) % bus.shape[1]
    np.add.at(bus[0], at, sound * gain * np.cos(pan * np.pi / 2) * np.sqrt(2))
    np.add.at(bus[1], at, sound * gain * np.sin(pan * np.pi / 2) * np.sqrt(2))


def _time(length_s: float) -> Signal:
    return np.arange(round(length_s * RATE)) / RATE


def _hertz(note: float) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _shaped(t: Signal, attack_s: float, release_s: float) -> Signal:
    """A gain that rises and falls without a click."""
    rise = np.clip(t / attack_s, 0, 1)
    fall = np.clip((t[-1] - t) / release_s, 0, 1)
    gain: Signal = np.sin(rise * np.pi / 2) ** 2 * np.sin(fall * np.pi / 2) ** 2
    return gain


def _pad(note: int, length_s: float) -> Signal:
    t = _time(length_s)
    voices = [
        np.sin(2 * np.pi * _hertz(note + cents / 100) * harmonic * t + 1.7 * harmonic)
        / harmonic**1.9
        for harmonic in range(1, 6)
        for cents in (-7, 6)
    ]
    chorus: Signal = np.sum(voices, axis=0) * _shaped(t, 0.7, 0.9)
    return chorus


def _keys(note: int, length_s: float) -> Signal:
    t = _time(length_s)
    turn = 2 * np.pi * _hertz(note) * t
    struck = np.sin(
        turn + 2.3 * np.exp(-t * 5) * np.sin(turn) + 0.7 * np.exp(-t * 9) * np.sin(5 * turn)
    )
    return struck * np.exp(-t * 2.6) * _shaped(t, 0.004, 0.25)


def _bell(note: int, length_s: float) -> Signal:
    t = _time(length_s)
    turn = 2 * np.pi * _hertz(note) * t
    struck = (
        np.sin(turn)
        + 0.7 * np.exp(-t * 4) * np.sin(2 * turn)
        + 0.4 * np.exp(-t * 6) * np.sin(3 * turn)
        + 0.3 * np.exp(-t * 11) * np.sin(5.4 * turn)
    )
    return struck * np.exp(-t * 3.2) * _shaped(t, 0.003, 0.3)


def _bass(note: int, length_s: float) -> Signal:
    t = _time(length_s)
    turn = 2 * np.pi * _hertz(note) * t
    return (
        np.tanh(1.4 * np.sin(turn) + 0.3 * np.sin(2 * turn))
        * np.exp(-t * 1.6)
        * _shaped(t, 0.008, 0.12)
    )


def _drums(dry: Signal, wet: Signal, noise: np.random.Generator) -> None:
    t = _time(0.32)
    kick = np.sin(2 * np.pi * (48 * t + 5.2 * (1 - np.exp(-t * 34)))) * np.exp(-t * 11)
    kick *= _shaped(t, 0.001, 0.05)
    t = _time(0.22)
    hiss = noise.standard_normal(t.size + 6)
    rustle = np.convolve(np.diff(hiss), (0.3, 0.4, 0.3, 0.25, 0.2, 0.15), "valid")
    snap = (
        0.5 * rustle * np.exp(-t * 24) + 0.5 * np.sin(2 * np.pi * 185 * t) * np.exp(-t * 30)
    ) * _shaped(t, 0.001, 0.04)
    t = _time(0.07)
    tick = (
        np.diff(np.convolve(noise.standard_normal(t.size + 3), (0.4, 0.4, 0.2), "valid"))
        * np.exp(-t * 85)
        * _shaped(t, 0.0005, 0.02)
    )
    for beat in range(0, BEATS, 4):
        for at in (0.0, 2.5):
            _add(dry, kick, beat + at, 0.42, 0.5)
        for at in (1.0, 3.0):
            _add(dry, snap, beat + at, 0.30, 0.5)
            _add(wet, snap, beat + at, 0.04, 0.5)
    for half in range(2 * BEATS):
        swung = half / 2 + (0.06 if half % 2 else 0.0)
        _add(dry, tick, swung, 0.10 if half % 2 else 0.055, 0.62)


def _reverberated(bus: Signal, noise: np.random.Generator) -> Signal:
    """A room around the loop: the convolution goes round, so that the loop has no seam."""
    t = _time(1.7)
    room = np.zeros_like(bus)
    room[:, : t.size] = (
        noise.standard_normal((2, t.size)) * np.exp(-t * 3.6) * np.clip(t / 0.012, 0, 1)
    )
    # A moving average takes the hiss off the tail.
    softened = np.apply_along_axis(np.convolve, 1, room[:, : t.size], np.hanning(15) / 7, "same")
    room[:, : t.size] = softened
    room /= np.sqrt((room**2).sum(axis=1, keepdims=True))
    spectrum = np.fft.rfft(bus, axis=1) * np.fft.rfft(room, axis=1)
    tail: Signal = np.fft.irfft(spectrum, n=bus.shape[1], axis=1)
    return tail


def _write(path: Path, signal: Signal) -> None:
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = 160_000
        for at in range(0, signal.shape[1], SAMPLES):
            samples = np.ascontiguousarray(signal[:, at : at + SAMPLES], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
