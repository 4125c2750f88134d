"""Uploads become stills: upright 8-bit sRGB pictures with straight alpha, at most 4096 px long.

Whatever a client sends is read here once, within stated limits, and what it is is told by
decoding it.  A PNG or JPEG that already is such a picture stays as it is, byte for byte: writing
a photograph anew takes longer than drawing half a second of film.  All else is written as PNG.
What a picture looks like on the screen is not decided here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from assembler.kept import Kept
from assembler.subjects import every_nth, plain_subject
from events.spec import Box

Pixels = NDArray[np.uint8]
"""h×w×4 RGBA, 8 bits, straight alpha."""

PALETTE_COLOURS = 5
PALETTE_EDGE_PX = 72
PALETTE_ROUNDS = 12
PALETTE_GAP = 10
"""Colours nearer than this (in RGB codes) are one."""
STRIP_ROWS = 256
OPAQUE_FROM = 128
SUBJECT_ALPHA_MIN = 24

PNG, JPEG = "image/png", "image/jpeg"
KEPT = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": JPEG}
"""How a file begins that may be its own still, and its media type."""
MAGIC_BYTES = 8

FORMATS = "PNG, JPEG, WebP, GIF or BMP"


class StillError(Exception):
    """The picture cannot be used: tell the client ``problem``, ``limit`` and ``hint``.

    ``of_mask`` is true where the mask is at fault and not the picture.
    """

    def __init__(self, problem: str, *, limit: str = "", hint: str = "") -> None:
        """Keep what is wrong, the limit that it breaks (or "") and what would help."""
        super().__init__(problem)
        self.problem = problem
        self.limit = limit
        self.hint = hint
        self.of_mask = False


_DECODED = Kept(3)
"""The pictures that this process took in or decoded last, by the sha256 of the still."""


@dataclass(frozen=True, slots=True)
class StillLimits:
    """What is accepted; ``still_edge_px_max`` is what larger pictures are scaled down to."""

    bytes_max: int = 20_000_000
    edge_px_max: int = 12_000
    pixels_max: int = 64_000_000
    still_edge_px_max: int = 4096


@dataclass(frozen=True, slots=True)
class Still:
    """What was ingested: size in px, whether any pixel is not opaque, where the subject is.

    ``subject`` is in fractions of the still, None where nothing tells; ``palette`` holds up to
    five ``#rrggbb`` colours of the visible pixels, the most frequent first.  ``media_type`` is
    that of the still's file.
    """

    width: int
    height: int
    has_alpha: bool
    subject: Box | None
    palette: tuple[str, ...]
    media_type: str


def ingest_still(
    path: Path, out: Path, *, mask: Path | None = None, limits: StillLimits | None = None
) -> Still:
    """Read an upload (and its mask, which becomes its alpha) and write the still to ``out``.

    Raises StillError where the picture or the mask cannot be used; OSError where a file cannot
    be read or written.
    """
    limits = limits or StillLimits()
    kept = _kind(path) if mask is None else None
    pixels = _photograph(path, limits) if kept == JPEG else None
    if pixels is None:
        pixels = decode(path, limits)
        kept = kept if kept and _reads_as(pixels, path) else None
    if mask is not None:
        try:
            _apply_mask(pixels, decode(mask, limits))
        except StillError as error:
            error.of_mask = True
            raise
    has_alpha = not _opaque(pixels)
    subject = _subject(pixels[..., 3]) if has_alpha else plain_subject(pixels)
    if has_alpha and subject is None:
        raise StillError(
            "no pixel of the picture is visible" if mask is None else "the mask hides everything",
            hint="white parts of a mask are kept, black parts are cut away",
        )
    if kept is not None:
        shutil.copyfile(path, out)
    else:
        write_still(pixels, out, has_alpha=has_alpha)
    with out.open("rb") as file:
        # Whoever planned a film may draw it, too.
        _DECODED.get(hashlib.file_digest(file, "sha256").hexdigest(), lambda: pixels)
    height, width = pixels.shape[:2]
    return Still(width, height, has_alpha, subject, _palette(pixels), kept or PNG)


def _photograph(path: Path, limits: StillLimits) -> Pixels | None:
    """Return the pixels of a JPEG that is its own still, decoded once; None if it is none.

    Its header tells that nothing would be changed: it is neither turned nor large, its colours
    are sRGB's, coded as YCbCr.  None, too, where it is damaged: ``decode`` says how.
    """
    content = _content(path, limits)
    codec = _opened(content)
    size = codec.dimensions()
    if (
        codec.queryYUVAInfo(skia.YUVAPixmapInfo.SupportedDataTypes.All()) is None
        or codec.getOrigin() != skia.EncodedOrigin.kDefault_EncodedOrigin
        or not codec.getInfo().colorSpace().isSRGB()
        or max(size.width(), size.height()) > min(limits.still_edge_px_max, limits.edge_px_max)
        or size.width() * size.height() > limits.pixels_max
    ):
        return None
    try:
        return read_still(path)
    except StillError:
        return None


def _kind(path: Path) -> str | None:
    """Return the media type of a file that may be its own still; None for any other."""
    with path.open("rb") as file:
        head = file.read(MAGIC_BYTES)
    return next((kind for magic, kind in KEPT.items() if head.startswith(magic)), None)


def _reads_as(pixels: Pixels, path: Path) -> bool:
    """Whether an upload reads, as stills are read, to the very pixels that it was decoded to.

    Then it is its own still: neither turned nor scaled, in no other colours and no more bits
    than a still has.
    """
    try:
        found = read_still(path)
    except StillError:
        return False
    return found.shape == pixels.shape and not cv2.norm(found, pixels, cv2.NORM_INF)


def read_still(path: Path) -> Pixels:
    """Return the pixels of a still that ``ingest_still`` made.

    Raises StillError where the file is not one.
    """
    try:
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        found = None
    if found is None or found.ndim != 3 or found.dtype != np.uint8:  # noqa: PLR2004
        raise StillError("a stored still cannot be decoded")
    code = cv2.COLOR_BGRA2RGBA if found.shape[2] == 4 else cv2.COLOR_BGR2RGBA  # noqa: PLR2004
    pixels: Pixels = cv2.cvtColor(found, code).astype(np.uint8, copy=False)
    return pixels


def still_of(sha256: str, path: Path) -> Pixels:
    """Return the pixels of a still, read from ``path`` unless this process has them at hand.

    They must not be changed.  Raises StillError.
    """
    return _DECODED.get(sha256, lambda: read_still(path))


def write_still(pixels: Pixels, out: Path, *, has_alpha: bool) -> None:
    """Write a PNG, quickly compressed; raises OSError where it cannot be written."""
    code = cv2.COLOR_RGBA2BGRA if has_alpha else cv2.COLOR_RGBA2BGR
    # One filter for all rows instead of a choice a row, and no search for more than runs: of a
    # photograph quicker to write and to read, and smaller, than what zlib chooses.
    options = [
        cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
        cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    ]  # fmt: skip
    done, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, code), options)
    assert done, "a picture in memory can be encoded"
    out.write_bytes(encoded.tobytes())


def decode(path: Path, limits: StillLimits) -> Pixels:
    """Decode any picture that is within the limits; upright, sRGB, scaled down if it is large.

    Its size is read from its header before anything is decoded.  Raises StillError.
    """
    # The codec reads from the bytes where they lie: they must outlive it.
    content = _content(path, limits)
    codec = _opened(content)
    width, height = codec.dimensions().width(), codec.dimensions().height()
    longest = max(width, height)
    if longest > limits.edge_px_max or width * height > limits.pixels_max:
        raise StillError(
            f"the picture is {width}×{height} px",
            limit=f"{limits.edge_px_max} px an edge and {limits.pixels_max // 1_000_000} "
            "megapixels",
            hint="scale it down before sending it",
        )
    size = codec.dimensions()
    if longest >= 2 * limits.still_edge_px_max:
        # JPEG can be decoded at a half for a fraction of the memory; others keep their size.
        size = codec.getScaledDimensions(limits.still_edge_px_max / longest)
        if max(size.width(), size.height()) < limits.still_edge_px_max:
            size = codec.getScaledDimensions(0.5)
    pixels = _pixels(codec, size.width(), size.height())
    origin = int(codec.getOrigin())
    del codec, content
    return _upright(_scaled_down(pixels, limits.still_edge_px_max), origin)


def _content(path: Path, limits: StillLimits) -> bytes:
    with path.open("rb") as file:
        # Never more than one byte over the limit is read, nor is room for it taken where the
        # file is small.
        said = os.fstat(file.fileno()).st_size
        content = file.read(min(said, limits.bytes_max) + 1)
    if len(content) > limits.bytes_max:
        raise StillError(
            "the file is too large",
            limit=f"{limits.bytes_max // 1_000_000} MB",
            hint="save it at a lower quality or a smaller size",
        )
    if not content:
        raise StillError("the file is empty", hint=f"send a {FORMATS} picture")
    return content


def _opened(content: bytes) -> skia.Codec:
    try:
        codec = skia.Codec.MakeFromData(content)
    except RuntimeError:
        codec = None
    if codec is None:
        raise StillError(
            "the file is not a picture that can be decoded",
            hint=f"send a {FORMATS} picture",
        )
    return codec


def _pixels(codec: skia.Codec, width: int, height: int) -> Pixels:
    info = skia.ImageInfo.Make(
        width,
        height,
        skia.ColorType.kRGBA_8888_ColorType,
        skia.AlphaType.kUnpremul_AlphaType,
        skia.ColorSpace.MakeSRGB(),
    )
    pixels = np.zeros((height, width, 4), np.uint8)
    result = codec.getPixels(info, pixels, width * 4)
    if result != skia.Codec.Result.kSuccess:
        cut = result == skia.Codec.Result.kIncompleteInput
        raise StillError(
            "the picture is cut off: its file ends too early" if cut else "the picture is damaged",
            hint="send the whole file, or save it anew",
        )
    return pixels


def _scaled_down(pixels: Pixels, edge_px_max: int) -> Pixels:
    """Scale a large picture by area, its colours weighed by their alpha."""
    height, width = pixels.shape[:2]
    scale = edge_px_max / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    opaque = _opaque(pixels)
    if not opaque:
        _in_strips(pixels, premultiplied)
    small: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if not opaque:
        _in_strips(small, _straight)
    return small


def _opaque(pixels: Pixels) -> bool:
    """Whether no pixel lets anything through."""
    return cv2.minMaxLoc(cv2.extractChannel(pixels, 3))[0] == 255  # noqa: PLR2004


def _in_strips(pixels: Pixels, change: Callable[[Pixels], Pixels]) -> None:
    """Change a picture in place, a few rows at a time: floats of all of it would be gigabytes."""
    for row in range(0, pixels.shape[0], STRIP_ROWS):
        pixels[row : row + STRIP_ROWS] = change(pixels[row : row + STRIP_ROWS])


def premultiplied(pixels: Pixels) -> Pixels:
    """Return straight RGBA multiplied by its alpha, rounded."""
    alpha = np.ascontiguousarray(pixels[..., 3])
    shares = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    done: Pixels = cv2.multiply(pixels, shares, scale=1 / 255).astype(np.uint8, copy=False)
    return done


def _straight(pixels: Pixels) -> Pixels:
    done = pixels.copy()
    alpha = pixels[..., 3:].astype(np.float32)
    colours = pixels[..., :3] * (255 / np.maximum(alpha, 1))
    done[..., :3] = np.minimum(np.rint(colours), 255)
    return done


def _upright(pixels: Pixels, number: int) -> Pixels:
    """Turn a picture as its EXIF orientation ``number`` (1 to 8) says."""
    if number >= 5:  # noqa: PLR2004  (5 to 8 swap rows and columns)
        pixels = pixels.transpose(1, 0, 2)
    if number in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if number in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _apply_mask(pixels: Pixels, mask: Pixels) -> None:
    """Multiply the alpha by a mask: its own alpha where it has any, else its brightness."""
    if not _opaque(mask):
        shares = np.ascontiguousarray(mask[..., 3])
    else:
        shares = cv2.cvtColor(mask, cv2.COLOR_RGBA2GRAY).astype(np.uint8)
    height, width = pixels.shape[:2]
    shrinks = shares.shape[0] > height or shares.shape[1] > width
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    shares = cv2.resize(shares, (width, height), interpolation=way).astype(np.uint8)
    pixels[..., 3] = cv2.multiply(np.ascontiguousarray(pixels[..., 3]), shares, scale=1 / 255)


def _subject(alpha: Pixels) -> Box | None:
    """Return the box of what is visible, in fractions; None if nothing is."""
    seen = alpha >= SUBJECT_ALPHA_MIN
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if rows.size == 0:
        return None
    height, width = alpha.shape
    return Box(
        x=float(columns[0] / width),
        y=float(rows[0] / height),
        width=float((columns[-1] + 1 - columns[0]) / width),
        height=float((rows[-1] + 1 - rows[0]) / height),
    )


def _palette(pixels: Pixels) -> tuple[str, ...]:
    """Return the main colours of the visible pixels by k-means from fixed beginnings."""
    scale = min(1.0, PALETTE_EDGE_PX / max(pixels.shape[:2]))
    size = [max(1, round(edge * scale)) for edge in pixels.shape[1::-1]]
    coarse = every_nth(pixels, max(1, min(pixels.shape[:2]) // (4 * PALETTE_EDGE_PX)))
    small = _straight(
        cv2.resize(premultiplied(coarse), size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    )
    flat = small.reshape(-1, 4)
    colours = flat[flat[:, 3] >= OPAQUE_FROM, :3].astype(np.float32)
    if colours.shape[0] == 0:
        colours = flat[flat[:, 3] > 0, :3].astype(np.float32)
    if colours.shape[0] == 0:
        return ()
    centres, counts = _clusters(colours)
    order = np.argsort(-counts, kind="stable")
    found = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.rint(centres[order]).astype(int)]
    return tuple(dict.fromkeys(found))


def _clusters(colours: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return centres (n×3) and sizes; each beginning is the colour farthest from the others."""
    centres = colours.mean(axis=0, keepdims=True)
    for _ in range(PALETTE_COLOURS - 1):
        gaps = ((colours[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
        if gaps.max() < PALETTE_GAP**2:
            break
        centres = np.vstack([centres, colours[int(gaps.argmax())]])
    nearest = np.zeros(colours.shape[0], np.int64)
    for _ in range(PALETTE_ROUNDS):
        before = nearest
        # The colour's own square is the same for all centres.
        nearest = ((centres**2).sum(axis=1) - 2 * colours @ centres.T).argmin(axis=1)
        if (nearest == before).all():
            break
        for index in range(centres.shape[0]):
            if (nearest == index).any():
                centres[index] = colours[nearest == index].mean(axis=0)
    counts = np.bincount(nearest, minlength=centres.shape[0])
    return centres[counts > 0], counts[counts > 0]


__all__ = [
    "PNG",
    "Pixels",
    "Still",
    "StillError",
    "StillLimits",
    "decode",
    "ingest_still",
    "premultiplied",
    "read_still",
    "still_of",
    "write_still",
]
