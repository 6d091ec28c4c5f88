"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .usage_error import UsageError

commands = typer.Typer(
    help="Durable functions on AWS Lambda.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@commands.callback()
def _every_command() -> None:
    """Durable functions on AWS Lambda."""


@commands.command()
def run(
    app: Annotated[
        str, typer.Argument(metavar="APP", help="path/to/app.py, path/to/app.py:name or package.module:name")
    ],
    event: Annotated[
        Path,
        typer.Option(
            "-e",
            "--event",
            metavar="EVENT.json",
            help='An EventBridge event, a list of them, or {"name": ..., "data": ...}; - for stdin.',
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the finished run as JSON on stdout, and nothing else there.")
    ] = False,
    steps_per_invocation: Annotated[
        str | None,
        typer.Option(
            metavar="N|all|auto",
            help="How many steps a Lambda invocation executes; unless given, as the app says.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Run ids and the jitter of retries follow from it.")] = 0,
) -> None:
    """Run what an event starts to its end, here, in virtual time: days of sleep take milliseconds.

    Exit status: 0, 1 when a run failed, 2 when something is wrong with APP, the event or an option.
    """
    from .run import run_event

    try:
        completed = run_event(
            app, event, as_json=as_json, steps_per_invocation=steps_per_invocation, seed=seed
        )
    except UsageError as error:
        typer.echo(f"lambda-durable run: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if completed else 1)
