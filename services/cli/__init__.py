"""The command line: what a person or a script says to Pytoon.

A command's module is imported when the command is called, and what is heavy inside it only when
it is needed: the first frame of a cold ``pytoon render`` waits for it.
"""

from __future__ import annotations


def main() -> None:
    """Run ``pytoon`` with the process's arguments and leave with its exit code."""
    # Late, because each worker process imports the program that started it, and calls nothing.
    from services.cli.commands import main as run

    run()


__all__ = ["main"]
