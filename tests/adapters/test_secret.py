"""Keys: where they come from, and where they do not go."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from adapters.secret import Secret, SecretMissing, read_secret

KEY = 'k-"ey+with/odd=signs'


def test_it_is_taken_out_of_texts() -> None:
    """In whatever way it is written."""
    secret = Secret(KEY)
    encoded = base64.b64encode(KEY.encode()).decode()
    text = f'{KEY} {encoded} k-%22ey%2Bwith%2Fodd%3Dsigns k-\\"ey+with/odd=signs'
    assert "ey" not in secret.redact(text)
    assert KEY not in f"{secret!r} {secret}"
    assert ("Bearer " + KEY, KEY) == (secret.header("Bearer"), secret.header(""))


def test_where_it_comes_from(tmp_path: Path) -> None:
    """A file, if one is named, else the environment."""
    file = tmp_path / "key"
    file.write_text("from-the-file\n")
    environ = {"KEY": " from-the-environment "}
    assert "from-the-file" == read_secret(environ, "KEY", str(file)).header("")
    assert "from-the-environment" == read_secret(environ, "KEY", "").header("")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "set MY_KEY, or name a file"),
        ("short", "MY_KEY holds no key"),
        ("two lines\nof it", "MY_KEY holds no key"),
        ("schlüssel-mit-umlaut", "MY_KEY holds no key"),
    ],
)
def test_what_is_no_key(value: str, told: str) -> None:
    """It is told where it is looked for, and never what it is."""
    with pytest.raises(SecretMissing, match=told) as caught:
        read_secret({"MY_KEY": value}, "MY_KEY", "")
    assert not value or value not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Its name is told, and why."""
    with pytest.raises(SecretMissing, match=r"nowhere cannot be read: No such file"):
        read_secret({}, "MY_KEY", str(tmp_path / "nowhere"))
