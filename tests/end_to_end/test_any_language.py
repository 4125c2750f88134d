"""The examples of ``docs/howto/ask-from-any-language.md``, run as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import load
from tests.broker import NatsServer
from tests.cluster import Cluster
from tests.end_to_end.shell import ROOT, opened

PAGE = ROOT / "docs/howto/ask-from-any-language.md"


def example(language: str) -> str:
    """The one block of code in that language."""
    found = re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert 1 == len(found)
    return str(found[0])


@pytest.fixture
def environ(nats_server: NatsServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a client needs; services that make no pixels are at the server."""
    at = {"NATS_URL": nats_server.url, "NATS_TOKEN": nats_server.token}
    (tmp_path / "services").mkdir()
    with opened(tmp_path / "services", **at, PYTOON_ENGINES__NULL__ENABLED="true") as services:
        assert 0 == services.call("init").code
        services.start("up", "--no-http")
        yield {**os.environ, **at}


def told(command: list[str], environ: dict[str, str]) -> str:
    """What a client prints, which must end well."""
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(out: str) -> None:
    """It asked, followed its film to the end and read how it ended."""
    names = re.findall(r"^\w+$", out, re.MULTILINE)
    assert ("render_requested", "render_completed") == (names[0], names[-1])
    assert '"job_id": "job-' in out


def test_python(environ: dict[str, str], tmp_path: Path) -> None:
    """With the library alone: nothing of ours is imported.  About 4 s."""
    script = tmp_path / "ask.py"
    script.write_text(example("python"), encoding="utf-8")
    check(told([sys.executable, "-P", "-I", str(script)], environ))


async def test_python_on_a_server_of_ones_own(tmp_path: Path) -> None:
    """The same script, as the user that asks for films there and may do little else."""
    null = {"PYTOON_ENGINES__NULL__ENABLED": "true"}
    cluster = Cluster(tmp_path, load(environ=null))
    script = tmp_path / "ask.py"
    script.write_text(example("python"), encoding="utf-8")
    (tmp_path / "services").mkdir()
    try:
        await cluster.start()
        at = {"NATS_URL": cluster.url("operator"), **null}
        with opened(tmp_path / "services", **at) as services:
            assert 0 == services.call("init").code
            services.start("up", "--no-http")
            own = {"NATS_URL": cluster.url("client"), "NATS_INBOX_PREFIX": "_INBOX_client"}
            command = [sys.executable, "-P", "-I", str(script)]
            check(await asyncio.to_thread(told, command, {**os.environ, **own}))
    finally:
        cluster.stop()


def test_javascript(environ: dict[str, str], tmp_path: Path) -> None:
    """Where there is a Node with the package ``nats`` (NODE_PATH names the folder)."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('nats')"], check=False).returncode:
        pytest.skip("no node with the package nats")
    script = tmp_path / "ask.js"
    script.write_text(example("js"), encoding="utf-8")
    check(told([node, str(script)], environ))
