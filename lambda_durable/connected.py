"""What all of a client's methods stand on: the app, if it is known, and the world that it is in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from .catalogue import FunctionInfo, functions_of
from .durations import require_aware, to_millis
from .engine.journal import Header
from .engine.journal_ids import run_of
from .errors import ConfigurationError, RunNotFoundError
from .event_json import is_plain
from .function import App, Function
from .ports import World
from .runtime import payloads
from .runtime.executor import NoExecutor
from .runtime.sealing import sealed
from .serialization import plain_json

LONGEST_RUN_ID = 256

SHARDS_AT_ONCE = 8
"""Shards of a list that are read together: one after the other, over a line of 30 ms, 32 Queries take more than a
second. boto3: a client has 10 connections."""


class Connected:
    """Knows where an app is, and what is said of it in calls."""

    def __init__(
        self, app: App | None = None, *, stack: str | None = None, world: World | None = None
    ) -> None:
        self._app = app
        self._world = world if world is not None else sealed(connect_to(stack), app)

    def _header(self, run_id: str, what: str) -> Header:
        header = self._world.store.get_header(run_id)
        if header is None:
            raise RunNotFoundError(f"there is no run {run_id!r} to {what}")
        return header

    def _function_id(self, function: Function[Any, Any] | str, what: str) -> str:
        if not isinstance(function, str | Function):
            raise ConfigurationError(f"{what}() takes a function or its id, and this is {function!r}")
        id = function if isinstance(function, str) else function.id
        if self._app is not None and id not in self._app.functions:
            known = ", ".join(map(repr, self._app.functions)) or "none"
            raise ConfigurationError(f"the app has no function {id!r}; it has {known}")
        return id

    def functions(self) -> list[FunctionInfo]:
        """What there is to know of the app's functions: of a client without the app, as they were deployed last."""
        if self._app is not None:
            found = functions_of(self._app)
        else:
            found = [
                FunctionInfo.model_validate_json(told) for told in self._world.store.published().values()
            ]
        paused = {id for id, pause in self._world.store.pauses(latest=True).items() if not pause.over}
        return [each.model_copy(update={"paused": each.id in paused}) for each in found]

    def function_id_of(self, function: Function[Any, Any] | str, what: str) -> str:
        """As `_function_id`. Without an app, it is one that was deployed last, or has a run: a slip is an error."""
        id = self._function_id(function, what)
        if self._app is not None:
            return id
        known = self._world.store.published()
        if known and id not in known and next(iter(self._world.store.runs((id,), expected=1)), None) is None:
            raise ConfigurationError(
                f"{what}(): there is no function {id!r}, nor a run of one; there are {', '.join(map(repr, known))}"
            )
        return id

    def _function_ids(self, function: Function[Any, Any] | str | None, what: str) -> list[str]:
        if function is None:
            known = self._app.functions if self._app is not None else self._world.store.published()
            if not known and self._app is None:
                raise ConfigurationError(
                    f"{what}() without a function: nothing is known of this app's functions, since no deploy of it has "
                    "registered them yet; name one, or use Client(app)"
                )
            return list(known)
        return [function if isinstance(function, str) else function.id]

    def _check_plain(self, journal_id: str) -> None:
        """Refuses to write what is plain to a run that keeps everything encoded, which takes the app."""
        header = self._world.store.get_header(run_of(journal_id))
        if header is not None and not is_plain(payloads.read(self._world.blobs, header.event)):
            raise ConfigurationError(
                f"run {header.run_id} of {header.function_id!r} keeps what it is told encoded by its app's middleware: "
                "give the client the app, Client(app, stack=...), and a command --app path/to/app.py"
            )

    @property
    def _limit(self) -> int:
        return self._app.max_output if self._app is not None else payloads.MAX_OUTPUT

    def _encode(self, value: Any) -> str:
        text = plain_json(value)
        payloads.check_size(text, self._limit, "the data of the event")
        return text


def check_choice(value: object, choices: Any, what: str) -> None:
    if value not in get_args(choices):
        allowed = " or ".join(map(repr, get_args(choices)))
        raise ConfigurationError(f"{what}: expected {allowed}, got {value!r}")


def check_count(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{what} is a whole number from 1, and this is {value!r}")


def check_run_id(run_id: object) -> str:
    if (
        not isinstance(run_id, str)
        or not 1 <= len(run_id) <= LONGEST_RUN_ID
        or "/" in run_id
        or "#" in run_id
    ):
        raise ConfigurationError(
            f"a run id has 1 to {LONGEST_RUN_ID} characters, without `/` and `#`, and this is {run_id!r}"
        )
    return run_id


def millis(when: datetime | None, what: str) -> int | None:
    return None if when is None else to_millis(require_aware(when, what))


def connect_to(stack: str | None) -> World:
    """The world of a stack, or of what the environment names, for who runs no handler. Raises ConfigurationError."""
    from .aws.settings import Settings
    from .aws.world import connect

    settings = Settings.from_environment(worker=False) if stack is None else Settings.from_stack(stack)
    return connect(settings, NoExecutor(), at_once=SHARDS_AT_ONCE)
