"""What commands share: options, and how a mistake is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from .remarks import remark
from .usage_error import FailedError, UsageError

STATUSES = ("queued", "running", "cancelling", "compensating", "completed", "failed", "cancelled", "skipped")

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        envvar="LAMBDA_DURABLE_STACK",
        help="The CloudFormation stack of the app; without it, LAMBDA_DURABLE_TABLE and so on say where it is.",
    ),
]
App = Annotated[
    str | None,
    typer.Option(
        metavar="APP", help="path/to/app.py, say, whose middleware reads and writes what is encoded."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help='Started since: "2h" ago, or "2026-11-22T09:00".'),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Started until, likewise.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]


@contextmanager
def one_line(command: str) -> Iterator[None]:
    """Errors as a line on stderr and an exit status."""
    try:
        yield
    except (UsageError, FailedError) as error:
        remark(command, str(error))
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
