"""``init``, ``up`` and ``serve`` on a server of one's own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from services.server import ServerAddress, ensure_server
from tests.services.cli.conftest import Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")
_ACTORS = ("planner", "segment-renderer", "fallback-controller", "assembler")


@pytest.fixture
def server(person: Person) -> ServerAddress:
    """A server; that it lies in the person's home is nothing that --nats knows of."""
    return ensure_server(person.home)


@pytest.fixture
def crew(person: Person) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are told to leave after the test, and must do so well."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.send_signal(signal.SIGTERM)
    assert [0] * len(started) == [person.finish(process).code for process in started]


def test_a_server_without_a_log_is_told_from_one_that_is_away(
    person: Person, server: ServerAddress
) -> None:
    """The message is the command that makes it, at once and not after half a minute."""
    at: dict[str, Any] = {"NATS_URL": server.url, "NATS_TOKEN": server.token}
    for command in (["jobs"], ["render", *_REQUEST]):
        called = person.call(*command, **at)
        assert called.code == 4
        assert f"Make it: pytoon init --nats {server.url}" in called.err


@pytest.mark.slow
def test_one_process_a_service(
    person: Person, server: ServerAddress, crew: list[subprocess.Popen[str]]
) -> None:
    """Four actors that know each other only through the log make a film."""
    at: dict[str, Any] = {"NATS_URL": server.url, "NATS_TOKEN": server.token}
    made = person.call("init", **at)
    assert (made.code, "durable consumers are there" in made.out) == (0, True)
    crew += [person.start("serve", name, **at) for name in _ACTORS]
    called = person.call("render", *_REQUEST, "--json", **at)
    assert (called.code, called.told["status"]) == (0, "completed")
    assert not person.home.services_run()


def test_up_serves_a_server_of_ones_own(
    person: Person, server: ServerAddress, crew: list[subprocess.Popen[str]]
) -> None:
    """It makes what is missing there."""
    at_server = ("--nats", server.url)
    crew.append(person.start("up", "--no-http", *at_server, NATS_TOKEN=server.token))
    told = crew[0].stderr
    assert told is not None
    assert "Ctrl-C stops them" in told.readline()
    at: dict[str, Any] = {"NATS_URL": server.url, "NATS_TOKEN": server.token}
    person.until(lambda: person.call("jobs", **at).code == 0)
    assert person.call("render", *_REQUEST, **at).code == 0


@pytest.mark.slow
def test_serve_shares_the_home(person: Person, crew: list[subprocess.Popen[str]]) -> None:
    """Services by hand, on the home's own server; ``watch`` starts none."""
    crew += [person.start("serve", name) for name in _ACTORS]
    person.until(lambda: not person.home.is_fresh())
    submitted = person.call("submit", *_REQUEST, "--job-id", "shared")
    assert submitted.code == 0
    assert person.call("watch", "shared", "--json").told["status"] == "completed"


@pytest.mark.slow
def test_the_operator_chooses_the_store(
    person: Person, server: ServerAddress, crew: list[subprocess.Popen[str]]
) -> None:
    """It is noted in the log, and who has another refuses to start."""
    store = f"file://{person.folder}/films"
    at: dict[str, Any] = {"NATS_URL": server.url, "NATS_TOKEN": server.token}
    made = person.call("init", "--store", store, **at)
    assert (made.code, f"Films are kept in {store}." in made.out) == (0, True)
    for command in (["jobs"], ["serve", "planner"], ["up", "--no-http"]):
        called = person.call(*command, **at)
        assert (called.code, f"Set PYTOON_STORE={store} here" in called.err) == (2, True)
    at["PYTOON_STORE"] = f"{store}/"
    crew += [person.start("serve", name, **at) for name in _ACTORS]
    assert person.call("render", *_REQUEST, "-o", "film.mp4", **at).code == 0
    assert (person.folder / "film.mp4").exists()
    kept = [path for path in (person.folder / "films").rglob("*") if path.is_file()]
    homes = [path for path in person.home.artifacts.rglob("*") if path.is_file()]
    assert (True, []) == (len(kept) > 1, homes)


@pytest.mark.slow
def test_the_homes_own_services_keep_to_the_choice(person: Person) -> None:
    """Also on the embedded server, and the message reaches who waits."""
    store = f"file://{person.folder}/films"
    assert person.call("init", "--store", store).code == 0
    called = person.call("render", *_REQUEST)
    assert (called.code, f"Set PYTOON_STORE={store}" in called.err) == (4, True)
    assert person.call("render", *_REQUEST, PYTOON_STORE=store).code == 0
    assert [] == [path for path in person.home.artifacts.rglob("*") if path.is_file()]
