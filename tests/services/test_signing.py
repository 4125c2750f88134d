"""Tests of ``services.signing``: which keys a process has, and that they are the log's."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from config import load
from events.jetstream import JetStreamLog
from events.keyfiles import TRUSTED as TRUSTED_FILE
from events.keyfiles import private_path
from events.keys import Keyring, Trust
from services.composition import SERVICES, durables
from services.signing import (
    METADATA,
    SIGNING,
    TRUSTED,
    KeysRefused,
    check_keys,
    keyring_of,
    provide_keys,
)
from tests.broker import NatsServer
from tests.patience import PATIENT
from tests.signing import Keys

KEYS = Keys()
ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """A log that was made and is empty, seen by whom no keys are given."""
    log = await JetStreamLog.connect(nats_server.url, token=nats_server.token, settings=PATIENT)
    try:
        await log.provision(durables(load(environ={})))
        yield log
    finally:
        await log.close()


def give(log: JetStreamLog, keyring: Keyring | None) -> JetStreamLog:
    """The log, seen by somebody with these keys."""
    log.settings = msgspec.structs.replace(log.settings, keyring=keyring)
    return log


UNSIGNED = """\
import sys
import events.jetstream, services.cli.daemon, services.composition, services.gateway.app
from services.signing import keyring_of
assert keyring_of(services.composition.SERVICES, {}) is None
print(sorted({"cryptography", "events.keys", "events.keyfiles"} & sys.modules.keys()))
"""


def test_without_keys_nothing_of_them_is_loaded() -> None:
    """The library that signs is an extra: all runs without it, and pays nothing for it."""
    done = subprocess.run(
        [sys.executable, "-c", UNSIGNED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "[]\n" == done.stdout


def test_nothing_is_configured_unless_it_is(tmp_path: Path) -> None:
    """Neither for services nor for whoever reads."""
    assert keyring_of(SERVICES, {}) is None
    # Whoever runs no service needs no key of its own, whatever lies about.
    assert keyring_of((), {SIGNING: str(tmp_path)}) is None


def test_each_process_has_the_keys_of_its_services(tmp_path: Path) -> None:
    """Others' are not looked for; a reader needs none."""
    path = KEYS.write(tmp_path, ["planner"])
    environ = {TRUSTED: str(path), SIGNING: str(tmp_path)}
    planner = keyring_of(["planner"], environ)
    assert planner is not None
    _, signer = planner.signed("pytoon/planner", "s", {}, b"")
    assert f"planner/{KEYS.id('planner')}" == signer
    reader = keyring_of((), {TRUSTED: str(path)})
    assert reader is not None
    assert KEYS.trust == reader.trust
    with pytest.raises(KeysRefused, match=r"assembler\.key cannot be read: No such file"):
        keyring_of(["planner", "assembler"], environ)


def test_half_of_it_is_refused(tmp_path: Path) -> None:
    """The message names the variable that is missing."""
    path = KEYS.write(tmp_path)
    with pytest.raises(KeysRefused, match=f"{SIGNING} is set and {TRUSTED} is not"):
        keyring_of(["planner"], {SIGNING: str(tmp_path)})
    with pytest.raises(KeysRefused, match=f"planner must sign: name the folder .* in {SIGNING}"):
        keyring_of(["planner"], {TRUSTED: str(path)})
    with pytest.raises(KeysRefused, match=f"{TRUSTED}: .*gone.* cannot be read: No such file"):
        keyring_of((), {TRUSTED: str(tmp_path / "gone")})


def test_a_key_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    """Rather than that a service works for hours and is believed by nobody."""
    Keys().write(tmp_path / "others")
    path = KEYS.write(tmp_path / "ours")
    environ = {TRUSTED: str(path), SIGNING: str(tmp_path / "others")}
    with pytest.raises(KeysRefused, match="not among those that are trusted, so nobody would"):
        keyring_of(["planner"], environ)


def test_an_open_private_key_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is used: where secrets are mounted nobody may be able to change that."""
    path = KEYS.write(tmp_path)
    private_path(tmp_path, "planner").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert keyring_of(["planner"], {TRUSTED: str(path), SIGNING: str(tmp_path)})
    told = caplog.text + "".join(capsys.readouterr())
    assert "open to others" in told
    assert "planner.key" in told


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    path = KEYS.write(tmp_path)
    for name in ("events.keyfiles", "events.keys"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(KeysRefused, match=r"pip install 'pytoon\[sign\]'"):
        keyring_of((), {TRUSTED: str(path)})


async def test_a_new_log_takes_the_keys_of_who_makes_it(log: JetStreamLog) -> None:
    """And nobody else's from then on; whoever has none is told, too."""
    await provide_keys(give(log, KEYS.ring()))
    assert {METADATA: KEYS.trust.fingerprint()} == await log.metadata()
    await check_keys(give(log, KEYS.reader()))
    with pytest.raises(
        KeysRefused, match=f"are signed, and nothing here says by whom: set {TRUSTED}"
    ):
        await check_keys(give(log, None))
    with pytest.raises(KeysRefused, match="get the file anew from the log's operator"):
        await check_keys(give(log, Keys().reader()))
    retired = tuple(msgspec.structs.replace(key, until=1) for key in KEYS.trust.keys)
    with pytest.raises(KeysRefused, match="get the file anew"):
        await provide_keys(give(log, Keyring(Trust(keys=retired))))


async def test_a_log_without_keys_takes_none_unasked(log: JetStreamLog) -> None:
    """What is in it would all be foreign; the operator chooses."""
    await log.publish_ask("a", "render_requested", b"{}")
    await provide_keys(log)
    await check_keys(log)
    with pytest.raises(KeysRefused, match=r"not signed: unset it, or .* pytoon init --keys FILE"):
        await provide_keys(give(log, KEYS.reader()))
    await provide_keys(log, choice=True)
    await check_keys(log)
    await provide_keys(give(log, None), choice=True)
    await check_keys(log)
    with pytest.raises(KeysRefused, match="not signed"):
        await check_keys(give(log, KEYS.reader()))


async def test_the_keys_of_an_old_log_are_not_those_of_a_new_one(log: JetStreamLog) -> None:
    """Nothing would have to be signed up to the message from which on the old log's were."""
    old = Keys(signed_from=5)
    with pytest.raises(KeysRefused, match="from message 5 on, and the log's last one is 0"):
        await provide_keys(give(log, old.ring()))


def test_the_name_of_the_file_is_the_one_that_is_told() -> None:
    """Messages and commands mean the same file."""
    assert "trusted.json" == TRUSTED_FILE
