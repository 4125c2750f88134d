"""A film by two hosts that share nothing but a NATS server and a store of artifacts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.broker import NatsServer
from tests.buckets import BUCKET, S3Server
from tests.end_to_end.film_checks import check_film
from tests.end_to_end.shell import Shell, opened

SECONDS = 12
HOSTS = {
    "left": ("planner", "segment-renderer", "fallback-controller"),
    "right": ("segment-renderer", "assembler"),
}


@pytest_asyncio.fixture(params=["s3", "nats"])
async def shared(
    request: pytest.FixtureRequest, nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[dict[str, str]]:
    """What the hosts have in common: their environment, with the store that the operator chose."""
    at = {"NATS_URL": nats_server.url, "NATS_TOKEN": nats_server.token}
    with contextlib.ExitStack() as stack:
        store = f"nats://{BUCKET}"
        if request.param == "s3":
            server = S3Server(tmp_path)
            stack.callback(server.stop)
            at |= server.start().environ
            store = f"s3://{BUCKET}/of/ours"
        operator = stack.enter_context(opened(_folder(tmp_path, "operator"), **at))
        made = operator.call("init", "--store", store)
        assert (0, True) == (made.code, f"Films are kept in {store}." in made.out), made.err
        yield at | {"PYTOON_STORE": store, "PYTOON_LIMITS__WORKERS": "1"}


@pytest.fixture
def hosts(shared: dict[str, str], tmp_path: Path) -> Iterator[dict[str, Shell]]:
    """Two hosts with a home each and their services; told to leave after the test."""
    with contextlib.ExitStack() as stack:
        shells: dict[str, Shell] = {}
        crew: list[tuple[Shell, subprocess.Popen[str]]] = []
        for name, services in HOSTS.items():
            shell = stack.enter_context(opened(_folder(tmp_path, name), **shared))
            shells[name] = shell
            crew += [(shell, shell.start("serve", service)) for service in services]
        yield shells
        for _, process in crew:
            process.send_signal(signal.SIGTERM)
        assert [0] * len(crew) == [shell.finish(process).code for shell, process in crew]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_hosts_make_one_film(
    hosts: dict[str, Shell], shared: dict[str, str], tmp_path: Path
) -> None:
    """The client's picture reaches them, both draw of it, and the client gets the film.

    About 15 s for each store.
    """
    folder = _folder(tmp_path, "client")
    picture = Path(__file__).parents[2] / "config/demo"
    image = next(path for path in sorted(picture.iterdir()) if path.suffix in {".png", ".jpg"})
    with opened(folder, **shared) as client:
        asked = ("--preset", "overlay_classic", "--image", str(image), "--prompt", "Far and near")
        called = client.call(
            *("render", *asked, "--duration", str(SECONDS), "--job-id", "far"),
            *("-o", "film.mp4"),
            within_s=240,
        )
        assert called.code == 0, called.err
        check_film(folder / "film.mp4", SECONDS)
        events = client.log("far")
    bodies = {
        event["data"]["artifact"]["sha256"]
        for event in events
        if event["type"] == "segment_rendered"
    }
    assert len(bodies) == SECONDS / 3
    of = {name: _copies(shell) & bodies for name, shell in hosts.items()}
    # The right one has the assembler, which fetches them all; the left one has what it drew.
    assert of["right"] == bodies
    assert 0 < len(of["left"]) < len(bodies)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_who_has_another_store_does_not_start(shared: dict[str, str], tmp_path: Path) -> None:
    """Neither services nor clients: they would ask for films that nobody finds.  About 5 s."""
    others = {**shared, "PYTOON_STORE": "home"}
    with opened(_folder(tmp_path, "stranger"), **others) as stranger:
        for arguments in (["serve", "planner"], ["up", "--no-http"], ["jobs"]):
            called = stranger.call(*arguments)
            assert called.code == 2
            assert f"Set PYTOON_STORE={shared['PYTOON_STORE']}" in called.err
            assert shared.get("AWS_SECRET_ACCESS_KEY", "\0") not in called.err + called.out


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder


def _copies(shell: Shell) -> set[str]:
    return {name for _, _, names in os.walk(shell.home.artifacts) for name in names}
