"""`lambda-durable export`: journals of a deployed app's runs, as files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import MiddlewareError
from ..ports import World
from ..verify import deployed
from ..verify.files import save
from ..verify.recording import Recording, read_recording
from .choice import choice_of
from .deployed import as_one_line
from .loading import load_given
from .plain import write_json
from .progress import counted
from .remarks import remark
from .usage_error import FailedError, UsageError


def export_runs(
    runs: Sequence[str],
    directory: Path,
    *,
    functions: Sequence[str],
    statuses: Sequence[str],
    since: str | None,
    until: str | None,
    limit: int,
    app: str | None,
    plain: bool,
    stack: str | None,
    as_json: bool,
) -> None:
    """Write them, and print where. Raises UsageError and FailedError."""
    if runs and (functions or statuses or since or until):
        raise UsageError("name runs, or say which with --function, --status, --since and --until; not both")
    if directory.suffix == ".json":
        raise UsageError(f"-o is a folder, which gets a file for each run, and this is {directory}")
    with as_one_line(stack):
        world = deployed.world_of(stack, load_given(app))
        if world.seal.encodes and not plain:
            raise UsageError(
                f"the middleware of {app} encodes what is kept, and a journal has it in plain text: if that is what "
                "you want, say --plain"
            )
        choice = None if runs else choice_of(functions, statuses, since, until, limit)
        found = _named(world, runs) if choice is None else deployed.recordings(world, choice, _refuse)
        paths = [save(recording, directory) for recording in counted(found, "runs")]
    if as_json:
        write_json([str(path) for path in paths], sys.stdout)
    else:
        sys.stdout.writelines(f"{path}\n" for path in paths)
    if not paths:
        remark("export", "there are no such runs")


def _named(world: World, runs: Sequence[str]) -> Iterator[Recording]:
    for run in runs:
        try:
            yield read_recording(world, run)
        except MiddlewareError as error:
            _refuse(run, error)


def _refuse(run: str, error: Exception) -> None:
    hint = (
        "; say --app path/to/app.py, which has it, and --plain" if isinstance(error, MiddlewareError) else ""
    )
    raise FailedError(f"run {run} can't be read: {error}{hint}")
