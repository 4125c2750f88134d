"""ComfyUI servers as a generator: clips made by workflows, on machines of one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.base import Capabilities, Health, Ledger, ProgressCallback
from adapters.comfyui.failures import failed
from adapters.comfyui.making import Making
from adapters.comfyui.options import ComfyOptions, options_of
from adapters.comfyui.pool import Pool
from adapters.comfyui.workflows import Workflow, load_workflow
from adapters.generation import Clip, ClipAsk
from adapters.workers import WorkerPool
from config.errors import ConfigError
from config.models import EngineSettings
from events.spec import Archetype
from events.types import Reason


class ComfyGenerator:
    """Makes clips on ComfyUI servers; ``workflows`` are those that the options name."""

    def __init__(
        self,
        name: str,
        options: ComfyOptions,
        workflows: Mapping[str, Workflow],
        workers: WorkerPool,
    ) -> None:
        self.name = name
        self.options = options
        self.pool = Pool(options)
        self._workflows = workflows
        self._workers = workers

    def capabilities(self) -> Capabilities:
        """The archetypes that have a workflow; local where every server is on this machine."""
        archetypes = frozenset(
            archetype
            for archetype in Archetype
            if any(
                self.options.workflow(archetype, picture=with_one) for with_one in (True, False)
            )
        )
        return Capabilities(archetypes=archetypes, generates=True, local=self.options.stays_here)

    def recipe(self, ask: ClipAsk) -> str:
        """The workflow, the digest of its files, and its models."""
        workflow = self._workflow(ask)
        models = workflow.manifest.requires.models
        facts = {"workflow": workflow.name, "sha256": workflow.digest, "models": models}
        return json.dumps({"comfyui": facts}, sort_keys=True, separators=(",", ":"))

    async def health(self) -> Health:
        """Well when one server at least can be asked; the others are told all the same."""
        found = await self.pool.look()
        sick = [why for why in found.values() if why]
        told = "; ".join(sick)
        if not sick or len(sick) == len(found):
            return Health(ok=not sick, detail=told)
        return Health(
            ok=True, detail=f"{len(sick)} of {len(found)} servers cannot be asked: {told}"
        )

    async def generate(
        self,
        ask: ClipAsk,
        folder: Path,
        ledger: Ledger,
        progress: ProgressCallback,
        cancel: asyncio.Event,
    ) -> Clip:
        """Make one clip, or go on with the one that was begun.  Raises ``EngineFailure``."""
        making = Making(
            ask,
            folder,
            ledger,
            progress,
            engine=self.name,
            workflow=self._workflow(ask),
            options=self.options,
            pool=self.pool,
            workers=self._workers,
        )
        work = asyncio.create_task(making.clip())
        stop = asyncio.create_task(cancel.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            await _end(work)
            await making.cancel()
            raise failed(Reason.CANCELLED, "nobody waits for it any more")
        finally:
            # A service that stops leaves the server at work: the next one goes on with it.
            await _end(work)
            await _end(stop)

    async def close(self) -> None:
        """Release every connection."""
        await self.pool.close()

    def _workflow(self, ask: ClipAsk) -> Workflow:
        name = self.options.workflow(ask.archetype, picture=ask.still is not None)
        if name is None:
            source = "words alone" if ask.still is None else "a picture"
            detail = f"{self.name} has no workflow for {ask.archetype} from {source}"
            raise failed(Reason.UNSUPPORTED, detail)
        return self._workflows[name]


def from_settings(settings: EngineSettings, workers: WorkerPool) -> ComfyGenerator:
    """The generator that an engine of kind ``comfyui`` asks for.

    ``workers`` read the clips that come back.  Raises ``ConfigError``.
    """
    options = options_of(settings)
    return ComfyGenerator(settings.name, options, workflows_of(settings.name, options), workers)


def workflows_of(name: str, options: ComfyOptions) -> dict[str, Workflow]:
    """Every workflow that the options of the engine ``name`` name, judged.

    Raises ``ConfigError``; one that takes a picture stands where a picture is, and none other.
    """
    where = f"engines.{name}.options"
    loaded = {key: load_workflow(key, options.workflow_folder) for key in options.workflow_names()}
    named: list[tuple[str, str | None, bool]] = [
        ("words", options.words, False),
        ("picture", options.picture, True),
    ]
    for archetype, own in options.archetypes.items():
        named.append((f"archetypes.{archetype}.words", own.words, False))
        named.append((f"archetypes.{archetype}.picture", own.picture, True))
    for key, workflow, picture in named:
        if workflow is not None and loaded[workflow].takes_picture is not picture:
            allowed = "a workflow with" if picture else "a workflow without"
            raise ConfigError(where, key, workflow, f"{allowed} a target for params.image")
    return loaded


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has let go of everything."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # looked at, so that nobody is told that it was lost
