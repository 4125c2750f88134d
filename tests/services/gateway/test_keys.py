"""API keys: what the environment may name, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.gateway.keys import (
    FILE_VARIABLE,
    VARIABLE,
    Keyring,
    KeysError,
    Scope,
    keyring,
)

SECRET = "s3cret-s3cret"


def _ring(text: str) -> Keyring:
    return keyring({"PYTOON_API_KEYS": text})


def test_no_keys_is_an_empty_ring() -> None:
    """No keys is an empty ring."""
    assert not keyring({})
    assert not _ring(" , ")


def test_a_key_is_found_by_its_text_alone() -> None:
    """A key is found by its text alone."""
    ring = _ring(f"shop:{SECRET}, ci:another-secret")
    found = ring.find(SECRET)
    assert found is not None
    assert found.name == "shop"
    assert ring.find(SECRET[:-1]) is None
    assert ring.find("shop") is None
    assert ring.find("") is None


def test_scopes_are_all_unless_named() -> None:
    """Scopes are all unless named."""
    ring = _ring(f"all:{SECRET},look:{SECRET}2:read,ask:{SECRET}3:read+write")
    scopes = [ring.find(text).scopes for text in (SECRET, SECRET + "2", SECRET + "3")]  # type: ignore[union-attr]
    assert scopes == [frozenset(Scope), frozenset({Scope.READ}), frozenset(Scope)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SECRET, "entry 1"),
        (f"ok:{SECRET},:{SECRET}", "entry 2"),
        ("shop:short", "(shop)"),
        (f"shop:{SECRET} with blanks", "(shop)"),
        (f"shop:{SECRET}:admin", "read, write"),
        (f"shop:{SECRET},shop:{SECRET}2", "named twice: shop"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is_told(text: str, named: str) -> None:
    """What is wrong is named and no key is told."""
    with pytest.raises(KeysError) as caught:
        _ring(text)
    assert named in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "short" not in str(caught.value)


def test_keys_may_lie_in_a_file(tmp_path: Path) -> None:
    """One a line, or with commas between, as containers are handed their secrets."""
    file = tmp_path / "keys"
    file.write_text("shop:a-long-secret\nwatch:another-one:read\n", "utf-8")
    keys = keyring({FILE_VARIABLE: str(file)})
    assert ["shop", "watch"] == [
        key.name for text in ("a-long-secret", "another-one") if (key := keys.find(text))
    ]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_file_without_keys_opens_no_door(tmp_path: Path, content: bytes | None) -> None:
    """Whoever names one wants keys asked for."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(KeysError, match=FILE_VARIABLE):
        keyring({FILE_VARIABLE: str(file)})


def test_keys_are_told_in_one_place(tmp_path: Path) -> None:
    """With two of them nobody would know which holds."""
    with pytest.raises(KeysError, match="both set"):
        keyring({FILE_VARIABLE: str(tmp_path), VARIABLE: "shop:a-long-secret"})
