"""Worker processes for what burns CPU or decodes foreign bytes.

Each call runs in a child with a deadline and a memory limit; a child that dies, hangs or
grows too large costs that call and nothing else.  The pool is Pebble's; what is ours is the
progress (a small file that the child writes and the parent polls, so that a killed child can
leave no lock behind) and the translation of deaths into ``EngineFailure``.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as DeadlinePassed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pebble import CONSTS, ProcessExpired, ProcessPool

from adapters.base import EngineFailure, ProgressCallback
from events.types import Reason

_PROGRESS = struct.Struct("<II")
_POLL_S = 0.1

# A child that is killed in the instant in which it takes a call leaves the children's lock locked
# for good.  The others find out after twice this, and the pool is made anew; pebble's own 60 s
# would stop all work for two minutes.  What is done under the lock takes milliseconds.
CONSTS.channel_lock_timeout = 5.0

_missing: list[str] = []
"""In a child: what it could not import."""

Report = Callable[[int, int], None]
"""What a child calls with frames done and frames in all."""


class WorkerPool:
    """Spawned processes that run plain functions, at most ``workers`` at a time."""

    def __init__(
        self,
        workers: int,
        *,
        memory_mb_max: int = 0,
        preload: Sequence[str] = (),
    ) -> None:
        self.workers = workers
        self._birth = (memory_mb_max, tuple(preload))
        self._pool = self._made()
        self._closed = False

    def _made(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self.workers,
            context=_context(self._birth[1]),
            initializer=_prepare_child,
            initargs=self._birth,
        )

    async def _whole(self) -> ProcessPool:
        """The pool, made anew if it is broken: it is by the death of a child with nothing to do.

        A broken pool has nothing under way, so nothing is lost with it.
        """
        pool = self._pool
        if pool.active or self._closed:
            return pool
        self._pool = made = self._made()
        pool.stop()  # type: ignore[no-untyped-call]  # pebble's is untyped
        await asyncio.to_thread(pool.join, 5)
        return made

    def warm_up(self) -> None:
        """Start the children now, so that the first call does not wait for their imports."""
        for _ in range(self.workers):
            self._pool.schedule(_nothing)

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        deadline_s: float,
        no_progress_s: float = 0.0,
        progress: ProgressCallback | None = None,
        cancel: asyncio.Event | None = None,
    ) -> Any:
        """Call ``function(*args, report)`` in a child.

        Raises ``EngineFailure``: ``timeout`` past the deadline (counted from when a child takes
        the call), or when a child that has reported once reports nothing new for
        ``no_progress_s`` (0: no such bound); ``crashed`` when the child died; ``unavailable``
        when it cannot load what it needs; ``cancelled`` soon after ``cancel`` is set.  What the
        function itself raises is raised as it is.
        """
        with tempfile.TemporaryDirectory(prefix="pytoon-") as folder:
            board = Path(folder) / "progress"
            board.write_bytes(_PROGRESS.pack(0, 0))
            pool = await self._whole()
            future = pool.schedule(_call, args=(str(board), function, args), timeout=deadline_s)
            waiting = asyncio.wrap_future(future)
            try:
                await _watch(waiting, board, no_progress_s, progress, cancel)
                return waiting.result()
            except DeadlinePassed as error:
                detail = f"not done within {deadline_s:g} s"
                raise EngineFailure(Reason.TIMEOUT, detail, retryable=True) from error
            except ProcessExpired as error:
                detail = f"worker process died (exit code {error.exitcode})"
                raise EngineFailure(Reason.CRASHED, detail, retryable=True) from error
            except BrokenProcessPool as error:
                detail = "a worker process died before it took the call"
                raise EngineFailure(Reason.CRASHED, detail, retryable=True) from error
            except ImportError as error:
                detail = f"workers cannot start here ({error}): run `pytoon doctor`"
                raise EngineFailure(Reason.UNAVAILABLE, detail, retryable=False) from error
            except MemoryError as error:
                detail = "worker reached its memory limit"
                raise EngineFailure(Reason.OUT_OF_MEMORY, detail, retryable=False) from error
            except (CancelledError, asyncio.CancelledError):
                if cancel is not None and cancel.is_set():
                    detail = "nobody waits for it any more"
                    raise EngineFailure(Reason.CANCELLED, detail, retryable=False) from None
                raise
            finally:
                future.cancel()  # type: ignore[no-untyped-call]  # pebble's is untyped

    async def close(self) -> None:
        """End the children; what they were doing is lost."""
        self._closed = True
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble's is untyped
        await asyncio.to_thread(self._pool.join, 5)


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


def _context(preload: tuple[str, ...]) -> Any:
    """How children are born: from a server process that has loaded the libraries once.

    Never from this process itself, whose threads and connections no child may inherit.  On
    macOS, where system libraries do not survive a fork, each child starts from nothing.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload])
    return context


def _prepare_child(memory_mb_max: int, preload: tuple[str, ...]) -> None:
    _die_with_parent()
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
