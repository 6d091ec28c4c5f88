"""The commands `verify`, `export` and `cost`, and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import App, AsJson, Stack, one_line
from .usage_error import UsageError

Functions = Annotated[
    list[str] | None,
    typer.Option("--function", metavar="ID", help="Only runs of this function; may be repeated."),
]
Statuses = Annotated[
    list[str] | None,
    typer.Option(
        "--status", metavar="STATUS", help="Only runs with it; may be repeated. Else those not ended."
    ),
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help='Started since: "2h" ago, or "2026-11-22T09:00".')
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Started until, likewise.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many runs.")]


def add_to(commands: typer.Typer) -> None:
    """Add the commands to those that there are."""
    commands.command()(verify)
    commands.command()(export)
    commands.command()(cost)


def verify(
    app: Annotated[
        str, typer.Argument(metavar="APP", help="path/to/app.py, path/to/app.py:name or package.module:name")
    ],
    journals: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="JOURNALS", help="Files of `export`, or folders of them; else the runs in the table."
        ),
    ] = None,
    function: Functions = None,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 1000,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Steps that were added or moved, and other ends, fail it, too."),
    ] = False,
    allow_unclear: Annotated[
        bool,
        typer.Option("--allow-unclear", help="Runs of which nothing here can say what becomes pass."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Name all runs, and those that show no difference, too.")
    ] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """See before a deploy which runs would diverge on the code of APP: recorded ones, or those of a deployed app.

    They are replayed as the worker would, but no step is executed and nothing is written. What the handlers do between
    their steps happens. Without JOURNALS it reads all runs that have not ended.

    Exit status: 0, 1 when a run diverges or nothing here can say whether it does, 2 when something is wrong with APP, a
    journal or an option.
    """
    from .verify import verify_runs

    with one_line("verify"):
        passed = verify_runs(
            app,
            journals or [],
            functions=function or [],
            statuses=status or [],
            since=since,
            until=until,
            limit=limit,
            strict=strict,
            allow_unclear=allow_unclear,
            everything=everything,
            stack=stack,
            as_json=as_json,
        )
    raise typer.Exit(0 if passed else 1)


def export(
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN_ID", help="As `runs` lists them.")] = None,
    function: Functions = None,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where to: DIR/FUNCTION/RUN_ID.json.")
    ] = Path("journals"),
    app: App = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Write in plain text what the middleware of --app keeps encoded.")
    ] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Write the journals of runs of a deployed app as JSON files, for `verify` and for a repository's own tests.

    A journal has all that a run was told and found out, in plain text: its events, the result of each step, errors.
    Who may read the file, may read that. Leave runs of real customers where they are, or see to it who gets them.

    Exit status: 0, 1 when there is no such run, 2 when something is wrong with an option.
    """
    from .export import export_runs

    with one_line("export"):
        export_runs(
            runs or [],
            output,
            functions=function or [],
            statuses=status or [],
            since=since,
            until=until,
            limit=limit,
            app=app,
            plain=plain,
            stack=stack,
            as_json=as_json,
        )


def cost(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RUN_ID|APP", help="A run that was; with --rate, path/to/app.py, say."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="N/TIME", help="How often it will start: 1000000/month, 1M/month, 20/second."),
    ] = None,
    event: Annotated[
        Path | None, typer.Option("-e", "--event", metavar="EVENT.json", help="What starts it, as of `run`.")
    ] = None,
    function: Annotated[
        str | None, typer.Option(metavar="ID", help="Which function starts directly, unless an event does.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="The data that it starts with.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=0, max=2000, help="In the place of APP: so many steps, one after the other."),
    ] = None,
    output_bytes: Annotated[
        int, typer.Option(min=2, max=5_000_000, help="With --steps: of each result, and of the event's data.")
    ] = 1000,
    step_time: Annotated[
        str, typer.Option(metavar="TIME", help="How long an attempt of a step takes.")
    ] = "50ms",
    invocation_time: Annotated[
        str, typer.Option(metavar="TIME", help="How long a Lambda invocation takes beside its steps.")
    ] = "20ms",
    memory: Annotated[int, typer.Option(min=128, max=10240, help="The Lambda's, in MB.")] = 256,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """What a run has cost, to the operation, from its journal. With --rate: what a function will cost, stepwise and all
    in one invocation, counted in a run of it here, beside AWS Lambda durable functions and Step Functions.

    Here its steps are executed, as by `run`. Prices are those of us-east-1, without the free tier.

    Exit status: 0, 1 when there is no such run or it does not complete here, 2 when something is wrong with an option.
    """
    from .cost import assumed, cost_at_rate, cost_of_run

    with one_line("cost"):
        given = assumed(step_time, invocation_time, memory)
        if rate is not None:
            completed = cost_at_rate(
                target,
                rate,
                given,
                event=event,
                function=function,
                data=data,
                steps=steps,
                output_bytes=output_bytes,
                as_json=as_json,
            )
            raise typer.Exit(0 if completed else 1)
        if target is None or event or function or data or steps is not None:
            raise UsageError("name a RUN_ID; or say --rate, how often a function will start")
        cost_of_run(target, given, app=app, stack=stack, as_json=as_json)
