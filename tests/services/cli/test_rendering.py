"""``render`` and ``submit``, from the shell to the film, with the null engine."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
from pathlib import Path

import pytest

from tests.faults import freeze
from tests.services.cli.conftest import Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")


def test_a_render_ends_with_a_verdict(settled: Person) -> None:
    """The last line has what a script needs, and the film is where it was asked for."""
    film = settled.folder / "film.mp4"
    told = settled.call("render", *_REQUEST, "--job-id", "a", "-o", str(film), "--json").told
    expected = {
        "job_id": "a",
        "output": str(film),
        "sha256": hashlib.sha256(film.read_bytes()).hexdigest(),
        "frames": 180,
        "duration_s": 6.0,
        "downgrades": [],
    }
    assert expected == {key: told[key] for key in expected}
    assert "warnings" in told
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(film.stat().st_mode) == 0o666 & ~mask


def test_a_person_reads_how_it_went(settled: Person) -> None:
    """Lines with seconds, where the film is, how long each step took; no half film beside it."""
    called = settled.call("render", *_REQUEST, "--job-id", "b")
    assert (called.code, called.err) == (0, "")
    lines = called.out.splitlines()
    assert lines[0].endswith(" s  b requested")
    assert "b.mp4" in lines
    assert "planning" in called.out
    assert "in all" in called.out
    assert [] == [path for path in settled.folder.iterdir() if path.name.startswith(".b.mp4")]


def test_a_folder_gets_the_film_by_its_id(settled: Person) -> None:
    """``-o`` may be a folder."""
    (settled.folder / "films").mkdir()
    settled.call("render", *_REQUEST, "--job-id", "c", "-o", "films")
    assert (settled.folder / "films" / "c.mp4").is_file()


def test_a_rejected_request_names_the_option(settled: Person) -> None:
    """Exit 2; every problem on a line of its own; the services go on."""
    called = settled.call("render", "--preset", "nope", "--duration", "61")
    assert called.code == 2
    assert "preset_id (--preset): 'nope' must be one of" in called.err
    assert "target_duration_seconds (--duration): '61' must be at most 60" in called.err
    told = settled.call("render", "--preset", "nope", "--json").told
    assert told["status"] == "rejected"
    assert [problem["field"] for problem in told["problems"]] == ["preset_id"]
    assert settled.call("render", *_REQUEST).code == 0


def test_the_same_id_again_makes_nothing_new(settled: Person) -> None:
    """The same request is the same job; another one with its id is refused."""
    first = settled.call("render", *_REQUEST, "--job-id", "d", "--json")
    again = settled.call("render", *_REQUEST, "--job-id", "d", "--json")
    other = settled.call("render", "--preset", "meme_fast", "--job-id", "d")
    assert first.told["sha256"] == again.told["sha256"]
    assert (again.code, other.code) == (0, 2)
    assert "--job-id d: this job exists already, with another request" in other.err


def test_a_submitted_job_goes_on_alone(settled: Person) -> None:
    """``submit`` prints the id; ``watch`` sees the end."""
    called = settled.call("submit", *_REQUEST, "--job-id", "e")
    assert (called.code, called.out) == (0, "e\n")
    assert settled.call("watch", "e", "--json").told["status"] == "completed"


def test_two_renders_at_once_share_one_home(person: Person) -> None:
    """Both films are done, by the services of one of them."""
    renders = [person.start("render", *_REQUEST, "--job-id", f"r{n}") for n in range(2)]
    assert [person.finish(render).code for render in renders] == [0, 0]
    assert person.home.services_ready()


def test_an_interrupted_render_can_be_resumed(settled: Person) -> None:
    """Ctrl-C is exit 130, names the command, and leaves the job going on."""
    services = settled.services_pid()
    freeze(services)
    render = settled.start("render", *_REQUEST, "--job-id", "f")
    assert render.stdout is not None
    assert "f requested" in render.stdout.readline()
    render.send_signal(signal.SIGINT)
    interrupted = settled.finish(render)
    os.kill(services, signal.SIGCONT)
    assert interrupted.code == 130
    assert "The job goes on: pytoon resume f" in interrupted.err
    resumed = settled.call("resume", "f")
    assert resumed.code == 0
    assert (settled.folder / "f.mp4").is_file()


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param("services", marks=pytest.mark.slow),
        pytest.param("server", marks=pytest.mark.slow),
        "both",
    ],
)
def test_a_waiting_render_survives_kills(person: Person, victim: str) -> None:
    """Whoever waits sees to it that services and server come back."""
    person.call("render", *_REQUEST)
    services = person.services_pid()
    freeze(services)
    render = person.start("render", *_REQUEST, "--job-id", "g", "--json")
    assert render.stderr is not None
    assert "g requested" in render.stderr.readline()
    if victim in {"server", "both"}:
        pid = int((person.home.path / "server.pid").read_text(encoding="ascii"))
        os.kill(pid, signal.SIGKILL)
    if victim in {"services", "both"}:
        os.kill(services, signal.SIGKILL)
    else:
        os.kill(services, signal.SIGCONT)
    finished = person.finish(render)
    assert finished.code == 0
    assert Path(finished.told["output"]).name == "g.mp4"
