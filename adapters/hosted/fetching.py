"""From work that is done to a clip: finds its URL, downloads it whole, reads it through.

The work is paid for by now, so everything here is tried again: with the same URL, then with a new
one, because URLs expire.  Nothing of it ever creates anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import httpx

from adapters.assets import AssetProblem, pinned_to_address
from adapters.hosted.client import (
    CONNECT_S,
    Answer,
    Client,
    Foreign,
    NoAnswer,
    joined,
    told,
    trusted,
)
from adapters.hosted.declaration import Declaration, State
from adapters.hosted.failures import failed
from adapters.hosted.following import Follower, Look, told_cost
from adapters.hosted.handles import Handle, url_of
from adapters.hosted.selecting import first, text
from adapters.workers import Report, WorkerPool
from events.types import Reason

HTTP_FAILED = frozenset({400, 422})
"""With these a result tells that there is none; others may pass."""
REDIRECTS_MAX = 5
READING_S = 120.0
"""Seconds in which a worker has to read a clip through."""


class Kind(Enum):
    """What a try to get the clip came to."""

    ABSENT = "absent"
    """It could not be had; later it may."""
    GARBAGE = "garbage"
    """It came whole, and is no clip."""
    NEVER = "never"
    """It will not be taken, however often it is asked for."""


class Trouble(Exception):
    """A try that came to nothing."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Fetched(NamedTuple):
    """A clip without tags, and what the service says that it cost (None: it does not)."""

    path: Path
    cost: float | None


class Fetcher:
    """Gets the clips of one service."""

    def __init__(
        self,
        declared: Declaration,
        client: Client,
        workers: WorkerPool,
        *,
        allow_private: bool,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._declared = declared
        self._client = client
        self._workers = workers
        self._allow_private = allow_private
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        self._http = httpx.AsyncClient(
            verify=trusted(), timeout=timeout, trust_env=False, transport=transport
        )

    async def close(self) -> None:
        """Release the connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def reached(self, url: str) -> AsyncIterator[None]:
        """Whether anybody answers at ``url``, whatever the answer is; raises as httpx does."""
        async with self._http.stream("GET", url):
            yield

    async def fetched(
        self, look: Look, handle: Handle, follower: Follower, folder: Path
    ) -> Fetched:
        """The clip of work that is done.  Raises ``EngineFailure``."""
        result = self._declared.result
        for left in reversed(range(result.tries_max)):
            try:
                return await self._tried(look, handle, follower, folder)
            except Trouble as trouble:
                if trouble.kind is Kind.NEVER or not left:
                    raise _given_up(trouble, handle) from trouble
            await asyncio.sleep(result.wait_s)
            again = await follower.look()
            look = again if again.state is State.SUCCEEDED else look
        raise AssertionError("the last try answers")

    async def _tried(
        self, look: Look, handle: Handle, follower: Follower, folder: Path
    ) -> Fetched:
        answer = await self._answer(look, handle, follower)
        result = self._declared.result
        url = text(result.url, answer.content)
        if not url:
            raise Trouble(Kind.ABSENT, f"it is done, and its answer names no clip: {answer.seen}")
        raw, clip = folder / "downloaded", folder / "clip.mp4"
        await self._downloaded(self._client.url(url), raw)
        fault: str = await self._workers.run(read_through, raw, clip, deadline_s=READING_S)
        raw.unlink(missing_ok=True)
        if fault:
            raise Trouble(Kind.GARBAGE, f"what came is no clip: {fault}")
        return Fetched(clip, told_cost(self._declared, answer))

    async def _answer(self, look: Look, handle: Handle, follower: Follower) -> Answer:
        """The answer that says where the clip is."""
        result = self._declared.result
        assert look.answer is not None
        if not result.get:
            return look.answer
        url = url_of(result.get, handle, self._declared)
        try:
            answer = await self._client.ask("GET", url, answer_s=self._declared.poll.answer_s)
        except (NoAnswer, Foreign) as error:
            raise Trouble(Kind.ABSENT, f"its result cannot be asked for: {error}") from error
        told_so = answer.good and first(result.error, answer.content)
        if told_so or answer.status in HTTP_FAILED:
            raise follower.failure(answer, text(result.code, answer.content))
        if not answer.good:
            raise Trouble(Kind.ABSENT, f"its result cannot be asked for: {answer.seen}")
        return answer

    async def _downloaded(self, url: str, out: Path) -> None:
        """The file at ``url``, whole.  Raises ``Trouble``."""
        result = self._declared.result
        try:
            async with asyncio.timeout(result.transfer_s):
                for _ in range(REDIRECTS_MAX + 1):
                    to = await self._streamed(url, out)
                    if not to:
                        return
                    url = joined(url, to)
        except TimeoutError as error:
            detail = f"{told(url)} did not come within {result.transfer_s:g} s"
            raise Trouble(Kind.ABSENT, detail) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = self._client.redact(f"{type(error).__name__}: {error}")
            raise Trouble(Kind.ABSENT, f"{told(url)} did not come whole: {why}") from error
        raise Trouble(Kind.ABSENT, f"{told(url)} leads on more than {REDIRECTS_MAX} times")

    async def _streamed(self, url: str, out: Path) -> str:
        """One request; returns where it leads on to, if it does."""
        result = self._declared.result
        try:
            pinned, more = await pinned_to_address(url, allow_private=self._allow_private)
        except AssetProblem as problem:
            raise Trouble(Kind.NEVER, f"the clip's address {told(url)}: {problem}") from problem
        # What is compressed on the way has no length that could be checked.
        headers = {**more["headers"], "Accept-Encoding": "identity"}
        if result.send_auth and self._client.is_own(url):
            headers |= self._client.auth()
        async with self._http.stream(
            "GET", pinned, headers=headers, extensions=more["extensions"]
        ) as response:
            if response.is_redirect:
                return str(response.headers.get("location", ""))
            if not response.is_success:
                detail = f"{told(url)} answered {response.status_code}"
                raise Trouble(Kind.ABSENT, detail)
            await self._saved(response, url, out)
        return ""

    async def _saved(self, response: httpx.Response, url: str, out: Path) -> None:
        most, size = self._declared.result.bytes_max, 0
        with out.open("wb") as file:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > most:
                    raise Trouble(Kind.NEVER, f"the clip has more than {most} bytes")
                file.write(chunk)
        length = response.headers.get("content-length", "")
        if length.isdigit() and size != int(length):
            raise Trouble(Kind.ABSENT, f"{size} of {length} bytes came from {told(url)}")
        if not size:
            raise Trouble(Kind.ABSENT, f"{told(url)} is empty")


def _given_up(trouble: Trouble, handle: Handle) -> Exception:
    """The failure that the last try ends in.

    What is only absent may be there for another attempt, which goes on with the same handle; so
    its cost is not settled yet.  What is no clip is paid for, and over.
    """
    detail = f"{trouble} (id {handle.id})"
    if trouble.kind is Kind.ABSENT:
        return failed(Reason.UNAVAILABLE, detail, again=True)
    return failed(Reason.CORRUPT_OUTPUT, detail, cost=handle.cost)


def read_through(source: Path, out: Path, report: Report) -> str:
    """In a worker: read a clip whole and write it without tags; what is wrong with it, if so."""
    from assembler.remux import ClipError, remux  # noqa: PLC0415 - only workers load it

    try:
        remux(source, out, lambda frames: report(frames, frames))
    except ClipError as error:
        return str(error)
    return ""
