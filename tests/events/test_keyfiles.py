"""Tests of ``events.keyfiles``: what is written, who may read it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.keyfiles import (
    TRUSTED,
    KeyFileError,
    is_open,
    own_keys,
    private_path,
    read_private,
    read_trust,
    write_private,
    write_trust,
)
from events.keys import PrivateKey, Trust
from events.writers import WRITERS
from tests.signing import Keys

KEYS = Keys(signed_from=12)


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    """The private ones for their owner alone, and nothing is left beside them."""
    path = KEYS.write(tmp_path)
    assert KEYS.trust == read_trust(path)
    own = own_keys(tmp_path, WRITERS, KEYS.trust)
    assert {name: key.id for name, key in KEYS.own.items()} == {
        name: key.id for name, key in own.items()
    }
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {TRUSTED: 0o644} | {f"{service}.key": 0o600 for service in WRITERS}


def test_the_list_of_keys_holds_no_secret(tmp_path: Path) -> None:
    """It is given to everybody."""
    text = KEYS.write(tmp_path).read_text()
    for service in WRITERS:
        secret = private_path(tmp_path, service).read_text().splitlines()[1]
        assert secret not in text
        assert secret[-30:] not in text


def test_a_private_key_is_never_written_over(tmp_path: Path) -> None:
    """What it has signed could not be continued with another one unseen."""
    KEYS.write(tmp_path)
    path = private_path(tmp_path, "planner")
    with pytest.raises(KeyFileError, match=r"planner\.key is there already"):
        write_private(path, PrivateKey.made())
    assert KEYS.id("planner") == read_private(path).id
    following = private_path(tmp_path, "planner", following=True)
    assert "planner.next.key" == following.name


def test_an_open_file_is_told(tmp_path: Path) -> None:
    """As far as others may do anything with it."""
    KEYS.write(tmp_path)
    path = private_path(tmp_path, "planner")
    assert not is_open(path)
    path.chmod(0o640)
    assert is_open(path)


def again(text: dict[str, Any]) -> None:
    """One key, of two services."""
    text["keys"][1]["public"] = text["keys"][0]["public"]


def nobody(text: dict[str, Any]) -> None:
    """No service of ours."""
    text["keys"][0]["service"] = "gateway"


def short(text: dict[str, Any]) -> None:
    """No public key."""
    text["keys"][0]["public"] = "AAAA"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.update(format=2), "format 2, and this build reads 1"),
        (lambda text: text.update(keys=[]), "has 0 keys; it must have 1 to 1000"),
        (lambda text: text.update(signed_from=0), "signed_from is 0; it must be 1 or more"),
        (lambda text: text.update(signed_from="1"), "is no list of keys: Expected `int"),
        (lambda text: text.update(signed_form=1), "unknown field `signed_form`"),
        (lambda text: text["keys"][0].update(until=-1), "until is -1, below 0"),
        (lambda text: text["keys"][0].update(untill=1), "unknown field `untill`"),
        (again, "is there twice \\(of planner and of segment-renderer\\)"),
        (nobody, "no service 'gateway' that signs; there are planner, segment-renderer"),
        (short, "the key of planner: 'AAAA' is no Ed25519 public key"),
    ],
)
def test_what_is_no_list_of_keys(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    """It names the file, the value and what is allowed: a key that is passed over is a hole."""
    path = KEYS.write(tmp_path)
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))
    with pytest.raises(KeyFileError, match=told) as caught:
        read_trust(path)
    assert str(path) in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """They are named, with the system's reason."""
    with pytest.raises(KeyFileError, match=r"trusted\.json cannot be read: No such file"):
        read_trust(tmp_path / TRUSTED)
    with pytest.raises(KeyFileError, match=r"planner\.key cannot be read: No such file"):
        own_keys(tmp_path, ["planner"], KEYS.trust)
    with pytest.raises(KeyFileError, match="cannot be written: No such file"):
        write_trust(tmp_path / "nowhere" / TRUSTED, KEYS.trust)
    (tmp_path / TRUSTED).write_bytes(b" " * 1_000_001)
    with pytest.raises(KeyFileError, match="larger than 1000000 bytes"):
        read_trust(tmp_path / TRUSTED)


def test_an_own_key_that_nobody_would_believe(tmp_path: Path) -> None:
    """A stranger's, another service's, or a retired one: each is told apart."""
    KEYS.write(tmp_path)
    path = private_path(tmp_path, "planner")
    (tmp_path / "assembler.key").replace(path)
    with pytest.raises(KeyFileError, match="is assembler's and not planner's"):
        own_keys(tmp_path, ["planner"], KEYS.trust)
    path.unlink()
    write_private(path, PrivateKey.made())
    with pytest.raises(KeyFileError, match="not among those that are trusted"):
        own_keys(tmp_path, ["planner"], KEYS.trust)
    path.unlink()
    write_private(path, KEYS.own["planner"])
    rows = tuple(msgspec.structs.replace(key, until=3) for key in KEYS.trust.keys)
    with pytest.raises(KeyFileError, match="was retired; in use for planner: none"):
        own_keys(tmp_path, ["planner"], Trust(keys=rows))
    path.write_text("nothing")
    with pytest.raises(KeyFileError, match=r"planner\.key holds no key of ours: it is no private"):
        own_keys(tmp_path, ["planner"], KEYS.trust)
