"""The gateway's quick start, typed as the document has it, against real services."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.home import Home
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.shell import ROOT, Shell

PAGE = ROOT / "docs" / "howto" / "use-the-gateway.md"
BLOCK = re.compile(r"^```bash quickstart\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEY = "dev-key-change-me"

pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here"),
    pytest.mark.timeout(120),
]


@pytest.fixture(name="address")
def an_address(tmp_path: Path) -> Iterator[str]:
    """``pytoon up`` with a key."""
    shell = Shell(Home(tmp_path / "home"), tmp_path, {"PYTOON_API_KEYS": f"docs:{KEY}"})
    shell.home.create()
    command = shell.start("up", "--http", "127.0.0.1:0")
    try:
        assert command.stderr is not None
        found = re.search(r"(http://\S+?)/", command.stderr.readline().replace("/\n", "/ "))
        assert found
        shell.services_pid()
        yield found.group(1)
    finally:
        command.terminate()
        command.wait(timeout=30)
        shell.leave()


def test_the_quick_start_works_as_it_is_written(tmp_path: Path, address: str) -> None:
    """Presets, upload, job, status, segments, events, film, metrics: each by curl."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    assert len(blocks) == 8
    shutil.copy(ROOT / "config" / "demo" / "product.png", tmp_path / "product.png")
    # A mark after each block tells their answers apart.
    script = "\n".join(f"{block}\necho; echo ----" for block in blocks)
    script = script.replace("http://127.0.0.1:8080", address)
    # A short film: the commands are what is tried.
    assert script.count('"target_duration_seconds": 15') == 1
    script = script.replace('"target_duration_seconds": 15', '"target_duration_seconds": 2')
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = [answer.strip() for answer in ran.stdout.split("----\n")]
    assert len(json.loads(told[1])) == 8
    status, segments = told[4].split("}[", 1)
    assert json.loads(status + "}")["status"] in {"requested", "rendering"}
    assert isinstance(json.loads("[" + segments), list)
    assert "event: render_completed" in told[5]
    assert 'pytoon_jobs_ended_total{state="completed"} 1.0' in told[7]
    check_film(tmp_path / "film.mp4", 2)
    assert (tmp_path / "film.jpg").read_bytes()[:2] == b"\xff\xd8"
