"""Registration: the schedules of an app, and what is told of its functions, become what its code says.

CloudFormation asks for it at each deployment, through a custom resource: a request comes, and the answer is
put to the URL in it. Until an answer comes it waits, up to an hour; so whatever goes wrong is an answer too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..catalogue import functions_of
from ..errors import DurableError
from ..function import App
from ..ports import Recurring, Scheduler
from ..schedules import ScheduleTrigger
from .messages import Scheduled

PREFIX = "cron-"
"""What the names of recurring schedules begin with. One-time schedules have hexadecimal names."""

LONGEST_NAME = 64
"""Characters. Scheduler: of [0-9A-Za-z-_.]."""

LARGEST_ANSWER = 4096
"""Bytes. CloudFormation: an answer is at most 4,096."""

LEAST_SECONDS = 5
"""What an invocation keeps for its answer."""

logger = logging.getLogger(__name__)

Send = Callable[[str, bytes], None]
"""PUTs a body to a URL."""

Publish = Callable[[Mapping[str, str]], None]
"""Keeps what is told of an app's functions, by id (`Store.publish`)."""


def _to_nobody(_: Mapping[str, str]) -> None:
    pass


class RegistrationError(DurableError):
    """The schedules of an app could not be made those of its code."""


def schedules_of(app: App, owner: str) -> Iterator[Recurring]:
    """The schedules that an app's triggers ask for. `owner` keeps apart those of two registrations."""
    for function in app.functions.values():
        triggers = [trigger for trigger in function.triggers if isinstance(trigger, ScheduleTrigger)]
        expressions = [(trigger, each) for trigger in triggers for each in trigger.expressions]
        for number, (trigger, expression) in enumerate(expressions, 1):
            jitter = trigger.jitter.total_seconds()
            yield Recurring(
                name=_name(owner, function.id, number),
                expression=expression,
                timezone=trigger.timezone,
                body=Scheduled.template(function.id, trigger.schedule, trigger.timezone, jitter),
            )


def register(
    app: App,
    scheduler: Scheduler,
    owner: str,
    *,
    publish: Publish = _to_nobody,
    remaining: Callable[[], float] = lambda: math.inf,
) -> list[str]:
    """Make the owner's schedules those of the app, and tell of its functions; returns the schedules' names. Idempotent.

    New ones come first, so that none is missed in between; what is due twice meanwhile starts one run.
    Raises RegistrationError naming the schedule, also when fewer than 5 of the `remaining` seconds are left.
    """
    wanted = {schedule.name: schedule for schedule in schedules_of(app, owner)}
    for schedule in wanted.values():
        with _naming(
            f"put schedule {schedule.name}, {schedule.expression} in {schedule.timezone}", remaining
        ):
            scheduler.put_recurring(schedule)
    _delete(scheduler, owner, wanted, remaining)
    with _naming("keep what is told of the functions", remaining):
        publish({each.id: each.model_dump_json(exclude_defaults=True) for each in functions_of(app)})
    return list(wanted)


def unregister(
    scheduler: Scheduler, owner: str, *, remaining: Callable[[], float] = lambda: math.inf
) -> None:
    """Delete the owner's schedules. Idempotent. Raises RegistrationError."""
    _delete(scheduler, owner, (), remaining)


def handle(
    event: Mapping[str, Any],
    app: App,
    scheduler: Scheduler,
    send: Send,
    *,
    publish: Publish = _to_nobody,
    remaining: Callable[[], float] = lambda: math.inf,
) -> None:
    """Do what a request of CloudFormation's custom resource says, and answer it. `remaining`: the seconds that
    the invocation has left.

    The owner of the schedules is the resource: its physical id, which stays the same for as long as it lives.
    So where one resource replaces another, the deletion of the old one leaves the new one's schedules alone.
    Raises only where there is no place to send the answer to, or it can't be sent.
    """
    url = event.get("ResponseURL")
    if not isinstance(url, str):
        raise ValueError("the event is no request of a CloudFormation custom resource: it has no ResponseURL")
    answer = {key: _text(event.get(key)) for key in ("StackId", "RequestId", "LogicalResourceId")}
    resource = _text(event.get("PhysicalResourceId")) or _new_id(
        answer["StackId"], answer["LogicalResourceId"]
    )
    answer |= {"PhysicalResourceId": resource, "Status": "SUCCESS"}
    try:
        what = event.get("RequestType")
        if what in ("Create", "Update"):
            names = register(app, scheduler, resource, publish=publish, remaining=remaining)
            logger.info("registered %s", ", ".join(names) or "no schedules")
        elif what == "Delete":
            unregister(scheduler, resource, remaining=remaining)
        else:
            raise RegistrationError(f"RequestType is Create, Update or Delete, and this is {what!r}")
    except Exception as error:
        logger.exception("the schedules could not be registered")
        answer |= {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"}
    send(url, _encode(answer))


def _delete(scheduler: Scheduler, owner: str, wanted: Container[str], remaining: Callable[[], float]) -> None:
    with _naming("list the schedules", remaining):
        gone = [name for name in scheduler.recurring(_prefix(owner)) if name not in wanted]
    for name in gone:
        with _naming(f"delete schedule {name}", remaining):
            scheduler.delete_recurring(name)


@contextmanager
def _naming(what: str, remaining: Callable[[], float]) -> Iterator[None]:
    """Say what failed; not begun at all without the time for it and for an answer."""
    if remaining() < LEAST_SECONDS:
        raise RegistrationError(
            f"there was no time left to {what}; deploy again, which goes on from here, or raise the worker's timeout"
        )
    try:
        yield
    except Exception as error:
        raise RegistrationError(f"could not {what}: {type(error).__name__}: {error}") from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _new_id(stack: str, logical: str) -> str:
    """Follows from the resource alone, so that a request which comes twice has one id."""
    return f"schedules-{_digest(f'{stack}/{logical}', 8)}"


def _prefix(owner: str) -> str:
    return f"{PREFIX}{_digest(owner, 3)}-"


def _name(owner: str, function: str, number: int) -> str:
    """Readable in the console, and a name of its own for each function however long its id."""
    prefix, suffix = _prefix(owner), f"-{number}"
    room = LONGEST_NAME - len(prefix) - len(suffix)
    if len(function) > room:
        digest = _digest(function, 4)
        function = f"{function[: room - len(digest) - 1]}-{digest}"
    return prefix + function + suffix


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=size).hexdigest()


def _encode(answer: dict[str, Any]) -> bytes:
    """The answer, its reason cut to what fits."""
    body = json.dumps(answer).encode()
    reason = answer.get("Reason", "")
    while len(body) > LARGEST_ANSWER and reason:
        reason = reason[: len(reason) * 9 // 10]
        body = json.dumps({**answer, "Reason": f"{reason}..."}).encode()
    return body
