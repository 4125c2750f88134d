"""``pytoon``: the group of commands, and the one place where expected errors become exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import ClassVar

import click

from services.cli.exits import Interrupted, expected_end


class Commands(click.Group):
    """Commands that are imported when they are called."""

    places: ClassVar[dict[str, str]] = {
        "demo": "rendering:demo",
        "render": "rendering:render",
        "submit": "rendering:submit",
        "watch": "jobs:watch",
        "status": "jobs:status",
        "jobs": "jobs:jobs",
        "cancel": "jobs:cancel",
        "settle": "settling:settle",
        "resume": "jobs:resume",
        "log": "jobs:log",
        "replay": "jobs:replay",
        "audit": "auditing:audit",
        "export": "bundling:export_job",
        "import": "bundling:import_job",
        "prune": "pruning:prune",
        "up": "operating:up",
        "serve": "operating:serve",
        "init": "operating:init",
        "permissions": "permissions:permissions",
        "keys": "keys:keys",
        "presets": "presets:presets",
        "engines": "engines:engines",
        "doctor": "doctor:doctor",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order in which a person meets them."""
        del ctx
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in self.places:
            import difflib

            near = difflib.get_close_matches(cmd_name, self.places, 1)
            if near:
                ctx.fail(f"No such command {cmd_name!r}. Did you mean {near[0]!r}?")
            return None
        module, _, name = self.places[cmd_name].partition(":")
        command = getattr(importlib.import_module(f"services.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytoon", message="pytoon %(version)s")
def cli() -> None:
    """Make 9:16 videos from pictures and words.

    Everything of yours lies under PYTOON_HOME (default ~/.local/share/pytoon). With --nats URL or
    NATS_URL a server of your own is used instead of the embedded one.

    Exit codes: 0 done, 2 bad usage or rejected, 3 render failed, 4 no connection, 130 interrupted
    (the job goes on).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.  What is not expected is raised as it is."""
    try:
        cli.main(args=arguments, prog_name="pytoon", standalone_mode=False)
    except click.exceptions.Exit as end:
        return int(end.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _shown(Interrupted())
    except click.ClickException as error:
        return _shown(error)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing is to be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        expected = expected_end(error)
        if expected is None:
            raise
        return _shown(expected)
    return 0


def _shown(error: click.ClickException) -> int:
    error.show()
    return int(error.exit_code)
