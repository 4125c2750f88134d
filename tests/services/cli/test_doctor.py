"""What is said of this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from config import load
from events.stream import DeadLetter, Usage
from services.cli import commands
from services.cli.doctor import _disk, _engines, _fonts, _left_out, _letter, _library, _log
from services.home import Home
from services.server import server_runs


async def test_a_healthy_machine_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One finding a line for scripts; the server that was tried is gone afterwards."""
    monkeypatch.setenv("PYTOON_HOME", str(tmp_path))
    monkeypatch.delenv("NATS_URL", raising=False)
    # In a thread: a command runs an event loop of its own.
    assert await asyncio.to_thread(commands.run, ["doctor", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = {"home", "config", "codecs", "opencv", "skia", "fonts", "disk", "engines",
                "services", "server", "log", "dead letters"}  # fmt: skip
    assert expected == {finding["name"] for finding in found}
    assert {"fail"}.isdisjoint(finding["state"] for finding in found)
    assert not server_runs(Home(tmp_path))


def test_a_missing_system_library_names_its_package() -> None:
    """Skia needs EGL and OpenGL of the system."""
    why = "libEGL.so.1: cannot open shared object file: No such file or directory"
    finding = _library("skia", f"raise ImportError({why!r})", "")
    assert (finding.state, why in finding.detail) == ("fail", True)
    assert "apt-get install libegl1 libgl1" in finding.todo


def test_a_library_that_dies_is_a_finding() -> None:
    """It takes nobody along."""
    finding = _library("codecs", "import os; os.abort()", "install it again")
    assert (finding.state, finding.todo) == ("fail", "install it again")
    assert "code -6" in finding.detail


def test_fonts_that_cannot_be_looked_at_fail(tmp_path: Path) -> None:
    """The reason is told."""
    config = load()
    fonts = config.fonts.model_copy(update={"directory": tmp_path / "gone"})
    assert _fonts(config.model_copy(update={"fonts": fonts})).state == "fail"


@pytest.mark.parametrize(("least_mb", "state"), [(1, "ok"), (10**9, "fail")])
def test_a_full_disk_fails(tmp_path: Path, least_mb: int, state: str) -> None:
    """Below the limit new requests are refused."""
    config = load(environ={"PYTOON_LIMITS__DISK_FREE_MB_MIN": str(least_mb)})
    assert _disk(Home(tmp_path), config).state in {state, "warn" if state == "ok" else state}


def test_no_engine_is_a_failure() -> None:
    """Nobody could render anything."""
    off = {f"PYTOON_ENGINES__{name}__ENABLED": "false" for name in ("COMPOSITOR", "TEMPLATE")}
    assert [finding.state for finding in _engines(load(environ=off))] == ["fail"]


def test_an_engine_that_cannot_be_asked_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason: here that nobody has given its key."""
    monkeypatch.delenv("LUMA_AGENTS_API_KEY", raising=False)
    asked = {
        "PYTOON_ENGINES__LUMA__ENABLED": "true",
        "PYTOON_ENGINES__LUMA__OPTIONS__PRICE": "{per_clip: 0.5}",
    }
    [finding] = _left_out(load(environ=asked))
    assert finding.state == "warn"
    assert "luma is left out" in finding.detail
    assert "LUMA_AGENTS_API_KEY" in finding.detail
    assert list(_left_out(load(environ={}))) == []


def test_a_log_that_fills_up_is_a_warning() -> None:
    """There is time to do something."""
    states = [_log(Usage(messages=1, bytes=used, bytes_max=100)).state for used in (10, 90)]
    assert states == ["ok", "warn"]


def test_a_dead_letter_is_told_with_its_reason() -> None:
    """Its subject says who may have sent it."""
    letter = DeadLetter(subject="pytoon.jobs.j.x", seq=1, why="not JSON", body=b"{", time_s=0.0)
    assert _letter(letter) == "pytoon.jobs.j.x (not JSON)"
