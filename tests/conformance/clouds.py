"""The ministack of the contracts' tests: one in each process, whichever of their modules asks first."""

from __future__ import annotations

import os
from functools import cache

from lambda_durable.local import LocalCloud

_started: list[LocalCloud] = []


@cache
def ministack() -> str:
    """Where one is: one that runs already (MINISTACK_ENDPOINT), or one of this process's own."""
    if endpoint := os.environ.get("MINISTACK_ENDPOINT"):
        return endpoint
    cloud = LocalCloud()
    cloud.start()
    _started.append(cloud)
    return cloud.endpoint


def stop_ministack() -> None:
    """A worker of pytest-xdist ends without what was registered for its exit: a session's end has to."""
    while _started:
        _started.pop().stop()
