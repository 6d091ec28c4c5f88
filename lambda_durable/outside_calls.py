"""Steps that concern the outside world: waits, other runs, events, signals, transactions."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, Protocol

from .callbacks import LONGEST_PATH, Address, Callback, token_of
from .calls import Adapted, Options, refuse_async, step_call, with_options
from .durations import Duration, from_millis, in_millis, parse_duration
from .engine.journal import Kind
from .engine.operations import CallbackWait, Invoke, Outside, StepCall, Wait
from .engine.scope import scope_here
from .errors import (
    CallbackError,
    ConfigurationError,
    EventDataError,
    SerializationError,
    StepError,
    type_name,
)
from .event_json import load_event
from .events import LONGEST_NAME, Event
from .matching import check_condition, check_match, value_at
from .serialization import Codec, codec, plain_data
from .signals import check_signal, read_signal, signal_text

OnConflict = Literal["fail", "replace"]
OnParentEnd = Literal["cancel", "leave"]

SUBMIT = "submit"
"""The id, within that of the wait, of the step that tells the outside world."""

MOST_ITEMS = 99
"""DynamoDB: a transaction has at most 100, and one is the step's outcome."""

ACTIONS = {"Put", "Update", "Delete", "ConditionCheck"}
TYPED = ("Item", "Key", "ExpressionAttributeValues")
"""Where they have attributes by name."""


class Invokable(Protocol):
    """What `invoke` needs of a durable function."""

    @property
    def id(self) -> str: ...
    @property
    def codec(self) -> Codec: ...


def wait_for_event(
    options: Options,
    id: object,
    event: str | Sequence[str],
    *,
    timeout: Duration,
    match: str | None,
    if_exp: str | None,
    model: Any,
    lookback: Duration | None,
) -> Wait:
    what = f"step.wait_for_event({id!r})"
    options.refuse_undo(what)
    names = tuple(event) if isinstance(event, Sequence) and not isinstance(event, str) else (event,)
    if not names or not all(isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME for name in names):
        raise ConfigurationError(
            f"{what}: an event's name has 1 to {LONGEST_NAME} characters, and this is {event!r}"
        )
    options = _with_model(options, model, what)
    check_condition(if_exp, f"{what}, if_exp=")
    check_match(match, f"{what}, match=")
    scope = scope_here()
    value = value_at(match, scope.replay.event)
    past = in_millis(parse_duration(lookback, f"{what}, lookback=")) if lookback is not None else 0
    give_up_at = _after(timeout, what)
    path, index = scope.name(id, Kind.WAIT_FOR_EVENT)
    return Wait(
        path=path,
        kind=Kind.WAIT_FOR_EVENT,
        scope=scope,
        index=index,
        give_up_at=give_up_at,
        read=functools.partial(_read_event, options.model, path),
        names=tuple(dict.fromkeys(names)),
        match_path=match or "",
        match=value,
        condition=if_exp or "",
        lookback=past,
    )


def wait_for_signal(
    options: Options, id: object, signal: str, *, timeout: Duration, on_conflict: OnConflict
) -> Wait:
    what = f"step.wait_for_signal({id!r})"
    options.refuse_undo(what)
    check_signal(signal, what)
    if on_conflict not in ("fail", "replace"):
        raise ConfigurationError(f'{what}: on_conflict= is "fail" or "replace", and this is {on_conflict!r}')
    scope = scope_here()
    give_up_at = _after(timeout, what)
    path, index = scope.name(id, Kind.WAIT_FOR_SIGNAL)
    return Wait(
        path=path,
        kind=Kind.WAIT_FOR_SIGNAL,
        scope=scope,
        index=index,
        give_up_at=give_up_at,
        read=read_signal,
        names=(signal,),
        replaces=on_conflict == "replace",
    )


def wait_for_callback(
    options: Options,
    id: object,
    submit: Callable[[Callback], object] | None,
    *,
    timeout: Duration,
    heartbeat: Duration | None,
    model: Any,
    sync: bool,
) -> CallbackWait:
    what = f"step.wait_for_callback({id!r})"
    if submit is not None and not callable(submit):
        raise ConfigurationError(
            f"{what}: submit= is a function that tells the outside world of its Callback, and this is {submit!r}"
        )
    lasts = _positive(timeout, f"{what}, timeout=")
    pause = _positive(heartbeat, f"{what}, heartbeat=") if heartbeat is not None else None
    if pause is not None and pause > lasts:
        raise ConfigurationError(
            f"{what}: heartbeat={heartbeat!r} is longer than timeout={timeout!r}, so none could ever be missed"
        )
    options = _with_model(options, model, what)
    scope = scope_here()
    path, index = scope.name(id, Kind.WAIT_FOR_CALLBACK)
    if (length := len(json.dumps(path))) > LONGEST_PATH:
        raise ConfigurationError(
            f"{what}: its path is {length:,} characters of JSON, and a token has room for {LONGEST_PATH:,}: nest it "
            "less deeply, or give what is around it shorter ids"
        )
    op = CallbackWait(
        path=path,
        kind=Kind.WAIT_FOR_CALLBACK,
        scope=scope,
        index=index,
        give_up_at=lambda now: now + (pause or lasts),
        read=functools.partial(_read_callback, options.model, path),
        names=(),
        lasts=lasts,
        heartbeat=pause,
    )
    if submit is not None:
        plain = replace(options, model=None)
        inner = scope.replay.scope(path, scope.now)
        if sync:
            refuse_async(f"{path}/{SUBMIT}", submit)
        op.submit = step_call(plain, SUBMIT, submit, (), {}, sync=sync, scope=inner)
        op.submit.call = Adapted(op.submit.call, functools.partial(_submit, op))
    return op


def _submit(op: CallbackWait, fn: Callable[[Callback], Any]) -> Any:
    record = op.record
    assert record is not None
    assert record.waits is not None
    token = token_of(Address(op.scope.replay.journal_id, op.path, record.waits.nonce))
    return fn(Callback(token, from_millis(record.waits.deadline)))


def _read_callback(model: Any, path: str, text: str) -> Any:
    try:
        return (codec() if model is None else codec(model)).decode(text)
    except SerializationError as error:
        why = f"what it was completed with is not what model= says: {error.message}"
        raise CallbackError(why, step_id=path) from None


def _positive(duration: Duration, what: str) -> int:
    millis = in_millis(parse_duration(duration, what))
    if not millis:
        raise ConfigurationError(f"{what} is more than nothing, and this is {duration!r}")
    return millis


def invoke(
    options: Options,
    id: object,
    function: Invokable | str,
    data: Any,
    *,
    timeout: Duration | None,
    on_parent_end: OnParentEnd,
) -> Invoke:
    what = f"step.invoke({id!r})"
    name = function if isinstance(function, str) else getattr(function, "id", None)
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{what}: takes a durable function or its id, and this is {function!r}")
    if on_parent_end not in ("cancel", "leave"):
        raise ConfigurationError(
            f'{what}: on_parent_end= is "cancel" or "leave", and this is {on_parent_end!r}'
        )
    give_up_at: Callable[[int], int | None] = _after(timeout, what) if timeout is not None else _never
    with _naming(f"the data of {what}"):
        plain = plain_data(getattr(function, "no_data", {}) if data is None else data)
    output = codec() if isinstance(function, str) else function.codec
    scope = scope_here()
    undo = options.undoing(id, scope)
    path, index = scope.name(id, Kind.INVOKE)
    call = Invoke(
        path=path,
        kind=Kind.INVOKE,
        scope=scope,
        index=index,
        give_up_at=give_up_at,
        read=output.decode,
        names=(),
        function_id=name,
        data=plain,
        leaves=on_parent_end == "leave",
        undo=undo,
    )
    scope.undoable(call)
    return call


def _never(_: int) -> None:
    return None


def send_signal(options: Options, id: object, signal: str, data: Any) -> StepCall:
    what = f"step.send_signal({id!r})"
    check_signal(signal, what)
    with _naming(f"the data of {what}"):
        text = signal_text(signal, data)
    return _effect(options, id, Kind.SEND_SIGNAL, lambda outside: outside.send_signal(signal, text))


def send_event(options: Options, id: object, events: Sequence[Event[Any]]) -> StepCall:
    for event in events:
        if not isinstance(event, Event):
            raise ConfigurationError(
                f"step.send_event({id!r}) takes events, and this is {event!r}: write Event(name, data)"
            )
    return _effect(options, id, Kind.SEND_EVENT, lambda outside: outside.send_events(events))


def transact(options: Options, id: object, items: Sequence[Mapping[str, Any]]) -> StepCall:
    if len(items) > MOST_ITEMS:
        raise ConfigurationError(
            f"step.transact({id!r}) takes at most {MOST_ITEMS} items, beside its own outcome; these are {len(items)}"
        )
    for number, item in enumerate(items):
        if not isinstance(item, Mapping) or len(item) != 1 or not item.keys() <= ACTIONS:
            raise ConfigurationError(
                f"step.transact({id!r}): item {number} is an entry of TransactWriteItems, one of "
                f"{', '.join(sorted(ACTIONS))}, in the format of a low-level client; this is {item!r:.200}"
            )
        _check_types(item, f"step.transact({id!r}): item {number}")
    call = _effect(options, id, Kind.TRANSACT, lambda outside: outside.transact(items))
    if call.undo is not None:
        call.undo = replace(
            call.undo, if_unknown=False
        )  # it has happened if its outcome is there, and only then
    return call


def _check_types(item: Mapping[str, Any], what: str) -> None:
    """Refuses a table resource's format, in which values have no types: the first thing that one tries."""
    (entry,) = item.values()
    for part in TYPED:
        values = entry.get(part) if isinstance(entry, Mapping) else None
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if not isinstance(value, Mapping) or len(value) != 1:
                raise ConfigurationError(
                    f"{what} has {name!r} in its {part} without a type: write {{{name!r}: {{'S': 'text'}}}}, say, as a "
                    "low-level client takes it; boto3's TypeSerializer makes it of a value"
                )


def _effect(options: Options, id: object, kind: Kind, outside: Callable[[Outside], Any]) -> StepCall:
    """A step of the runtime's own, without a function of the user's."""
    scope = scope_here()
    undo = options.undoing(id, scope)
    path, index = scope.name(id, kind)
    call = StepCall(
        path=path,
        kind=kind,
        scope=scope,
        index=index,
        call=_nothing,
        retry=options.retry or scope.replay.retry,
        codec=codec(),
        outside=outside,
        undo=undo,
    )
    scope.undoable(call)
    return call


def _nothing() -> None:
    """What a step of the runtime's own calls of the user's."""


def _with_model(options: Options, model: Any, what: str) -> Options:
    try:
        return with_options(options, model=model)
    except ConfigurationError as error:
        raise ConfigurationError(f"{what}, {error}") from None


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Says of a value that can't be kept what it was to be."""
    try:
        yield
    except SerializationError as error:
        raise SerializationError(f"{what}: {error.message}") from None


def _after(timeout: Duration, what: str) -> Callable[[int], int]:
    millis = in_millis(parse_duration(timeout, f"{what}, timeout="))
    return lambda now: now + millis


def _read_event(model: Any, path: str, text: str) -> Event[Any] | None:
    if text == "null":
        return None
    event = load_event(text)
    if model is None:
        return event
    try:
        return replace(event, data=codec(model).read(json.dumps(event.data)))
    except SerializationError as error:
        why = f"the data of event {event.name!r} ({event.id}) is not what model= says: {error.message}"
        raise StepError(why, step_id=path, error_type=type_name(EventDataError)) from None
