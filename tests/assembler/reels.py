"""What the tests of the stream share: moving pictures, sounds, plans of small films."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec
import numpy as np
from av.stream import Stream
from numpy.typing import NDArray

from assembler.encode import default_profile, encode_piece
from assembler.join import JoinReport, join
from assembler.loudness import RATE, Sound
from assembler.planes import Frame
from assembler.timeline import segment_plans
from events.spec import Artifact, Motion, RenderSpec, Transition, TransitionKind
from tests.builders import spec

WIDTH, HEIGHT, FPS = 144, 256, 30
PROFILE = default_profile(fps=FPS, width=WIDTH, height=HEIGHT)


def texture(seed: int = 1) -> NDArray[np.uint8]:
    """A picture with detail of all sizes, larger than the frame."""
    rng = np.random.default_rng(seed)
    height, width = HEIGHT + 80, WIDTH + 80
    picture = np.full((height, width), 120, np.float32)
    for scale in (4, 16, 64):
        coarse = rng.standard_normal((height // scale + 2, width // scale + 2))
        picture += 4 * scale**0.5 * cv2.resize(coarse.astype(np.float32), (width, height))
    return np.clip(picture, 16, 235).astype(np.uint8)


def moving(count: int, seed: int = 1) -> list[Frame]:
    """Frames of a texture that moves by one pixel a frame."""
    picture = texture(seed)
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return [
        Frame(
            np.ascontiguousarray(picture[n % 80 : n % 80 + HEIGHT, n % 70 : n % 70 + WIDTH]),
            chroma,
            chroma,
        )
        for n in range(count)
    ]


def flat(luma: int) -> Frame:
    """A frame of one grey."""
    return Frame(
        np.full((HEIGHT, WIDTH), luma, np.uint8),
        np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),
        np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8),
    )


def encoded(path: Path, frames: Sequence[Frame]) -> Path:
    """Encode frames as a piece."""
    encode_piece(frames, len(frames), path, PROFILE, fps=FPS, width=WIDTH, height=HEIGHT)
    return path


def joined(parts: Sequence[Path], counts: Sequence[int], sound: Path, out: Path) -> JoinReport:
    """Join pieces and sound with the tests' profile and size."""
    return join(parts, counts, sound, out, profile=PROFILE, fps=FPS, width=WIDTH, height=HEIGHT)


def length_s(stream: Stream) -> Fraction:
    """Length of a stream as its header tells it."""
    assert stream.duration is not None
    assert stream.time_base is not None
    return stream.duration * stream.time_base


def film_spec(frames: int, *, transition: int = 4, motion: Motion = Motion.SMOOTH) -> RenderSpec:
    """Plan a small film without pictures, words or sound."""
    plain = spec()
    return msgspec.structs.replace(
        plain,
        width=WIDTH,
        height=HEIGHT,
        fps=FPS,
        frames=frames,
        segments=segment_plans(frames, FPS, 3.0, transition, 7, 0),
        transition=Transition(kind=TransitionKind.CROSSFADE, frames=transition),
        encoder=PROFILE,
        style=msgspec.structs.replace(plain.style, motion=motion),
    )


def tone(samples: int, hz: float = 440.0, level: float = 0.3, *, rate: int = RATE) -> Sound:
    """A stereo sine."""
    wave_form = level * np.sin(2 * np.pi * hz * np.arange(samples) / rate)
    return np.stack([wave_form, wave_form]).astype(np.float32)


def band(samples: int, level: float = 0.1, seed: int = 3) -> Sound:
    """Something like music: chords that swell, and a little noise."""
    at = np.arange(samples) / RATE
    chords = sum(
        np.sin(2 * np.pi * hz * at + hz) * (1 + np.sin(2 * np.pi * (index + 1) * at))
        for index, hz in enumerate((110, 220, 330, 554, 880))
    )
    noise = np.random.default_rng(seed).standard_normal((2, samples))
    sound: Sound = (level * (chords + 0.3 * noise)).astype(np.float32)
    return sound


def write_wav(path: Path, sound: Sound, *, rate: int = RATE) -> Artifact:
    """Write a sound (channels, samples) as 16-bit WAV; an artifact whose name is the file's."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(sound.T, -1, 1) * 32767).astype("<i2").tobytes())
    return Artifact(sha256=path.stem, bytes=path.stat().st_size, media_type="audio/wav")
