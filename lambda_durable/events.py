"""Events, and the triggers that say which of them start a function."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, cast, get_origin, overload
from uuid import uuid4

from pydantic_core import to_json
from typing_extensions import TypeVar

from .classes import is_model
from .durations import require_aware
from .errors import ConfigurationError, DurableError
from .expressions import Expression, compile_condition
from .shapes import shape_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Data = TypeVar("Data", default=Any)

LONGEST_NAME = 255
LONGEST_ID = 256
LONGEST_SOURCE = 256
MOST_CARRIED = 2048
ENVELOPE = "lambda_durable"
"""The key of an EventBridge event's `detail` that is ours: `id` and `time` as the sender has them, and `data`
where that is no JSON object, or holds this key itself; and what it carries, `carried`."""

SCHEDULED = "lambda_durable/scheduled"
"""The name of a schedule's event."""

_DEEPEST = 200
_MADE_HERE: Any = None


class MalformedEventError(DurableError, ValueError):
    """What arrived is no EventBridge event; the message names the field."""


@dataclass(frozen=True)
class Event(Generic[Data]):
    """Something that happened: what starts functions and what runs wait for.

    `id` is the dedupe key: within 24 hours, a second event with it starts nothing; without one, it is made up. `time`
    is an aware datetime, and without one the time of sending; what an event with a time to come starts, begins then.
    `carried` are strings of middleware (a trace's `traceparent`, say), which go with it from who sent it to the runs
    that it starts: at most 2,048 characters. Raises ConfigurationError for a bad name, id, source, time or `carried`.
    """

    name: str
    data: Data = field(default_factory=lambda: cast(Data, {}))
    id: str = _MADE_HERE
    time: datetime = _MADE_HERE
    source: str = "lambda_durable"
    carried: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_text(self.name, "an event's name", LONGEST_NAME)
        _check_text(self.source, "an event's source", LONGEST_SOURCE)
        vars(self)["_id_is_default"] = self.id is None
        if self.id is None:
            vars(self)["id"] = uuid4().hex
        _check_text(self.id, "an event's id", LONGEST_ID)
        vars(self)["_time_is_default"] = self.time is None
        time = datetime.now(UTC) if self.time is None else self.time
        vars(self)["time"] = require_aware(time, "an event's time")
        if self.carried:
            _check_carried(self.carried)

    @property
    def id_is_default(self) -> bool:
        """Whether the id was made up here, so that it is no dedupe key which the sender chose."""
        return bool(vars(self).get("_id_is_default"))

    @property
    def time_is_default(self) -> bool:
        """Whether the time is that of its making, so that it starts what it starts at once."""
        return bool(vars(self).get("_time_is_default"))

    def __hash__(self) -> int:
        return hash(self.id)


def from_eventbridge(record: object) -> Event[Any]:
    """The event in an EventBridge record, as a rule delivers it to SQS. Raises MalformedEventError."""
    fields = _object(record, "the event")
    detail = dict(_object(fields.get("detail"), "detail"))
    envelope = _object(detail.pop(ENVELOPE, {}), f"detail.{ENVELOPE}")
    if "data" in envelope and detail:
        raise MalformedEventError(f"detail: holds keys beside {ENVELOPE}, whose data would hide them")

    def chosen(key: str) -> tuple[Mapping[str, Any], str]:
        return (envelope, f"detail.{ENVELOPE}.{key}") if key in envelope else (fields, key)

    return Event(
        name=_text(fields, "detail-type", LONGEST_NAME),
        data=envelope.get("data", detail),
        id=_text(*chosen("id"), LONGEST_ID),
        time=_time(*chosen("time")),
        source=_text(fields, "source", LONGEST_SOURCE),
        carried=_carried(envelope.get("carried")),
    )


def to_eventbridge_entry(event: Event[Any], encode: Callable[[Any], str]) -> dict[str, str]:
    """An entry of PutEvents, but for its bus. `encode` gives the JSON text of a value.

    The time travels in the envelope to the microsecond, since EventBridge's own has whole seconds.
    """
    data = json.loads(encode(_without_models(event.data)))
    envelope: dict[str, Any] = {"id": event.id, "time": event.time.isoformat()}
    if event.carried:
        envelope["carried"] = dict(event.carried)
    if isinstance(data, dict) and ENVELOPE not in data:
        detail = {**data, ENVELOPE: envelope}
    else:
        detail = {ENVELOPE: {**envelope, "data": data}}
    text = json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
    return {"Source": event.source, "DetailType": event.name, "Detail": text}


class Trigger(ABC, Generic[Data]):
    """What starts a function: `on_event`, `cron` or `every`. Two that are equal are duplicates.

    `name` is that of the events it takes, `model` what their data is.
    """

    name: str
    model: type[Data] | None

    def matches_name(self, name: str) -> bool:
        return name == self.name

    @abstractmethod
    def accepts(self, event: Event[Any]) -> bool:
        """Whether the event starts the function."""


@dataclass(frozen=True)
class EventTrigger(Trigger[Data]):
    """Which events start a function."""

    name: str
    model: type[Data] | None = None
    if_exp: str | Callable[[Event[Data]], object] | None = None
    _condition: Expression | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_text(self.name, "on_event(name)", LONGEST_NAME)
        if "*" in self.name[:-1]:
            raise ConfigurationError(f"on_event({self.name!r}): `*` stands at the end only: 'store/*'")
        if self.model is not None:
            _check_model(self.model, f"on_event({self.name!r}, model)")
        if self.if_exp is not None:
            what = f"on_event({self.name!r}, if_exp=)"
            vars(self)["_condition"] = compile_condition(self.if_exp, what)

    def matches_name(self, name: str) -> bool:
        if self.name.endswith("*"):
            return name.startswith(self.name[:-1])
        return name == self.name

    def accepts(self, event: Event[Any]) -> bool:
        """Whether the event starts the function. Raises ExpressionError if `if_exp` fails on it."""
        if not self.matches_name(event.name):
            return False
        if self._condition is None:
            return True
        return self._condition.holds(self._typed(event) if callable(self.if_exp) else event)

    def _typed(self, event: Event[Any]) -> Event[Any]:
        """The event as the model has it; or as it came: what a model refuses is for the run to say."""
        if self.model is None or type(event.data) is self.model:
            return event
        try:
            text = to_json(event.data, inf_nan_mode="constants")
            return replace(event, data=_adapter(cast(Hashable, self.model)).validate_json(text))
        except Exception:
            return event

    def __hash__(self) -> int:
        return hash((self.name, self.model))


@overload
def on_event(
    name: str, model: None = None, *, if_exp: str | Callable[[Event[Any]], object] | None = None
) -> Trigger[Any]: ...
@overload
def on_event(
    name: str, model: type[Data], *, if_exp: str | Callable[[Event[Data]], object] | None = None
) -> Trigger[Data]: ...
def on_event(name: str, model: type[Any] | None = None, *, if_exp: Any = None) -> Trigger[Any]:
    """Start a function on events of this name.

    `name` is EventBridge's `detail-type`; a `*` at its end stands for anything. `model` is a pydantic model
    of the data. `if_exp` is a CEL expression over `event`, or a callable on Event, which sees the data as
    `model` has it (and as it came, where `model` refuses it). Raises ConfigurationError.
    """
    return EventTrigger(name, model, if_exp)


def _check_model(model: Any, what: str) -> None:
    if not isinstance(model, type) and get_origin(model) is None:
        raise ConfigurationError(f"{what}: {model!r} is no pydantic model")
    if shape_of(model) is not None:
        return
    from pydantic import PydanticUserError

    try:
        _adapter(model)
    except PydanticUserError as error:
        raise ConfigurationError(f"{what}: pydantic cannot read {model!r}: {error.message}") from error
    except NameError:
        pass  # It refers to what its module defines further down.


@cache
def _adapter(model: Hashable) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cast(Any, model))


def _without_models(value: Any, depth: int = 0) -> Any:
    """Pydantic models in it as plain values. What is deeper than an event may be, `encode` is to refuse."""
    if depth > _DEEPEST:
        return value
    if is_model(value):
        return value.model_dump(mode="json", by_alias=True)
    if type(value) is dict:
        return {key: _without_models(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_models(item, depth + 1) for item in value)
    return value


def _complaint(value: object, longest: int) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, got {type(value).__name__}"
    if not 1 <= len(value) <= longest:
        return f"has 1 to {longest} characters, and this has {len(value)}"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds a lone surrogate, which is no character"
    return None


def _check_text(value: object, what: str, longest: int) -> None:
    if complaint := _complaint(value, longest):
        raise ConfigurationError(f"{what}: {complaint}")


def _check_carried(carried: object) -> None:
    if not isinstance(carried, Mapping) or not all(
        isinstance(text, str) and text.isascii() for pair in carried.items() for text in pair
    ):
        raise ConfigurationError(
            f"an event's `carried` is a mapping of ASCII strings to ASCII strings, and this is {carried!r}"
        )
    if (size := sum(len(key) + len(value) for key, value in carried.items())) > MOST_CARRIED:
        raise ConfigurationError(
            f"an event's `carried` has at most {MOST_CARRIED:,} characters, and this has {size:,}"
        )


def _carried(found: object) -> Mapping[str, str]:
    """What an event carries. It is worth no event: what can't be carried on is left out."""
    if found is None:
        return {}
    try:
        _check_carried(found)
    except ConfigurationError:
        return {}
    return cast("Mapping[str, str]", found)


def _text(fields: Mapping[str, Any], what: str, longest: int) -> str:
    """The string in the field that `what` ends with."""
    key = what.rpartition(".")[2]
    if key not in fields:
        raise MalformedEventError(f"{what}: is missing")
    if complaint := _complaint(fields[key], longest):
        raise MalformedEventError(f"{what}: {complaint}")
    return str(fields[key])


def _time(fields: Mapping[str, Any], what: str) -> datetime:
    text = _text(fields, what, 64)
    try:
        return require_aware(datetime.fromisoformat(text), what)
    except ValueError as error:
        raise MalformedEventError(f"{what}: is no ISO 8601 time with a time zone") from error


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedEventError(f"{what}: expected a JSON object, got {type(value).__name__}")
    return value
