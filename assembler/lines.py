"""Where lines and cards end: balanced lines, and cards that end with a sentence where they can.

All lengths here are em of the size that the text will be set in.  Nothing is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import regex

from assembler.fonts import graphemes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assembler.typesetting import Typesetter

REFERENCE_PX: Final = 100.0
_SENTENCE_END = regex.compile(r"[.!?…。！？｡।॥؟۔]+[\p{Pf}\p{Pe}\"'’”]*\s*$")
_CLAUSE_END = regex.compile(r"[,;:،؛、，；：–—][\p{Pf}\p{Pe}\"'’”]*\s*$")
_HANGING = regex.compile(r"[&+]|\p{Latin}")
# What a card costs that ends in mid-sentence or after a clause, beside uneven lengths (0–1).
_MID_SENTENCE: Final = 0.4
_AFTER_CLAUSE: Final = 0.12
# What one card more costs, and how many more than needed are looked at.
_EXTRA_CARD: Final = 0.15
EXTRA_CARDS_MAX: Final = 3
# How much raggedness (share of the width, squared) a line end after a comma is worth.
_LINE_BONUS: Final = 0.01
# And one that leaves an ampersand or a lone letter hanging.
_LINE_HANGS: Final = 0.012
# A fraction of the width that sums of parts may be off by, for kerning between them.
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Part:
    """What no line end may cut: ``space`` follows it unless the line ends; ``hard`` ends one."""

    text: str
    width: float
    space: float = 0.0
    hard: bool = False


Line = tuple[Part, ...]


def parts_of(text: str, setter: Typesetter, tracking_em: float) -> tuple[Part, ...]:
    """Cut cleaned ``text`` into parts and measure them."""
    space = setter.width("n n", REFERENCE_PX) - setter.width("nn", REFERENCE_PX)
    parts: list[Part] = []
    for line in text.split("\n"):
        for piece in setter.breakable(line):
            word = piece.rstrip(" ")
            width = setter.width(word, REFERENCE_PX, tracking_em) / REFERENCE_PX
            gap = space / REFERENCE_PX + tracking_em if len(word) < len(piece) else 0.0
            parts.append(Part(word, width, gap))
        if parts:
            parts[-1] = replace(parts[-1], hard=True)
    return tuple(parts)


def shatter(
    parts: Sequence[Part], width: float, setter: Typesetter, tracking_em: float
) -> tuple[Part, ...]:
    """Cut parts that are wider than ``width`` at grapheme bounds."""
    broken: list[Part] = []
    for part in parts:
        if part.width <= width:
            broken.append(part)
            continue
        units = graphemes(part.text)
        measured = [setter.width(unit, REFERENCE_PX, tracking_em) for unit in units]
        pieces = [Part(u, w / REFERENCE_PX) for u, w in zip(units, measured, strict=True)]
        pieces[-1] = replace(pieces[-1], space=part.space, hard=part.hard)
        broken.extend(pieces)
    return tuple(broken)


def text_of(line: Sequence[Part]) -> str:
    """Join the parts of a line."""
    pieces = [part.text + (" " if part.space else "") for part in line]
    return "".join(pieces).rstrip(" ")


def width_of(line: Sequence[Part]) -> float:
    """Measure a line: the space after its last part has no width."""
    return sum(part.width + part.space for part in line) - (line[-1].space if line else 0.0)


def lines_needed(parts: Sequence[Part], width: float) -> int:
    """Count the lines that ``parts`` take when each is filled."""
    count, used = 0, 0.0
    fresh = True
    for part in parts:
        if fresh or used + part.width > width + _ROUNDING:
            count += 1
            used = 0.0
        used += part.width + part.space
        fresh = part.hard
    return count


def balance(parts: Sequence[Part], width: float) -> tuple[Line, ...]:
    """Break ``parts`` into the fewest lines, as equal in width as can be."""
    lines: list[Line] = []
    paragraph: list[Part] = []
    for part in parts:
        paragraph.append(part)
        if part.hard:
            lines.extend(_balance_paragraph(paragraph, width))
            paragraph = []
    if paragraph:
        lines.extend(_balance_paragraph(paragraph, width))
    return tuple(lines)


def _balance_paragraph(parts: Sequence[Part], width: float) -> list[Line]:
    count = lines_needed(parts, width)
    if count == 1:
        return [tuple(parts)]
    aim = min(width, width_of(parts) / count)
    size = len(parts)
    best: list[list[float]] = [[math.inf] * (size + 1) for _ in range(count + 1)]
    cut: list[list[int]] = [[0] * (size + 1) for _ in range(count + 1)]
    best[0][0] = 0.0
    for row in range(1, count + 1):
        for end in range(row, size + 1):
            for start in range(end - 1, row - 2, -1):
                wide = width_of(parts[start:end])
                if wide > width + _ROUNDING:
                    break
                cost = best[row - 1][start] + _line_cost(parts[end - 1], wide, aim, width)
                if cost < best[row][end]:
                    best[row][end], cut[row][end] = cost, start
    lines: list[Line] = []
    end = size
    for row in range(count, 0, -1):
        start = cut[row][end]
        lines.append(tuple(parts[start:end]))
        end = start
    return lines[::-1]


def _line_cost(last: Part, wide: float, aim: float, width: float) -> float:
    cost = ((wide - aim) / width) ** 2
    ends = _SENTENCE_END.search(last.text) or _CLAUSE_END.search(last.text)
    if ends:
        return cost - _LINE_BONUS
    return cost + (_LINE_HANGS if _HANGING.fullmatch(last.text) else 0.0)


def cards_needed(parts: Sequence[Part], width: float, lines_max: int) -> int:
    """Count the cards of at most ``lines_max`` lines that ``parts`` take when each is filled."""
    count, start = 0, 0
    while start < len(parts):
        start = _furthest(parts, start, width, lines_max)
        count += 1
    return count


def _furthest(parts: Sequence[Part], start: int, width: float, lines_max: int) -> int:
    """Give the end of the longest card that starts at ``start`` (one part at the least)."""
    count, used, fresh = 0, 0.0, True
    for end in range(start, len(parts)):
        part = parts[end]
        if fresh or used + part.width > width + _ROUNDING:
            count += 1
            used = 0.0
        if count > lines_max:
            return end
        used += part.width + part.space
        fresh = part.hard
    return len(parts)


def split_cards(
    parts: Sequence[Part], width: float, lines_max: int, counts: Sequence[int]
) -> tuple[float, tuple[tuple[Part, ...], ...]]:
    """Split ``parts`` into cards of even length, as many as one of ``counts``: cost and cards.

    ``counts`` begins with what ``cards_needed`` tells.  Cards end with a sentence where that
    does not make them too uneven, or with a clause; a card more is made if that helps.
    """
    most = [count for count in counts[: EXTRA_CARDS_MAX + 1] if count <= len(parts)]
    furthest = [_furthest(parts, start, width, lines_max) for start in range(len(parts))]
    ends = [_end_cost(part) for part in parts]
    splits = (_split(parts, furthest, ends, count) for count in most)
    return min(splits, key=lambda split: split[0])


def _split(
    parts: Sequence[Part], furthest: Sequence[int], ends: Sequence[float], cards: int
) -> tuple[float, tuple[tuple[Part, ...], ...]]:
    """Find the cheapest split into ``cards`` cards, and what it costs."""
    size = len(parts)
    before = [0.0]
    for part in parts:
        before.append(before[-1] + part.width + part.space)
    aim = before[-1] / cards
    best = [[math.inf] * (size + 1) for _ in range(cards + 1)]
    cut = [[0] * (size + 1) for _ in range(cards + 1)]
    best[0][0] = 0.0
    for row in range(1, cards + 1):
        for start in range(row - 1, size):
            if best[row - 1][start] == math.inf:
                continue
            for end in range(start + 1, furthest[start] + 1):
                uneven = ((before[end] - before[start]) / aim - 1) ** 2
                cost = best[row - 1][start] + uneven + ends[end - 1]
                if cost < best[row][end]:
                    best[row][end], cut[row][end] = cost, start
    split: list[tuple[Part, ...]] = []
    end = size
    for row in range(cards, 0, -1):
        start = cut[row][end]
        split.append(tuple(parts[start:end]))
        end = start
    return best[cards][size] + _EXTRA_CARD * cards, tuple(split[::-1])


def _end_cost(last: Part) -> float:
    if last.hard or _SENTENCE_END.search(last.text):
        return 0.0
    if _CLAUSE_END.search(last.text):
        return _AFTER_CLAUSE
    # Within a word that had to be broken, any place is as bad as the other.
    return _MID_SENTENCE
