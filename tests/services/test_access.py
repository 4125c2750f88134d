"""How a process is told to get in at a NATS server, and what it says of files that do not help."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from services.access import (
    CA,
    CERTIFICATE,
    KEY,
    PASSWORD_FILE,
    AccessError,
    logged_in,
    tls_context,
)
from services.permissions import SERVER_CERTIFICATE, SERVER_KEY
from tests.certificates import Authority

URL = "tls://planner@one:4222,tls://two:4222"


def test_nothing_named_is_the_systems_matter() -> None:
    """No context of ours, no password: the library has its defaults."""
    assert tls_context({}) is None
    assert URL == logged_in(URL, {})
    assert "" == logged_in("", {PASSWORD_FILE: "/none"})


def test_files_make_a_context(tmp_path: Path) -> None:
    """Only the CA that is named is trusted, and what is shown is the certificate that is named."""
    authority = Authority(tmp_path / "ca")
    mine = authority.sign(tmp_path / "mine", "planner")
    files = {CERTIFICATE: str(mine / SERVER_CERTIFICATE), KEY: str(mine / SERVER_KEY)}
    context = tls_context({CA: str(authority.ca), **files})
    assert context is not None
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
    assert [authority.name] == [
        dict(part[0] for part in found["subject"])["commonName"]  # type: ignore[misc]
        for found in context.get_ca_certs()
    ]


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({CERTIFICATE: "/mine.pem"}, "NATS_CERT is set and NATS_KEY is not"),
        ({KEY: "/mine.key"}, "NATS_KEY is set and NATS_CERT is not"),
        ({CA: "/not/there.pem"}, "NATS_CA=/not/there.pem: no CA certificate can be read"),
        ({CERTIFICATE: "/no.pem", KEY: "/no.key"}, "NATS_CERT=/no.pem .* cannot be used"),
    ],
)
def test_what_cannot_be_used_is_named(environ: dict[str, str], told: str) -> None:
    """By its variable and its file."""
    with pytest.raises(AccessError, match=told):
        tls_context(environ)


def test_a_file_that_is_no_certificate_is_none(tmp_path: Path) -> None:
    """An empty CA would trust nobody, and say so only at the first connection."""
    nothing = tmp_path / "ca.pem"
    nothing.write_text("", "utf-8")
    with pytest.raises(AccessError, match="no CA certificate can be read"):
        tls_context({CA: str(nothing)})


def test_a_password_comes_from_its_file(tmp_path: Path) -> None:
    """Without the line end that editors put there."""
    file = tmp_path / "password"
    file.write_text("a@b\n", "utf-8")
    assert URL.replace("planner", "planner:a%40b") == logged_in(URL, {PASSWORD_FILE: str(file)})


@pytest.mark.parametrize(
    ("url", "content", "told"),
    [
        (URL, None, "it cannot be read"),
        (URL, b"\n", "it is empty"),
        (URL, b"\xff\xfe", "it is no text"),
        ("nats://one:4222", b"word", "nats://one:4222 names no user"),
    ],
)
def test_a_password_that_is_none(
    tmp_path: Path, url: str, content: bytes | None, told: str
) -> None:
    """What is wrong is said, and the password never."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AccessError, match=told) as caught:
        logged_in(url, {PASSWORD_FILE: str(file)})
    assert "word" not in str(caught.value).replace("password", "").replace("PASSWORD", "")
