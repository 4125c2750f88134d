"""The captions of a film: when each stands, how large, on which lines and in which box.

Made once, when a film is planned; the plan stores cards, lines, sizes and boxes, and lettering
draws just these.  How the words look is in ``looks.py``; line ends are found in ``lines.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from assembler.fonts import graphemes
from assembler.lines import (
    EXTRA_CARDS_MAX,
    Part,
    balance,
    cards_needed,
    lines_needed,
    parts_of,
    shatter,
    split_cards,
    text_of,
)
from assembler.looks import Look, Sizes, look_of, sizes_of
from assembler.typesetting import clean, is_right_to_left, typesetter
from events.spec import (
    Archetype,
    Box,
    Caption,
    CaptionPosition,
    CaptionRole,
    Card,
    Style,
    Warned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assembler.fonts import FontSet
    from assembler.typesetting import Ink, Typesetter

FRAME_WIDTH_PX: Final = 1080
FRAME_HEIGHT_PX: Final = 1920
# The box that every platform leaves free of its own buttons.
SIZE_MIN_PX: Final = 44
USUAL_LETTERS: Final = "Hg"
SIZE_STEP_PX: Final = 2
CARD_MIN_S: Final = 1.2
READABLE_CHARS_S: Final = 25.0
# The most that the block may take of the safe box's height: over a product, and elsewhere.
BLOCK_SHARE: Final = 0.35
BLOCK_SHARE_FREE: Final = 0.45
# A line fewer is worth this many pixels of size.
LINE_WORTH_PX: Final = 6
# Sizes tried for a text of several cards, and what half the size costs beside a bad split.
SPLIT_TRIES: Final = 5
SMALLER_COST: Final = 1.2
# The largest caption of a film over its smallest: a film has one voice.
SIZE_SPREAD: Final = 1.3
# Settling the time and the size: each round drops a beat or narrows the lines.
NARROWER_TRIES_MAX: Final = 12
NARROWER_STEP: Final = 0.03
# What a card takes to be noticed, in characters of reading; wide scripts say more in each.
GLANCE_CHARS: Final = 10.0
WIDE_CHAR_WORTH: Final = 2.0
# Hangul, kana and Han letters all lie from here on.
WIDE_FROM: Final = 0x1100
QUOTED_CHARS: Final = 60
_LINE_GAP_EM: Final = 0.06


@dataclass(frozen=True, slots=True)
class CaptionPlan:
    """The captions in the order of the film; ``block`` holds all their boxes (None: no words)."""

    captions: tuple[Caption, ...]
    block: Box | None
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A line in its card, in pixels from the card's corner; ``left``..``right`` is its ink."""

    text: str
    x: int
    baseline: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Block:
    """A card laid out: its size with all padding, and what one row covers beside baselines."""

    width: int
    height: int
    ascent: int
    descent: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Room:
    """What every text of a film is fitted into."""

    look: Look
    sizes: Sizes
    area: Box
    height_max_px: float
    setter: Typesetter


@dataclass(slots=True)
class _Text:
    """A text being fitted: its measured parts, then its size and its cards."""

    role: CaptionRole
    text: str
    parts: tuple[Part, ...]
    line_em: float
    size_px: int = SIZE_MIN_PX
    cards: tuple[tuple[Part, ...], ...] = ()
    width_share: float = 1.0


def safe_area(style: Style) -> Box:
    """Give the safe box, less what the preset's margin takes from it."""
    margin = style.margin_px
    safe = style.safe_box
    left, top = max(safe.x, margin), max(safe.y, margin)
    right = min(safe.x + safe.width, FRAME_WIDTH_PX - margin)
    bottom = min(safe.y + safe.height, FRAME_HEIGHT_PX - margin)
    return Box(x=left, y=top, width=right - left, height=bottom - top)


def block_box(captions: Sequence[Caption]) -> Box | None:
    """Give the area that captions take at any time of the film; None without captions."""
    boxes = [card.box for caption in captions for card in caption.cards]
    if not boxes:
        return None
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right = max(box.x + box.width for box in boxes)
    bottom = max(box.y + box.height for box in boxes)
    return Box(x=left, y=top, width=right - left, height=bottom - top)


def plan_captions(
    texts: Sequence[tuple[CaptionRole, str]],
    *,
    style: Style,
    frames: int,
    fps: int,
    fonts: FontSet,
    archetype: Archetype = Archetype.OVERLAY,
) -> CaptionPlan:
    """Plan the captions of a film of ``frames`` frames; ``fonts`` cover all ``texts``.

    Empty texts are none.  Whatever cannot be shown, or not as long as it should, is a warning.
    """
    area = safe_area(style)
    share = BLOCK_SHARE if archetype is Archetype.OVERLAY else BLOCK_SHARE_FREE
    setter = typesetter(fonts)
    room = _Room(look_of(style), sizes_of(style), area, area.height * share, setter)
    order = {CaptionRole.HOOK: 0, CaptionRole.BEAT: 1, CaptionRole.CTA: 2}
    asked = sorted(((role, clean(text)) for role, text in texts), key=lambda each: order[each[0]])
    fitted = [_measured(role, text, room) for role, text in asked if text]
    if not fitted:
        return CaptionPlan((), None)
    cards_max = max(1, int(frames / fps / CARD_MIN_S + 1e-9))
    kept, warnings = _fit_all(fitted, room, cards_max)
    lengths = _share_frames(kept, frames, math.ceil(CARD_MIN_S * fps - 1e-9))
    captions = _place(kept, lengths, room, style)
    warnings += _time_warnings(captions, fps)
    return CaptionPlan(captions, block_box(captions), tuple(warnings))


# Fitting the words into the room ------------------------------------------------------------


def _measured(role: CaptionRole, text: str, room: _Room) -> _Text:
    parts = parts_of(text, room.setter, room.look.tracking)
    # The tallest ink of the text, whatever its script, sets how far apart its lines stand.
    tallest = room.setter.ink(USUAL_LETTERS + text.replace("\n", " "), 100.0)
    line_em = max(room.look.leading, (tallest.bottom - tallest.top) / 100 + _LINE_GAP_EM)
    return _Text(role, text, parts, line_em)


def _width_em(text: _Text, room: _Room, size_px: int) -> float:
    inner = room.area.width * text.width_share - 2 * math.ceil(room.look.pad_x * size_px)
    return inner / size_px


def _lines_max(text: _Text, room: _Room, size_px: int) -> int:
    inner = room.height_max_px / size_px - 2 * room.look.pad_y
    return max(1, min(room.sizes.lines_max, int(inner / text.line_em)))


def _parts_at(text: _Text, room: _Room, size_px: int) -> tuple[Part, ...]:
    width = _width_em(text, room, size_px)
    return shatter(text.parts, width, room.setter, room.look.tracking)


def _whole_words(text: _Text, room: _Room, size_px: int) -> bool:
    return max(part.width for part in text.parts) <= _width_em(text, room, size_px)


def _cards_at(text: _Text, room: _Room, size_px: int) -> int:
    parts = _parts_at(text, room, size_px)
    return cards_needed(parts, _width_em(text, room, size_px), _lines_max(text, room, size_px))


def _sizes(text: _Text, room: _Room, smallest: int) -> list[int]:
    """Give the sizes to try, largest first: those that cut no word, if there are any."""
    sizes = list(range(room.sizes.largest_px, smallest - 1, -SIZE_STEP_PX))
    whole = [size for size in sizes if _whole_words(text, room, size)]
    if whole:
        return whole
    smaller = range(smallest, SIZE_MIN_PX - 1, -SIZE_STEP_PX)
    return [size for size in smaller if _whole_words(text, room, size)][:1] or sizes


def _choose(text: _Text, room: _Room, cards: int) -> None:
    """Set size and cards of ``text``, in at most ``cards`` cards unless even 44 px needs more."""
    comfort = min(room.sizes.comfort_px, room.sizes.largest_px)
    sizes = _sizes(text, room, comfort)
    single = [size for size in sizes if _cards_at(text, room, size) == 1]
    if single:
        best = max(single, key=lambda size: size - LINE_WORTH_PX * _line_count(text, room, size))
        text.size_px, text.cards = best, (_parts_at(text, room, best),)
        return
    if _cards_at(text, room, sizes[-1]) > cards:
        sizes = list(range(sizes[-1], SIZE_MIN_PX - 1, -SIZE_STEP_PX))
    possible = [size for size in sizes if _cards_at(text, room, size) <= cards] or sizes[-1:]
    step = max(1, len(possible) // SPLIT_TRIES)
    cheapest = math.inf
    for size in possible[::step]:
        parts = _parts_at(text, room, size)
        width, lines = _width_em(text, room, size), _lines_max(text, room, size)
        fewest = cards_needed(parts, width, lines)
        cost, split = split_cards(parts, width, lines, range(fewest, max(fewest, cards) + 1))
        cost += SMALLER_COST * (1 - size / possible[0])
        if cost < cheapest:
            cheapest, text.size_px, text.cards = cost, size, split


def _line_count(text: _Text, room: _Room, size_px: int) -> int:
    return lines_needed(_parts_at(text, room, size_px), _width_em(text, room, size_px))


def _comfortable_cards(text: _Text, room: _Room) -> int:
    comfort = min(room.sizes.comfort_px, room.sizes.largest_px)
    return min(_cards_at(text, room, size) for size in _sizes(text, room, comfort))


def _fit_all(texts: list[_Text], room: _Room, cards_max: int) -> tuple[list[_Text], list[Warned]]:
    """Choose size and cards of every text; drop beats, then cards, that there is no time for."""
    warnings: list[Warned] = []
    kept = list(texts)
    while True:
        fewest = [_cards_at(text, room, SIZE_MIN_PX) for text in kept]
        beats = [index for index, text in enumerate(kept) if text.role is CaptionRole.BEAT]
        if sum(fewest) <= cards_max or len(kept) == 1 or not beats:
            break
        dropped = kept.pop(beats[-1])
        message = f"there is no time for the beat {_quoted(dropped.text)}: it is left out"
        warnings.append(Warned(code="caption_dropped", message=message))
    allowed = _allowed(kept, room, fewest, cards_max)
    for text, cards in zip(kept, allowed, strict=True):
        _choose(text, room, cards)
    _even_sizes(kept, allowed, room)
    for text, cards in zip(kept, allowed, strict=True):
        warnings.extend(_shortened(text, room, cards))
    return kept, warnings


def _allowed(
    texts: Sequence[_Text], room: _Room, fewest: Sequence[int], cards_max: int
) -> list[int]:
    """Share ``cards_max`` cards out: at least one each, then all that each needs, then comfort."""
    allowed = [1] * len(texts)
    comfort = [_comfortable_cards(text, room) for text in texts]
    # A text of several cards may take more of them, to end each with a sentence.
    wishes = (fewest, comfort, [c + EXTRA_CARDS_MAX if c > 1 else 1 for c in comfort])
    for wish in wishes:
        # The CTA is the shortest as a rule: it is served first, then the rest in turn.
        for index in sorted(range(len(texts)), key=lambda i: texts[i].role is not CaptionRole.CTA):
            spare = cards_max - sum(allowed)
            allowed[index] += max(0, min(spare, wish[index] - allowed[index]))
    return allowed


def _even_sizes(texts: Sequence[_Text], allowed: Sequence[int], room: _Room) -> None:
    """Set again, smaller, what would stand out too much beside the film's smallest text."""
    largest = int(min(text.size_px for text in texts) * SIZE_SPREAD)
    largest = max(SIZE_MIN_PX, largest)
    for text, cards in zip(texts, allowed, strict=True):
        if text.size_px > largest:
            even = replace(room.sizes, largest_px=largest)
            _choose(text, replace(room, sizes=even), cards)


def _shortened(text: _Text, room: _Room, cards: int) -> list[Warned]:
    """Keep the first ``cards`` cards of a text that has more; an ellipsis tells of the rest."""
    if len(text.cards) <= cards:
        return []
    lost = " ".join(text_of(card) for card in text.cards[cards:])
    last = list(text.cards[cards - 1])
    width = _width_em(text, room, text.size_px)
    lines = _lines_max(text, room, text.size_px)
    if room.setter.covers("…"):
        extra = room.setter.width("…", 100.0) / 100
        last[-1] = _with_ellipsis(last[-1], extra)
        while len(last) > 1 and lines_needed(last, width) > lines:
            lost = f"{last.pop().text.rstrip('…')} {lost}"
            last[-1] = _with_ellipsis(last[-1], extra)
    text.cards = (*text.cards[: cards - 1], tuple(last))
    message = f"there is no time for all of the {text.role}: {_quoted(lost)} is left out"
    return [Warned(code="caption_shortened", message=message)]


def _with_ellipsis(part: Part, width_em: float) -> Part:
    if part.text.endswith("…"):
        return part
    return replace(part, text=part.text.rstrip(".,;:") + "…", width=part.width + width_em)


def _quoted(text: str) -> str:
    units = graphemes(text.replace("\n", " "))
    return "“" + "".join(units[:QUOTED_CHARS]) + ("…" if len(units) > QUOTED_CHARS else "") + "”"


# Time ---------------------------------------------------------------------------------------


def _reading_chars(text: str) -> float:
    units = [unit for unit in graphemes(text) if not unit.isspace()]
    wide = sum(1 for unit in units if ord(unit[0]) >= WIDE_FROM and unit.isalpha())
    return len(units) + wide * (WIDE_CHAR_WORTH - 1)


def _share_frames(texts: Sequence[_Text], frames: int, least: int) -> list[list[int]]:
    """Share the film out among all cards by reading length, ``least`` frames each if it can."""
    weights = [
        GLANCE_CHARS + _reading_chars(text_of(card)) for text in texts for card in text.cards
    ]
    least = min(least, frames // len(weights))
    lengths = _apportion(weights, frames, least)
    shared: list[list[int]] = []
    for text in texts:
        count = len(text.cards)
        shared.append(lengths[:count])
        lengths = lengths[count:]
    return shared


def _apportion(weights: Sequence[float], total: int, least: int) -> list[int]:
    """Split ``total`` in proportion to ``weights`` into whole numbers of at least ``least``."""
    poor: set[int] = set()
    while True:
        rest = total - least * len(poor)
        rich = [index for index in range(len(weights)) if index not in poor]
        weight = sum(weights[index] for index in rich)
        more = {index for index in rich if rest * weights[index] / weight < least}
        if not more or len(more) == len(rich):
            break
        poor |= more
    exact = [least if i in poor else rest * w / weight for i, w in enumerate(weights)]
    ends = [round(sum(exact[: index + 1])) for index in range(len(exact))]
    lengths = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    # Rounding of sums can take a frame from one that has only just enough.
    for index, length in enumerate(lengths):
        if length < least:
            longest = max(range(len(lengths)), key=lambda i: (lengths[i], -i))
            lengths[longest] -= least - length
            lengths[index] = least
    return lengths


def _time_warnings(captions: Sequence[Caption], fps: int) -> list[Warned]:
    warnings: list[Warned] = []
    for caption in captions:
        seconds = [card.frames / fps for card in caption.cards]
        alone = len(captions) == 1 and len(caption.cards) == 1
        if not alone and min(seconds) < CARD_MIN_S - 1e-6:
            message = f"the {caption.role} stands for {min(seconds):.2g} s only"
            warnings.append(Warned(code="caption_brief", message=message))
            continue
        chars = sum(_reading_chars("".join(card.lines)) for card in caption.cards)
        if chars / sum(seconds) > READABLE_CHARS_S:
            message = (
                f"the {caption.role} has to be read at {chars / sum(seconds):.0f} characters "
                f"a second; {READABLE_CHARS_S:.0f} are readable"
            )
            warnings.append(Warned(code="caption_fast", message=message))
    return warnings


# Places -------------------------------------------------------------------------------------


def _place(
    texts: Sequence[_Text], lengths: Sequence[Sequence[int]], room: _Room, style: Style
) -> tuple[Caption, ...]:
    captions: list[Caption] = []
    start = 0
    for text, frames in zip(texts, lengths, strict=True):
        lines, blocks = _set_narrow_enough(text, room)
        cards: list[Card] = []
        for card_lines, block, length in zip(lines, blocks, frames, strict=True):
            cards.append(
                Card(
                    start=start,
                    frames=length,
                    lines=card_lines,
                    size_px=float(text.size_px),
                    box=_box_at(block, room.area, style.caption_position),
                )
            )
            start += length
        captions.append(Caption(role=text.role, text=text.text, cards=tuple(cards)))
    return tuple(captions)


def _set_narrow_enough(
    text: _Text, room: _Room
) -> tuple[tuple[tuple[str, ...], ...], tuple[Block, ...]]:
    """Break the lines, and measure them as drawn: kerning and overhang may make them wider.

    Then they are broken narrower, at last set smaller.
    """
    for attempt in range(NARROWER_TRIES_MAX):
        width = _width_em(text, room, text.size_px) * (1 - NARROWER_STEP * attempt)
        lines = tuple(
            tuple(text_of(line) for line in balance(_fitting(card, width, room), width))
            for card in text.cards
        )
        blocks = lay_out(lines, text.size_px, room.look, room.setter, text=text.text)
        fits = max(block.width for block in blocks) <= room.area.width
        if fits and max(block.height for block in blocks) <= room.area.height:
            return lines, blocks
        if text.size_px > SIZE_MIN_PX:
            text.size_px = max(SIZE_MIN_PX, text.size_px - SIZE_STEP_PX)
    message = f"no line breaks of {_quoted(text.text)} fit the safe box"
    raise AssertionError(message)


def _fitting(card: Sequence[Part], width: float, room: _Room) -> tuple[Part, ...]:
    return shatter(card, width, room.setter, room.look.tracking)


def lay_out(
    cards: Sequence[Sequence[str]], size_px: float, look: Look, setter: Typesetter, *, text: str
) -> tuple[Block, ...]:
    """Lay the cards of one caption out: rows centred by their ink, baselines evenly apart.

    ``text`` is the whole caption: its first letter tells the direction of every line.  All its
    cards share one ascent and one descent, so that the words do not jump from card to card.
    """
    rtl = is_right_to_left(text)
    inks = [[setter.ink(line, size_px, look.tracking, rtl=rtl) for line in c] for c in cards]
    # Captions without a capital or a descender stand no lower than their neighbours.
    usual = setter.ink(USUAL_LETTERS, size_px, look.tracking)
    ascent = max(-usual.top, *(-ink.top for card in inks for ink in card))
    descent = max(usual.bottom, *(ink.bottom for card in inks for ink in card))
    gap = math.ceil(_LINE_GAP_EM * size_px)
    pitch = max(math.ceil(look.leading * size_px), _tightest(inks) + gap)
    pad_x, pad_y = math.ceil(look.pad_x * size_px), math.ceil(look.pad_y * size_px)
    blocks: list[Block] = []
    for lines, card in zip(cards, inks, strict=True):
        widest = max(ink.right - ink.left for ink in card)
        width = (widest + 2 * pad_x + 1) // 2 * 2
        rows: list[Row] = []
        for index, (line, ink) in enumerate(zip(lines, card, strict=True)):
            left = (width - (ink.right - ink.left)) // 2
            baseline = pad_y + ascent + index * pitch
            right = left + ink.right - ink.left
            rows.append(Row(line, left - ink.left, baseline, left, right))
        height = ascent + descent + (len(rows) - 1) * pitch + 2 * pad_y
        blocks.append(Block(width, height, ascent, descent, tuple(rows)))
    return tuple(blocks)


def _tightest(cards: Sequence[Sequence[Ink]]) -> int:
    """Give the least distance of baselines at which no line of a card touches the next."""
    pairs = (pair for card in cards for pair in pairwise(card))
    return max((upper.bottom - lower.top for upper, lower in pairs), default=0)


def _box_at(block: Block, area: Box, position: CaptionPosition) -> Box:
    x = area.x + (area.width - block.width) // 2
    y = {
        CaptionPosition.UPPER_THIRD: area.y,
        CaptionPosition.CENTER: area.y + (area.height - block.height) // 2,
        CaptionPosition.LOWER_THIRD: area.y + area.height - block.height,
    }[position]
    return Box(x=x, y=y, width=block.width, height=block.height)
