"""The home: its locks and its private files."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.home import Home, HomeError, acquire, is_held, read_json, write_private

_HOLD = (
    "import sys; from pathlib import Path; from services.home import acquire; "
    "lock = acquire(Path(sys.argv[1]), shared=sys.argv[2] == 'shared'); "
    "print(lock is not None, flush=True); sys.stdin.read()"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own."""
    return Home.find({"PYTOON_HOME": str(tmp_path / "home")})


def _holder(path: Path, how: str) -> subprocess.Popen[bytes]:
    """Another process that holds the lock until it is killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"True\n"
    return holder


def test_a_lock_ends_with_the_process_that_holds_it(home: Home) -> None:
    """A killed holder leaves no lock behind."""
    holder = _holder(home.services_lock, "alone")
    assert acquire(home.services_lock) is None
    assert is_held(home.services_lock)
    holder.kill()
    holder.communicate()
    assert not is_held(home.services_lock)


def test_a_child_keeps_the_lock_that_it_was_passed(home: Home) -> None:
    """A lock outlives the process that took it, as long as its child lives."""
    lock = acquire(home.server_lock)
    assert lock is not None
    child = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fileno(),))
    lock.release()
    assert is_held(home.server_lock)
    child.kill()
    child.wait()
    assert not is_held(home.server_lock)


def test_a_killed_client_is_counted_no_longer(home: Home) -> None:
    """The services see that the last client is gone, however it went."""
    clients = [_holder(home.clients_lock, "shared") for _ in range(2)]
    seen = [home.has_clients()]
    for client in clients:
        client.kill()
        client.communicate()
        seen.append(home.has_clients())
    assert [True, True, False] == seen


def test_no_client_enters_while_the_door_is_shut(home: Home) -> None:
    """Who leaves for want of clients is not overtaken by one that comes."""
    door = home.shut_door()
    assert door is not None
    with pytest.raises(HomeError, match="Try again"):
        home.enter_as_client(wait_s=0.05)
    door.release()
    with home.enter_as_client(wait_s=0.05):
        assert home.shut_door() is None


def test_services_are_ready_only_while_they_run(home: Home) -> None:
    """A file left behind by killed services does not count."""
    holder = _holder(home.services_lock, "alone")
    before = home.services_ready()
    write_private(home.services_json, json.dumps({"pid": holder.pid}))
    ready = home.services_ready()
    holder.kill()
    holder.communicate()
    assert (False, True, False) == (before, ready, home.services_ready())


def test_private_files_are_read_by_their_owner_only(home: Home) -> None:
    """A token is nobody else's business."""
    write_private(home.run_json, '{"token": "t"}')
    assert 0o600 == home.run_json.stat().st_mode & 0o777
    assert {"token": "t"} == read_json(home.run_json)


def test_many_may_write_at_once(home: Home) -> None:
    """Whoever comes last wins, whole."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_private(home.run_json, f'{{"n": {n}}}'), range(64)))
    assert read_json(home.run_json)["n"] in range(64)
    assert [home.run_json] == [path for path in home.path.iterdir() if "run.json" in path.name]


@pytest.mark.parametrize("content", ["", "{", "[1]", "\0"])
def test_what_is_no_object_reads_as_nothing(home: Home, content: str) -> None:
    """A torn file is no reason to fall over."""
    home.run_json.write_text(content, encoding="utf-8")
    assert {} == read_json(home.run_json)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message names the path and says what to do."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(HomeError, match=r"file/home cannot be used.*Name a directory"):
        Home.find({"PYTOON_HOME": str(tmp_path / "file" / "home")})
