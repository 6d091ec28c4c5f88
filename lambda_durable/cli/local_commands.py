"""The commands that serve something on this machine: a cloud, and the pages about an app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import App, AsJson, Stack, one_line
from .usage_error import UsageError

commands = typer.Typer()


@commands.command()
def dev(
    app: Annotated[
        str, typer.Argument(metavar="APP", help="path/to/app.py, path/to/app.py:name or package.module:name")
    ],
    host: Annotated[
        str, typer.Option(help="Where the cloud listens; 0.0.0.0 lets containers, and everybody, reach it.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its port; a free one unless given.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keeps runs and all else there until next time.")
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Hand each invocation to a `sam local start-lambda`, at this URL."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Invocations at once.")] = 4,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="breakpoint() opens a debugger here; one invocation at a time, with an hour for it.",
        ),
    ] = False,
    dashboard_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The dashboard's port; a free one unless given.")
    ] = None,
) -> None:
    """Run an app on a cloud of its own, on this machine, in real time, with its code as it is on disk.

    Exit status: 0 when it was interrupted, 1 when the cloud failed, 2 when something is wrong with APP or an option.
    """
    with one_line("dev"):
        try:
            from .dev import develop
        except ModuleNotFoundError as error:
            raise UsageError(f"{error.name} is missing: pip install 'lambda-durable[local]'") from None
        develop(
            app,
            host=host,
            port=port,
            state=state,
            executor=executor,
            concurrency=concurrency,
            debug=debug,
            dashboard_port=dashboard_port,
        )


@commands.command()
def skip(as_json: AsJson = False) -> None:
    """Skip, on the cloud of `lambda-durable dev`, to when the next run wakes, retries or times out.

    Exit status: 0, 1 when nothing waits for a time or something is still at work, 2 away from dev's cloud.
    """
    from .skip import skip_time

    with one_line("skip"):
        skip_time(as_json=as_json)


@commands.command()
def dashboard(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its port on loopback; a free one unless given.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Serve pages about a deployed app, on this machine and for you alone: its runs, functions, events, what is stuck.

    What you may see and do there is what your AWS credentials let you. The address that is printed has a token.
    Exit status: 0 when it was interrupted, 1 when the port is taken, 2 when something is wrong with an option.
    """
    from .dashboard import serve_dashboard

    with one_line("dashboard"):
        serve_dashboard(app=app, stack=stack, port=port, browser=browser, as_json=as_json)
