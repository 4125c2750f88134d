"""Which store a process uses, and that it is the log's."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.base import StoreAway
from adapters.files import FileStore
from config import ConfigError, load
from config.models import StoreSettings
from events.jetstream import JetStreamLog
from services.composition import durables
from services.home import Home
from services.stores import (
    METADATA,
    StoreMismatch,
    check_store,
    chosen_store,
    folder_of,
    open_store,
    provide_store,
)
from tests.broker import NatsServer
from tests.patience import PATIENT

BODY = b'{"preset_id": "meme_fast", "target_duration_seconds": 6, "prompt": "x"}'


def settings(url: str, **more: str) -> StoreSettings:
    """The settings of a process whose operator set this."""
    return load(environ={"PYTOON_STORE": url, **more}).store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own."""
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest_asyncio.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """A log that was made and is empty."""
    log = await JetStreamLog.connect(nats_server.url, token=nats_server.token, settings=PATIENT)
    try:
        await log.provision(durables(load(environ={})))
        yield log
    finally:
        await log.close()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"PYTOON_LIMITS__WORKERS": "1"}, None),
        ({"PYTOON_STORE": "home"}, "home"),
        ({"PYTOON_STORE": "s3://films/"}, "s3://films"),
        ({"PYTOON_STORE__URL": "nats://films"}, "nats://films"),
        ({"PYTOON_CONFIG": "{over}"}, "file:///srv/films"),
    ],
)
def test_the_environment_or_a_directory_says_which(
    tmp_path: Path, environ: dict[str, str], expected: str | None
) -> None:
    """Where neither can, the configuration is not even read."""
    (tmp_path / "defaults.yaml").write_text("store: {url: 'file:///srv/films'}\n")
    environ = {name: text.format(over=tmp_path) for name, text in environ.items()}
    found = chosen_store(environ)
    assert expected == (found and found.url)


def test_what_is_no_store_is_refused() -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigError, match="PYTOON_STORE"):
        chosen_store({"PYTOON_STORE": "films"})


async def test_a_folder_is_a_store(home: Home, tmp_path: Path) -> None:
    """The home's own, or one that several share; its disk is the one to watch."""
    own = open_store(home, None, None)
    shared = open_store(home, settings(f"file://{tmp_path}/films"), None)
    assert isinstance(own, FileStore)
    assert isinstance(shared, FileStore)
    assert (home.artifacts, tmp_path / "films") == (own.root, shared.root)
    assert tmp_path / "films" == folder_of(home, settings(f"file://{tmp_path}/films"))
    assert home.artifacts == folder_of(home, settings("s3://films"))


def test_a_folder_that_cannot_be_made_is_told(home: Home, tmp_path: Path) -> None:
    """With its path."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreMismatch, match="file/films cannot be opened: Not a directory"):
        open_store(home, settings(f"file://{tmp_path}/file/films"), None)


def test_a_nats_store_needs_a_server_of_ones_own(home: Home) -> None:
    """The embedded one is one machine's."""
    with pytest.raises(StoreMismatch, match="name it with --nats"):
        open_store(home, settings("nats://films"), None)


def test_s3_without_its_library_says_what_to_install(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is not installed by default."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "adapters.s3", raising=False)
    with pytest.raises(StoreMismatch, match="pip install 'pytoon\\[s3\\]'"):
        open_store(home, settings("s3://films"), None)


async def test_a_log_that_names_none_has_the_homes(log: JetStreamLog) -> None:
    """As all logs were before they could name one."""
    await check_store(log, None)
    await check_store(log, settings("home"))
    with pytest.raises(StoreMismatch, match="pytoon init --store s3://films"):
        await check_store(log, settings("s3://films"))


async def test_a_new_log_takes_the_store_of_who_makes_it(log: JetStreamLog) -> None:
    """And every other process must have the same from then on."""
    ours = settings("s3://films/a")
    await provide_store(log, ours)
    assert {METADATA: "s3://films/a"} == await log.metadata()
    await check_store(log, ours)
    for other in (None, settings("s3://films/b")):
        with pytest.raises(StoreMismatch, match="Set PYTOON_STORE=s3://films/a"):
            await check_store(log, other)
    with pytest.raises(StoreMismatch):
        await provide_store(log, settings("s3://films/b"))
    await log.provision(durables(load(environ={})))
    assert {METADATA: "s3://films/a"} == await log.metadata()


async def test_a_log_with_films_is_not_moved_by_a_start(log: JetStreamLog) -> None:
    """Its films lie where they lie: only the operator's word changes that."""
    await log.publish_ask("a-film", "render_requested", BODY)
    with pytest.raises(StoreMismatch):
        await provide_store(log, settings("nats://films"))
    assert {} == await log.metadata()


async def test_the_operators_choice_holds(log: JetStreamLog, home: Home) -> None:
    """Whatever was before; the bucket is made, and tried."""
    await log.publish_ask("a-film", "render_requested", BODY)
    ours = settings("nats://films", PYTOON_STORE__BUCKET_BYTES_MAX="1000000")
    store = open_store(home, ours, log)
    await provide_store(log, ours, choice=store)
    assert {METADATA: "nats://films"} == await log.metadata()
    back = settings("home")
    await provide_store(log, back, choice=open_store(home, back, log))
    await check_store(log, None)


async def test_a_choice_that_cannot_be_written_is_none(
    log: JetStreamLog, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log keeps what it had."""
    for name, text in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, text)
    ours = settings("s3://films", PYTOON_STORE__RETRY_S="0.1")
    with pytest.raises(StoreAway, match="s3://films cannot be used"):
        await provide_store(log, ours, choice=open_store(home, ours, log))
    assert {} == await log.metadata()
