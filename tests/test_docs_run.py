"""Every command in the documents is run as it stands, or marked as one that is not.

A page is typed into one shell from top to bottom, in a folder and a home of its own:

- ```` ```bash run ```` is run with the default tests, and must end well;
- ```` ```bash slow ```` is run, too, and makes its whole page wait for ``-m slow``;
- ```` ```bash not-run ```` needs what is not here: a server, a key, another program;
- ```` ```yaml file=NAME ```` (or JSON) is written to NAME before anything is run.

Left out: what the commands print, and the pages in ``TOLD_ELSEWHERE``, which have tests of
their own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.home import Home
from tests.end_to_end.shell import ROOT, Shell, opened

PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/*.md")))
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>\w+) *(?P<mark>[^\n]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
MARKS = {"run", "slow", "not-run"}
TOLD_ELSEWHERE = {
    "docs/howto/use-the-gateway.md": {"quickstart"},  # end_to_end/test_quick_start.py
}
PAGE_S = 300
"""For all commands of a page, on a machine that does other things, too."""


@dataclass(frozen=True)
class Block:
    """Some lines of a page that are set as code of a kind; ``line`` counts from 1."""

    line: int
    kind: str
    mark: str
    text: str


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            text.count("\n", 0, found.start()) + 1,
            found["kind"],
            found["mark"].strip(),
            textwrap.dedent(found["text"]),
        )
        for found in BLOCK.finditer(text)
    ]


def _to_type(page: Path) -> list[Block]:
    return [block for block in _blocks(page) if block.mark in {"run", "slow"}]


def _typed_pages() -> list[object]:
    return [
        pytest.param(
            page,
            id=_named(page),
            marks=[pytest.mark.slow]
            if any(block.mark == "slow" for block in _to_type(page))
            else [],
        )
        for page in PAGES
        if _to_type(page)
    ]


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_commands_say_whether_they_are_run(page: Path) -> None:
    """Nobody has to guess which commands were seen to work."""
    known = MARKS | TOLD_ELSEWHERE.get(_named(page), set())
    shells = [block for block in _blocks(page) if block.kind in {"bash", "sh", "console", "shell"}]
    assert [] == [f"line {block.line}" for block in shells if block.mark not in known]


@pytest.mark.timeout(PAGE_S + 60)
@pytest.mark.parametrize("page", _typed_pages())
def test_commands_work(page: Path, tmp_path: Path) -> None:
    """Typed one after the other, none of them fails."""
    folder = tmp_path / "here"
    folder.mkdir()
    _furnish(folder)
    for block in _blocks(page):
        if block.mark.startswith("file="):
            target = folder / block.mark.removeprefix("file=")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
    script = "\n".join(f"echo '── line {one.line}' >&2\n{one.text}" for one in _to_type(page))
    with opened(folder) as shell:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=_environ(shell),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PAGE_S,
            check=False,
        )
        _leave_others(folder)
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"


def _furnish(folder: Path) -> None:
    """What a reader has there: an installation, two pictures and some music."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "constraints.txt").symlink_to(ROOT / "constraints.txt")
    for name in ("bottle.png", "product.png"):
        shutil.copy(ROOT / "config/demo/product.png", folder / name)
    shutil.copy(ROOT / "config/demo/track.m4a", folder)


def _environ(shell: Shell) -> dict[str, str]:
    """The tests' own environment without what is set for Pytoon, and the programs first."""
    kept = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTOON_HOME": str(shell.home.path)}


def _is_ours(name: str) -> bool:
    return name.startswith(("PYTOON_", "NATS_"))


def _leave_others(folder: Path) -> None:
    """End what runs in further homes that the page has made: each has a ``run.json``."""
    own = (folder / "home").resolve()
    for told in folder.glob("*/run.json"):
        if told.parent.resolve() != own:
            Shell(Home(told.parent), folder).leave()
