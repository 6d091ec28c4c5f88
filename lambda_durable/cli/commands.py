"""The commands and their options."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from . import gates
from .local_commands import commands as local_commands
from .options import App, AsJson, Stack, one_line
from .panels import Panels
from .remarks import remark
from .run_commands import commands as run_commands

commands = typer.Typer(
    cls=Panels,
    help="Durable functions on AWS Lambda.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Token = Annotated[str, typer.Argument(metavar="TOKEN", help="What `submit` was given.")]


@commands.callback()
def _every_command() -> None:
    """Durable functions on AWS Lambda."""


@commands.command()
def run(
    app: Annotated[
        str, typer.Argument(metavar="APP", help="path/to/app.py, path/to/app.py:name or package.module:name")
    ],
    event: Annotated[
        Path | None,
        typer.Option(
            "-e",
            "--event",
            metavar="EVENT.json",
            help='An EventBridge event, a list of them, or {"name": ..., "data": ...}; - for stdin. '
            "Unless given, each schedule of the app is due once.",
        ),
    ] = None,
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
    """Run what an event or a schedule starts to its end, here, in virtual time: days of sleep take milliseconds.

    Exit status: 0, 1 when a run failed, 2 when something is wrong with APP, the event or an option.
    """
    from .run import run_event

    with one_line("run"):
        completed = run_event(
            app, event, as_json=as_json, steps_per_invocation=steps_per_invocation, seed=seed
        )
    raise typer.Exit(0 if completed else 1)


@commands.command()
def send(
    event: Annotated[
        Path | None,
        typer.Argument(
            metavar="EVENT.json",
            help='An EventBridge event, a list of them, or {"name": ..., "data": ...}; - for stdin.',
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The event's name, in the place of a file.")] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="Its data; {} unless given.")] = None,
    id: Annotated[
        str | None, typer.Option(help="Its id: one that was sent in the last 24 hours starts nothing again.")
    ] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Send events to a deployed app, and print their ids.

    Exit status: 0, 1 when AWS did not take them, 2 when something is wrong with the event or an option.
    """
    from .send import send_events

    with one_line("send"):
        send_events(event, name=name, data=data, id=id, stack=stack, as_json=as_json)


commands.add_typer(run_commands)
commands.add_typer(local_commands)


@commands.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="As `runs` lists it.")],
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it until it ends; 1 if it did not complete.")
    ] = False,
    app: Annotated[
        str | None,
        typer.Option(metavar="APP", help="path/to/app.py, say, whose middleware reads what it encoded."),
    ] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show a run of a deployed app: its steps, outputs and errors, and what it waits for.

    Exit status: 0, 1 when there is no such run, 2 when something is wrong with an option.
    """
    from .show import show_run

    with one_line("show"):
        completed = show_run(run_id, app=app, stack=stack, as_json=as_json, watch=watch)
    raise typer.Exit(0 if completed else 1)


@commands.command()
def signal(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="What it carries; null unless given.")
    ] = None,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Send a signal to the run of a deployed app that waits for it.

    Exit status: 0, 1 when nobody waits for it, 2 when something is wrong with an option.
    """
    from .answers import send_signal

    with one_line("signal"):
        did = send_signal(name, data=data, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if did else 1)


Target = Annotated[
    str, typer.Argument(metavar="FUNCTION_OR_RUN", help="The id of a run, or else of a function.")
]


@commands.command()
def pause(
    target: Target,
    events: Annotated[
        str, typer.Option(metavar="hold|skip", help="What becomes of a function's new events.")
    ] = "hold",
    runs: Annotated[
        str, typer.Option(metavar="hold|cancel", help="What becomes of the runs that it has.")
    ] = "hold",
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Let a function, or a run, of a deployed app begin nothing, until it is resumed.

    Exit status: 0, 1 when it was paused already or is over, 2 when something is wrong with an option.
    """
    from .pauses import pause as begin

    with one_line("pause"):
        did = begin(target, events=events, runs=runs, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if did else 1)


@commands.command()
def resume(target: Target, app: App = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Let a paused function, or run, go on: what was held begins, in its order.

    Exit status: 0, 1 when it was not paused, 2 when something is wrong with an option.
    """
    from .pauses import resume as end

    with one_line("resume"):
        did = end(target, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if did else 1)


@commands.command()
def queues(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Only what waits at this one.")
    ] = None,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List what waits: at paused functions, and at each limit, with the slots that are in use.

    Exit status: 0, 1 when AWS did not answer, 2 when something is wrong with an option.
    """
    from .queues import list_queues

    with one_line("queues"):
        list_queues(function, app=app, stack=stack, as_json=as_json)


@commands.command()
def doctor(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN_ID", help="Only this run: what it waits for, and why.")
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Bring on what is stuck, send dead letters again, remove what is left over."
        ),
    ] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Look at every run that has not ended, and scan the table for leftovers."
        ),
    ] = False,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show what of a deployed app is stuck, and why; with --fix, repair it.

    Exit status: 0 when nothing is stuck (any more), 1 when something is, 2 when something is wrong with an option.
    """
    from .doctor import see_the_doctor

    with one_line("doctor"):
        well = see_the_doctor(run_id, fix=fix, deep=deep, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if well else 1)


@commands.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Files and folders of Python; else those of pyproject.toml, or this folder.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Leave a rule out; may be given again.")
    ] = None,
    notes: Annotated[bool, typer.Option("--notes", help="Also list what could not be looked into.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules, and look at nothing.")] = False,
    sarif: Annotated[
        bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for a code scanning service.")
    ] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            metavar="APP",
            help="Also import path/to/app.py, say, and replay runs of it under another clock, with other random "
            "numbers, hashes and settings.",
        ),
    ] = None,
    journals: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="--replay: runs that were recorded. No step is executed."),
    ] = None,
    event: Annotated[
        Path | None,
        typer.Option(
            "-e", "--event", metavar="EVENT.json", help="--replay: what starts a run here, as for `run`."
        ),
    ] = None,
    run_steps: Annotated[
        bool,
        typer.Option(
            "--run-steps", help="--replay: for that run, the functions of its steps are really called."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the code of handlers for what a replay would not repeat, without importing it.

    Exit status: 0 when nothing is found, 1 when something is, 2 when a file is no Python or an option is wrong.
    """
    from .check import Runs, check_code, list_rules

    with one_line("check"):
        if rules:
            list_rules(as_json=as_json)
            return
        clean = check_code(
            paths or [],
            ignore=ignore or [],
            notes=notes,
            as_json=as_json,
            as_sarif=sarif,
            replay=replay,
            runs=Runs(journals or [], event, run_steps),
        )
    raise typer.Exit(0 if clean else 1)


callbacks = typer.Typer(
    help="Hand the token of a callback back to a deployed app: `show` prints it.", no_args_is_help=True
)
commands.add_typer(callbacks, name="callback")


@callbacks.command()
def complete(
    token: Token,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="The result; null unless given.")] = None,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """End the wait with a result.

    Exit status: 0, 1 when it was settled already or the token is none, 2 when something is wrong with an option.
    """
    from .answers import complete_callback

    with one_line("callback complete"):
        did = complete_callback(token, data=data, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if did else 1)


@callbacks.command()
def fail(
    token: Token,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What went wrong.")],
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """End the wait with a failure, which is a CallbackError in the run.

    Exit status: 0, 1 when it was settled already or the token is none, 2 when something is wrong with an option.
    """
    from .answers import fail_callback

    with one_line("callback fail"):
        did = fail_callback(token, message, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if did else 1)


@callbacks.command()
def heartbeat(token: Token, app: App = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Say that what the run waits for is still at work.

    Exit status: 0, 1 when nobody waits any more or the token is none, 2 when something is wrong with an option.
    """
    from .answers import heartbeat_callback

    with one_line("callback heartbeat"):
        did = heartbeat_callback(token, app=app, stack=stack, as_json=as_json)
    raise typer.Exit(0 if did else 1)


@commands.command()
def template(
    app: Annotated[
        str, typer.Argument(metavar="APP", help="path/to/app.py, path/to/app.py:name or package.module:name")
    ],
    layer: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Make a layer of what FOLDER/requirements.txt names."),
    ] = None,
    python: Annotated[str, typer.Option(metavar="VERSION", help="The Lambda's Python.")] = "3.13",
    as_json: AsJson = False,
) -> None:
    """Print a SAM template that deploys APP: its worker, queues, bus, table and alarms.

    Call it in the folder that the template is for: lambda-durable template src/app.py > template.yaml
    """
    from .template import find_worker, missing_requirements, render

    with one_line("template"):
        worker = find_worker(app)
        text = render(worker, python=python, layer=layer)
    if note := missing_requirements(worker, layer):
        remark("template", note)
    if as_json:
        text = json.dumps({"code_uri": worker.code_uri, "handler": worker.handler, "template": text}) + "\n"
    typer.echo(text, nl=False)


@commands.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
    python: Annotated[str, typer.Option(metavar="VERSION", help="The Lambda's Python.")] = "3.13",
    as_json: AsJson = False,
) -> None:
    """Begin a project in DIR: an app, its template, an event, tests, a README that says how to go on."""
    from .init import create_project

    with one_line("init"):
        files = create_project(directory, python=python)
    if as_json:
        typer.echo(json.dumps({"directory": str(directory), "files": [str(file) for file in files]}))
        return
    for file in files:
        typer.echo(file)
    typer.echo(f"\nNow: cd {shlex.quote(str(directory))}, and see README.md", err=True)


gates.add_to(commands)
