"""What a rerun keeps of the run that it repeats from a step on.

Kept is what had ended before that step did, in the order of commits: whatever follows from its outcome ended later. A
branch beside the one that the step lies in depends on nothing in it, so there all that has ended is kept; but if it
failed, and so failed the whole, it is done anew from where it did. What was undone is as if it had not happened: it is
done anew, and so is what came after it. Groups and fan-outs around what is done anew have begun, and are not over.

Records are copied as they are, but for who wrote them: nobody in the new run answers for them. What was handed out is
handed out anew. Of the order in which the handler saw outcomes, all is kept up to the first that is done anew. That of
scopes which are in progress lies in the log of the run's own chain: whoever drives them adds to what is read before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..engine import paths
from ..engine.journal import Author, Kind, LogEntry, Partition, Record, State

NOBODY = Author(0, "")

Load = Callable[[str], Partition]
Moment = tuple[int, int, int, int]
"""When something ended, and what it came after in that millisecond."""

NEVER: Moment = (1 << 62, 0, 0, 0)

IN_AN_ENTRY = 1000
"""Paths in an entry of a log. DynamoDB: an item has 400 KB; a path is some dozen bytes, and rarely a few hundred."""


def moment(record: Record | None) -> Moment:
    """When a step ended, if it has. A sleep is over by the clock, and before all that ended in that millisecond."""
    if record is None:
        return NEVER
    if record.kind is Kind.SLEEP and not record.final:
        return (record.wake_at or record.began, -1, 0, 0)
    if not record.final or record.state is State.CANCELLED:
        return NEVER
    return record.time, record.rank, record.began, record.author.generation


@dataclass(slots=True)
class Keeping:
    """What is kept of a journal whose scopes `load` brings, and whose records `find`, where all of `anew` happens once
    more, that ended then."""

    load: Load
    find: Callable[[str], Record | None]
    anew: dict[str, Moment]
    _over: set[str] = field(default_factory=set)
    _orders: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _times: dict[str, int] = field(default_factory=dict)

    def records(self) -> Iterator[tuple[str, list[Record]]]:
        """The scopes, and what is kept in each. Lazy; a read for each scope."""
        for scope, records in self._scope("", NEVER):
            self._over.update(record.path for record in records if record.state is not State.RUNNING)
            yield scope, records

    def logs(self) -> Iterator[tuple[str, LogEntry]]:
        """In which order outcomes were seen that are kept, by the scope of a log; once all records have come."""
        for scope, orders in self._orders.items():
            some = [(inner, part) for inner, seen in orders.items() for part in self._known(seen)]
            for position, (inner, part) in enumerate(some):
                order = {inner: part}
                yield (
                    scope,
                    LogEntry(position=position, author=NOBODY, time=self._times[scope], order=order),
                )

    def _known(self, seen: Sequence[str]) -> Iterator[list[str]]:
        end = next(
            (at for at, path in enumerate(seen) if path.removeprefix(":") not in self._over), len(seen)
        )
        for start in range(0, end, IN_AN_ENTRY):
            yield list(seen[start : min(start + IN_AN_ENTRY, end)])

    # -- scopes --------------------------------------------------------------------------------------

    def _scope(self, scope: str, until: Moment, *, over: bool = False) -> Iterator[tuple[str, list[Record]]]:
        """What is kept of the steps of a handler, a group or a branch, and of what lies in them: what ended before
        `until`, and before all that happens once more among them."""
        partition = self._load(scope, over)
        mine = {path: at for path, at in self.anew.items() if path != scope and paths.within(path, scope)}
        kept: list[Record] = []
        for record in partition.records.values():
            if record.path in mine:
                continue
            beside = [at for path, at in mine.items() if not paths.within(path, record.path)]
            yield from self._record(record, min([until, *beside]), kept)
        yield scope, kept

    def _branches(self, fan: Record, until: Moment, *, over: bool) -> Iterator[tuple[str, list[Record]]]:
        """What is kept of a fan-out. Its branches do not depend on one another."""
        assert fan.plan is not None
        partition = self._load(fan.path, over)
        kept: list[Record] = []
        for key in fan.plan.keys:
            path = paths.branch(fan.path, key)
            record = partition.records.get(path)
            if path in self.anew:
                continue
            if record is not None and self._fails(fan, record):
                yield from self._from_its_failure(fan, record, until)
            elif record is not None:
                yield from self._record(record, until, kept)
            elif fan.kind is not Kind.MAP:
                yield from self._scope(path, until, over=over)
        yield fan.path, kept

    def _fails(self, fan: Record, branch: Record) -> bool:
        """Whether it is by the failure of a branch that a fan-out would fail again, and begin no other."""
        tolerant = fan.plan is None or fan.plan.tolerant
        return branch.error is not None and not tolerant and self._encloses(fan.path)

    def _from_its_failure(
        self, fan: Record, branch: Record, until: Moment
    ) -> Iterator[tuple[str, list[Record]]]:
        assert branch.error is not None
        if fan.kind is Kind.MAP:
            return
        step = branch.error.step_id
        if step is not None and step != branch.path and paths.within(step, branch.path):
            self.anew.setdefault(step, moment(self.find(step)))
        yield from self._scope(branch.path, until)

    def _record(
        self, record: Record, until: Moment, kept: list[Record]
    ) -> Iterator[tuple[str, list[Record]]]:
        """Add what is kept of a step to those of its scope; what lies in it comes by itself."""
        over = not self._encloses(record.path) and moment(record) < until
        if over:
            kept.append(replace(record, author=NOBODY, claim=None))
        if not record.kind.has_scope or (record.kind is Kind.WAIT_FOR_CALLBACK and not over):
            return  # nobody can hand a token back twice: who waits for one begins anew
        some = False
        inside = self._branches if record.kind.fans_out else self._whole
        for scope, records in inside(record, NEVER if over else until, over=over):
            some = some or bool(records)
            yield scope, records
        if not over and (some or self._encloses(record.path)) and not paths.is_branch(record.path):
            kept.append(_begun(record))

    def _whole(self, group: Record, until: Moment, *, over: bool) -> Iterator[tuple[str, list[Record]]]:
        return self._scope(group.path, until, over=over)

    def _encloses(self, path: str) -> bool:
        return any(paths.within(each, path) for each in self.anew)

    def _load(self, scope: str, over: bool) -> Partition:
        partition = self.load(scope)
        log = scope if over else ""
        orders = self._orders.setdefault(log, {})
        for entry in partition.log:
            for inner, seen in entry.order.items():
                orders.setdefault(inner, []).extend(seen)
            self._times[log] = max(self._times.get(log, 0), entry.time)
        return partition


def _begun(record: Record) -> Record:
    """A group or fan-out that is in progress, in the invocation of who waits for it."""
    return Record(
        path=record.path,
        kind=record.kind,
        state=State.RUNNING,
        author=NOBODY,
        began=record.began,
        plan=replace(record.plan, lanes=0) if record.plan is not None else None,
    )
