"""The how-to pages, followed to the letter."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.comfyui import from_settings
from adapters.comfyui.workflows import WORKFLOWS, load_workflow
from adapters.workers import WorkerPool
from config import load
from tests.adapters.comfyui.bench import asked, facts_of, still
from tests.adapters.ledgers import MemoryLedger
from tests.comfy.server import ComfyServer

ROOT = Path(__file__).resolve().parents[2]
HOWTO = ROOT / "docs/howto"
BLOCK = re.compile(r"`(\w+\.\w+)`[^\n]*:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)
SERVERS = "PYTOON_ENGINES__LOCAL_COMFYUI__OPTIONS__SERVERS"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[ComfyServer]:
    """A server with every model that ships a workflow."""
    made = await ComfyServer(tmp_path / "comfy").start()
    yield made
    await made.kill()


async def called(*arguments: str, **environ: str) -> tuple[int, str]:
    """``pytoon`` with these; the exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", *arguments,
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_add_a_workflow(server: ComfyServer, tmp_path: Path) -> None:
    """Both files as they stand on the page, the variables, the check, and a clip."""
    page = (HOWTO / "add-a-comfyui-workflow.md").read_text(encoding="utf-8")
    folder = tmp_path / "workflows"
    folder.mkdir()
    files = dict(BLOCK.findall(page))
    assert {"soft_still.json", "soft_still.yaml"} == set(files)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    named = {key: value.strip('"') for key, value in EXPORT.findall(page)}
    place = "PYTOON_ENGINES__LOCAL_COMFYUI__OPTIONS__WORKFLOW_FOLDER"
    environ = {**named, place: str(folder), SERVERS: server.url}
    code, out = await called("engines", "check", **environ)
    assert "soft_still: all there" in out
    assert 0 == code
    settings = load(environ=environ).engine("local_comfyui")
    assert settings is not None
    pool = WorkerPool(1, preload=("assembler.remux",))
    generator = from_settings(settings, pool)
    try:
        clip = await generator.generate(
            asked(still=still(tmp_path)),
            tmp_path,
            MemoryLedger(),
            lambda _done, _all: None,
            asyncio.Event(),
        )
    finally:
        await generator.close()
        await pool.close()
    assert (108, 192, 10, 24.0) == facts_of(clip.path)


def test_the_models_that_are_told_are_those_that_are_loaded() -> None:
    """Each workflow that ships stands on the page, with each of its files and folders."""
    page = (HOWTO / "use-comfyui.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.strip().startswith("| `")]
    for path in WORKFLOWS.glob("*.yaml"):
        (row,) = (line for line in rows if f"`{path.stem}`" in line.split("|")[1])
        models = load_workflow(path.stem).manifest.requires.models
        files = {f"{folder}/{name}" for folder, names in models.items() for name in names}
        assert files == set(re.findall(r"`(\w+/\S+\.safetensors)`", row))


async def test_the_check(server: ComfyServer) -> None:
    """As it stands on the page, to a script: what lacks, and where."""
    environ = {"PYTOON_ENGINES__LOCAL_COMFYUI__ENABLED": "true", SERVERS: server.url}
    server.models["vae"] = []
    code, out = await called("engines", "check", "--json", **environ)
    told: dict[str, Any] = json.loads(out)
    (report,) = told["local_comfyui"]
    assert (2, False) == (code, report["ok"])
    assert ["models/vae/wan2.2_vae.safetensors is missing"] == report["workflows"]["wan22_5b_t2v"]
    assert (server.url, "0.33.0") == (report["server"], report["version"])


@pytest.mark.slow  # 5 s: two processes start
async def test_the_check_with_a_clip(server: ComfyServer) -> None:
    """As it stands on the page, to a person."""
    environ = {"PYTOON_ENGINES__LOCAL_COMFYUI__ENABLED": "true", SERVERS: server.url}
    code, out = await called("engines", "check", "--clip", **environ)
    assert (0, True) == (code, "clip without a model: made" in out)
    assert 1 == len(server.posted)


@pytest.mark.parametrize(
    ("environ", "arguments", "code", "told"),
    [
        ({}, (), 2, "No ComfyUI engine is switched on"),
        ({}, ("compositor",), 2, "compositor is no ComfyUI engine"),
        ({}, ("nobody",), 2, "No ComfyUI engine is called 'nobody'"),
        ({SERVERS: "http://127.0.0.1:9"}, ("local_comfyui",), 4, "No server answers"),
        ({SERVERS: "nowhere"}, ("local_comfyui",), 2, "nowhere is no server"),
    ],
)
async def test_a_check_that_cannot_be(
    environ: dict[str, str], arguments: tuple[str, ...], code: int, told: str
) -> None:
    """It says what to do."""
    found, out = await called("engines", "check", *arguments, **environ)
    assert code == found
    assert told in out
