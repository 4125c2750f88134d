"""Every engine that is configured is away, as a user sees it: the film is there, all is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.loader import SHIPPED
from tests.end_to_end.engines import configured
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.shell import Shell, opened

SECONDS, SEGMENTS = 15, 5
DEADLINE_S = 180
NOWHERE = "http://127.0.0.1:9"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def engines() -> list[dict[str, Any]]:
    """A ComfyUI server and a hosted service, at addresses where nobody listens."""
    options = {
        "declaration": "luma",
        "base_url": NOWHERE,
        "price": {"per_clip": 0.5},
        "allow_private_addresses": True,
    }
    return [
        {"name": "comfy", "kind": "comfyui", "options": {"servers": [NOWHERE]}},
        {"name": "luma", "kind": "hosted", "options": options},
    ]


def metadata_of(shell: Shell, events: list[dict[str, Any]]) -> dict[str, Any]:
    """What lies beside the film in the store."""
    sha256 = events[-1]["data"]["metadata"]["sha256"]
    (path,) = shell.home.artifacts.rglob(f"{sha256}*")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_a_film_in_time_with_each_downgrade_told(tmp_path: Path) -> None:
    """In the log, the verdict, the metadata and the words of the command line (20 s)."""
    environ = {
        "PYTOON_CONFIG": str(configured(tmp_path, engines())),
        "LUMA_AGENTS_API_KEY": "a-key-of-nobody-0123456789",
    }
    with opened(tmp_path, **environ) as shell:
        picture = str(SHIPPED / "demo" / "product.png")
        ask = [
            *("--preset", "overlay_classic", "--image", picture, "--prompt", "Good morning"),
            *("--duration", str(SECONDS), "--deadline", str(DEADLINE_S)),
            *("--job-id", "down", "-o", "film.mp4"),
        ]
        called = shell.call("render", *ask, "--json", within_s=DEADLINE_S)
        assert called.code == 0, called.err
        events = shell.log("down")
        status = shell.call("status", "down").out
        told = metadata_of(shell, events)
        listed = shell.call("engines").out
    check_film(tmp_path / "film.mp4", SECONDS)
    assert called.told["elapsed_s"] < DEADLINE_S
    down = [event["data"] for event in events if event["type"] == "rung_descended"]
    steps = sorted(
        (each["segment"], each["from_rung"]["engine"], each["to_rung"]["engine"]) for each in down
    )
    fallen = (("comfy", "luma"), ("luma", "compositor"))
    assert [(number, *step) for number in range(SEGMENTS) for step in fallen] == steps
    assert {"unavailable"} == {each["reason"] for each in down}
    assert called.told["downgrades"] == told["downgrades"]
    assert len(down) == len(told["downgrades"])
    assert (0, 0) == (called.told["cost"], called.told["cost_unsettled"])
    for before, after in fallen:
        lines = [line for line in status.splitlines() if f"went from {before} OVERLAY" in line]
        assert lines
        assert all(f"to {after} OVERLAY (unavailable: " in line for line in lines)
        numbers = [int(word) for line in lines for word in _numbers(line)]
        assert sorted(numbers) == list(range(1, SEGMENTS + 1))
    assert "comfy: not well" in listed
    assert "circuit open" in listed


def _numbers(line: str) -> list[str]:
    """The segments that a line names."""
    return line.partition(" went ")[0].replace(",", " ").replace("and", " ").split()[2:]
