"""A film at another size: drafts, which are a quarter of a film's pixels, and small sketches.

A plan is in pixels of the full frame, whatever size it is drawn at: a draft has the same cards,
times and places as its film, everything half as wide and half as high.
"""

from __future__ import annotations

import msgspec

from events.spec import Box, Caption, Card, RenderSpec

DRAFT_SHARE = 0.5
"""Of the film's width and height.  Halving is exact: what is planned comes back by doubling."""


def as_drawn(spec: RenderSpec) -> RenderSpec:
    """Return a plan at the size at which its film is drawn: a draft's is smaller."""
    return scaled(spec, DRAFT_SHARE) if spec.draft else spec


def size_drawn(width: int, height: int, *, draft: bool) -> tuple[int, int]:
    """Return width and height of a film whose full frame is so large, even."""
    share = DRAFT_SHARE if draft else 1.0
    return 2 * round(width * share / 2), 2 * round(height * share / 2)


def scaled(spec: RenderSpec, share: float) -> RenderSpec:
    """Return a plan of the same film, drawn at a share of its size."""
    return msgspec.structs.replace(
        spec,
        width=2 * round(spec.width * share / 2),
        height=2 * round(spec.height * share / 2),
        captions=tuple(scaled_caption(caption, share) for caption in spec.captions),
    )


def scaled_caption(caption: Caption, share: float) -> Caption:
    """Return a caption at a share of its size."""
    cards = tuple(_scaled_card(card, share) for card in caption.cards)
    return msgspec.structs.replace(caption, cards=cards)


def _scaled_card(card: Card, share: float) -> Card:
    box = card.box
    return msgspec.structs.replace(
        card,
        size_px=card.size_px * share,
        box=Box(
            x=box.x * share, y=box.y * share, width=box.width * share, height=box.height * share
        ),
    )


__all__ = ["DRAFT_SHARE", "as_drawn", "scaled", "scaled_caption", "size_drawn"]
