"""One attempt at a clip: tries on one server or another, until one ends in a clip.

Another try is made where a server dies, loses its work or refuses it, and one smaller clip where
its memory is not enough.  That is safe, because work on machines of one's own costs nothing but
time.  Each try has an id and a prefix of its own, and no id is ever posted twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from adapters import spans, tracing
from adapters.base import Ledger, ProgressCallback, Showing
from adapters.comfyui.attempts import Handle, Try, handle_of, made_try, possible_tries
from adapters.comfyui.client import Client, Refused, Seen, ServerFault, ServerSilent
from adapters.comfyui.failures import OutOfMemory, Stuck, Trouble, failed
from adapters.comfyui.fetching import download, file_of, inspected
from adapters.comfyui.following import ABSENT_TWICE, Follower, cancelled
from adapters.comfyui.listening import Listener
from adapters.comfyui.options import ComfyOptions
from adapters.comfyui.pool import Pool, Server
from adapters.comfyui.workflows import SEEDS, Shape, Workflow
from adapters.generation import Clip, ClipAsk
from adapters.spans import Attribute, Facts
from adapters.workers import WorkerPool
from events.job import Generation
from events.spec import Warned
from events.types import Reason

SAVED_MATRIX = 6
"""SaveVideo converts RGB as BT.601 (H.273's 6), whatever the size, and does not say so."""
SMALLER = "generated_smaller"
"""The code of the warning that a clip has fewer pixels than its model could make."""


class Making:
    """Makes one clip.  ``sent`` is the try that a server may be working on, with that server."""

    def __init__(
        self,
        ask: ClipAsk,
        folder: Path,
        ledger: Ledger,
        progress: ProgressCallback,
        *,
        engine: str,
        workflow: Workflow,
        options: ComfyOptions,
        pool: Pool,
        workers: WorkerPool,
    ) -> None:
        self._ask = ask
        self._folder = folder
        self._ledger = ledger
        self._progress = progress
        self._engine = engine
        self._workflow = workflow
        self._options = options
        self._pool = pool
        self._workers = workers
        self._started_s = time.monotonic()
        self._refused_by: list[Server] = []
        self._told = 0
        self._noted = False
        self.sent: tuple[Server, Try] | None = None

    async def clip(self) -> Clip:
        """The clip.  Raises ``EngineFailure``."""
        known = self._ledger.known
        if known is None:
            work = self._numbered(1, small=False)
            # Raises where it must not be made; after it, whoever comes knows the ids.
            await self._ledger.intend(work.key, 0.0)
            server = None
        else:
            server, work = await self._found(known)
            await self._note(server, work)
        while True:
            try:
                return await self._tried(server, work, resumed=server is not None)
            except OutOfMemory:
                if work.small or self.sent is None:
                    raise
                await _freed(self.sent[0].client)
                work = self._numbered(1, small=True)
            except Trouble as trouble:
                if not self._may_do_again(trouble, work):
                    raise
                work = self._numbered(work.number + 1, small=work.small)
            server = None

    async def cancel(self) -> None:
        """Have the server stop, as far as it does so within ``cancel_s``."""
        if self.sent is None:
            return
        server, work = self.sent
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.cancel_s):
                await cancelled(server.client, work.prompt_id, self._options)

    def _numbered(self, number: int, *, small: bool) -> Try:
        ask = self._ask
        return made_try(ask.job_id, ask.segment, ask.attempt, number, small=small)

    def _may_do_again(self, trouble: Trouble, work: Try) -> bool:
        """Note what a failed try says about its server; whether another one is to be made."""
        if self.sent is not None:
            server, _ = self.sent
            if trouble.rest:
                stuck_on = trouble.prompt_id if isinstance(trouble, Stuck) else ""
                self._pool.rest(server, trouble.detail, stuck_on)
            if trouble.elsewhere:
                self._refused_by.append(server)
        left = set(self._pool.servers) - set(self._refused_by)
        return trouble.again and bool(left) and work.number < self._options.tries_max

    async def _tried(self, server: Server | None, work: Try, *, resumed: bool) -> Clip:
        """One try: post it unless it was, follow it to its end, fetch the clip."""
        server = server or await self._pool.chosen(without=self._refused_by)
        self.sent = (server, work)
        options = self._options
        client = server.client
        with server.taken():
            listener = Listener(client.url, work.key.replace("-", ""), open_s=options.request_s)
            # The socket comes first: what is told before it is open is told to nobody.
            async with listener:
                if not resumed:
                    work = await self._posted(server, work)
                    self.sent = (server, work)
                listener.prompt_id = work.prompt_id
                follower = Follower(
                    client,
                    work.prompt_id,
                    listener,
                    options,
                    started_s=self._started_s,
                    resumed=resumed,
                    report=partial(self._report, listener),
                )
                with tracing.span(spans.POLL, self._asked_of(server)):
                    seen = await follower.to_end()
        with tracing.span(spans.DOWNLOAD, self._asked_of(server)):
            return await self._fetched(client, work, seen)

    def _asked_of(self, server: Server) -> Facts:
        host = urlsplit(server.client.url).hostname or ""
        return {Attribute.ENGINE: self._engine, Attribute.SERVER: host}

    async def _posted(self, server: Server, work: Try) -> Try:
        """Hand in the picture and the graph; returns the try with the server's id for it."""
        with tracing.span(spans.CREATE, self._asked_of(server)):
            given = await self._created(server.client, work)
        work = msgspec.structs.replace(work, prompt_id=given)
        await self._note(server, work)
        return work

    async def _created(self, client: Client, work: Try) -> str:
        """Ask for the clip; returns the server's id for it."""
        try:
            graph = self._workflow.filled(await self._values(client, work))
        except (ServerSilent, ServerFault) as error:
            raise Trouble(Reason.UNAVAILABLE, str(error), again=True, rest=True) from error
        except Refused as error:
            raise _refusal(error) from error
        try:
            return await client.submit(graph, work.key, work.key.replace("-", ""))
        except (ServerSilent, ServerFault) as error:
            if isinstance(error, ServerSilent) and not error.sent:
                raise Trouble(Reason.UNAVAILABLE, str(error), again=True, rest=True) from error
            return await self._arrived(client, work, error)
        except Refused as error:
            raise _refusal(error) from error

    async def _values(self, client: Client, work: Try) -> dict[str, object]:
        """What is filled into the graph."""
        ask = self._ask
        shape = self._shape(work)
        values: dict[str, object] = {
            "prompt": ask.prompt,
            "seed": ask.seed % SEEDS,
            "width": shape.width,
            "height": shape.height,
            "frames": shape.frames,
            "fps": shape.fps,
            "prefix": work.prefix,
        }
        if ask.still is not None:
            place, _, stem = work.prefix.rpartition("/")
            values["image"] = await client.upload(ask.still, place, f"{stem}.png")
        return values

    async def _arrived(self, client: Client, work: Try, error: Exception) -> str:
        """After a post without an answer: the id, if the server has it.

        It may be looked for as long as a server may be silent, and is never posted again.
        """
        until_s = time.monotonic() + self._options.gone_s
        absent = 0
        while absent < ABSENT_TWICE and time.monotonic() < until_s:
            try:
                if await client.look_up(work.key) is not None:
                    return work.key
                absent += 1
            except (ServerSilent, ServerFault, Refused):
                absent = 0
            await asyncio.sleep(self._options.poll_s)
        rest = absent < ABSENT_TWICE or isinstance(error, ServerFault)
        raise Trouble(Reason.UNAVAILABLE, str(error), again=True, rest=rest) from error

    async def _note(self, server: Server, work: Try) -> None:
        """Store where the work is.  The log takes one handle an attempt: later tries of it are
        found by their ids.
        """
        known = self._ledger.known
        if self._noted or (known is not None and known.handle is not None):
            return
        handle = Handle(
            server=server.name,
            prompt_id=work.prompt_id,
            prefix=work.prefix,
            workflow=self._workflow.digest,
            number=work.number,
            small=work.small,
        )
        self._noted = True
        await self._ledger.submitted(msgspec.json.encode(handle).decode())

    async def _fetched(self, client: Client, work: Try, seen: Seen) -> Clip:
        """The clip's file, judged and without its tags."""
        raw = self._folder / "clip.raw"
        out = self._folder / "clip.mp4"
        file = file_of(seen, self._workflow.manifest.output, work.prefix)
        await download(client, file, raw, self._options)
        shape = self._shape(work)
        await inspected(
            raw,
            out,
            workers=self._workers,
            shape=shape,
            prefix=work.prefix,
            deadline_s=self._options.probe_s,
        )
        raw.unlink()
        self._progress(self._ask.frames, self._ask.frames)
        warnings: tuple[Warned, ...] = ()
        if work.small:
            message = (
                f"segment {self._ask.segment + 1} was generated at {shape.width}×{shape.height}: "
                f"the memory of {client.name} was not enough for more"
            )
            warnings = (Warned(code=SMALLER, message=message),)
        return Clip(path=out, model=await self._made_by(client), warnings=warnings)

    async def _made_by(self, client: Client) -> str:
        """The model, its files, and the server's version, as they are kept with the clip."""
        manifest = self._workflow.manifest
        version = ""
        with contextlib.suppress(ServerSilent, ServerFault, Refused):
            version = await client.version()
        files = [name for names in manifest.requires.models.values() for name in names]
        server = f"ComfyUI {version}" if version else "ComfyUI"
        return f"{manifest.model} ({', '.join((server, *files))})"

    def _shape(self, work: Try) -> Shape:
        ask = self._ask
        scale = self._options.smaller if work.small else 1.0
        return self._workflow.shape(ask.width, ask.height, ask.seconds, scale=scale)

    def _report(self, listener: Listener, share: float) -> None:
        """Frames of the film, so that every engine's progress means the same; and how it looks."""
        preview = listener.preview
        if preview is not None and isinstance(self._progress, Showing):
            self._progress.show(preview)
        listener.preview = None
        done = int(share * self._ask.frames)
        if done > self._told:
            self._told = done
            self._progress(done, self._ask.frames)

    async def _found(self, known: Generation) -> tuple[Server, Try]:
        """The try that a process before this one has made, and where it is.

        Raises ``EngineFailure`` when no server knows of any: the next attempt has other ids.
        """
        handle = handle_of(known)
        if handle is not None and handle.workflow != self._workflow.digest:
            detail = "the workflow has changed since this was asked for"
            raise failed(Reason.UNAVAILABLE, detail, retryable=True)
        ask = self._ask
        tries = tuple(possible_tries(ask.job_id, ask.segment, known, self._options.tries_max))
        until_s = time.monotonic() + self._options.gone_s
        absent = 0
        while True:
            found, silent = await self._looked_for(tries)
            if found is not None:
                return found
            absent += 1
            wanted = silent & {handle.server} if handle is not None else silent
            if absent >= ABSENT_TWICE and (not wanted or time.monotonic() > until_s):
                detail = "no server knows of the work that was begun: it is lost"
                raise failed(Reason.UNAVAILABLE, detail, retryable=True)
            await asyncio.sleep(self._options.poll_s)

    async def _looked_for(
        self, tries: Sequence[Try]
    ) -> tuple[tuple[Server, Try] | None, set[str]]:
        """The likeliest try that a server has; and the names of the servers that are silent."""
        places = [(server, work) for work in tries for server in self._pool.servers]

        async def has(server: Server, work: Try) -> bool | None:
            try:
                return await server.client.look_up(work.prompt_id) is not None
            except (ServerSilent, ServerFault, Refused):
                return None

        answers = await asyncio.gather(*(has(*place) for place in places))
        silent = {
            server.name
            for (server, _), answer in zip(places, answers, strict=True)
            if answer is None
        }
        found = (place for place, answer in zip(places, answers, strict=True) if answer)
        return next(found, None), silent


def _refusal(error: Refused) -> Trouble:
    """Another server may have the model, or the node, that this one lacks."""
    return Trouble(Reason.INVALID_REQUEST, str(error), retryable=False, again=True, elsewhere=True)


async def _freed(client: Client) -> None:
    """Have the memory given back; the smaller try is made even where that cannot be asked."""
    with contextlib.suppress(ServerSilent, ServerFault, Refused):
        await client.free()
