"""What a process keeps of the film that it draws: the next piece of it is begun sooner.

Each body is a call of its own, and so is the finish.  A worker that is given five of them would
make the film's ground and product five times, which takes as long as drawing thirty frames.
What is kept follows from its key alone, so it is the same as what would be made anew.

Left out: what bodies are kept when a film is done (``adapters.reuse``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from events.spec import Artifact, Asset, Caption, EnginePolicy, RenderSpec, Rung, SoundPlan

Made = TypeVar("Made")

FILMS_KEPT = 2
"""A film, and the same film drawn small (what its words are read on is looked at so)."""
PARTS_KEPT = 8
"""Grounds, products and pictures made smaller; three pictures' take 60 MB."""
VIEWS_KEPT = 6
"""Segments; a picture that fills the frame takes 20 MB and a fifth of a second.  The finish sees
each twice: a film of 18 s is finished without making any anew."""
SKETCHES_KEPT = 4
NOWHERE = Artifact(sha256="", bytes=0, media_type="")


class Kept:
    """A few made things, the least recently used given up first."""

    def __init__(self, most: int) -> None:
        """Keep at most ``most`` things."""
        self._most = most
        self._things: OrderedDict[Hashable, object] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what is kept under a key, made now if it is not there."""
        if key not in self._things:
            self._things[key] = make()
            while len(self._things) > self._most:
                self._things.popitem(last=False)
        self._things.move_to_end(key)
        return self._things[key]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is at hand of one film."""

    parts: Kept = field(default_factory=lambda: Kept(PARTS_KEPT))
    views: Kept = field(default_factory=lambda: Kept(VIEWS_KEPT))
    sketches: Kept = field(default_factory=lambda: Kept(SKETCHES_KEPT))


BENCHES = Kept(FILMS_KEPT)
"""This process's."""


def bench_of(spec: RenderSpec, rungs: Sequence[Rung]) -> Bench:
    """Return what is at hand of a film whose segments stand on ``rungs``; nothing, at first."""
    return BENCHES.get(msgspec.msgpack.encode((pictured(spec), tuple(rungs))), Bench)


def pictured(spec: RenderSpec) -> RenderSpec:
    """Return a plan without what its pictures do not depend on.

    Which words are said is taken out, where and when they stand is not: pictures keep clear of
    them.  What is not known to be without effect stays.
    """
    return msgspec.structs.replace(
        spec,
        engine_policy=EnginePolicy.LOCAL_ONLY,
        prompt="",
        captions=tuple(wordless(caption) for caption in spec.captions),
        assets=tuple(_drawn(asset) for asset in spec.assets),
        logo=_drawn(spec.logo) if spec.logo else None,
        sound=SoundPlan(),
        ladder=(),
        segments_in_flight_max=1,
        deadline_s=0.0,
        cost_max=None,
        warnings=(),
    )


def wordless(caption: Caption) -> Caption:
    """Return a caption without its words; where and when it stands is kept."""
    cards = tuple(msgspec.structs.replace(card, lines=()) for card in caption.cards)
    return msgspec.structs.replace(caption, text="", cards=cards)


def _drawn(asset: Asset) -> Asset:
    """A picture without its origin: only its still is drawn."""
    return msgspec.structs.replace(asset, uri="", source=NOWHERE)


__all__ = ["BENCHES", "Bench", "Kept", "bench_of", "pictured", "wordless"]
