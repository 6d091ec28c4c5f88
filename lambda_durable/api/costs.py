"""The route about what a run has cost."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from ..costs.journal_bill import as_plain, bill_of
from ..costs.pricing import ASSUMED_MEGABYTES, Charge
from ..verify.recording import read_recording
from .backend import Backend, Resolver
from .fields import RunId

OVERHEAD = 20.0
"""Milliseconds of an invocation beside the steps in it, unless it is told otherwise."""

Overhead = Annotated[
    float, Ge(0), Le(60_000), Query(description="Milliseconds of an invocation beside its steps.")
]
Memory = Annotated[int, Ge(128), Le(10_240), Query(description="Megabytes of the worker.")]


class OperationCost(BaseModel):
    """What a step has cost, but for the invocations that it was executed in: writes to the table and their units,
    objects put in S3, schedules, events sent; `seconds` is how long it executed, where one attempt did it all."""

    id: str
    kind: str
    attempts: int
    writes: int
    write_units: int
    puts: int
    schedules: int
    events: int
    seconds: float
    dollars: float


class RunCost(BaseModel):
    """What a run has cost so far, as far as its journal tells, at these `prices`."""

    run_id: str
    invocations: int
    dollars: float
    charges: list[Charge]
    operations: list[OperationCost]
    prices: str


def add(routes: Resolver, backend: Backend) -> None:
    @routes.get("/v1/runs/<run_id>/cost", tags=["runs"], summary="What a run has cost")
    def cost(run_id: RunId, overhead: Overhead = OVERHEAD, memory: Memory = ASSUMED_MEGABYTES) -> RunCost:
        recording = read_recording(backend.world, run_id)
        found = bill_of(recording, overhead=overhead, megabytes=memory)
        return RunCost.model_validate(as_plain(run_id, found))
