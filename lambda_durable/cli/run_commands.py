"""The commands that find runs, and put them right, with their options."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import STATUSES, App, AsJson, Since, Stack, Until, Yes, one_line

commands = typer.Typer()


@commands.command()
def runs(
    function: Annotated[str | None, typer.Argument(metavar="FUNCTION", help="The id of a function.")] = None,
    app: Annotated[
        str | None, typer.Option(metavar="APP", help="The runs of all functions in path/to/app.py, say.")
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            help="Only those: completed, failed, running ...", autocompletion=lambda: list(STATUSES)
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only those with this label.")] = None,
    since: Since = None,
    until: Until = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            "--if",
            metavar="CEL",
            help="Only those for which it holds: `event.data.vip && output.total > 9`, say.",
        ),
    ] = None,
    look_at: Annotated[
        int, typer.Option(min=1, metavar="N", help="With --where: look at so many runs at most.")
    ] = 1000,
    cursor: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="With --where: go on from there.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing them, until it is interrupted.")
    ] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a function of a deployed app, or of all its functions, newest first.

    Exit status: 0, 1 when AWS did not answer, 2 when something is wrong with an option.
    """
    from .runs import Asked, list_runs

    asked = Asked(
        function=function,
        app=app,
        status=status,
        label=label,
        since=since,
        until=until,
        where=where,
        look_at=look_at,
        cursor=cursor,
        limit=limit,
        stack=stack,
    )
    with one_line("runs"):
        list_runs(asked, as_json=as_json, watch=watch)


@commands.command()
def events(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The events' name.")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help='That came since: "2h" ago, or "2026-11-22T09:00".')
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="That came until then, likewise.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List the events of a name that came to a deployed app, newest first, with the runs that they start.

    Exit status: 0, 1 when AWS did not answer, 2 when something is wrong with an option.
    """
    from .runs import list_events

    with one_line("events"):
        list_events(name, since=since, until=until, limit=limit, app=app, stack=stack, as_json=as_json)


@commands.command()
def rerun(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="As `runs` lists it.")],
    from_step: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="Keep what had ended before this one, as `show` names it."),
    ] = None,
    from_failed: Annotated[
        bool, typer.Option("--from-failed", help="The same, from the step on which the run failed.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="In the place of the event's data.")
    ] = None,
    id: Annotated[str | None, typer.Option(help="The new run's id: with one, it is started once.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it until it ends; 1 if it did not complete.")
    ] = False,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Do a run of a deployed app again, on its present code: whole, or from a step on.

    Exit status: 0, 1 when there is no such run, 2 when something is wrong with an option.
    """
    from .repeats import rerun as again

    with one_line("rerun"):
        did = again(
            run_id,
            from_step=from_step,
            from_failed=from_failed,
            data=data,
            id=id,
            watch=watch,
            app=app,
            stack=stack,
            as_json=as_json,
        )
    raise typer.Exit(0 if did else 1)


@commands.command()
def replay(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="The id of a function.")],
    status: Annotated[
        str,
        typer.Option(
            help="Those that ended like this.",
            autocompletion=lambda: ["failed", "cancelled", "completed", "skipped"],
        ),
    ] = "failed",
    since: Since = None,
    until: Until = None,
    per_second: Annotated[float, typer.Option(metavar="N", help="Begin so many at most.")] = 10.0,
    id: Annotated[
        str | None, typer.Option(help="The replay's: in one replay, each run is done again once.")
    ] = None,
    yes: Yes = False,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Do runs of a deployed app again that ended like that, whole, at a pace; print the ids of the new ones.

    Exit status: 0, 1 when AWS did not answer, 2 when something is wrong with an option.
    """
    from .repeats import replay as again

    with one_line("replay"):
        again(
            function,
            status=status,
            since=since,
            until=until,
            per_second=per_second,
            id=id,
            yes=yes or as_json,
            app=app,
            stack=stack,
            as_json=as_json,
        )


@commands.command()
def cancel(
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID", help="As `runs` lists them.")
    ] = None,
    function: Annotated[
        str | None, typer.Option(metavar="FUNCTION", help="All runs of this one that have not ended.")
    ] = None,
    since: Since = None,
    until: Until = None,
    if_exp: Annotated[
        str | None, typer.Option("--if", metavar="CEL", help="Only those for whose `event` it holds.")
    ] = None,
    yes: Yes = False,
    app: App = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Cancel runs of a deployed app, by id or all of a function; print the ids of those that this cancelled.

    Exit status: 0, 1 when a RUN_ID was over already or is none, 2 when something is wrong with an option.
    """
    from .repeats import cancel as end

    with one_line("cancel"):
        did = end(
            run_ids or [],
            function=function,
            since=since,
            until=until,
            if_exp=if_exp,
            yes=yes or as_json,
            app=app,
            stack=stack,
            as_json=as_json,
        )
    raise typer.Exit(0 if did else 1)
