"""The captions drawn: what lies over the picture at each frame of the film.

A card is drawn once, by Skia, as a patch; entrance and exit only move, fade or (a few frames
long) scale it.  Its ink never leaves the card's box, not even while it moves.  Whether a plate is
needed is decided once a caption, on the brightest of a few frames of the whole film, so that
every process decides alike.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from assembler.captions import Block, lay_out
from assembler.fonts import FontSet
from assembler.looks import Entrance, Look, Plate, entrance_of, look_of
from assembler.planes import Patch, Plane, patch_from_rgba
from assembler.typesetting import is_right_to_left, typesetter
from events.spec import Box

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from events.spec import Caption, Card, RenderSpec

Sample = Callable[[int, Box], NDArray[np.uint8]]
"""``sample(n, box)`` gives the luma (h×w, limited range) of what lies under ``box`` at frame n."""

CONTRAST_MIN: Final = 4.5
SAMPLES: Final = 3
# The share of the pixels that may be brighter than what the contrast is measured on.
BRIGHT_SHARE: Final = 0.05
PATCHES_MAX: Final = 12
RISE_EM: Final = 0.5
# Frames at 30 a second; other rates last as long.
FADE_FRAMES: Final = 6
RISE_FRAMES: Final = 9
POP_SCALES: Final = (0.72, 0.9, 0.97)
EXIT_FRAMES: Final = 4
REFERENCE_FPS: Final = 30


class Overlay(NamedTuple):
    """A patch to lay over a frame, and how strongly: 0 is not at all, 1 as it is."""

    patch: Patch
    opacity: float


@dataclass(frozen=True, slots=True)
class _Shown:
    """A card at one frame: how far below its place in pixels, how large, how strong."""

    drop_px: int = 0
    scale: float = 1.0
    opacity: float = 1.0


class Captions:
    """All captions of a film, ready to be drawn at any frame."""

    def __init__(
        self, spec: RenderSpec, sources: Mapping[str, Path], sample: Sample | None = None
    ) -> None:
        """Take the words of ``spec``, and its fonts from ``sources`` (sha256 to file).

        Without ``sample`` captions that may need a plate get one.  Nothing is opened yet.
        """
        self._spec = spec
        self._fonts = FontSet.from_spec(spec.fonts, sources) if spec.captions else FontSet(())
        self._look = look_of(spec.style)
        self._entrance = entrance_of(spec.style)
        self._sample = sample
        self._plated: dict[int, bool] = {}
        self._patches: OrderedDict[tuple[int, int, float], Patch] = OrderedDict()

    def overlay(self, n: int) -> tuple[Overlay, ...]:
        """Give what lies over the picture at frame ``n`` of the film."""
        for which, caption in enumerate(self._spec.captions):
            for index, card in enumerate(caption.cards):
                if card.start <= n < card.start + card.frames:
                    return self._overlay(which, index, n - card.start)
        return ()

    def has_plate(self, which: int) -> bool:
        """Tell whether a plate lies under caption ``which``; decided at the first asking."""
        if which not in self._plated:
            self._plated[which] = self._needs_plate(self._spec.captions[which])
        return self._plated[which]

    def _overlay(self, which: int, index: int, k: int) -> tuple[Overlay, ...]:
        card = self._spec.captions[which].cards[index]
        last = card.start + card.frames >= self._spec.frames
        shown = show(self._entrance, k, card, self._spec.fps, last=last)
        if shown.opacity <= 0:
            return ()
        patch = self._patch(which, index, shown.scale)
        if shown.drop_px:
            patch = _sunk(patch, shown.drop_px, int(card.box.y + card.box.height))
        return (Overlay(patch, shown.opacity),)

    def _patch(self, which: int, index: int, scale: float) -> Patch:
        key = (which, index, scale)
        if key not in self._patches:
            self._patches[key] = self._draw(which, index, scale)
            while len(self._patches) > PATCHES_MAX:
                self._patches.popitem(last=False)
        self._patches.move_to_end(key)
        return self._patches[key]

    def _draw(self, which: int, index: int, scale: float) -> Patch:
        caption = self._spec.captions[which]
        box = caption.cards[index].box
        rgba = draw_card(caption, index, self._look, self._fonts, plate=self.has_plate(which))
        if scale < 1:
            rgba = _scaled(rgba, scale)
        return patch_from_rgba(rgba, int(box.x), int(box.y))

    def _needs_plate(self, caption: Caption) -> bool:
        if self._look.plate is not Plate.WHEN_NEEDED or self._sample is None:
            return self._look.plate is not Plate.NEVER
        start = caption.cards[0].start
        length = sum(card.frames for card in caption.cards)
        for number in range(SAMPLES):
            n = start + (2 * number + 1) * length // (2 * SAMPLES)
            luma = self._sample(n, _box_at(caption, n))
            if luma.size and contrast_with_white(luma) < CONTRAST_MIN:
                return True
        return False


def contrast_with_white(luma: NDArray[np.uint8]) -> float:
    """Give the WCAG contrast of white with the brightest pixels of ``luma`` (limited range)."""
    code = float(np.quantile(luma, 1 - BRIGHT_SHARE))
    value = min(1.0, max(0.0, (code - 16) / 219))
    linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
    return 1.05 / (linear + 0.05)


def show(entrance: Entrance, k: int, card: Card, fps: int, *, last: bool) -> _Shown:
    """Give how ``card`` stands at its frame ``k``; the film's ``last`` one does not go."""
    if entrance is Entrance.NONE:
        return _Shown()
    if entrance is Entrance.POP:
        pop = min(len(POP_SCALES), card.frames // 4)
        if k < pop:
            scale = POP_SCALES[len(POP_SCALES) - pop + k]
            return _Shown(scale=scale, opacity=min(1.0, (k + 2) / (pop + 1)))
        return _Shown()
    going = 1.0 if last else _ramp(card.frames - 1 - k, EXIT_FRAMES, card, fps)
    if entrance is Entrance.FADE:
        return _Shown(opacity=min(going, _ramp(k, FADE_FRAMES, card, fps)))
    coming = _ramp(k, RISE_FRAMES, card, fps)
    # The words come out from behind an edge fast, and settle.
    drop = round((1 - coming) ** 3 * RISE_EM * card.size_px / 2) * 2
    return _Shown(drop_px=drop, opacity=min(going, 1.0, coming * 1.5))


def _ramp(k: int, frames: int, card: Card, fps: int) -> float:
    """Rise from nearly 0 at ``k`` 0 to 1; a short card is not all entrance."""
    length = min(round(frames * fps / REFERENCE_FPS), card.frames // 4)
    return min(1.0, (k + 1) / (length + 1))


def _box_at(caption: Caption, n: int) -> Box:
    for card in caption.cards:
        if n < card.start + card.frames:
            return card.box
    return caption.cards[-1].box


def _sunk(patch: Patch, drop_px: int, bottom: int) -> Patch:
    """Lower a patch by an even number of rows, behind the edge at ``bottom``."""
    y = patch.y + drop_px
    rows = max(0, min(patch.height, (bottom - y) // 2 * 2))
    half = rows // 2
    return Patch(
        x=patch.x,
        y=y,
        luma=patch.luma[:rows],
        alpha=patch.alpha[:rows],
        u=patch.u[:half],
        v=patch.v[:half],
        alpha_uv=patch.alpha_uv[:half],
    )


def _scaled(rgba: Plane, scale: float) -> Plane:
    """Scale a picture about its centre, in a canvas of the same size."""
    height, width = rgba.shape[:2]
    matrix = np.array(
        [[scale, 0, width * (1 - scale) / 2], [0, scale, height * (1 - scale) / 2]], np.float64
    )
    scaled = cv2.warpAffine(rgba, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(scaled, np.uint8)


# Drawing a card ------------------------------------------------------------------------------


def draw_card(caption: Caption, index: int, look: Look, fonts: FontSet, *, plate: bool) -> Plane:
    """Draw card ``index`` of ``caption``: premultiplied RGBA, h×w×4, as large as its box."""
    card = caption.cards[index]
    lines = [each.lines for each in caption.cards]
    setter = typesetter(fonts)
    block = lay_out(lines, card.size_px, look, setter, text=caption.text)[index]
    layer = _Layer(block, caption, card.size_px, look, fonts)
    pixels = np.zeros((block.height, block.width, 4), np.uint8)
    if plate:
        _over(pixels, layer.plate())
    words = layer.words()
    shade = words[:, :, 3]
    if look.glow_blur and not plate:
        _over(pixels, _tinted(_spread(shade, look.glow_blur * card.size_px), look.glow_colour))
    if look.shadow_strength and not plate:
        _over(pixels, _shadow(shade, look, card.size_px))
    _over(pixels, words)
    return pixels


@dataclass(frozen=True, slots=True)
class _Layer:
    """One card's drawing surface."""

    block: Block
    caption: Caption
    size_px: float
    look: Look
    fonts: FontSet

    def words(self) -> Plane:
        """Draw the rows: first all outlines, so that none lies over a neighbour's letters."""
        pixels, canvas = self._surface()
        if self.look.outline:
            stroke = skia.Paint(
                AntiAlias=True,
                Color=self.look.outline_colour,
                Style=skia.Paint.kStroke_Style,
                StrokeWidth=2 * self.look.outline * self.size_px,
                StrokeJoin=skia.Paint.kRound_Join,
            )
            self._paint_rows(canvas, stroke)
        self._paint_rows(canvas, skia.Paint(AntiAlias=True, Color=self.look.fill))
        return pixels

    def plate(self) -> Plane:
        """Draw the plate: one rectangle, or one that hugs each row, with round corners."""
        pixels, canvas = self._surface()
        radius = self.look.plate_radius * self.size_px
        paint = skia.Paint(AntiAlias=True, Color=self.look.plate_colour)
        if not self.look.hugging or len(self.block.rows) == 1:
            whole = skia.Rect.MakeWH(self.block.width, self.block.height)
            canvas.drawRoundRect(whole, radius, radius, paint)
            return pixels
        paint.setPathEffect(skia.CornerPathEffect.Make(radius))
        canvas.drawPath(self._outline_of_rows(), paint)
        return pixels

    def _surface(self) -> tuple[Plane, Any]:
        pixels = np.zeros((self.block.height, self.block.width, 4), np.uint8)
        info = skia.ImageInfo.Make(
            self.block.width,
            self.block.height,
            skia.ColorType.kRGBA_8888_ColorType,
            skia.AlphaType.kPremul_AlphaType,
        )
        return pixels, skia.Surface.MakeRasterDirect(info, pixels).getCanvas()

    def _paint_rows(self, canvas: Any, paint: Any) -> None:
        setter = typesetter(self.fonts)
        rtl = is_right_to_left(self.caption.text)
        for row in self.block.rows:
            setter.paint(
                canvas,
                row.text,
                (row.x, row.baseline),
                size_px=self.size_px,
                tracking_em=self.look.tracking,
                rtl=rtl,
                paint=paint,
            )

    def _outline_of_rows(self) -> Any:
        """Join the rows' rectangles; rows of nearly one width are made so, without a notch."""
        pad_x = math.ceil(self.look.pad_x * self.size_px)
        pad_y = math.ceil(self.look.pad_y * self.size_px)
        edges = _without_notches(
            [(row.left - pad_x, row.right + pad_x) for row in self.block.rows],
            2.2 * self.look.plate_radius * self.size_px,
        )
        path = skia.Path()
        bottom = 0.0
        for index, (row, (left, right)) in enumerate(zip(self.block.rows, edges, strict=True)):
            top = 0.0 if index == 0 else bottom
            last = index == len(edges) - 1
            bottom = row.baseline + self.block.descent + pad_y
            if not last:
                # Rows meet halfway between the lower's letters and the upper's.
                following = self.block.rows[index + 1].baseline - self.block.ascent - pad_y
                bottom = (bottom + following) / 2
            band = skia.Path()
            band.addRect(skia.Rect.MakeLTRB(left, top, right, bottom))
            path = band if index == 0 else skia.Op(path, band, skia.PathOp.kUnion_PathOp)
        return path


def _without_notches(edges: list[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    """Widen rows until neighbours differ by ``least`` px a side, or not at all."""
    widened = list(edges)
    for _ in edges:
        for index in range(len(widened) - 1):
            (left, right), (next_left, next_right) = widened[index], widened[index + 1]
            if 0 < abs(left - next_left) < least or 0 < abs(right - next_right) < least:
                both = (min(left, next_left), max(right, next_right))
                widened[index] = widened[index + 1] = both
    return widened


def _spread(shade: Plane, blur_px: float) -> Plane:
    sigma = max(0.5, blur_px)
    blurred = cv2.GaussianBlur(shade, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.uint8)


def _shadow(shade: Plane, look: Look, size_px: float) -> Plane:
    """Draw a shadow that fades out before the edge of the box, so that no edge shows."""
    drop = round(look.shadow_drop * size_px)
    lowered = np.zeros_like(shade)
    lowered[drop:] = shade[: shade.shape[0] - drop]
    soft = _spread(lowered, look.shadow_blur * size_px).astype(np.float32) * 1.6
    strength = np.minimum(soft, 255) * look.shadow_strength
    return _tinted(strength.astype(np.uint8), 0xFF000000)


def _tinted(alpha: Plane, colour: int) -> Plane:
    shares = [colour >> shift & 0xFF for shift in (16, 8, 0)]
    wide = alpha.astype(np.uint16)
    channels = [((wide * share + 127) // 255).astype(np.uint8) for share in shares]
    return np.dstack([*channels, alpha])


def _over(under: Plane, over: Plane) -> None:
    """Lay premultiplied ``over`` on premultiplied ``under``, in place."""
    keep = 255 - over[:, :, 3:].astype(np.uint16)
    mixed = over + (under * keep + 127) // 255
    np.minimum(mixed, 255, out=mixed)
    under[:] = mixed.astype(np.uint8)
