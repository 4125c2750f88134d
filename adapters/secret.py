"""A service's key: from the environment or a file, and never into anything that is kept.

Whatever a service, or a proxy before it, answers may hold it (an error page that shows the
request, for instance), so every text that leaves an adapter goes through ``redact``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

REDACTED = "[secret]"
CHARS_MIN, CHARS_MAX = 8, 4096
"""Shorter ones are no keys, and taking them out of texts would leave no text."""


class SecretMissing(Exception):
    """There is no key; the message says where one is looked for."""


class Secret:
    """A key; printing it shows nothing."""

    def __init__(self, value: str) -> None:
        self._value = value
        forms = {
            value,
            quote(value, safe=""),
            json.dumps(value)[1:-1],
            base64.b64encode(value.encode()).decode().rstrip("="),
        }
        self._forms = sorted(forms, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def header(self, scheme: str) -> str:
        """What is sent to show that we have it."""
        return f"{scheme} {self._value}" if scheme else self._value

    def redact(self, text: str) -> str:
        """``text`` without the key, in any of the ways in which it may be written."""
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return text


def read_secret(environ: Mapping[str, str], variable: str, file: str) -> Secret:
    """The key of ``file`` if one is named, else of the environment's ``variable``.

    Raises ``SecretMissing``.
    """
    if file:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise SecretMissing(f"the key file {file} cannot be read: {why}") from error
        where = f"the key file {file}"
    else:
        value = environ.get(variable, "").strip()
        where = variable
        if not value:
            raise SecretMissing(f"there is no key: set {variable}, or name a file in secret_file")
    if not CHARS_MIN <= len(value) <= CHARS_MAX or not (value.isascii() and value.isprintable()):
        limit = f"a key is one line of {CHARS_MIN} to {CHARS_MAX} plain characters"
        raise SecretMissing(f"{where} holds no key: {limit}")
    return Secret(value)
