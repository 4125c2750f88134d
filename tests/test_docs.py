"""What the documents say exists: links lead somewhere, named commands and modules are there."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.generation import HERE as SCHEMAS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/*.md"))
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"\bpytoon ([a-z]+)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
MODULE = re.compile(r"python3? -m ([a-z_.]+)")
SENTENCE_END = re.compile(r"[.!?] [A-Z]")


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _code(text: str) -> str:
    """Everything that is set as code: blocks and spans."""
    blocks = FENCE.findall(text)
    return "\n".join((*blocks, *CODE.findall(FENCE.sub("", text))))


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file or directory of the repository."""
    links = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [] == [link for link in local if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_one_sentence_a_line(page: Path) -> None:
    """A change to a sentence is a change to a line."""
    text = CODE.sub("code", FENCE.sub("", page.read_text(encoding="utf-8")))
    lines = [re.sub(r"^\s*\d+\. ", "", line) for line in text.splitlines()]
    prose = [line for line in lines if not line.lstrip().startswith("|")]
    assert [] == [line for line in prose if SENTENCE_END.search(line)]


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_named_modules_run(page: Path) -> None:
    """``python -m x`` names a module that is there."""
    modules = set(MODULE.findall(_code(page.read_text(encoding="utf-8"))))
    missing = [name for name in modules - {"venv", "pip"} if not importlib.util.find_spec(name)]
    assert [] == missing


def test_named_commands_exist() -> None:
    """Every ``pytoon <command>`` that a page names is one that the program knows."""
    told = {
        command: _named(page)
        for page in PAGES
        for command in COMMAND.findall(_code(page.read_text(encoding="utf-8")))
    }
    shown = subprocess.run(
        [sys.executable, "-m", "services.cli", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    known = set(re.findall(r"^\s+([a-z]+)\b", shown, re.MULTILINE))
    assert {} == {command: page for command, page in told.items() if command not in known}


def test_decisions_are_numbered_and_listed() -> None:
    """The index names every decision, and none twice."""
    directory = ROOT / "docs/decisions"
    files = sorted(path.name for path in directory.glob("[0-9]*.md"))
    assert [f"{number:04}" for number in range(len(files))] == [name[:4] for name in files]
    index = (directory / "README.md").read_text(encoding="utf-8")
    assert [] == [name for name in files if f"({name})" not in index]


def test_every_page_is_listed() -> None:
    """Whoever looks for a page finds it in the index; those below a listed folder count."""
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    pages = [page for page in PAGES if page.is_relative_to(index.parent) and page != index]
    apart = [page for page in pages if page.parent.name != "decisions"]
    assert [] == [_named(page) for page in apart if page not in listed]


def test_the_old_parts_lead_somewhere() -> None:
    """What is named as their place in the new system is there."""
    text = (ROOT / "docs/explanation/from-the-old-system.md").read_text("utf-8")
    table = text.partition("## What was where")[2].partition("## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `")]
    named = [path for row in rows for path in CODE.findall(row) if "/" in path]
    assert len(named) > len(rows)
    assert [] == [path for path in named if not (ROOT / path).exists()]


def test_schemas_are_where_the_documents_say() -> None:
    """The request's schema is the first thing that a client in another language looks for."""
    assert (SCHEMAS / "render_request.json").is_file()
