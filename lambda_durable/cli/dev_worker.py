"""A worker process of `lambda-durable dev`: `python -m lambda_durable.cli.dev_worker APP`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..local.ahead import VARIABLE, Ahead
from ..local.serving import serve
from .loading import load_app
from .remarks import remark

REGISTER = {"lambda_durable": "register"}
"""Asks a worker to make the app's schedules those of its code, as a deployment does."""


def main(reference: str, *options: str) -> None:
    if "--debug" in options:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    elif "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _pass_over
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the level that the template's worker has
    for theirs in ("boto3", "botocore", "urllib3"):
        logging.getLogger(theirs).setLevel(logging.WARNING)
    serve(lambda: _handler(reference))


def _pass_over(*_: object, **__: object) -> None:
    caller = sys._getframe(1)
    where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
    remark("dev", f"passed over breakpoint() at {where}: say dev --debug")


def _handler(reference: str) -> Callable[[Any, Any], Any]:
    ahead = Ahead(Path(os.environ[VARIABLE])) if VARIABLE in os.environ else None
    app = load_app(reference)

    def handle(event: Any, context: Any) -> Any:
        if ahead is not None:
            ahead.follow()
        if event != REGISTER:
            return app.handler(event, context)
        from ..aws.settings import Settings
        from ..aws.world import connect
        from ..runtime.executor import NoExecutor
        from ..runtime.registration import register

        world = connect(Settings.from_environment(), NoExecutor())
        return {
            "app": app.id,
            "functions": list(app.functions),
            "schedules": register(app, world.scheduler, "dev", publish=world.store.publish),
        }

    return handle


if __name__ == "__main__":
    main(*sys.argv[1:])
