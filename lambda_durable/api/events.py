"""Routes about events: sent, and found again with what they have started."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any
from uuid import uuid4

from annotated_types import Ge, Le, MaxLen, MinLen
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from ..durations import from_millis, to_millis
from ..errors import RunNotFoundError
from ..events import Event
from ..runs import EventRecord
from ..runtime.searching import position
from .backend import Backend, Resolver
from .fields import MOST, Body, Cursor, InPath, Json, Name, Since, Until

EventId = Annotated[str, MinLen(1), MaxLen(1024), InPath, Path(description="An event's id.")]


class NewEvent(Body):
    """An event to send. An `id` of your own starts nothing again within 24 hours; with a `time` in the future, what it
    starts begins then."""

    name: Name
    data: Json = Field(default_factory=dict)
    id: Annotated[str, MinLen(1), MaxLen(256)] | None = None
    time: AwareDatetime | None = None


class NewEvents(Body):
    events: Annotated[list[NewEvent], Field(min_length=1, max_length=MOST)]


class Sent(BaseModel):
    """The events' ids, in their order."""

    ids: list[str]


class Events(BaseModel):
    """Events, those that came last first."""

    events: list[EventRecord]
    cursor: str | None


class Names(BaseModel):
    """What events start or cancel something, as far as the deployed code says: `*` ends a wildcard."""

    names: list[str]


def add(routes: Resolver, backend: Backend) -> None:
    client = backend.client

    @routes.post("/v1/events", tags=["events"], summary="Send events")
    def send(new: NewEvents) -> Sent:
        return Sent(ids=client.send(*map(_event, new.events)))

    @routes.get("/v1/events", tags=["events"], summary="Events of a name, newest first")
    def list_events(
        name: Annotated[Name, Query()],
        since: Since = None,
        until: Until = None,
        limit: Annotated[int, Ge(1), Le(MOST), Query()] = 20,
        cursor: Cursor = None,
    ) -> Events:
        if cursor is None:
            found = client.events(name, since, until)
        else:
            at, last = position(cursor)
            found = _after(client.events(name, since, from_millis(at)), at, last)
        page = list(islice(found, limit + 1))
        more = len(page) > limit
        return Events(events=page[:limit], cursor=_position(page[limit - 1]) if more else None)

    @routes.get("/v1/events/<event_id>", tags=["events"], summary="An event, and the runs that it started")
    def get_event(event_id: EventId) -> EventRecord:
        found = client.event(event_id)
        if found is None:
            raise RunNotFoundError(f"there is no event {event_id!r}, or none any more")
        return found

    @routes.get("/v1/event-names", tags=["events"], summary="Names of events that start something")
    def list_names() -> Names:
        told = client.functions()
        return Names(names=sorted({name for function in told for name in function.events}))


def _event(new: NewEvent) -> Event[Any]:
    given: dict[str, Any] = {"time": new.time} if new.time is not None else {}
    return Event(new.name, new.data, id=new.id or str(uuid4()), **given)


def _position(event: EventRecord) -> str:
    return f"{to_millis(event.received_at)}/{event.id}"


def _after(events: Iterator[EventRecord], at: int, last: str) -> Iterator[EventRecord]:
    """What comes after an event, of those that came in when it did, and before."""
    for event in events:
        if to_millis(event.received_at) < at:
            yield event
            break
        if event.id == last:
            break
    yield from events
