"""A LocalRuntime that tells of each thing as it is written: the journal is the trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from ..engine.journal import Failure, Header, Record
from ..engine.journal_ids import run_of
from ..ports import Clock, Executor, World
from ..store import Store
from ..testing import LocalRuntime

W = TypeVar("W", Header, Record)

Written = Header | Record | Failure
Listener = Callable[[str, Written], None]
"""Is told the run's id, and what was written of it: its header at the start, where it continues as new and at the
end, a step's record at each of its changes, a failed attempt of the handler's own code."""


class WatchedRuntime(LocalRuntime):
    """Tells `listener` of what its invocations write."""

    def __init__(self, *args: Any, listener: Listener, **options: Any) -> None:
        self._listener = listener
        super().__init__(*args, **options)

    def _world(self, clock: Clock, executor: Executor, version: str | None = None) -> World:
        world = super()._world(clock, executor, version)
        return replace(world, store=cast(Store, _WatchedStore(world.store, self._listener)))


class _WatchedStore:
    """A store that tells of the writes that it took; those that it refused changed nothing."""

    def __init__(self, store: Store, listener: Listener) -> None:
        self._store = store
        self._listener = listener

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def create_run(self, header: Header) -> Header | None:
        return self._tell(header.run_id, header, self._store.create_run(header))

    def renew_run(self, before: Header, header: Header) -> Header | None:
        return self._tell(header.run_id, header, self._store.renew_run(before, header))

    def end_run(self, header: Header) -> Header | None:
        return self._tell(header.run_id, header, self._store.end_run(header))

    def begin_undo(self, header: Header) -> Header | None:
        return self._tell(header.run_id, header, self._store.begin_undo(header))

    def register(self, run_id: str, record: Record) -> Record | None:
        return self._tell(run_id, record, self._store.register(run_id, record))

    def commit(self, run_id: str, record: Record) -> Record | None:
        return self._tell(run_id, record, self._store.commit(run_id, record))

    def transact(self, run_id: str, record: Record, entries: Sequence[Mapping[str, Any]]) -> Record | None:
        return self._tell(run_id, record, self._store.transact(run_id, record, entries))

    def resolve(self, run_id: str, path: str, **outcome: Any) -> tuple[bool, Record | None]:
        ended, record = self._store.resolve(run_id, path, **outcome)
        if ended and record is not None:
            self._listener(run_of(run_id), record)
        return ended, record

    def save_failure(self, run_id: str, failure: Failure) -> None:
        self._store.save_failure(run_id, failure)
        self._listener(run_of(run_id), failure)

    def _tell(self, run_id: str, written: W, found: W | None) -> W | None:
        if found is None:
            self._listener(run_of(run_id), written)
        return found
