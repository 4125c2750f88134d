"""Making the next frames while the last one is used, in a thread of its own.

Drawing, encoding and decoding are the libraries' work, which all do without Python's lock.  Where
a core is free (a film's left over bodies, its verdict) it takes as long as the longer of the two;
where none is, it takes as long as ever.  The order of the work stays, and so does what it makes.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")

AHEAD_MAX = 2
"""Frames that wait; a third one would only take memory."""


def ahead(items: Iterable[Item], most: int = AHEAD_MAX) -> Generator[Item]:
    """Yield ``items``, of which up to ``most`` are made before they are asked for.

    What making one raises is raised where it would have come.  Whoever leaves early waits until
    the one in the making is made.
    """
    made: SimpleQueue[tuple[Item] | BaseException | None] = SimpleQueue()
    room = threading.Semaphore(most)
    left = threading.Event()

    def make() -> None:
        try:
            for item in items:
                made.put((item,))
                room.acquire()
                if left.is_set():
                    return
            made.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised again, by the other thread
            made.put(error)

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while (found := made.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            room.release()
            yield found[0]
    finally:
        left.set()
        room.release()
        maker.join()


__all__ = ["ahead"]
