"""From a completed prompt to a clip: the right file, whole, and what was asked for.

A server names whatever its cache says: an old file, a file that is gone, even another prompt's.
So the name has to be the one that was asked for, the bytes have to come whole, and the clip has to
have the size, length and rate, and where it tells its prompt, ours.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.base import EngineFailure
from adapters.comfyui.client import HTTP_FAULT, HTTP_NOT_FOUND, Client, Seen, ServerSilent
from adapters.comfyui.failures import Trouble
from adapters.comfyui.options import ComfyOptions
from adapters.comfyui.workflows import Shape
from adapters.workers import Report, WorkerPool
from events.spec import Struct
from events.types import Reason

HTTP_OK = 200
DOWNLOADS_MAX = 3
"""Tries to get one file whole."""
DOWNLOAD_RETRY_S = 0.5
FPS_TOLERANCE = 0.01
"""Frames a second: containers keep a rate as a fraction of their own."""


class Inspected(Struct, frozen=True, kw_only=True):
    """What a worker found in a clip; ``fault`` says why it is none."""

    width: int = 0
    height: int = 0
    frames: int = 0
    fps: float = 0.0
    prompt: str = ""
    fault: str = ""


def file_of(seen: Seen, node: str, prefix: str) -> dict[str, str]:
    """The one file that the declared node saved under our prefix.  Raises ``Trouble``."""
    files = [
        {key: str(item.get(key, default)) for key, default in _FILE.items()}
        for value in _mapping(seen.outputs.get(node)).values()
        if isinstance(value, list)
        for item in value
        if isinstance(item, dict) and isinstance(item.get("filename"), str)
    ]
    if len(files) != 1:
        detail = f"node {node} saved {len(files)} files, not one"
        raise Trouble(Reason.CORRUPT_OUTPUT, detail)
    place, _, stem = prefix.rpartition("/")
    file = files[0]
    ours = re.fullmatch(rf"{re.escape(stem)}_\d+_?\.\w+", file["filename"])
    if file["subfolder"].replace("\\", "/") != place or ours is None:
        detail = f"{file['subfolder']}/{file['filename']} is not the file that was asked for"
        raise Trouble(Reason.CORRUPT_OUTPUT, f"{detail} ({prefix}): an old one, from its cache")
    return file


_FILE = {"filename": "", "subfolder": "", "type": "output"}


async def download(
    client: Client, file: Mapping[str, str], out: Path, options: ComfyOptions
) -> None:
    """Get a file, whole.  Raises ``Trouble``."""
    for tried in range(1, DOWNLOADS_MAX + 1):
        try:
            fault = await _downloaded(client, file, out, options.clip_bytes_max)
        except ServerSilent as error:
            fault = str(error)
        if not fault:
            return
        if tried == DOWNLOADS_MAX:
            detail = f"{file['filename']} cannot be had whole from {client.name}: {fault}"
            raise Trouble(Reason.CORRUPT_OUTPUT, detail)
        await asyncio.sleep(DOWNLOAD_RETRY_S)


async def _downloaded(client: Client, file: Mapping[str, str], out: Path, bytes_max: int) -> str:
    """One try; returns what went wrong with it, in words."""
    async with client.view(file) as response:
        if response.status_code == HTTP_NOT_FOUND:
            detail = f"{client.name} names {file['filename']}, and does not have it"
            raise Trouble(Reason.CORRUPT_OUTPUT, detail)
        if response.status_code >= HTTP_FAULT:
            return f"it answered {response.status_code}"
        if response.status_code != HTTP_OK:
            detail = f"{client.name} answered {response.status_code} for {file['filename']}"
            raise Trouble(Reason.CORRUPT_OUTPUT, detail)
        length = response.headers.get("content-length")
        size = 0
        with out.open("wb") as target:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > bytes_max:
                    detail = f"{file['filename']} is larger than {bytes_max} bytes"
                    raise Trouble(Reason.CORRUPT_OUTPUT, detail, retryable=False)
                await asyncio.to_thread(target.write, chunk)
        if length is not None and size != int(length):
            return f"{size} of {length} bytes came"
        return "" if size else "it is empty"


async def inspected(
    source: Path,
    out: Path,
    *,
    workers: WorkerPool,
    shape: Shape,
    prefix: str,
    deadline_s: float,
) -> None:
    """Write the clip without its tags to ``out``, if it is the one that was asked for.

    Raises ``Trouble``.  It is read in a worker process: the bytes are not ours.
    """
    try:
        found: Inspected = await workers.run(inspect, source, out, deadline_s=deadline_s)
    except EngineFailure as failure:
        failure.cost = 0.0
        raise
    if found.fault:
        raise Trouble(Reason.CORRUPT_OUTPUT, f"the clip: {found.fault}")
    if found.prompt and not _is_of(found.prompt, prefix):
        detail = f"the clip was made for other work than {prefix}"
        raise Trouble(Reason.CORRUPT_OUTPUT, detail)
    same_rate = abs(found.fps - shape.fps) <= FPS_TOLERANCE
    same = (found.width, found.height, found.frames) == (shape.width, shape.height, shape.frames)
    if not same or not same_rate:
        made = f"{found.width}×{found.height}, {found.frames} frames at {found.fps:g}"
        asked = f"{shape.width}×{shape.height}, {shape.frames} frames at {shape.fps:g}"
        raise Trouble(Reason.CORRUPT_OUTPUT, f"the clip is {made}; asked for was {asked}")


def inspect(source: Path, out: Path, report: Report) -> Inspected:
    """In a worker: read a clip whole and write it without tags."""
    from assembler.remux import ClipError, remux  # noqa: PLC0415 - only workers load it

    try:
        facts = remux(source, out, lambda frames: report(frames, frames))
    except ClipError as error:
        return Inspected(fault=str(error))
    return Inspected(
        width=facts.width,
        height=facts.height,
        frames=facts.frames,
        fps=float(facts.fps),
        prompt=facts.tags.get("prompt", ""),
    )


def _is_of(prompt: str, prefix: str) -> bool:
    """Whether a prompt that a file tells saves under that prefix."""
    try:
        graph = _mapping(json.loads(prompt))
    except ValueError:
        return True
    prefixes = [
        node["inputs"]["filename_prefix"]
        for node in graph.values()
        if "filename_prefix" in _mapping(_mapping(node).get("inputs"))
    ]
    return not prefixes or prefix in prefixes


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
