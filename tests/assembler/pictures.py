"""Pictures and plans for the tests of what is drawn."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from assembler.stills import ingest_still
from assembler.timeline import segment_plans
from events.spec import (
    Archetype,
    Artifact,
    Asset,
    AssetRole,
    Motion,
    RenderSpec,
    Rung,
    Transition,
    TransitionKind,
)
from tests import builders

Pixels = NDArray[np.uint8]


def textured(width: int, height: int, seed: int = 0) -> Pixels:
    """A smooth random colour picture (h×w×3)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def disc(size: int, rgb: Sequence[int] = (220, 60, 40)) -> Pixels:
    """A cut-out disc (RGBA, straight), its transparent surroundings pure white."""
    pixels = np.full((size, size, 4), 255, np.uint8)
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    inside = np.clip(size * 0.42 - np.hypot(x, y) + 0.5, 0, 1)
    pixels[..., :3] = np.where(inside[..., None] > 0, np.array(rgb, np.uint8), 255)
    pixels[..., 3] = np.rint(inside * 255)
    return pixels


def save(path: Path, pixels: Pixels) -> Path:
    """Write RGB or RGBA as what the name says."""
    code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    done, encoded = cv2.imencode(path.suffix, cv2.cvtColor(pixels, code))
    assert done
    path.write_bytes(encoded.tobytes())
    return path


def with_orientation(jpeg: bytes, number: int) -> bytes:
    """A JPEG with an EXIF block that says how to turn it."""
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, number, 0, 0)
    block = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def png(width: int, height: int, colour_type: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG of 8 bits made by hand; ``rows`` with their filter bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks]
    body += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def asset(folder: Path, pixels: Pixels, sources: dict[str, Path], **changes: Any) -> Asset:
    """Ingest a picture; its still is put into ``sources``."""
    sha = hashlib.sha256(pixels.tobytes() + repr(pixels.shape).encode()).hexdigest()
    upload = save(folder / f"{sha[:8]}.png", pixels)
    still = ingest_still(upload, folder / f"{sha[:8]}-still.png")
    sources[sha] = folder / f"{sha[:8]}-still.png"
    named = Artifact(sha256=sha, bytes=1, media_type="image/png")
    made = Asset(
        role=AssetRole.AUTO,
        uri="file:///picture.png",
        source=named,
        still=named,
        width=still.width,
        height=still.height,
        has_alpha=still.has_alpha,
        subject=still.subject,
        palette=still.palette,
    )
    return msgspec.structs.replace(made, **changes)


def plan(
    archetype: Archetype,
    assets: Sequence[Asset] = (),
    *,
    motion: Motion = Motion.SUBTLE,
    frames: int = 180,
    transition: TransitionKind = TransitionKind.CROSSFADE,
    width: int = 360,
    height: int = 640,
    **changes: Any,
) -> tuple[RenderSpec, list[Rung]]:
    """A plan of small frames, and the rung of each of its segments."""
    between = 0 if transition is TransitionKind.CUT else 4
    segments = segment_plans(frames, 30, 3.0, between, 5, len(assets))
    style = msgspec.structs.replace(builders.style(), motion=motion, product_motion=motion)
    spec = msgspec.structs.replace(
        builders.spec(),
        archetype=archetype,
        width=width,
        height=height,
        frames=frames,
        segments=segments,
        assets=tuple(assets),
        style=changes.pop("style", style),
        transition=Transition(kind=transition, frames=between),
        **changes,
    )
    return spec, [Rung(engine="compositor", archetype=archetype)] * len(segments)
