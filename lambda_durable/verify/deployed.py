"""The runs of a deployed app, to be recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..connected import connect_to
from ..engine.journal import RunStatus
from ..errors import DamagedItemError, MiddlewareError, RunNotFoundError
from ..function import App
from ..ports import World
from ..runtime.sealing import sealed
from .recording import Recording, read_recording

LIVE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.CANCELLING, RunStatus.COMPENSATING)

FAR = 10**14
"""A time in milliseconds that comes after all others."""


def world_of(stack: str | None, app: App | None) -> World:
    """Where the runs of a stack lie, or those of what the environment names. What an app's middleware has encoded can
    be read with the app alone. Raises ConfigurationError."""
    world = connect_to(stack)
    return world if app is None else sealed(world, app)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which runs: of some functions (none: of any that have not ended), that are in one of some `statuses`, and began
    `since` then and `until` then (milliseconds). `limit` of them at most."""

    functions: Sequence[str] = ()
    statuses: Sequence[RunStatus] = LIVE
    since: int | None = None
    until: int | None = None
    limit: int = 1000


def recordings(
    world: World, choice: Choice, unreadable: Callable[[str, Exception], None]
) -> Iterator[Recording]:
    """The recordings of the runs that are chosen: lazy, and nothing is written. Those of some functions come newest
    first; those of any, in the order in which somebody would look after them. A run that can't be read is told of."""
    yield from islice(_recordings(world, choice, unreadable), choice.limit)


def _recordings(
    world: World, choice: Choice, unreadable: Callable[[str, Exception], None]
) -> Iterator[Recording]:
    for run_id in _chosen(world, choice):
        try:
            found = read_recording(world, run_id)
        except RunNotFoundError:
            continue  # it expired meanwhile
        except (DamagedItemError, MiddlewareError) as error:
            unreadable(run_id, error)
            continue
        header = found.header
        if header.status in choice.statuses and (choice.since or 0) <= header.created <= (
            choice.until or FAR
        ):
            yield found


def _chosen(world: World, choice: Choice) -> Iterator[str]:
    if choice.functions:
        headers = world.store.runs(
            choice.functions, statuses=choice.statuses, since=choice.since, until=choice.until
        )
        return (header.run_id for header in headers)
    return (run_id for run_id, _ in world.store.overdue(FAR))  # an index of all that have not ended
