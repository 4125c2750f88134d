"""A home: the directory in which one person's jobs live, and the locks that guard it.

Everything that Pytoon keeps on a machine lies under ``PYTOON_HOME`` (default
``~/.local/share/pytoon``):

    jetstream/      the event log's store, written by the one NATS server of the home
    artifacts/      files named by the sha256 of their content
    logs/           server.log, services.log
    nats.conf       the server's configuration (0600: it holds the token)
    run.json        how to reach the server: url, token, pid, version (0600)
    server.lock     held by the server process itself, so that an orphan still holds it
    services.lock   held by the one process that runs the home's services
    services.json   that process's pid, once it is ready for clients
    clients.lock    held (shared) by every command that waits for the services' work
    users.lock      held (shared) by every process that uses the server

A lock is ``flock`` on a file that is never deleted: it belongs to the open file, so it is passed
on to a child together with the descriptor, and it ends with the last process that has it, however
that process ends.  Left out here: what is done under the locks (``server``, ``cli.daemon``).
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

_PROBE_S = 0.01
_PRIVATE_DIR = 0o700
_PRIVATE_FILE = 0o600


class Target(NamedTuple):
    """A NATS server; ``own`` is the operator's own, which the environment says how to get into."""

    url: str
    token: str
    own: bool = False


class HomeError(Exception):
    """The home cannot be used; the message says which path and what to do."""


class Lock:
    """A lock that this process holds until ``release`` (or its death)."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def fileno(self) -> int:
        """The descriptor that carries the lock; pass it to a child to share the lock with it."""
        assert self._fd is not None, "the lock was released"
        return self._fd

    def release(self) -> None:
        """Give the lock up; a child that was passed the descriptor keeps it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        """Hold the lock for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


def acquire(path: Path, *, shared: bool = False, wait_s: float = 0.0) -> Lock | None:
    """Take the lock at ``path`` within ``wait_s`` seconds; None when others hold it.

    Who must not lose against a mere ``is_held`` probe gives a ``wait_s`` of a few hundredths.
    """
    deadline = time.monotonic() + wait_s
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(fd)
                return None
            time.sleep(_PROBE_S)
        except BaseException:
            os.close(fd)
            raise
        else:
            return Lock(fd)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at ``path`` for itself alone."""
    lock = acquire(path, shared=True)
    if lock is None:
        return True
    lock.release()
    return False


def write_private(path: Path, content: str) -> None:
    """Replace ``path`` by ``content``, whole or not at all, readable by the owner only."""
    # mkstemp makes it 0600, under a name that no other process or thread has.
    fd, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object at ``path``; empty when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of a home, and the questions that its locks answer."""

    path: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] | None = None) -> Home:
        """The home that the environment names, made if need be.  Raises ``HomeError``."""
        environ = os.environ if environ is None else environ
        named = environ.get("PYTOON_HOME", "")
        path = Path(named).expanduser() if named else Path.home() / ".local/share/pytoon"
        home = cls(path.absolute())
        home.create()
        return home

    def create(self) -> None:
        """Make the directories that are not there yet.  Raises ``HomeError``."""
        try:
            for path in (self.path, self.jetstream, self.artifacts, self.logs):
                path.mkdir(mode=_PRIVATE_DIR, parents=True, exist_ok=True)
        except OSError as error:
            detail = f"PYTOON_HOME {self.path} cannot be used: {error.strerror or error}."
            raise HomeError(f"{detail} Name a directory that you may write to.") from error

    @property
    def jetstream(self) -> Path:
        """The store of the embedded server."""
        return self.path / "jetstream"

    @property
    def artifacts(self) -> Path:
        """The artifact store."""
        return self.path / "artifacts"

    @property
    def logs(self) -> Path:
        """What server and services tell."""
        return self.path / "logs"

    @property
    def server_lock(self) -> Path:
        """Held by the running server."""
        return self.path / "server.lock"

    @property
    def run_json(self) -> Path:
        """How to reach the server."""
        return self.path / "run.json"

    @property
    def services_lock(self) -> Path:
        """Held by the process that runs the services."""
        return self.path / "services.lock"

    @property
    def services_json(self) -> Path:
        """Written by that process once clients may ask."""
        return self.path / "services.json"

    @property
    def clients_lock(self) -> Path:
        """Shared by the clients."""
        return self.path / "clients.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by the users of the server."""
        return self.path / "users.lock"

    def is_fresh(self) -> bool:
        """Whether the home has no event log yet: the services' first start makes it."""
        # nats-server's own layout: store, account, streams.
        return not any(self.jetstream.glob("jetstream/*/streams/*"))

    def enter_as_client(self, *, wait_s: float = 15.0) -> Lock:
        """Be counted among those who wait for the services' work, until released (or death).

        Waits while services that found no client are just leaving.  Raises ``HomeError``.
        """
        return self._enter(self.clients_lock, wait_s)

    def use_server(self, *, wait_s: float = 15.0) -> Lock:
        """Be counted among the users of the server, until released (or death).

        Waits while the last user is just stopping it.  Raises ``HomeError``.
        """
        return self._enter(self.users_lock, wait_s)

    def shut_door(self) -> Lock | None:
        """Keep new clients waiting while the lock is held.  None: there are clients inside."""
        return acquire(self.clients_lock)

    def has_clients(self) -> bool:
        """Whether any command is a client of this home now."""
        lock = self.shut_door()
        if lock is None:
            return True
        lock.release()
        return False

    def services_run(self) -> bool:
        """Whether a process runs (or just starts) this home's services."""
        return is_held(self.services_lock)

    def services_ready(self) -> bool:
        """Whether that process has said that clients may ask."""
        pid = read_json(self.services_json).get("pid")
        return isinstance(pid, int) and self.services_run() and is_alive(pid)

    @staticmethod
    def _enter(path: Path, wait_s: float) -> Lock:
        lock = acquire(path, shared=True, wait_s=wait_s)
        if lock is None:
            detail = f"{path} has been held for {wait_s:g} s by a process that is leaving."
            raise HomeError(f"{detail} Try again; `pytoon doctor` says what is wrong.")
        return lock


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists (a zombie counts)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
