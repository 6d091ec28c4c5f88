"""`lambda-durable rerun`, `replay` and `cancel`: runs of a deployed app, one by one and in bulk."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, cast

from ..client import Client
from ..errors import RunNotFoundError
from ..runs import Status
from .deployed import deployed
from .json_data import read_data
from .plain import write_json
from .progress import counted
from .remarks import remark
from .runs import moment
from .show import show_run
from .usage_error import UsageError

POLL = 0.5
"""Seconds between two looks whether a run has begun."""

PATIENCE = 60.0
"""Seconds in which a run begins, unless nobody takes its message."""


def rerun(
    run_id: str,
    *,
    from_step: str | None,
    from_failed: bool,
    data: str | None,
    id: str | None,
    watch: bool,
    app: str | None,
    stack: str | None,
    as_json: bool,
) -> bool:
    """Whether it was started; with `watch`, whether it completed. Raises UsageError and FailedError."""
    if from_failed and from_step is not None:
        raise UsageError("--from-failed and --from-step say the same thing: give one of them")
    edited = read_data(data)
    with deployed(stack, app) as client:
        if from_failed:
            from_step = _failed_step(client, run_id)
        new = client.rerun(run_id, from_step=from_step, data=edited, new_run_id=id)
        if watch:
            _await(client, new.run_id)
    told = {"run_id": new.run_id, "rerun_of": run_id, "rerun_from": new.rerun_from}
    if watch:
        return show_run(new.run_id, app=app, stack=stack, as_json=as_json, watch=True)
    if as_json:
        write_json(told, sys.stdout)
    else:
        sys.stdout.write(f"{new.run_id}\n")
        where = f" from step {new.rerun_from}" if new.rerun_from else ""
        remark("rerun", f"does {run_id} again{where}")
    return True


def replay(
    function: str,
    *,
    status: str,
    since: str | None,
    until: str | None,
    per_second: float,
    id: str | None,
    yes: bool,
    app: str | None,
    stack: str | None,
    as_json: bool,
) -> None:
    """Print the new runs' ids. Raises UsageError and FailedError."""
    first, last = moment(since, "--since"), moment(until, "--until")
    with deployed(stack, app) as client:
        ids = client.replaying(function, cast(Status, status), first, last, per_second=per_second, id=id)
        _confirm(f"do all {status} runs of {function} again", first, yes=yes)
        _tell(
            "replay",
            _counted(ids, "runs begun again"),
            as_json,
            f"no run of {function} that {status} is left to do again",
        )


def cancel(
    run_ids: Sequence[str],
    *,
    function: str | None,
    since: str | None,
    until: str | None,
    if_exp: str | None,
    yes: bool,
    app: str | None,
    stack: str | None,
    as_json: bool,
) -> bool:
    """Whether all that were named were cancelled. Raises UsageError and FailedError."""
    if bool(run_ids) == (function is not None):
        raise UsageError("name RUN_IDs, or give --function FUNCTION for all of its runs")
    if run_ids and (since or until or if_exp):
        raise UsageError("--since, --until and --if choose among the runs of a --function")
    first, last = moment(since, "--since"), moment(until, "--until")
    with deployed(stack, app) as client:
        if function is not None:
            ids = client.cancelling(function, first, last, if_exp)
            _confirm(f"cancel the runs of {function} that have not ended", first, yes=yes)
            _tell("cancel", _counted(ids, "runs cancelled"), as_json, f"no such run of {function} goes on")
            return True
        done: list[str] = []
        over: list[str] = []
        for run_id in run_ids:
            (done if client.cancel(run_id) else over).append(run_id)
    _tell("cancel", done, as_json, "")
    if over:
        remark("cancel", f"already over, or being cancelled: {', '.join(over)}")
    return not over


def _counted(ids: Iterable[str], what: str) -> Iterable[str]:
    """What is printed on a terminal tells how far it is."""
    return ids if sys.stdout.isatty() else counted(ids, what)


def _tell(command: str, ids: Iterable[str], as_json: bool, none: str) -> None:
    told = []
    for run_id in ids:
        told.append(run_id)
        if not as_json:
            sys.stdout.write(f"{run_id}\n")
    if as_json:
        write_json(told, sys.stdout)
    elif not told and none:
        remark(command, none)


def _confirm(what: str, since: Any, *, yes: bool) -> None:
    """Ask a person whether it is meant; a program has said so by calling this."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    when = f" since {since:%Y-%m-%d %H:%M:%S}" if since is not None else ", whenever they began"
    sys.stderr.write(f"{what}{when}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was done")


def _failed_step(client: Client, run_id: str) -> str:
    run = client.get(run_id)
    if run.error is None or run.error.step_id is None:
        why = "its code failed between steps" if run.error is not None else f"it is {run.status}"
        raise UsageError(f"run {run_id} did not fail on a step: {why}; --from-step STEP says from where")
    return run.error.step_id


def _await(client: Client, run_id: str) -> None:
    """Wait for a run to be there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(RunNotFoundError):
            client.get(run_id)
            return
        time.sleep(POLL)
