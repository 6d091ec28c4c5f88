"""Routes about what waits, what is late, and what was given up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Le, MaxLen
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, Field

from ..aws.dead_letters import Letter
from ..doctor.letters import DeadLetters, Verdict, act, in_future, judge, reason_of
from ..doctor.runs import overdue_runs
from ..durations import from_millis
from ..errors import ConfigurationError
from ..queues import Queue
from ..runtime.reconciler import overdue
from .backend import Backend, Resolver
from .fields import LONGEST_NAME, MOST, Body


class Queues(BaseModel):
    """What has waited for longest comes first."""

    queues: list[Queue]


class LetterView(BaseModel):
    """A message that was given up: what it is about (`subject`; `run_id`, if it is about one), `why` it is still of
    importance or not, and the `reason` for which it was given up. `will` is what a redrive does; where that is None it
    stays, and `way_out` says what is to be done. `body` is the message itself, if it was asked for."""

    id: str
    sent_at: datetime | None = None
    subject: str
    run_id: str | None = None
    why: str
    reason: str
    will: str | None = None
    way_out: str | None = None
    body: str | None = None


class Letters(BaseModel):
    """At most as many as were asked for: there may be `more`."""

    letters: list[LetterView]
    more: bool


class Redrive(Body):
    """Ids of letters, as they are listed."""

    ids: Annotated[list[str], Field(min_length=1, max_length=MOST)]


class Redriven(BaseModel):
    """What was done, by the letters' ids. What is not in it is not there any more, or stays."""

    done: dict[str, str]


class Overdue(BaseModel):
    """A run that something should have brought on by now."""

    run_id: str
    due_at: datetime
    level: str
    subject: str
    why: str
    way_out: str


class AllOverdue(BaseModel):
    overdue: list[Overdue]
    more: bool


def add(routes: Resolver, backend: Backend) -> None:
    client, patient, world = backend.client, backend.patient, backend.world

    @routes.get("/v1/queues", tags=["trouble"], summary="What waits at functions and limits")
    def queues(function: Annotated[str | None, MaxLen(LONGEST_NAME), Query()] = None) -> Queues:
        return Queues(queues=client.queues(function))

    @routes.get("/v1/dead-letters", tags=["trouble"], summary="Messages that were given up")
    def dead_letters(
        limit: Annotated[int, Ge(1), Le(MOST), Query()] = 20,
        bodies: Annotated[
            bool, Query(description="With the messages themselves, and what is in them.")
        ] = False,
    ) -> Letters:
        with _letters(backend).taken() as found:
            told = [_told(letter, judge(world, letter, patient.retention)) for letter in found[:limit]]
        if bodies:
            told = [
                view.model_copy(update={"body": letter.body})
                for view, letter in zip(told, found, strict=False)
            ]
        return Letters(letters=told, more=len(found) > limit)

    @routes.post("/v1/dead-letters/redrive", tags=["trouble"], summary="Send dead letters again")
    def redrive(wanted: Redrive) -> Redriven:
        letters, done = _letters(backend), {}
        with letters.taken() as found:
            for letter in found:
                if letter.message_id in wanted.ids:
                    verdict = judge(world, letter, patient.retention)
                    if did := act(world, letters, letter, verdict):
                        done[letter.message_id] = did
        return Redriven(done=done)

    @routes.get("/v1/overdue", tags=["trouble"], summary="Runs that nothing has brought on in time")
    def late(limit: Annotated[int, Ge(1), Le(MOST), Query()] = 20) -> AllOverdue:
        found = overdue(world)
        told = [
            Overdue(
                run_id=run,
                due_at=from_millis(since),
                level=finding.level.value,
                subject=finding.subject,
                why=finding.why,
                way_out=finding.way_out,
            )
            for run, since, finding in overdue_runs(world, found[:limit], patient.is_gone, fix=False)
        ]
        return AllOverdue(overdue=told, more=len(found) > limit)


def _letters(backend: Backend) -> DeadLetters:
    if backend.patient.letters is None:
        raise ConfigurationError(
            "where dead letters go is not known here: LAMBDA_DURABLE_DEAD_LETTER_URL says so"
        )
    return backend.patient.letters


def _told(letter: Letter, verdict: Verdict) -> LetterView:
    return LetterView(
        id=letter.message_id,
        sent_at=from_millis(letter.sent) if letter.sent else None,
        subject=verdict.subject,
        run_id=verdict.run or None,
        why=verdict.why,
        reason=reason_of(letter),
        will=in_future(verdict.will) if verdict.messages is not None else None,
        way_out=verdict.way_out or None,
    )
