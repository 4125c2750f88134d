"""How a process gets in at a NATS server of one's own: what the environment says of that.

The variables of TLS are those of the ``nats`` tool.  A password may lie in a file, as containers
are handed their secrets: then it stands in no environment and in no list of processes.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from events.addresses import with_password

CA = "NATS_CA"
CERTIFICATE = "NATS_CERT"
KEY = "NATS_KEY"
PASSWORD_FILE = "NATS_PASSWORD_FILE"  # noqa: S105 - the name of a variable


class AccessError(Exception):
    """A file cannot be used: the message names the variable, the file and what is wrong."""


def tls_context(environ: Mapping[str, str] | None = None) -> ssl.SSLContext | None:
    """What a server's certificate is checked with, and our own; None: the system's CAs, and none.

    Raises ``AccessError``.
    """
    environ = os.environ if environ is None else environ
    ca, certificate, key = (environ.get(name, "") for name in (CA, CERTIFICATE, KEY))
    if not (ca or certificate or key):
        return None
    if bool(certificate) != bool(key):
        there, lacking = (CERTIFICATE, KEY) if certificate else (KEY, CERTIFICATE)
        raise AccessError(f"{there} is set and {lacking} is not: a certificate needs its key.")
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise AccessError(f"{CA}={ca}: no CA certificate can be read ({error}).") from error
    if certificate:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise AccessError(
                f"{CERTIFICATE}={certificate} with {KEY}={key}: they cannot be used ({error})."
            ) from error
    return context


def logged_in(url: str, environ: Mapping[str, str] | None = None) -> str:
    """The address with the password that lies in ``NATS_PASSWORD_FILE``, if that is set.

    Raises ``AccessError``.
    """
    environ = os.environ if environ is None else environ
    file = environ.get(PASSWORD_FILE, "")
    if not file or not url:
        return url
    try:
        password = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise AccessError(f"{PASSWORD_FILE}={file}: it cannot be read ({why}).") from error
    if not password:
        raise AccessError(f"{PASSWORD_FILE}={file}: it is empty.")
    try:
        return with_password(url, password)
    except ValueError as error:
        raise AccessError(f"{PASSWORD_FILE} is set, and {error}.") from error
