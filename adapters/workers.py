"""Worker processes for what burns CPU or decodes foreign bytes.

Each call runs in a child with a deadline and a memory limit; a child that dies, hangs or
grows too large costs that call and nothing else.  Each child is a pool of one of
Pebble's; what is ours is who gets which child, the progress (a small file that the child writes
and the parent polls, so that a killed child can leave no lock behind) and the translation of
deaths into ``EngineFailure``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import struct
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlinePassed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pebble import CONSTS, ProcessExpired, ProcessFuture, ProcessPool

from adapters.base import EngineFailure, ProgressCallback
from adapters.preloaded import context_with
from events.types import Reason

_PROGRESS = struct.Struct("<II")
_POLL_S = 0.1

# A child that is killed in the instant in which it takes a call leaves its pool's lock locked for
# good.  Its successor finds out after twice this, and the pool is made anew; pebble's own 60 s
# would keep the call waiting for two minutes.  What is done under the lock takes milliseconds.
CONSTS.channel_lock_timeout = 5.0

_MALLOC = ((-3, 32 << 20), (-1, 1 << 30), (-2, 16 << 20), (-8, 1))
"""Of malloc.h: blocks of up to 32 MB (the most there is) come from the heap (M_MMAP_THRESHOLD),
whose end is not given back (M_TRIM_THRESHOLD), which grows by 16 MB (M_TOP_PAD), and which all
threads share (M_ARENA_MAX)."""

_STARTERS = ThreadPoolExecutor(4, "worker-start")
"""Where pools are begun: the first one waits for its libraries, half a second."""

_missing: list[str] = []
"""In a child: what it could not import."""

Report = Callable[[int, int], None]
"""What a child calls with frames done and frames in all."""


class WorkerPool:
    """Processes that run plain functions, each one at a time.

    A call may name the film that it is for: a process that has worked on it is preferred, because
    it still has the film's grounds and pictures at hand.  No call waits for that.
    """

    def __init__(
        self,
        workers: int,
        *,
        memory_mb_max: int = 0,
        preload: Sequence[str] = (),
    ) -> None:
        self.workers = workers
        birth = (memory_mb_max, tuple(preload))
        self._free = [_Child(birth) for _ in range(workers)]
        """The one that has been without work the longest first."""
        self._all = tuple(self._free)
        self._waiting: deque[asyncio.Future[_Child]] = deque()

    def warm_up(self) -> None:
        """Start the children now, so that the first call waits less for their imports."""
        for child in self._all:
            child.warm_up()

    @contextlib.asynccontextmanager
    async def _child(self, film: str, cancel: asyncio.Event | None) -> AsyncIterator[_Child]:
        """A child that is free, for as long as one call takes."""
        child = self._chosen(film) if self._free else await self._next(cancel)
        child.film = film or child.film
        try:
            yield child
        finally:
            self._give_back(child)

    def _chosen(self, film: str) -> _Child:
        """Take the free child that knows the film, else one that knows none, else any."""
        free = self._free
        chosen = (
            next((child for child in free if film and child.film == film), None)
            or next((child for child in free if not child.film), None)
            or free[0]
        )
        free.remove(chosen)
        return chosen

    async def _next(self, cancel: asyncio.Event | None) -> _Child:
        """Wait in line for a child that becomes free."""
        turn: asyncio.Future[_Child] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                await asyncio.wait({turn}, timeout=_POLL_S)
                _check(cancel)
        except BaseException:
            if not turn.cancel():
                self._give_back(turn.result())
            raise
        return turn.result()

    def _give_back(self, child: _Child) -> None:
        """Hand a child to who waits for one, the first first."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(child)
                return
        self._free.append(child)

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        deadline_s: float,
        no_progress_s: float = 0.0,
        progress: ProgressCallback | None = None,
        cancel: asyncio.Event | None = None,
        film: str = "",
    ) -> Any:
        """Call ``function(*args, report)`` in a child, one that knows ``film`` if there is one.

        Raises ``EngineFailure``: ``timeout`` past the deadline (counted from when a child takes
        the call), or when a child that has reported once reports nothing new for
        ``no_progress_s`` (0: no such bound); ``crashed`` when the child died; ``unavailable``
        when it cannot load what it needs; ``cancelled`` soon after ``cancel`` is set.  What the
        function itself raises is raised as it is.
        """
        async with self._child(film, cancel) as child:
            with tempfile.TemporaryDirectory(prefix="pytoon-") as folder:
                board = Path(folder) / "progress"
                board.write_bytes(_PROGRESS.pack(0, 0))
                future = await child.schedule(_call, (str(board), function, args), deadline_s)
                try:
                    waiting = asyncio.wrap_future(future)
                    await _watch(waiting, board, no_progress_s, progress, cancel)
                    return waiting.result()
                except (CancelledError, asyncio.CancelledError):
                    _check(cancel)
                    raise
                except Exception as error:
                    if failure := _failure(error, deadline_s):
                        raise failure from error
                    raise
                finally:
                    future.cancel()  # type: ignore[no-untyped-call]  # pebble's is untyped

    async def close(self) -> None:
        """End the children; what they were doing is lost."""
        await asyncio.gather(*(child.close() for child in self._all))


class _Child:
    """A pool of one: the process that takes this child's calls, replaced when it dies.

    ``film`` is the last film that it worked on.
    """

    def __init__(self, birth: tuple[int, tuple[str, ...]]) -> None:
        self.film = ""
        self._birth = birth
        self._pool = self._made()
        self._begun: Future[Any] | None = None
        self._closed = False

    def _made(self) -> ProcessPool:
        return ProcessPool(
            max_workers=1,
            context=context_with(self._birth[1]),
            initializer=_prepare_child,
            initargs=self._birth,
        )

    def warm_up(self) -> None:
        """Start the process; return before it has started."""
        if self._begun is None:
            self._begun = _STARTERS.submit(self._pool.schedule, _nothing)

    async def schedule(
        self, function: Callable[..., Any], args: tuple[Any, ...], deadline_s: float
    ) -> ProcessFuture[Any]:
        """Hand out a call; the pool is made anew if it is broken.

        It is by the death of a process with nothing to do: nothing is lost with it.
        """
        await self._ready()
        pool = self._pool
        if not pool.active and not self._closed:
            self._pool, self._begun = self._made(), None
            pool.stop()  # type: ignore[no-untyped-call]  # pebble's is untyped
            await asyncio.to_thread(pool.join, 5)
            await self._ready()
        return self._pool.schedule(function, args=args, timeout=deadline_s)

    async def _ready(self) -> None:
        """Return when the process has been started.  Whoever stops waiting stops nothing."""
        self.warm_up()
        assert self._begun is not None
        await asyncio.shield(asyncio.wrap_future(self._begun))

    async def close(self) -> None:
        """End the process."""
        self._closed = True
        if self._begun is not None:
            await asyncio.wait([asyncio.wrap_future(self._begun)])
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble's is untyped
        await asyncio.to_thread(self._pool.join, 5)


def _check(cancel: asyncio.Event | None) -> None:
    """Raise ``EngineFailure`` once ``cancel`` is set."""
    if cancel is not None and cancel.is_set():
        raise EngineFailure(Reason.CANCELLED, "nobody waits for it any more", retryable=False)


def _failure(error: Exception, deadline_s: float) -> EngineFailure | None:
    """What the end of a call means where it was not the function's own; None where it was."""
    match error:
        case DeadlinePassed():
            detail = f"not done within {deadline_s:g} s"
            return EngineFailure(Reason.TIMEOUT, detail, retryable=True)
        case ProcessExpired():
            detail = f"worker process died (exit code {error.exitcode})"
            return EngineFailure(Reason.CRASHED, detail, retryable=True)
        case BrokenProcessPool():
            detail = "a worker process died before it took the call"
            return EngineFailure(Reason.CRASHED, detail, retryable=True)
        case ImportError():
            detail = f"workers cannot start here ({error}): run `pytoon doctor`"
            return EngineFailure(Reason.UNAVAILABLE, detail, retryable=False)
        case MemoryError():
            detail = "worker reached its memory limit"
            return EngineFailure(Reason.OUT_OF_MEMORY, detail, retryable=False)
    return None


async def _watch(
    waiting: asyncio.Future[Any],
    board: Path,
    no_progress_s: float,
    progress: ProgressCallback | None,
    cancel: asyncio.Event | None,
) -> None:
    """Return when the call is done; tell its progress meanwhile, and see when it is to end."""
    told = (0, 0)
    changed_s = time.monotonic()
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=_POLL_S)
        if cancel is not None and cancel.is_set():
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=_POLL_S)
            raise asyncio.CancelledError
        now = _read(board)
        if now != told:
            told = now
            changed_s = time.monotonic()
            if progress is not None:
                progress(*now)
        elif no_progress_s and told[1] and time.monotonic() - changed_s > no_progress_s:
            waiting.cancel()
            detail = f"no progress for {no_progress_s:g} s after {told[0]} of {told[1]}"
            raise EngineFailure(Reason.TIMEOUT, detail, retryable=True)


def _prepare_child(memory_mb_max: int, preload: tuple[str, ...]) -> None:
    # What was loaded before the fork stays: the collector need not look at it again, whose marks
    # would make a copy of each page of it.
    gc.freeze()
    _die_with_parent()
    _keep_pages()
    if memory_mb_max and sys.platform == "linux":
        import resource  # noqa: PLC0415 - not on every platform

        limit = memory_mb_max << 20
        # Data, not address space: libraries map far more than they ever touch.
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        for module in preload:
            importlib.import_module(module)
    except ImportError as error:
        # A pool whose children die at birth would only say that it is broken: say it per call.
        _missing.append(str(error))


def _keep_pages() -> None:
    """Let this process keep the memory that it frees: it wants as much for its next frame.

    By default glibc gives large blocks back at once and asks for them again, and each of their
    pages is then handed out and cleared anew: a third of the time of a segment's first frame.
    Other C libraries have no such call, or are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in _MALLOC:
            mallopt(parameter, value)


def _die_with_parent() -> None:
    """A child whose services were killed must not go on working for nobody.

    It waits for their end in a thread of its own, so that it sees it in the midst of a call.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="parent-watch").start()


def _read(board: Path) -> tuple[int, int]:
    done, total = _PROGRESS.unpack(board.read_bytes()[: _PROGRESS.size])
    return done, total


def _nothing() -> None:
    return


def _call(board: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if _missing:
        raise ImportError(_missing[0])
    handle = os.open(board, os.O_WRONLY)

    def report(done: int, total: int) -> None:
        os.pwrite(handle, _PROGRESS.pack(done, total), 0)

    try:
        return function(*args, report)
    finally:
        os.close(handle)
