"""Routes about runs: found, looked at, begun, stopped and done again."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import BaseModel

from ..engine.journal import Partition
from ..errors import RunNotFoundError
from ..runs import MessagePage, Page, Run, Status
from ..runtime.views import run_of
from .backend import Backend, Resolver
from .fields import (
    LONGEST_CURSOR,
    LONGEST_EXPRESSION,
    LONGEST_ID,
    LONGEST_NAME,
    MOST,
    Body,
    Cursor,
    Done,
    InPath,
    Json,
    RunId,
    Since,
    Until,
)
from .problems import JSON, NotModified
from .views import STEPS, RunEvent, RunView, Step, event_of, in_order, view_of

LOOK_AT = 2_000
"""Runs that one page of a search looks at, at most: what takes longer than a Lambda has is no answer."""

StepId = Annotated[
    str, MinLen(1), MaxLen(8 * 1024), InPath, Path(description="A step's id, of the run's list.")
]


class NewRun(Body):
    """A run to begin. With a `run_id` of your own, to ask twice starts nothing twice."""

    function: Annotated[str, MinLen(1), MaxLen(LONGEST_NAME)]
    data: Json = None
    run_id: Annotated[str, MinLen(1), MaxLen(256)] | None = None


class Rerun(Body):
    """Whole, or from a step on; `data` is what takes the place of the event's."""

    from_step: Annotated[str, MinLen(1), MaxLen(LONGEST_ID)] | None = None
    data: Json = None
    run_id: Annotated[str, MinLen(1), MaxLen(256)] | None = None


class RunOutput(BaseModel):
    output: Json = None


class RunEvents(BaseModel):
    """The events that a run is about: one, unless it is of a batch."""

    events: list[RunEvent]


def add(routes: Resolver, backend: Backend) -> None:
    client = backend.client

    @routes.get("/v1/runs", tags=["runs"], summary="Runs, newest first")
    def list_runs(
        function: Annotated[str | None, MaxLen(LONGEST_NAME), Query()] = None,
        status: Annotated[Status | None, Query()] = None,
        label: Annotated[str | None, MaxLen(LONGEST_NAME), Query()] = None,
        since: Since = None,
        until: Until = None,
        where: Annotated[
            str | None,
            MaxLen(LONGEST_EXPRESSION),
            Query(description="CEL over `event` and `output`: a page looks at a bounded number of runs."),
        ] = None,
        limit: Annotated[int, Ge(1), Le(MOST), Query()] = 20,
        cursor: Cursor = None,
    ) -> Page:
        return client.search(
            function,
            where,
            status=status,
            label=label,
            since=since,
            until=until,
            limit=limit,
            look_at=LOOK_AT,
            cursor=cursor,
        )

    @routes.post("/v1/runs", tags=["runs"], status_code=HTTPStatus.ACCEPTED, summary="Start a function")
    def start_run(new: NewRun) -> RunView:
        known = client.function_id_of(new.function, "start")
        return view_of(client.start(known, new.data, run_id=new.run_id))

    @routes.get("/v1/runs/<run_id>", tags=["runs"], summary="A run with its steps")
    def get_run(
        run_id: RunId,
        steps: Annotated[int, Ge(1), Le(STEPS), Query(description="Of its steps at most so many.")] = STEPS,
        cursor: Annotated[int, Ge(0), Le(10**9), Query(description="`steps_cursor` of the page before.")] = 0,
        if_none_match: Annotated[str | None, Header(alias="if-none-match")] = None,
    ) -> Response[RunView]:
        run = client.overview(run_id)
        view = view_of(run, first=cursor, most=steps)
        if run.ended_at is None:
            return Response(HTTPStatus.OK, JSON, view)
        return _unless_known(view, if_none_match)

    @routes.get("/v1/runs/<run_id>/steps/<step_id>", tags=["runs"], summary="A step, whole")
    def get_step(run_id: RunId, step_id: StepId) -> Step:
        step = client.step(run_id, step_id)
        return in_order([step], None)[0].model_copy(update={"queue_delay": None})

    @routes.get("/v1/runs/<run_id>/output", tags=["runs"], summary="What a run returned, whole")
    def get_output(run_id: RunId) -> RunOutput:
        return RunOutput(output=_without_steps(backend, run_id).output)

    @routes.get("/v1/runs/<run_id>/event", tags=["runs"], summary="What a run is about, whole")
    def get_event(run_id: RunId) -> RunEvents:
        return RunEvents(events=[event_of(event) for event in _without_steps(backend, run_id).events])

    @routes.get("/v1/runs/<run_id>/messages", tags=["runs"], summary="What a run has published")
    def messages(
        run_id: RunId,
        after: Annotated[
            str,
            MaxLen(LONGEST_CURSOR),
            Query(description="The `cursor` of the page before, or of a message."),
        ] = "",
        limit: Annotated[int, Ge(1), Le(MOST), Query()] = MOST,
    ) -> MessagePage:
        return client.messages(run_id, after=after, limit=limit)

    @routes.post("/v1/runs/<run_id>/cancel", tags=["runs"], summary="Cancel a run")
    def cancel(run_id: RunId) -> Done:
        return Done(done=client.cancel(run_id))

    @routes.post("/v1/runs/<run_id>/pause", tags=["runs"], summary="Hold a run back")
    def pause(run_id: RunId) -> Done:
        return Done(done=client.pause_run(run_id))

    @routes.post("/v1/runs/<run_id>/resume", tags=["runs"], summary="Let a paused run go on")
    def resume(run_id: RunId) -> Done:
        return Done(done=client.resume_run(run_id))

    @routes.post(
        "/v1/runs/<run_id>/rerun", tags=["runs"], status_code=HTTPStatus.ACCEPTED, summary="Do a run again"
    )
    def rerun(run_id: RunId, again: Rerun | None = None) -> RunView:
        again = again or Rerun()
        new = client.rerun(run_id, from_step=again.from_step, data=again.data, new_run_id=again.run_id)
        return view_of(new)


def _without_steps(backend: Backend, run_id: str) -> Run[Any]:
    header = backend.world.store.get_header(run_id)
    if header is None:
        raise RunNotFoundError(f"there is no run {run_id!r}")
    return run_of(backend.world, header, Partition(""), None)


def _unless_known(view: RunView, known: str | None) -> Response[RunView]:
    """A run that has ended: whoever has it needs it once."""
    text = view.model_dump_json()
    tag = f'"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known is not None and tag in [each.strip().removeprefix("W/") for each in known.split(",")]:
        raise NotModified(headers)
    return Response(HTTPStatus.OK, JSON, view, headers=headers)
