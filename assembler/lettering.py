"""The captions drawn: what lies over the picture at each frame of the film.

A card is drawn once, by Skia, as a patch; entrance and exit only move, fade or (a few frames
long) scale it.  Its ink never leaves the card's box, not even while it moves.  Whether words are
white, dark or on a plate is decided once a film, on a few frames of all of it, so that a film has
one voice and every process decides alike.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from assembler.captions import Block, lay_out
from assembler.colour import Tone, accent
from assembler.draft import DRAFT_SHARE, scaled_caption
from assembler.fonts import FontSet
from assembler.looks import Entrance, Look, Plate, entrance_of, look_of
from assembler.planes import Patch, Plane, patch_from_rgba
from assembler.typesetting import is_right_to_left, typesetter
from events.spec import Box

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from events.spec import Caption, Card, RenderSpec

Sample = Callable[[Sequence[tuple[int, Box]]], list[NDArray[np.uint8]]]
"""Gives the luma (h×w, limited range) of what lies under each box at its frame; any scale."""

CONTRAST_MIN: Final = 4.5
# Of a film that has more captions, so many are looked at, the first and the last among them.
SAMPLES_MAX: Final = 4
# The share of the pixels that may be brighter (darker) than what the contrast is measured on.
EXTREME_SHARE: Final = 0.05
# Dark words: as deep as their film's own colour goes.
INK_LIGHTNESS: Final = 0.23
INK_CHROMA_MAX: Final = 0.07
PLATE_LIGHTNESS: Final = 0.20
PLATE_ALPHA: Final = 0xE0
PATCHES_MAX: Final = 12
RISE_EM: Final = 0.5
# Frames at 30 a second; other rates last as long.
FADE_FRAMES: Final = 6
RISE_FRAMES: Final = 9
POP_SCALES: Final = (0.72, 0.9, 0.97)
EXIT_FRAMES: Final = 4
REFERENCE_FPS: Final = 30


class Setting(Enum):
    """How the words of a film stand out."""

    LIGHT = "light letters on the picture"
    DARK = "dark letters on the picture"
    PLATE = "light letters on a plate"


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

        Without ``sample`` captions that may need a plate get one.  Nothing is opened or sampled
        before the first asking.
        """
        self._spec = spec
        self._fonts = FontSet.from_spec(spec.fonts, sources) if spec.captions else FontSet(())
        self._look = look_of(spec.style)
        self._entrance = entrance_of(spec.style)
        self._sample = sample
        self._setting: Setting | None = None
        self._patches: OrderedDict[tuple[int, int, float], Patch] = OrderedDict()

    def overlay(self, n: int) -> tuple[Overlay, ...]:
        """Give what lies over the picture at frame ``n`` of the film."""
        for which, caption in enumerate(self._spec.captions):
            for index, card in enumerate(caption.cards):
                if card.start <= n < card.start + card.frames:
                    return self._overlay(which, index, n - card.start)
        return ()

    @property
    def setting(self) -> Setting:
        """How the words stand out, all through the film; decided at the first asking."""
        if self._setting is None:
            self._setting = self._decided()
        return self._setting

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
        if self._spec.draft:
            # Letters have other shapes at another size: a draft's are a film's, made smaller.
            caption = scaled_caption(caption, 1 / DRAFT_SHARE)
        box = caption.cards[index].box
        plate = self.setting is Setting.PLATE
        look = dressed(self._look, self.setting, self._spec)
        rgba = draw_card(caption, index, look, self._fonts, plate=plate)
        if scale < 1:
            rgba = _scaled(rgba, scale)
        x, y = int(box.x), int(box.y)
        if self._spec.draft:
            rgba, x, y = _smaller(rgba, x, y)
        return patch_from_rgba(rgba, x, y)

    def _decided(self) -> Setting:
        if self._look.plate is Plate.NEVER:
            return Setting.LIGHT
        if self._look.plate is Plate.ALWAYS or self._sample is None:
            return Setting.PLATE
        cards = [caption.cards[0] for caption in self._spec.captions]
        count = min(len(cards), SAMPLES_MAX)
        chosen = {round(index * (len(cards) - 1) / max(count - 1, 1)) for index in range(count)}
        asked = [cards[index] for index in sorted(chosen)]
        seen = self._sample([(card.start + card.frames // 2, card.box) for card in asked])
        seen = [luma for luma in seen if luma.size]
        if all(contrast_with_white(luma) >= CONTRAST_MIN for luma in seen):
            return Setting.LIGHT
        ink = luminance(ink_of(self._spec))
        if all(contrast_with_ink(luma, ink) >= CONTRAST_MIN for luma in seen):
            return Setting.DARK
        return Setting.PLATE


def dressed(look: Look, setting: Setting, spec: RenderSpec) -> Look:
    """Give a look as a film's setting wants it; plates and dark letters take the film's hue."""
    if look.plate is not Plate.WHEN_NEEDED:
        return look
    if setting is Setting.DARK:
        return replace(look, fill=_argb(ink_of(spec)), shadow_strength=0.0, glow_blur=0.0)
    if setting is Setting.PLATE:
        tones = _accent(spec)
        deep = tones.at(PLATE_LIGHTNESS, min(tones.chroma, INK_CHROMA_MAX) * 0.6)
        return replace(look, plate_colour=_argb(deep.rgb(), PLATE_ALPHA))
    return look


def ink_of(spec: RenderSpec) -> NDArray[np.float32]:
    """Give the colour (RGB, 0..255) of a film's dark letters."""
    tones = _accent(spec)
    return tones.at(INK_LIGHTNESS, min(tones.chroma, INK_CHROMA_MAX)).rgb()


def _accent(spec: RenderSpec) -> Tone:
    palettes = [asset.palette for asset in spec.assets if asset.palette]
    return accent(palettes[0] if palettes else ())


def _argb(rgb: NDArray[np.float32], alpha: int = 0xFF) -> int:
    red, green, blue = (int(code) for code in np.clip(np.rint(rgb), 0, 255))
    return alpha << 24 | red << 16 | green << 8 | blue


def luminance(rgb: NDArray[np.float32]) -> float:
    """Give the relative luminance (0..1) of an sRGB colour, 0..255."""
    linear = np.array([_linear(float(code) / 255) for code in rgb])
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


def contrast_with_white(luma: NDArray[np.uint8]) -> float:
    """Give the WCAG contrast of white with the brightest pixels of ``luma`` (limited range)."""
    return 1.05 / (_at(luma, 1 - EXTREME_SHARE) + 0.05)


def contrast_with_ink(luma: NDArray[np.uint8], ink: float) -> float:
    """Give the contrast of ink (its luminance) with the darkest pixels of ``luma``."""
    return (_at(luma, EXTREME_SHARE) + 0.05) / (ink + 0.05)


def _at(luma: NDArray[np.uint8], share: float) -> float:
    """Give the luminance below which a share of the pixels is."""
    code = float(np.quantile(luma, share))
    return _linear(min(1.0, max(0.0, (code - 16) / 219)))


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


def _smaller(rgba: Plane, x: int, y: int) -> tuple[Plane, int, int]:
    """Return a picture of a full frame, and its corner there, as a draft has them."""
    step = round(1 / DRAFT_SHARE)
    left, top = x % step, y % step
    right, bottom = -(left + rgba.shape[1]) % step, -(top + rgba.shape[0]) % step
    whole = cv2.copyMakeBorder(rgba, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    size = (whole.shape[1] // step, whole.shape[0] // step)
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), x // step, y // step


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
