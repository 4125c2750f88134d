"""The services' process: started when needed, shared, and gone when not."""

from __future__ import annotations

import os
import shutil
import signal
import stat

import pytest

from services.cli.daemon import ensure_services
from services.cli.exits import Unreachable
from services.home import is_alive
from services.server import server_address, server_runs
from tests.services.cli.conftest import Person

_REQUEST = ("--preset", "overlay_classic", "--duration", "6")


def test_services_leave_when_no_client_and_no_work_is_left(person: Person) -> None:
    """And the server with them."""
    person.call("render", *_REQUEST, PYTOON_IDLE_EXIT_S="0.2")
    person.until(lambda: not person.home.services_run())
    person.until(lambda: not server_runs(person.home))
    assert not person.home.services_json.exists()


def test_work_is_done_though_nobody_waits(person: Person) -> None:
    """A submitted job keeps the services until its end."""
    person.call("submit", *_REQUEST, "--job-id", "alone", PYTOON_IDLE_EXIT_S="0.2")
    person.until(lambda: not person.home.services_run())
    assert person.call("status", "alone", "--json").told["status"] == "completed"
    assert not server_runs(person.home)


@pytest.mark.slow
def test_an_orphaned_server_is_adopted_by_the_next_services(person: Person) -> None:
    """The services are killed; the next render finds the same server, and loses nothing."""
    person.call("render", *_REQUEST, "--job-id", "before")
    server = server_address(person.home)
    os.kill(person.services_pid(), signal.SIGKILL)
    person.until(lambda: not person.home.services_run())
    assert person.call("render", *_REQUEST, "--job-id", "after").code == 0
    assert server == server_address(person.home)
    assert person.call("status", "before", "--json").told["status"] == "completed"


def test_a_deleted_home_is_left_by_all(person: Person) -> None:
    """Nobody could find its services and server any more."""
    person.call("render", *_REQUEST)
    services = person.services_pid()
    server = server_address(person.home)
    assert server is not None

    def left() -> bool:
        # What is written while it is removed may stay: then it is removed once more.
        shutil.rmtree(person.home.path, ignore_errors=True)
        return not (is_alive(services) or is_alive(server.pid))

    person.until(left)
    person.home.create()


def test_services_and_server_outlive_the_command_and_its_terminal(person: Person) -> None:
    """Each is in a process group of its own, where no Ctrl-C of ours arrives."""
    person.call("render", *_REQUEST)
    services = person.services_pid()
    server = server_address(person.home)
    assert server is not None
    assert {services, server.pid} == {os.getsid(services), os.getsid(server.pid)}


def test_up_takes_over_when_the_services_leave(person: Person) -> None:
    """It waits its turn, says so, runs them, and stops the server on SIGTERM."""
    person.call("render", *_REQUEST)
    services = person.services_pid()
    up = person.start("up")
    assert up.stdout is not None
    assert "run already; taking over" in up.stdout.readline()
    os.kill(services, signal.SIGTERM)
    assert "Ctrl-C stops them" in up.stdout.readline()
    assert up.pid == person.services_pid()
    up.send_signal(signal.SIGTERM)
    assert person.finish(up).code == 0
    assert not server_runs(person.home)


def test_logs_are_json_and_private(settled: Person) -> None:
    """What the services do can be read by a machine, and by their owner only."""
    settled.call("render", *_REQUEST)
    log = settled.home.logs / "services.log"
    assert log.read_text(encoding="utf-8").startswith("{")
    assert stat.S_IMODE(settled.home.logs.stat().st_mode) == 0o700


async def test_services_that_cannot_start_say_why(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad configuration is named to the client that wanted them."""
    monkeypatch.setenv("PYTOON_DEFAULTS__FPS", "many")
    with pytest.raises(Unreachable, match=r"did not come up.*PYTOON_DEFAULTS__FPS"):
        await ensure_services(person.home)
