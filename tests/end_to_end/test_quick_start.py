"""The gateway's quick start, typed as the document has it, against real services."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.home import Home
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.shell import ROOT, Shell, until

PAGE = ROOT / "docs" / "howto" / "use-the-gateway.md"
BLOCK = re.compile(r"^```bash quickstart\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEY = "dev-key-change-me"

pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here"),
    pytest.mark.timeout(120),
]


@pytest.fixture(name="address")
def an_address(tmp_path: Path) -> Iterator[str]:
    """``pytoon up`` with a key; pictures may be read in the test's folder."""
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


def _typed(script: str, folder: Path) -> list[str]:
    """What each block of a script answers; they are told apart by a mark after each."""
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [answer.strip() for answer in ran.stdout.split("----\n")]


def test_the_quick_start_works_as_it_is_written(tmp_path: Path, address: str) -> None:
    """Presets, upload, plan, job, status, segments, events, film, list, metrics: each by curl."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    assert len(blocks) == 10
    shutil.copy(ROOT / "config" / "demo" / "product.png", tmp_path / "product.png")
    script = "\n".join(f"{block}\necho; echo ----" for block in blocks)
    script = script.replace("http://127.0.0.1:8080", address)
    # A short film: the commands are what is tried.
    assert script.count('"target_duration_seconds": 15') == 1
    script = script.replace('"target_duration_seconds": 15', '"target_duration_seconds": 2')
    _, presets, _, planned, _, looked, heard, _, listed, metrics, _ = _typed(script, tmp_path)
    assert len(json.loads(presets)) == 8
    plan = json.loads(planned)
    assert (plan["dry_run"], plan["plan"]["frames"]) == (True, 60)
    status, segments = looked.split("}[", 1)
    assert json.loads(status + "}")["status"] in {"requested", "rendering"}
    assert isinstance(json.loads("[" + segments), list)
    assert "event: render_completed" in heard
    assert heard.splitlines()[-1] == 'data: {"status": "completed"}'
    (job,) = json.loads(listed)["jobs"]
    assert (job["title"], job["seconds"]) == ("Sleek product showcase", 2.0)
    assert 'pytoon_jobs_ended_total{state="completed"} 1.0' in metrics
    check_film(tmp_path / "film.mp4", 2)
    assert (tmp_path / "film.jpg").read_bytes()[:2] == b"\xff\xd8"


def _curl(address: str, *words: str, key: str = KEY) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of what curl is answered."""
    words = ("-s", "-i", "-H", f"X-API-Key: {key}", *words[:-1], f"{address}{words[-1]}")
    ran = subprocess.run(["curl", *words], capture_output=True, text=True, timeout=60, check=True)
    head, _, body = ran.stdout.replace("\r\n", "\n").partition("\n\n")
    first, *rest = head.splitlines()
    told = (line.partition(": ") for line in rest)
    return int(first.split()[1]), {name.lower(): text for name, _, text in told}, body


@pytest.mark.slow
def test_a_film_is_polled_for_as_with_the_old_system(tmp_path: Path, address: str) -> None:
    """A picture by its path, four fields, a poll for the status: each answer has what it had."""
    picture = shutil.copy(ROOT / "config" / "demo" / "product.png", tmp_path / "product.png")
    ask = {
        "preset_id": "overlay_classic",
        "prompt": "Sleek product showcase",
        "target_duration_seconds": 2,
        "image_uris": [f"file://{picture}"],
    }
    posted = ("-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(ask))
    status, _, body = _curl(address, *posted, "/api/v1/jobs", key="nobodys-key")
    assert (status, json.loads(body)["title"]) == (401, "Unauthorized")
    status, headers, body = _curl(address, *posted, "/api/v1/jobs")
    job_id = json.loads(body)["job_id"]
    assert (status, headers["location"]) == (202, f"/api/v1/jobs/{job_id}")
    told: dict[str, object] = {}

    def is_over() -> bool:
        told.update(json.loads(_curl(address, f"/api/v1/jobs/{job_id}")[2]))
        return told["status"] in {"completed", "failed", "rejected"}

    until(is_over, within_s=60)
    assert (told["status"], told["job_id"]) == ("completed", job_id)
    (segment,) = json.loads(_curl(address, f"/api/v1/jobs/{job_id}/segments")[2])
    assert (segment["index"], segment["status"], segment["engine"]) == (
        0,
        "rendered",
        "compositor",
    )
    status, headers, _ = _curl(address, "-I", str(told["output"]))
    assert (status, headers["content-type"]) == (200, "video/mp4")
    assert headers["etag"] == f'"{told["sha256"]}"'
    status, headers, _ = _curl(address, "/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")


def test_a_picture_that_may_not_be_read_is_told_by_the_status(address: str) -> None:
    """The request is taken; why there is no film, and what to do, stands in the job."""
    ask = {
        "preset_id": "overlay_classic",
        "target_duration_seconds": 2,
        "image_uris": ["file:///data/storage/uploads/product.png"],
    }
    status, headers, _ = _curl(address, "-d", json.dumps(ask), "/api/v1/jobs")
    assert status == 202
    told: dict[str, Any] = {}

    def is_rejected() -> bool:
        told.update(json.loads(_curl(address, headers["location"])[2]))
        return bool(told["status"] == "rejected")

    until(is_rejected, within_s=30)
    (problem,) = told["problems"]
    assert problem["field"] == "image_uris[0]"
    assert problem["value"] == "file:///data/storage/uploads/product.png"
    assert "PYTOON_ASSET_ROOTS" in problem["hint"]
    status, _, body = _curl(address, "-d", json.dumps(ask), "/api/v1/jobs?dry_run=true")
    assert status == 422
    assert json.loads(body)["problems"] == [problem]
