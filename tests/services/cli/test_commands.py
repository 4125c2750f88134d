"""The group of commands: exit codes, and words instead of tracebacks."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from services.cli import commands
from services.cli.exits import Interrupted, NoFilm, Unreachable
from services.home import Home, HomeError
from services.server import ServerError, server_runs, stop_server

_ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home that no command of these tests should bring to life."""
    monkeypatch.setenv("PYTOON_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NATS_URL", raising=False)
    home = Home.find()
    yield home
    stop_server(home)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command named ``jobs`` that raises what is put into the list."""
    raised: list[BaseException] = []

    @click.command()
    def fail() -> None:
        raise raised[0]

    monkeypatch.setattr(commands.Commands, "get_command", lambda *_: fail)
    return raised


@pytest.mark.parametrize("name", commands.Commands.places)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each can be imported, and each has a word to say."""
    assert commands.run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert re.match(rf"Usage: pytoon {name} ", told)
    assert len(told.splitlines()) > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rendr"], "Did you mean 'render'?"),
        (["render"], "Missing option '--preset'"),
        (["render", "--preset", "x", "--image", "gone.png"], "'--image': 'gone.png': there is no"),
        (["render", "--preset", "x", "--music", "."], "'--music': '.' is not a regular file"),
        (["render", "--preset", "x", "--duration", "long"], "'--duration': 'long' is not a num"),
        (["render", "--preset", "x", "--duration", "nan"], "'--duration': 'nan' is not a number"),
        (["render", "--preset", "x", "--archetype", "POEM"], "'--archetype': 'POEM' is not one"),
        (["render", "--preset", "x", "--job-id", "a.b"], "'--job-id': 'a.b': a job id is 1 to 64"),
        (
            ["render", "--preset", "x", "-o", "no/such/f.mp4"],
            "-o no/such/f.mp4: there is no folder",
        ),
        (["status", "../x"], "a job id is 1 to 64 of"),
        (["status", "unknown"], "There is no job 'unknown'. `pytoon jobs` lists"),
        (["log", "unknown"], "There is no job 'unknown'"),
        (["replay", "unknown", "--at", "0"], "'--at': 0 is not in the range x>=1"),
        (["watch", "unknown"], "There is no job 'unknown'"),
        (["resume", "unknown"], "There is no job 'unknown'"),
        (["serve", "cook"], "'cook' is not one of 'planner'"),
    ],
)
def test_bad_usage_is_named(
    arguments: list[str], message: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, the option and its value in the message, and nothing started for it."""
    assert commands.run(arguments) == 2
    assert message in capsys.readouterr().err
    assert not server_runs(home)


def test_a_fresh_home_has_no_jobs(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Looking starts no server."""
    assert commands.run(["jobs"]) == 0
    assert "No jobs yet" in capsys.readouterr().err
    assert not server_runs(home)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerError("down"), 4),
        (Unreachable("away"), 4),
        (HomeError("read-only"), 2),
        (NoFilm("failed"), 3),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_expected_failures_are_exit_codes(
    failing: list[BaseException], error: BaseException, code: int
) -> None:
    """What can go wrong without anybody's mistake ends without a traceback."""
    failing.append(error)
    assert commands.run(["jobs"]) == code


def test_a_mistake_of_ours_is_no_exit_code(failing: list[BaseException]) -> None:
    """A bug is shown as what it is."""
    failing.append(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        commands.run(["jobs"])


def test_an_interrupted_wait_says_how_to_go_on(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """The job goes on, and its name is told."""
    failing.append(Interrupted("job-1"))
    assert commands.run(["jobs"]) == 130
    assert "The job goes on: pytoon resume job-1" in capsys.readouterr().err


async def test_an_unreachable_server_is_exit_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to check."""
    monkeypatch.setattr("services.cli.visit.CONNECT_S", 0.2)
    arguments = ["jobs", "--nats", "nats://127.0.0.1:9"]
    # In a thread: a command runs an event loop of its own.
    assert await asyncio.to_thread(commands.run, arguments) == 4
    assert "Check --nats (or NATS_URL)" in capsys.readouterr().err


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for scripts."""
    assert commands.run(["presets"]) == 0
    assert "overlay_classic" in capsys.readouterr().out


def test_help_is_quick_because_it_loads_nothing() -> None:
    """The heavy libraries are not among what the client's commands import."""
    heavy = ("nats", "pydantic", "structlog", "rich", "av", "cv2", "skia", "numpy", "httpx")
    code = (
        "import sys; from services.cli import commands, rendering, jobs; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
