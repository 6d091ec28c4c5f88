"""A process that `check --replay` starts: imports an app elsewhere, and replays recorded runs there.

    python -m lambda_durable.cli.replay_worker APP JOURNALS here|elsewhere

It prints the verdicts as JSON; what the user's code prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from typing import Any

from ..testing.elsewhere import ITSELF, World, replay_elsewhere, replay_here
from ..verify.files import read_files
from .loading import load_app
from .plain import write_json
from .usage_error import UsageError


def replay(reference: str, journals: str, *, elsewhere: bool) -> dict[str, dict[str, list[Any]]]:
    """The verdicts on each run, by what differs. Raises UsageError."""
    with World(settings=None).entered():
        app = load_app(reference)
    found = {}
    for _, recording in read_files(journals):
        replays = replay_elsewhere(recording, app) if elsewhere else {ITSELF: replay_here(recording, app)}
        found[recording.header.run_id] = {
            name: [asdict(verdict) for verdict in verdicts] for name, verdicts in replays.items()
        }
    return found


def main() -> None:
    reference, journals, where = sys.argv[1:]
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        try:
            found = replay(reference, journals, elsewhere=where == "elsewhere")
        except UsageError as error:
            sys.exit(f"lambda-durable check: {error}")
    write_json(found, stdout)


if __name__ == "__main__":
    main()
