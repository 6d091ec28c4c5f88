"""Routes about functions."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Annotated

from annotated_types import Ge, Le
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from ..catalogue import FunctionInfo
from ..durations import from_millis
from ..pauses import Events, Runs
from .backend import Backend, Resolver
from .fields import Body, Done, FunctionId, Since, Until
from .metrics import Metrics, metrics_of

LOOK_AT = 5_000
"""Runs that metrics are made of, at most."""

EARLIEST = from_millis(0)
"""No run began before."""


class Functions(BaseModel):
    functions: list[FunctionInfo]


class Pause(Body):
    """What becomes of new events, and of runs that have begun."""

    events: Events = "hold"
    runs: Runs = "hold"


def add(routes: Resolver, backend: Backend) -> None:
    client = backend.client

    @routes.get("/v1/functions", tags=["functions"], summary="What there is to know of each function")
    def list_functions() -> Functions:
        return Functions(functions=client.functions())

    @routes.get("/v1/functions/<function_id>/metrics", tags=["functions"], summary="How a function does")
    def metrics(
        function_id: FunctionId,
        since: Since = None,
        until: Until = None,
        look_at: Annotated[
            int, Ge(1), Le(LOOK_AT), Query(description="Of its newest runs at most so many.")
        ] = 1_000,
    ) -> Metrics:
        id = client.function_id_of(function_id, "metrics")
        now = backend.world.clock.now()
        last = max(min(until or now, now), EARLIEST)
        first = max(since or last - timedelta(days=1), EARLIEST)
        runs = list(islice(client.runs(id, since=first, until=last, limit=look_at), look_at))
        return metrics_of(id, runs, since=first, until=last, whole=len(runs) < look_at)

    @routes.post(
        "/v1/functions/<function_id>/pause", tags=["functions"], summary="Let a function begin nothing"
    )
    def pause(function_id: FunctionId, how: Pause | None = None) -> Done:
        how = how or Pause()
        return Done(done=client.pause(function_id, events=how.events, runs=how.runs))

    @routes.post(
        "/v1/functions/<function_id>/resume", tags=["functions"], summary="Let a paused function go on"
    )
    def resume(function_id: FunctionId) -> Done:
        return Done(done=client.resume(function_id))
