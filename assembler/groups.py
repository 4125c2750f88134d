"""Groups of pictures: runs of a piece's frames, each encoded by an encoder of its own.

A group begins with a keyframe and is made from nothing before it.  So the groups of a piece can
be encoded one after the other or, where cores are free, side by side, and the bytes are the same.

Left out: how an encoder is set (``encode``), and which pieces are in a hurry (``produce``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise, zip_longest
from queue import Full, Queue
from typing import TYPE_CHECKING, Any

from assembler.ahead import AHEAD_MAX
from assembler.planes import Frame

if TYPE_CHECKING:
    from av.packet import Packet as AnyPacket

    Packet = AnyPacket[Any]

LOOK_S = 0.1
"""How often one who waits for an encoder sees whether it is still there."""

Encode = Callable[[int, Frame | None], "list[Packet]"]
"""An encoder: takes a frame and its number, or None for the end, and gives what is ready."""
Encoders = Callable[[int], Encode]
"""Makes the encoder of a group."""


def groups_of(count: int, frames_max: int) -> tuple[range, ...]:
    """Cut ``count`` frames into groups of at most ``frames_max``, as equal as can be."""
    number = -(-count // frames_max)
    edges = [index * count // number for index in range(number + 1)]
    return tuple(range(start, end) for start, end in pairwise(edges))


def in_turn(groups: Sequence[range]) -> tuple[int, ...]:
    """Numbers of all frames in the order in which groups side by side want them."""
    return tuple(n for row in zip_longest(*groups) for n in row if n is not None)


def one_by_one(
    frames: Iterator[Frame], groups: Sequence[range], encoders: Encoders
) -> Iterator[list[Packet]]:
    """Encode frames that come in their order; yields the packets of each group.

    An encoder is gone before the next one is made, which then gets its memory.
    """
    for index, group in enumerate(groups):
        encode = encoders(index)
        packets: list[Packet] = []
        for number in group:
            packets += encode(number, next(frames))
        packets += encode(group.stop, None)
        del encode
        yield packets


def side_by_side(
    frames: Iterable[Frame], groups: Sequence[range], encoders: Encoders
) -> Iterator[list[Packet]]:
    """Encode frames that come in turn, each group in a thread; yields each group's packets."""
    with ThreadPoolExecutor(len(groups), "group") as threads:
        lines: list[Queue[tuple[int, Frame] | None]] = [Queue(AHEAD_MAX) for _ in groups]
        doing = [
            threads.submit(_emptied, line, encoders(index), group.stop)
            for index, (line, group) in enumerate(zip(lines, groups, strict=True))
        ]
        owner = {number: index for index, group in enumerate(groups) for number in group}
        try:
            for number, frame in zip(in_turn(groups), frames, strict=True):
                index = owner[number]
                _put(lines[index], (number, frame), doing[index])
        finally:
            for line, task in zip(lines, doing, strict=True):
                _put(line, None, task)
        for task in doing:
            yield task.result()


def _emptied(line: Queue[tuple[int, Frame] | None], encode: Encode, stop: int) -> list[Packet]:
    """Encode what comes until the end comes."""
    packets: list[Packet] = []
    while (found := line.get()) is not None:
        packets += encode(*found)
    return packets + encode(stop, None)


def _put(
    line: Queue[tuple[int, Frame] | None],
    item: tuple[int, Frame] | None,
    task: Future[list[Packet]],
) -> None:
    """Hand over an item, unless nobody takes it any more: the task's result says why."""
    while not task.done():
        try:
            line.put(item, timeout=LOOK_S)
        except Full:
            continue
        return


__all__ = ["Encode", "Encoders", "groups_of", "in_turn", "one_by_one", "side_by_side"]
