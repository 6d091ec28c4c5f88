"""Routes that end waits: signals, and callbacks by their tokens."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MaxLen, MinLen
from aws_lambda_powertools.event_handler.openapi.params import Path

from .backend import Backend, Resolver
from .fields import LONGEST_NAME, Body, Done, InPath, Json

Token = Annotated[
    str,
    MinLen(1),
    InPath,
    Path(description="What the run handed out. Whoever has it may answer: it is a secret."),
]


class Signal(Body):
    """What the run that waits for this name is told."""

    name: Annotated[str, MinLen(1), MaxLen(LONGEST_NAME)]
    data: Json = None


class Result(Body):
    """What the run's `wait_for_callback` returns."""

    result: Json = None


class Failed(Body):
    """The message of the CallbackError that the run's `wait_for_callback` raises."""

    error: Annotated[str, MinLen(1), MaxLen(16 * 1024)]


def add_signals(routes: Resolver, backend: Backend) -> None:
    @routes.post("/v1/signals", tags=["waits"], summary="Send a signal to the run that waits for it")
    def signal(sent: Signal) -> Done:
        return Done(done=backend.client.send_signal(sent.name, sent.data))


def add_callbacks(routes: Resolver, backend: Backend) -> None:
    client = backend.client

    @routes.post("/v1/callbacks/<token>/complete", tags=["callbacks"], summary="Answer a callback")
    def complete(token: Token, answer: Result | None = None) -> Done:
        return Done(done=client.complete_callback(token, answer.result if answer is not None else None))

    @routes.post("/v1/callbacks/<token>/fail", tags=["callbacks"], summary="Fail a callback")
    def fail(token: Token, failed: Failed) -> Done:
        return Done(done=client.fail_callback(token, failed.error))

    @routes.post("/v1/callbacks/<token>/heartbeat", tags=["callbacks"], summary="Say that work goes on")
    def heartbeat(token: Token) -> Done:
        return Done(done=client.heartbeat_callback(token))
