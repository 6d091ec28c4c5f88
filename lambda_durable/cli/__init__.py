"""The command line: `lambda-durable`. Each command is a module of its own, imported when it is called."""

from __future__ import annotations


def main() -> None:
    """The entry point."""
    try:
        from .commands import commands
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        import sys

        sys.exit(
            "lambda-durable: the command line is an extra; install it with: pip install 'lambda-durable[cli]'"
        )
    _go_ahead()
    commands(prog_name="lambda-durable")


def _go_ahead() -> None:
    """Beside `lambda-durable dev`, it is what time it is there."""
    import os

    if "LAMBDA_DURABLE_AHEAD" in os.environ:
        from pathlib import Path

        from ..local.ahead import VARIABLE, Ahead

        Ahead(Path(os.environ[VARIABLE])).follow()
