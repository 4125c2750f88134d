"""Photographs as people have them: in every format, shape and orientation.

The photographs are those that scikit-image brings; what is made of them is written by Pillow and
OpenCV, never by code of ours.
"""

from __future__ import annotations

import importlib.util
import struct
import wave
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is to be turned."""

ORIENTATIONS = tuple(range(1, 9))

STORED: Mapping[int, tuple[Image.Transpose, ...]] = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}
"""How an upright picture is stored so that each orientation shows it upright again."""

JPEG_QUALITY = 95


def photograph(name: str) -> Path:
    """A photograph of scikit-image, such as ``coffee.png``."""
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "data" / name


def coffee() -> Image.Image:
    """A cup on a table, 600×400, RGB: nothing in it is symmetrical."""
    with Image.open(photograph("coffee.png")) as picture:
        return picture.convert("RGB")


def cup() -> Image.Image:
    """The cup and its saucer cut out of the photograph: RGBA, soft at the edge."""
    pixels = np.array(coffee().convert("RGBA"))
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    far = np.hypot((x - 305) / 252, (y - 187) / 172)
    pixels[..., 3] = np.rint(255 * np.clip((1 - far) * 60 + 0.5, 0, 1))
    return Image.fromarray(pixels[10:365, 45:565].copy())


def portrait() -> Image.Image:
    """A person, 320×512."""
    with Image.open(photograph("astronaut.png")) as picture:
        return picture.convert("RGB").crop((60, 0, 380, 512))


def _saved(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def _oriented(number: int) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        stored = coffee()
        for step in STORED[number]:
            stored = stored.transpose(step)
        exif = Image.Exif()
        exif[ORIENTATION] = number
        path = folder / f"orientation_{number}.jpg"
        return _saved(stored, path, quality=JPEG_QUALITY, exif=exif)

    return save


def _sixteen_bits(folder: Path) -> Path:
    pixels = np.asarray(coffee(), np.uint16)[..., ::-1] * 257
    path = folder / "sixteen_bits.png"
    assert cv2.imwrite(str(path), pixels)
    return path


def _large(folder: Path) -> Path:
    picture = coffee().resize((3000, 2000), Image.Resampling.BICUBIC)
    return _saved(picture, folder / "large.jpg", quality=85)


KINDS: Mapping[str, Callable[[Path], Path]] = {
    "png": lambda folder: _saved(coffee(), folder / "plain.png"),
    "alpha": lambda folder: _saved(cup(), folder / "alpha.png"),
    "large_jpeg": _large,
    "portrait": lambda folder: _saved(portrait(), folder / "portrait.jpg", quality=JPEG_QUALITY),
    "grey": lambda folder: _saved(
        coffee().convert("L"), folder / "grey.jpg", quality=JPEG_QUALITY
    ),
    "cmyk": lambda folder: _saved(
        coffee().convert("CMYK"), folder / "cmyk.jpg", quality=JPEG_QUALITY
    ),
    "palette": lambda folder: _saved(coffee().quantize(256), folder / "palette.png"),
    "sixteen_bits": _sixteen_bits,
    "webp": lambda folder: _saved(coffee(), folder / "photo.webp", quality=JPEG_QUALITY),
    **{f"orientation_{number}": _oriented(number) for number in ORIENTATIONS},
}
"""Writes a picture of each kind into a folder; most show the same cup."""

SAME_CUP = tuple(kind for kind in KINDS if kind not in {"alpha", "portrait"})
"""Kinds that must look like ``png`` in a film, but for the colours of ``grey``."""


def bomb(folder: Path, edge: int = 20_000) -> Path:
    """A PNG of ``edge``×``edge`` black pixels, true to its header, in few bytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (edge + 7) // 8)
    packed = b"".join(packer.compress(row * 100) for _ in range(edge // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", edge, edge, 1, 0, 0, 0, 0)
    path = folder / "bomb.png"
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def truncated(folder: Path) -> Path:
    """A JPEG of which the second half is missing."""
    whole = _saved(coffee(), folder / "whole.jpg").read_bytes()
    path = folder / "truncated.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def text_named_png(folder: Path) -> Path:
    """Words in a file that is called a picture."""
    path = folder / "words.png"
    path.write_text("This is no picture.\n" * 20)
    return path


def music(folder: Path, seconds: float = 4.0) -> Path:
    """A chord that swells, as a WAV of 44.1 kHz: it has to be looped and resampled."""
    return _wav(folder / "music.wav", 44_100, seconds, (220.0, 277.2, 329.6))


def voice(folder: Path, seconds: float = 3.0) -> Path:
    """Bursts at a voice's pitch, mono at 16 kHz."""
    return _wav(folder / "voice.wav", 16_000, seconds, (140.0, 280.0), pulse_hz=3.0)


def _wav(
    path: Path, rate: int, seconds: float, tones_hz: tuple[float, ...], pulse_hz: float = 0.5
) -> Path:
    at = np.arange(round(rate * seconds)) / rate
    tone: NDArray[np.float64] = np.sum([np.sin(2 * np.pi * hz * at) for hz in tones_hz], axis=0)
    tone *= 0.2 * (1.2 + np.sin(2 * np.pi * pulse_hz * at)) / len(tones_hz)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((tone * 32_000).astype("<i2").tobytes())
    return path


__all__ = [
    "KINDS",
    "ORIENTATIONS",
    "SAME_CUP",
    "bomb",
    "coffee",
    "cup",
    "music",
    "photograph",
    "portrait",
    "text_named_png",
    "truncated",
    "voice",
]
