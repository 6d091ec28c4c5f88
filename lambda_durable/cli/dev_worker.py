"""A worker process of `lambda-durable dev`: `python -m lambda_durable.cli.dev_worker APP`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from ..local.serving import serve
from .loading import load_app

REGISTER = {"lambda_durable": "register"}
"""Asks a worker to make the app's schedules those of its code, as a deployment does."""


def main(reference: str) -> None:
    # A terminal may hear what a log that is paid for does not: an event that nobody wanted, say.
    log = logging.getLogger("lambda_durable")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler())
    log.propagate = False
    serve(lambda: _handler(reference))


def _handler(reference: str) -> Callable[[Any, Any], Any]:
    app = load_app(reference)

    def handle(event: Any, context: Any) -> Any:
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
            "schedules": register(app, world.scheduler, "dev"),
        }

    return handle


if __name__ == "__main__":
    main(sys.argv[1])
