"""Calls an app's middleware, and keeps what goes wrong in it away from the run."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..calls import Adapted, is_async
from ..durations import from_millis
from ..engine import paths
from ..engine.journal import Header, Kind, Record, State
from ..engine.journal_ids import run_of
from ..engine.operations import Committed, StepCall
from ..events import Event
from ..function import App
from ..middleware import EndedStep, HandlerReplay, Middleware, RunInfo, StepAttempt, middleware_name
from ..step_info import StepInfo

logger = logging.getLogger("lambda_durable.middleware")


@dataclass(frozen=True, slots=True)
class Hooks:
    """The middleware of an app. `errors` counts what its hooks raised, by name."""

    app_id: str
    middleware: tuple[Middleware, ...]
    errors: Counter[str]

    @classmethod
    def of(cls, app: App | None) -> Hooks:
        """Those of an app; none where it is not known."""
        if app is None:
            return cls("", (), Counter())
        return cls(app.id, app.middleware, app.middleware_errors)

    def run_started(self, header: Header, event: Event[Any]) -> None:
        for each in self.middleware:
            info = self._run(header)
            self._try(each, "run_started", info, partial(each.run_started, info, event))

    def run_ended(self, header: Header) -> None:
        for each in self.middleware:
            info = self._run(header)
            call = partial(each.run_ended, info, header.status.value, header.error)
            self._try(each, "run_ended", info, call)

    def steps_ended(self, header: Header, journal_id: str, records: Iterable[Record], ended: int) -> None:
        """Tell of the records of a scope that has ended (milliseconds)."""
        wanted = self._overriding("steps_ended")
        if not wanted or not (steps := [_step(journal_id, record, ended) for record in records]):
            return
        for each in wanted:
            info = self._run(header)
            self._try(each, "steps_ended", info, partial(each.steps_ended, info, steps))

    def carry(self, header: Header | None = None, path: str | None = None) -> Mapping[str, str]:
        """What an event carries that is sent here, or a run that the run of `header` starts, by the step at a path."""
        carried: dict[str, str] = {}
        for each in self._overriding("carry"):
            info = self._run(header) if header is not None else None
            key = f"{header.journal_id}/{path}" if header is not None and path is not None else None
            carried |= self._try(each, "carry", info, partial(each.carry, info, key)) or {}
        return carried

    def carrying(self, event: Event[Any]) -> Event[Any]:
        """An event with what it is to carry, now that it is sent."""
        carried = self.carry()
        return replace(event, carried={**event.carried, **carried}) if carried else event

    def invocation_ended(self, seconds: float) -> None:
        for each in self._overriding("invocation_ended"):
            self._try(each, "invocation_ended", None, partial(each.invocation_ended, seconds))

    def _overriding(self, hook: str) -> list[Middleware]:
        """Who has something to do there: for the others nothing need be made ready."""
        return [
            each for each in self.middleware if getattr(type(each), hook) is not getattr(Middleware, hook)
        ]

    def around_handler(self, header: Header, event: Event[Any], call: Callable[[], Any]) -> Any:
        """Replay a handler."""
        if not self.middleware:
            return call()
        replay = HandlerReplay(run=self._run(header), event=event)
        around = Around(self, replay.run, "around_handler", lambda each: each.around_handler(replay))
        around.enter()
        try:
            replay.result = call()
        except Exception as error:
            replay.status, replay.error = "raised", error
            around.leave(error)
            raise
        except BaseException:
            replay.status = "suspended"
            around.leave(None)
            raise
        result, replay.status = replay.result, "returned"
        around.leave(None)
        return result

    def around_step(
        self, header: Header, op: StepCall, info: StepInfo, calls: int, now: int, call: Callable[[], Any]
    ) -> Callable[[], Any]:
        """What runs an attempt of a step's function, the how many-th of all its `calls`."""
        if not self.middleware:
            return call
        step = StepAttempt(
            run=self._run(header),
            step_id=info.step_id,
            kind=op.kind.value,
            attempt=info.attempt,
            key=info.idempotency_key,
            calls=calls,
            began_at=from_millis(now),
        )
        if op.outside is not None:
            return Surrounded(call, self, step)
        if isinstance(call, Adapted):
            return replace(call, call=self._surrounded(call.call, step))
        return self._surrounded(call, step)

    def _surrounded(self, call: Callable[[], Any], step: StepAttempt) -> Surrounded:
        if isinstance(call, partial):
            step.args, step.kwargs = call.args, call.keywords
        return Surrounded(call, self, step)

    def _run(self, header: Header) -> RunInfo:
        parent = header.parent
        return RunInfo(
            app_id=self.app_id,
            run_id=header.run_id,
            function_id=header.function_id,
            event_id=header.event_id,
            created_at=from_millis(header.created),
            labels=header.labels,
            parent_run_id=run_of(parent.run_id) if parent is not None else None,
            parent_step_id=parent.path if parent is not None else None,
            carried=dict(header.carried),
            ended_at=from_millis(header.ended) if header.ended is not None else None,
        )

    def _try(
        self,
        middleware: Middleware,
        hook: str,
        run: RunInfo | None,
        call: Callable[[], Any],
        step: str | None = None,
    ) -> Any:
        """What a hook returns; None if it raised."""
        try:
            return call()
        except Exception as error:
            name = middleware_name(middleware)
            self.errors[name] += 1
            where = f" (run {run.run_id} of function {run.function_id!r}" if run is not None else ""
            where += f", step {step!r})" if step else ")" if run is not None else ""
            logger.error(
                "%s of middleware %r raised %s, and the run goes on%s",
                hook,
                name,
                type(error).__name__,
                where,
                exc_info=error,
                extra={
                    "run_id": run.run_id if run is not None else None,
                    "function_id": run.function_id if run is not None else None,
                    "step_id": step,
                    "middleware": name,
                },
            )
            return None


class Around:
    """The context managers of one hook, entered in order and left in reverse."""

    def __init__(
        self,
        hooks: Hooks,
        run: RunInfo,
        name: str,
        make: Callable[[Middleware], AbstractContextManager[object]],
        step: str | None = None,
    ) -> None:
        self._hooks = hooks
        self._run = run
        self._name = name
        self._make = make
        self._step = step
        self._entered: list[tuple[Middleware, AbstractContextManager[object]]] = []

    def enter(self) -> None:
        for each in self._hooks.middleware:
            self._try(each, partial(self._enter, each))

    def leave(self, error: BaseException | None) -> None:
        while self._entered:
            each, entered = self._entered.pop()
            self._try(each, partial(_leave, entered, error))

    def _enter(self, middleware: Middleware) -> None:
        made = self._make(middleware)
        made.__enter__()
        self._entered.append((middleware, made))

    def _try(self, middleware: Middleware, call: Callable[[], Any]) -> None:
        self._hooks._try(middleware, self._name, self._run, call, self._step)


@dataclass(frozen=True, slots=True)
class Surrounded:
    """A step's function with the middleware around it. `call` is plain or async, and so is this. What it is called
    with comes after the step's own arguments."""

    call: Callable[..., Any]
    hooks: Hooks
    step: StepAttempt

    def __call__(self, *args: Any) -> Any:
        self.step.args = (*self.step.args, *args)
        return self._run_async(args) if is_async(self.call) else self._run(args)

    def _around(self) -> Around:
        step = self.step
        around = Around(
            self.hooks, step.run, "around_step", lambda each: each.around_step(step), step.step_id
        )
        around.enter()
        return around

    def _run(self, args: Sequence[Any]) -> Any:
        around = self._around()
        try:
            result = self.call(*args)
        except BaseException as error:
            self._failed(around, error)
            raise
        return self._finish(around, result) if inspect.isawaitable(result) else self._ended(around, result)

    async def _run_async(self, args: Sequence[Any]) -> Any:
        return await self._finish(self._around(), self.call(*args))

    async def _finish(self, around: Around, awaitable: Awaitable[Any]) -> Any:
        try:
            result = await awaitable
        except BaseException as error:
            self._failed(around, error)
            raise
        return self._ended(around, result)

    def _ended(self, around: Around, result: Any) -> Any:
        if isinstance(result, Committed):
            around.leave(None)
            return result
        self.step.result = result
        around.leave(None)
        return self.step.result

    def _failed(self, around: Around, error: BaseException) -> None:
        self.step.error = error
        around.leave(error)


def _step(journal_id: str, record: Record, ended: int) -> EndedStep:
    """A record as it was when what it lies in ended. A sleep's end is its time, which nobody writes down."""
    over = record.ended if record.final else record.wake_at if record.kind is Kind.SLEEP else None
    slept = record.kind is Kind.SLEEP and over is not None and over <= ended
    return EndedStep(
        step_id=paths.shown(record.path),
        kind=record.kind.value,
        key=f"{journal_id}/{record.path}",
        status=(State.COMPLETED if slept else record.state).value,
        attempts=record.attempts,
        began_at=from_millis(record.began),
        ended_at=from_millis(min(over if over is not None else ended, ended)),
        error=record.error,
    )


def _leave(entered: AbstractContextManager[object], error: BaseException | None) -> None:
    """Leave a hook. An error that merely passes through it is none of its own."""
    try:
        if error is None:
            entered.__exit__(None, None, None)
        else:
            entered.__exit__(type(error), error, error.__traceback__)
    except Exception as raised:
        if raised is not error:
            raise
