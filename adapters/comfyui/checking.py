"""Whether the servers have what the workflows need, found out before any film asks for it.

Nothing is queued, but with ``prove``: that makes one small clip without any model, and fetches it.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from adapters.base import EngineFailure
from adapters.comfyui.client import Client, Refused, ServerFault, ServerSilent, told
from adapters.comfyui.generator import ComfyGenerator
from adapters.comfyui.linting import lint
from adapters.comfyui.options import ComfyOptions
from adapters.comfyui.workflows import Workflow, load_workflow
from adapters.generation import ClipAsk
from adapters.workers import WorkerPool
from events.job import Generation
from events.spec import Archetype, Struct

PROOF = "proof_words"
"""The workflow that needs no model."""

FILM = (1080, 1920)
DRY_RUN_S = 1.0
DRY_RUN_PICTURE = "pytoon-dry-run.png"
"""A picture that no server has: every fault but that one counts."""


class WorkflowReport(Struct, frozen=True, kw_only=True):
    """A workflow at a server; no ``problems``: it can be asked for."""

    workflow: str
    problems: tuple[str, ...] = ()


class ServerReport(Struct, frozen=True, kw_only=True):
    """A server; ``problem`` says why nothing else is known of it.

    ``proof`` is None where none was asked for, else empty or why there is none.
    """

    server: str
    version: str = ""
    problem: str = ""
    workflows: tuple[WorkflowReport, ...] = ()
    proof: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it can be asked for every workflow."""
        well = not any(report.problems for report in self.workflows)
        return not self.problem and well and not self.proof


async def check(options: ComfyOptions, workflows: Iterable[Workflow]) -> tuple[ServerReport, ...]:
    """A report on each server."""
    asked = tuple(workflows)
    return tuple(
        await asyncio.gather(*(_checked(server, options, asked) for server in options.servers))
    )


async def _checked(
    server: str, options: ComfyOptions, workflows: Iterable[Workflow]
) -> ServerReport:
    client = Client(server, request_s=options.request_s, transfer_s=options.transfer_s)
    try:
        version = await client.version()
        reports = [await _workflow_checked(client, version, workflow) for workflow in workflows]
    except (ServerSilent, ServerFault, Refused) as error:
        return ServerReport(server=client.name, problem=str(error))
    finally:
        await client.close()
    return ServerReport(server=client.name, version=version, workflows=tuple(reports))


async def _workflow_checked(client: Client, version: str, workflow: Workflow) -> WorkflowReport:
    manifest = workflow.manifest
    problems = []
    if _numbers(version) < _numbers(manifest.server_min):
        problems.append(f"needs ComfyUI {manifest.server_min} or newer, not {version or '?'}")
    names = workflow.classes
    found = await asyncio.gather(*(client.node_class(name) for name in names))
    classes = {name: kind for name, kind in zip(names, found, strict=True) if kind is not None}
    problems += [f"the node class {name} is missing" for name in names if name not in classes]
    missing = await _missing_models(client, manifest.requires.models)
    problems += [f"models/{folder}/{name} is missing" for folder, name in missing]
    files = {name for names in manifest.requires.models.values() for name in names}
    graph = workflow.filled(_values(workflow))
    problems += lint(graph, classes, {*files, DRY_RUN_PICTURE})
    if len(classes) == len(names):
        absent = {name for _, name in missing}
        faults = await client.dry_run(graph, manifest.output, _prefix_input(workflow))
        if left := _unexpected(faults, workflow, absent):
            problems.append(told(left))
    return WorkflowReport(workflow=workflow.name, problems=tuple(dict.fromkeys(problems)))


async def _missing_models(
    client: Client, models: Mapping[str, Iterable[str]]
) -> list[tuple[str, str]]:
    missing = []
    for folder, names in models.items():
        there = await client.models(folder) or ()
        # On Windows a file of a sub-folder is told with the other slash.
        plain = {name.replace("\\", "/") for name in there}
        missing += [(folder, name) for name in names if name not in plain]
    return missing


def _values(workflow: Workflow) -> dict[str, Any]:
    shape = workflow.shape(*FILM, DRY_RUN_S)
    return {
        "prompt": "a lighthouse",
        "image": DRY_RUN_PICTURE,
        "seed": 1,
        "width": shape.width,
        "height": shape.height,
        "frames": shape.frames,
        "fps": shape.fps,
        "prefix": "pytoon/dry-run",
    }


def _prefix_input(workflow: Workflow) -> str:
    return workflow.manifest.params["prefix"][0].input


def _unexpected(faults: Mapping[str, Any], workflow: Workflow, absent: set[str]) -> dict[str, Any]:
    """The faults less those of a picture that is not there, and of models that are told."""
    pictures = {
        (target.node, target.input) for target in workflow.manifest.params.get("image", ())
    }
    left = {}
    for key, fault in faults.items():
        errors = []
        for error in fault.get("errors", ()):
            facts = error.get("extra_info") or {}
            of_picture = (key, facts.get("input_name")) in pictures
            if not of_picture and facts.get("received_value") not in absent:
                errors.append(error)
        if errors:
            left[key] = {**fault, "errors": errors}
    return left


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


async def prove(
    options: ComfyOptions, reports: Iterable[ServerReport], workers: WorkerPool
) -> tuple[ServerReport, ...]:
    """The reports, with what came of a small clip without any model at each server."""
    proven = []
    for server, report in zip(options.servers, reports, strict=True):
        proof = report.problem or await _proved(server, options, workers)
        proven.append(msgspec.structs.replace(report, proof=proof))
    return tuple(proven)


async def _proved(server: str, options: ComfyOptions, workers: WorkerPool) -> str:
    """Why there is no clip; empty where there is one."""
    alone = options.model_copy(
        update={"servers": (server,), "words": PROOF, "picture": None, "archetypes": {}}
    )
    generator = ComfyGenerator("proof", alone, {PROOF: load_workflow(PROOF)}, workers)
    try:
        with tempfile.TemporaryDirectory(prefix="pytoon-proof-") as folder:
            ledger = _Memory()
            await generator.generate(
                _proof_ask(), Path(folder), ledger, lambda _done, _all: None, asyncio.Event()
            )
    except EngineFailure as failure:
        return failure.detail
    finally:
        await generator.close()
    return ""


def _proof_ask() -> ClipAsk:
    """Another id each time: a server answers a graph that it has seen with the old file."""
    width, height = FILM
    return ClipAsk(
        job_id=f"proof-{uuid.uuid4().hex[:12]}",
        segment=0,
        attempt=1,
        archetype=Archetype.OVERLAY,
        prompt="",
        seed=0,
        width=width // 4,
        height=height // 4,
        fps=30,
        frames=30,
    )


class _Memory:
    """A ledger for work that no job waits for."""

    known: Generation | None = None

    async def intend(self, key: str, cost: float) -> None:
        """Nobody comes after this process."""

    async def submitted(self, handle: str) -> None:
        """Nobody comes after this process."""
