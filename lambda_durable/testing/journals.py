"""Recorded runs in a repository's own tests: does the code still find its way through them?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..verify.files import read_files
from ..verify.gate import passes, verify_all
from ..verify.report import explain
from ..verify.verdict import Verdict

if TYPE_CHECKING:
    from ..app import Durable


def verify_journals(
    app: Durable, where: str | Path, *, strict: bool = False, allow_unclear: bool = False
) -> list[Verdict]:
    """Replay the journals in a file or folder (of `lambda-durable export`, or LocalRuntime.record) on an app, without
    executing a step. Returns their verdicts; raises AssertionError, which names each run that diverges, at which step
    and how, or of which that can't be said, unless you `allow_unclear`. If it is to be `strict`, steps that were added
    or moved, and other ends, are told as well.

    Raises ConfigurationError where there are none.
    """
    files, found = [], []
    for path, recording in read_files(where):
        files.append(path)
        found.append(recording)
    if not found:
        raise ConfigurationError(f"there are no journals in {where}; `lambda-durable export` writes them")
    verdicts = verify_all(found, app)
    pass_ = partial(passes, strict=strict, allow_unclear=allow_unclear)
    if not pass_(verdicts):
        told = [
            f"{path}: {explain(verdict)}"
            for path, verdict in zip(files, verdicts, strict=True)
            if not pass_([verdict])
        ]
        raise AssertionError("\n".join(told))
    return verdicts
