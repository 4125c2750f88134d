"""House rules that no linter knows: sizes, names, places, and words that must not be in here."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import events

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("events", "config", "assembler", "adapters", "services", "schemas")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
FILE_BYTES_MAX = 1_000_000
LARGE_ALLOWED = {"config/fonts/noto/NotoColorEmoji.ttf"}

SKIPPED = {
    ".git",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".conf", ".cfg", ""}

VAGUE = {"util", "utils", "helper", "helpers", "data", "common", "misc"}

# Written in parts, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package registry's download host": re.compile("https?://(?:files|registry" + r")\."),
    "a package index": re.compile("/" + "simple/"),
    "a path of somebody's machine": re.compile("(?:/" + r"root/|/work/\w|/Users/\w|C:\\Users)"),
    "work left for later": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b"),
    "a stub": re.compile("NotImplemented" + "Error"),
    "a skipped test": re.compile(r"pytest\.mark\." + r"skip\b"),
    "a line hidden from coverage": re.compile("pragma: no " + "cover"),
}


@cache
def _files() -> tuple[Path, ...]:
    """What git tracks or would track: films and other products lie about in a clone, too."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return tuple(sorted(path for name in names if name and (path := ROOT / name).is_file()))
    found = []
    for directory, directories, names in os.walk(ROOT):
        directories[:] = [
            name for name in directories if name not in SKIPPED and not name.endswith(".egg-info")
        ]
        found += [Path(directory) / name for name in names if not name.endswith(".mp4")]
    return tuple(sorted(found))


def _sources() -> Iterator[tuple[str, Path]]:
    for path in _files():
        if path.suffix == ".py":
            yield path.relative_to(ROOT).as_posix(), path


def _functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Each function with its lines, docstring aside."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assert node.end_lineno is not None
        lines = node.end_lineno - node.lineno + 1
        first = node.body[0]
        if ast.get_docstring(node, clean=False) is not None:
            assert first.end_lineno is not None
            lines -= first.end_lineno - first.lineno + 1
        yield node, lines


def test_functions_are_short() -> None:
    """No function is longer than a screen."""
    too_long = [
        f"{name}:{node.lineno} {node.name} has {lines} lines"
        for name, path in _sources()
        for node, lines in _functions(path)
        if lines > FUNCTION_LINES_MAX
    ]
    assert [] == too_long


def test_modules_are_short() -> None:
    """No module is longer than can be held in mind."""
    too_long = [
        f"{name} has {lines} lines"
        for name, path in _sources()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    ]
    assert [] == too_long


def test_names_say_something() -> None:
    """No module is named for holding whatever has no place."""
    assert [] == [
        name
        for name, path in _sources()
        if set(path.stem.split("_")) <= VAGUE or path.stem in VAGUE
    ]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_forbidden(what: str) -> None:
    """Nothing of the machine that wrote it, and nothing half done."""
    found = []
    for path in _files():
        if path.suffix not in TEXT:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if FORBIDDEN[what].search(line):
                found.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:80]}")
    assert [] == found


def test_modules_say_what_they_are_for() -> None:
    """Every module begins with a docstring and takes annotations as text."""
    lacking = []
    for name, path in _sources():
        text = path.read_text(encoding="utf-8")
        if path.name == "__init__.py" and not text:
            continue
        tree = ast.parse(text)
        imported = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
        if not ast.get_docstring(tree):
            lacking.append(f"{name}: a docstring")
        elif len(tree.body) > 1 and "__future__" not in imported:
            lacking.append(f"{name}: from __future__ import annotations")
    assert [] == lacking


def test_the_packages_are_ours() -> None:
    """Their names are common words: what is imported must be what lies here."""
    assert events.__file__ is not None
    assert ROOT == Path(events.__file__).resolve().parent.parent


def test_tests_mirror_sources() -> None:
    """A test module of a room is named after the module that it tests."""
    strays = []
    for name, path in _sources():
        parts = path.relative_to(ROOT).parts
        is_test = parts[0] == "tests" and parts[-1].startswith("test_") and len(parts) > 2
        if not is_test or parts[1] not in ROOMS:
            continue
        source = ROOT.joinpath(*parts[1:-1], parts[-1].removeprefix("test_"))
        if not source.is_file() and not source.with_suffix("").is_dir():
            strays.append(f"{name}: there is no {source.relative_to(ROOT).as_posix()}")
    assert [] == strays


def test_files_are_small() -> None:
    """A clone stays quick; what is larger is listed here, with its reason in the fonts' table."""
    large = {
        path.relative_to(ROOT).as_posix()
        for path in _files()
        if path.stat().st_size > FILE_BYTES_MAX
    }
    assert LARGE_ALLOWED >= large
