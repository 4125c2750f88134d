"""Whether the services that run already were started with the settings of this command.

Settings are read when a process starts.  Who sets a variable and then calls a command may be
served by a process that knows nothing of it; that is told, because nothing else would.

Left out: files under ``PYTOON_CONFIG``, and the keys of engines, whose names only they know.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.home import Home

PREFIX = "PYTOON_"
OWN = frozenset(
    {
        "PYTOON_HOME",
        "PYTOON_IDLE_EXIT_S",
        "PYTOON_LOG_LEVEL",
        "PYTOON_API_KEYS",
        "PYTOON_AUDIT_TOKEN",
    }
)
"""Variables that each process has its own of, or whose value is nobody's business."""

NAMED_MAX = 3


def fingerprints(environ: Mapping[str, str]) -> dict[str, str]:
    """What the settings in an environment are, by name, without telling their values."""
    return {
        name: hashlib.sha256(value.encode()).hexdigest()[:16]
        for name, value in environ.items()
        if name.startswith(PREFIX) and name not in OWN
    }


def differing(told: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """The variables that the services of ``services.json`` have another value of, or none."""
    theirs = told.get("settings")
    if not isinstance(theirs, dict):
        return []
    ours = fingerprints(environ)
    return sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))


def note_on(home: Home) -> str | None:
    """What a person should know about the services that run in the home; None where nothing."""
    from services.home import read_json

    if not home.services_ready():
        return None
    told = read_json(home.services_json)
    names = differing(told, os.environ)
    if not names:
        return None
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return (
        f"Note: the services that run already (pid {told.get('pid')}) were started with other "
        f"settings, and those hold: {', '.join(names[:NAMED_MAX])}{more}. Stop them, or wait "
        "until they have left, and call again."
    )
