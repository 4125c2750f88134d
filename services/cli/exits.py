"""How a command ends: its exit codes, and the errors that lead to them."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import Any

import click


class ExitCode(IntEnum):
    """What a script is told."""

    DONE = 0
    REFUSED = 2
    FAILED = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


class Refused(click.ClickException):
    """Bad usage, or a request that cannot be met: the message names the field and what to do."""

    exit_code = ExitCode.REFUSED


class NoFilm(click.ClickException):
    """The job ended without a film."""

    exit_code = ExitCode.FAILED


class Unreachable(click.ClickException):
    """Neither the server nor the services can be reached; the message says what to look at."""

    exit_code = ExitCode.UNREACHABLE


class Interrupted(click.ClickException):
    """Ctrl-C.  The job, if there is one by now, goes on without us."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, job_id: str | None = None) -> None:
        goes_on = f" The job goes on: pytoon resume {job_id}" if job_id else ""
        super().__init__(f"Interrupted.{goes_on}")

    def format_message(self) -> str:
        """The message alone: nothing went wrong."""
        return self.message

    def show(self, file: object = None) -> None:
        """Print it to stderr on a line of its own (the terminal has put ^C there)."""
        del file
        click.echo(f"\n{self.message}", err=True)


_HINTS = {"LogDenied": ". NATS_URL names the user; the operator may do everything."}


def expected_end(error: Exception) -> click.ClickException | None:
    """The end that an error of ours stands for; None for a programmer's error.

    Matched by the names of modules that are loaded already: importing them only to see that
    nothing of them was raised would slow every command.
    """
    if isinstance(error, click.ClickException):
        return error
    kinds: dict[tuple[str, str], type[click.ClickException]] = {
        ("services.home", "HomeError"): Refused,
        ("services.server", "ServerError"): Unreachable,
        ("events.log", "JobPruned"): Refused,
        ("events.log", "LogDenied"): Refused,
        ("events.log", "LogFull"): Refused,
        ("events.log", "LogError"): Unreachable,
        ("adapters.base", "StoreError"): Unreachable,
        ("adapters.base", "StoreAway"): Unreachable,
        ("services.access", "AccessError"): Refused,
        ("services.stores", "StoreMismatch"): Refused,
        ("services.signing", "KeysRefused"): Refused,
        ("config", "ConfigError"): Refused,
    }
    for (module, name), kind in kinds.items():
        known: Any = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(error, known):
            return kind(f"{error}{_HINTS.get(name, '')}")
    return None
