"""Uploads of every kind become the same upright picture, or are refused in words."""

from __future__ import annotations

import base64
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skia

from assembler import stills
from assembler.stills import (
    StillError,
    StillLimits,
    decode,
    ingest_still,
    read_still,
)
from tests.assembler.pictures import chunk, disc, png, save, textured, with_orientation

CMYK_RED = (
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAIBgYHBgUIBwcHCQkICgwUDQwLCwwZEhMPFB0aHx4dGhwcICQuJyAiLCMcHC"
    "g3KSwwMTQ0NB8nOT04MjwuMzQy/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAAH/8QA"
    "FBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwC/psmy/gAAAP/Z"
)
"""A 16×16 JPEG of cyan 0, magenta 200, yellow 200, black 0 (of 255)."""


def ingested(tmp_path: Path, content: bytes) -> np.ndarray:
    """The pixels of the still of an upload."""
    upload = tmp_path / "upload"
    upload.write_bytes(content)
    ingest_still(upload, tmp_path / "still.png")
    return read_still(tmp_path / "still.png")


def encoded(suffix: str, bgr: np.ndarray, *options: int) -> bytes:
    """A picture as a file."""
    return bytes(cv2.imencode(suffix, bgr, options)[1])


@pytest.mark.parametrize("number", range(1, 9))
def test_every_exif_orientation_comes_out_upright(tmp_path: Path, number: int) -> None:
    """The stored rows are turned as EXIF says, for each of the 8 ways."""
    upright = textured(48, 32)
    turned = upright.transpose(1, 0, 2)
    stored_as = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: turned,
        6: turned[::-1],
        7: turned[::-1, ::-1],
        8: turned[:, ::-1],
    }
    stored = np.ascontiguousarray(stored_as[number][..., ::-1])
    jpeg = encoded(".jpg", stored, cv2.IMWRITE_JPEG_QUALITY, 98)
    still = ingested(tmp_path, with_orientation(jpeg, number))
    assert upright.shape[:2] == still.shape[:2]
    assert np.abs(upright.astype(int) - still[..., :3]).mean() < 4


def test_a_png_keeps_every_pixel(tmp_path: Path) -> None:
    """An 8-bit sRGB PNG is stored as it is."""
    pixels = textured(40, 30)
    still = ingested(tmp_path, encoded(".png", pixels[..., ::-1]))
    assert (pixels == still[..., :3]).all()


@pytest.mark.parametrize(("suffix", "media_type"), [(".png", "image/png"), (".jpg", "image/jpeg")])
def test_what_is_a_still_already_stays_byte_for_byte(
    tmp_path: Path, suffix: str, media_type: str
) -> None:
    """An upright sRGB upload of 8 bits is its own still, and reads as it was decoded."""
    content = encoded(suffix, textured(40, 30)[..., ::-1])
    upload, out = tmp_path / "upload", tmp_path / "still"
    upload.write_bytes(content)
    assert media_type == ingest_still(upload, out).media_type
    assert content == out.read_bytes()
    assert np.array_equal(decode(upload, StillLimits()), read_still(out))


SAMPLINGS = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_photograph_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampling: int, progressive: int
) -> None:
    """Of a JPEG that is its own still the header tells that; it looks as every decoder has it."""
    options = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        sampling,
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        progressive,
    )
    upload, out = tmp_path / "upload", tmp_path / "still"
    upload.write_bytes(encoded(".jpg", textured(401, 301)[..., ::-1], *options))
    other = decode(upload, StillLimits())
    monkeypatch.setattr(stills, "decode", lambda *_: pytest.fail("decoded a second time"))
    assert "image/jpeg" == ingest_still(upload, out).media_type
    assert np.abs(other.astype(int) - read_still(out)).max() <= 2


@pytest.mark.parametrize("limits", [StillLimits(edge_px_max=39), StillLimits(pixels_max=1199)])
def test_a_photograph_over_a_limit_is_refused(tmp_path: Path, limits: StillLimits) -> None:
    """Also one that would be its own still."""
    upload = tmp_path / "upload"
    upload.write_bytes(encoded(".jpg", textured(40, 30)))
    with pytest.raises(StillError, match="40×30"):
        ingest_still(upload, tmp_path / "still", limits=limits)


def turned() -> bytes:
    """A JPEG that is to be turned."""
    return with_orientation(encoded(".jpg", textured(48, 32)), 6)


def in_other_colours() -> bytes:
    """A red PNG with a profile that calls green what sRGB calls red."""
    spun = skia.ColorSpace.MakeSRGB().makeColorSpin()
    info = skia.ImageInfo.Make(8, 8, skia.kRGBA_8888_ColorType, skia.kOpaque_AlphaType, spun)
    red = np.full((8, 8, 4), (255, 0, 0, 255), np.uint8)
    image = skia.Image.MakeRasterData(info, skia.Data(red.tobytes()), 32)
    return bytes(image.encodeToData(skia.kPNG, 100))


def deep() -> bytes:
    """A PNG of 16 bits."""
    return encoded(".png", textured(40, 30).astype(np.uint16) * 257)


def large() -> bytes:
    """A PNG over the limit that the test sets."""
    return encoded(".png", textured(400, 200))


def of_another_kind() -> bytes:
    """A BMP: it could be read, but not everybody could who is sent a still."""
    return encoded(".bmp", textured(40, 30))


@pytest.mark.parametrize("made", [turned, in_other_colours, deep, large, of_another_kind])
def test_what_is_none_is_written_anew(tmp_path: Path, made: Callable[[], bytes]) -> None:
    """Turned, in other colours, with more bits, too large, of another kind: it becomes a PNG."""
    content = made()
    upload, out = tmp_path / "upload", tmp_path / "still"
    upload.write_bytes(content)
    limits = StillLimits(still_edge_px_max=300)
    assert "image/png" == ingest_still(upload, out, limits=limits).media_type
    assert content != out.read_bytes()
    assert np.array_equal(decode(upload, limits), read_still(out))


def test_a_masked_picture_is_written_anew(tmp_path: Path) -> None:
    """The mask is part of the still."""
    save(tmp_path / "picture.png", textured(40, 30))
    save(tmp_path / "mask.png", np.full((30, 40, 3), 255, np.uint8))
    out = tmp_path / "still.png"
    ingest_still(tmp_path / "picture.png", out, mask=tmp_path / "mask.png")
    assert (tmp_path / "picture.png").read_bytes() != out.read_bytes()


def test_sixteen_bits_are_rounded(tmp_path: Path) -> None:
    """A 16-bit PNG keeps its upper bits."""
    pixels = textured(40, 30)
    still = ingested(tmp_path, encoded(".png", pixels[..., ::-1].astype(np.uint16) * 257))
    assert np.abs(pixels.astype(int) - still[..., :3]).max() <= 1


def test_grey_becomes_equal_channels(tmp_path: Path) -> None:
    """Grey PNGs of 8 and of 16 bits."""
    grey = textured(40, 30)[..., 0]
    for content in (encoded(".png", grey), encoded(".png", grey.astype(np.uint16) * 257)):
        still = ingested(tmp_path, content)
        for channel in range(3):
            assert np.abs(grey.astype(int) - still[..., channel]).max() <= 1


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    """A palette PNG with a transparent entry."""
    palette = chunk(b"PLTE", bytes([250, 10, 20, 30, 240, 50])) + chunk(b"tRNS", b"\xff\x00")
    rows = b"".join(b"\x00" + bytes([0, 1, 0, 1]) for _ in range(4))
    still = ingested(tmp_path, png(4, 4, 3, rows, palette))
    assert [250, 10, 20, 255] == still[0, 0].tolist()
    assert still[0, 1, 3] == 0


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    """Magenta and yellow ink are red."""
    still = ingested(tmp_path, base64.b64decode(CMYK_RED))
    assert np.abs(np.array([255, 55, 55]) - still[8, 8, :3].astype(int)).max() <= 6


def test_webp_is_read(tmp_path: Path) -> None:
    """A lossless WebP with alpha."""
    pixels = disc(64)
    bgra = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA)
    still = ingested(tmp_path, encoded(".webp", bgra, cv2.IMWRITE_WEBP_QUALITY, 101))
    assert (pixels[..., 3] == still[..., 3]).all()


def test_a_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """A picture whose profile calls green what we call red comes out green."""
    still = ingested(tmp_path, in_other_colours())
    assert 0 == still[4, 4, 0]
    assert 255 == max(still[4, 4, 1], still[4, 4, 2])


def test_a_mask_becomes_the_alpha(tmp_path: Path) -> None:
    """A grey mask of another size cuts the picture out; the subject is what it leaves."""
    save(tmp_path / "picture.png", textured(100, 80))
    mask = np.zeros((40, 50, 3), np.uint8)
    mask[10:30, 10:40] = 255
    save(tmp_path / "mask.png", mask)
    out = tmp_path / "still.png"
    still = ingest_still(tmp_path / "picture.png", out, mask=tmp_path / "mask.png")
    assert still.has_alpha
    assert still.subject is not None
    assert abs(still.subject.x - 0.2) < 0.02
    assert abs(still.subject.height - 0.5) < 0.04
    assert {0, 255} <= set(np.unique(read_still(out)[..., 3]).tolist())


def test_a_mask_that_hides_everything_is_refused(tmp_path: Path) -> None:
    """The problem names the mask."""
    save(tmp_path / "picture.png", textured(20, 20))
    save(tmp_path / "mask.png", np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(StillError, match="mask"):
        ingest_still(tmp_path / "picture.png", tmp_path / "still.png", mask=tmp_path / "mask.png")


def test_a_damaged_mask_is_told_from_a_damaged_picture(tmp_path: Path) -> None:
    """``of_mask`` says which of the two is at fault."""
    save(tmp_path / "picture.png", textured(20, 20))
    (tmp_path / "mask.png").write_text("no picture")
    with pytest.raises(StillError) as caught:
        ingest_still(tmp_path / "picture.png", tmp_path / "still.png", mask=tmp_path / "mask.png")
    assert caught.value.of_mask


def test_large_pictures_are_scaled_without_fringes(tmp_path: Path) -> None:
    """White under alpha 0 does not lighten the edge of what is scaled down."""
    pixels = disc(400, (40, 10, 5))
    save(tmp_path / "picture.png", pixels)
    limits = StillLimits(still_edge_px_max=90)
    still = ingest_still(tmp_path / "picture.png", tmp_path / "still.png", limits=limits)
    small = read_still(tmp_path / "still.png")
    assert (90, 90) == (still.width, still.height)
    seen = small[small[..., 3] > 30]
    assert np.abs(seen[:, :3].astype(int) - (40, 10, 5)).max() <= 5


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """20,000×20,000 pixels cost neither time nor memory."""
    bomb = png(20_000, 20_000, 2, bytes(60_001) * 100)
    (tmp_path / "bomb.png").write_bytes(bomb)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(StillError, match="20000×20000") as caught:
        ingest_still(tmp_path / "bomb.png", tmp_path / "still.png")
    spent = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "12000 px" in caught.value.limit
    assert spent < 0.5
    assert peak < 4_000_000


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    """No more than the limit is read."""
    (tmp_path / "large.png").write_bytes(bytes(2_000_001))
    with pytest.raises(StillError) as caught:
        ingest_still(
            tmp_path / "large.png",
            tmp_path / "still.png",
            limits=StillLimits(bytes_max=2_000_000),
        )
    assert caught.value.limit == "2 MB"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    """Half a picture is a problem, not half a picture."""
    content = encoded(suffix, textured(200, 200))
    with pytest.raises(StillError) as caught:
        ingested(tmp_path, content[: len(content) // 2])
    assert caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", struct.pack("9I", *range(9))]
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    """The type is told by decoding, whatever the name says."""
    with pytest.raises(StillError):
        ingested(tmp_path, content)


def test_the_palette_is_that_of_the_visible_pixels(tmp_path: Path) -> None:
    """White under alpha 0 is no colour of the product; the same file gives the same palette."""
    save(tmp_path / "picture.png", disc(200, (200, 40, 90)))
    found = [
        ingest_still(tmp_path / "picture.png", tmp_path / "still.png").palette for _ in range(2)
    ]
    assert ("#c8285a",) == found[0]
    assert found[0] == found[1]


def test_a_palette_has_five_colours_at_most(tmp_path: Path) -> None:
    """The most frequent colour comes first."""
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:40] = (10, 20, 200)
    pixels[40:] = textured(60, 20)
    save(tmp_path / "picture.png", pixels)
    palette = ingest_still(tmp_path / "picture.png", tmp_path / "still.png").palette
    assert len(palette) <= 5
    assert palette[0].endswith("c8")
