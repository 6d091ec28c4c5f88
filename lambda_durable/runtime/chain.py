"""A chain: one thread of a run's work, as a message drives it on.

A run begins with one chain. A branch or step that is handed to a message of its own is a chain too. The
rules that keep a chain single under duplicates, crashes and late messages are all here:

- Every record names its author: the message that wrote it, and the generation of that message in its
  chain. A message that finds something written by *another* message of its own generation or a later one
  has been overtaken: it is a *follower*, and starts nothing (`Stale`). What an earlier generation wrote, or
  the message itself in an earlier delivery, it builds upon. So the newest generation always goes on, and a
  duplicate dies at the first outcome it loses. Two of one generation that both wrote something (parallel
  steps) are told apart by their tags, so that one of them goes on.
- Where several messages may act at once (outcomes of handed-out work came back), an entry of the chain's
  log decides who does: it is written only at the position that nobody has taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..durations import to_millis
from ..engine import paths
from ..engine.code import UNKNOWN, Code
from ..engine.interrupts import Reload, Stale
from ..engine.journal import Author, Header, LogEntry, Partition, Payload, Record
from ..engine.loaded import Journal
from ..ports import Outgoing, World
from . import payloads
from .feeds import Feed
from .hooks import Hooks
from .messages import Continuation, Due, Level
from .retention import outlive
from .visit import Visit
from .wakes import lifetime, patience, send_at

NOBODY = Author(-1, "")


@dataclass(slots=True)
class Chain:
    """A chain as one replay sees it: its journal, and whether the message in hand may act for it."""

    world: World
    visit: Visit
    header: Header
    journal: Journal
    message: Continuation
    hooks: Hooks
    code: Code = UNKNOWN
    max_output: int = payloads.MAX_OUTPUT  # bytes that an output, an event or a payload may have
    tag: str = ""
    generation: int = 0
    progressed: bool = False  # wrote something
    outdated: bool = False  # tried to write, so others may have looked before it and seen nothing
    repeats: bool = False  # an earlier delivery of this message may have got this far
    items_loaded: int = 0
    loaded: set[str] = field(default_factory=set)
    _newest: int = 0
    _rank: int = -1  # that of the last record in the newest millisecond
    _latest: int = 0
    _mine: int = -1  # the newest generation in which this message wrote something that stands
    _theirs: Author = NOBODY

    def __post_init__(self) -> None:
        self.tag = self.visit.tag
        self.generation = self.message.generation
        self.repeats = self.visit.delivery.receive_count > 1 or self.visit.stands_for is not None
        for scope, partition in self.journal.partitions.items():
            self.loaded.add(scope)
            self._look_at(partition)
        self.visit.loads += 1

    def force(self, target: Record | None) -> None:
        """Make the message in hand the newest of its chain, and of `target`, the branch or leaf it is about."""
        if target is not None:
            self._latest = max(self._latest, target.author.generation)
        self.generation = self._latest + 1
        self.message = replace(self.message, generation=self.generation)

    # -- reading -------------------------------------------------------------------------------------

    @property
    def journal_id(self) -> str:
        return self.header.journal_id

    @property
    def scope(self) -> str:
        return self.message.scope

    @property
    def focus(self) -> str:
        """The path of the branch or leaf that the message is about; empty for the run's own chain."""
        return self.message.leaf or self.scope

    @property
    def author(self) -> Author:
        return Author(self.generation, self.tag)

    @property
    def follower(self) -> bool:
        """Whether another message has overtaken this one."""
        if self._theirs.generation != self.generation:
            return self._theirs.generation > self.generation
        return self._mine < self.generation or self._theirs.tag > self.tag

    def leads(self, target: Record | None) -> bool:
        """Whether this message, in an earlier delivery perhaps, wrote what is newest: whoever it has overtaken has
        left the rest to it. `target` is the record of the branch or leaf that it is about."""
        if self.message.leaf is not None:
            return target is not None and target.author.tag == self.tag
        return self._mine >= 0 and self._mine >= self._theirs.generation

    def was_overtaken(self, author: Author) -> bool:
        """Whether another message than this has overtaken who wrote something for the chain: that one starts nothing
        any more. Nobody overtakes who works on a leaf."""
        newest = self._theirs
        return self.message.leaf is None and (newest.generation, newest.tag) > (author.generation, author.tag)

    def answers_for(self, author: Author) -> bool:
        """Whether what follows an outcome is this message's business: it wrote it, or an earlier generation
        did, which may be a delivery whose message was acknowledged by another one meanwhile."""
        return author.tag == self.tag or author.generation < self.message.generation

    def now(self) -> int:
        """Milliseconds; never behind what the journal holds, whatever this host's clock says."""
        return max(to_millis(self.world.clock.now()), self._newest)

    def moment(self) -> int:
        """Now (milliseconds), and later than all that the journal holds."""
        return max(self.now(), self._newest + 1)

    def still_runs(self) -> bool:
        """Whether the run goes on, now that it is written down that a step with an undo begins. Who ends the run
        otherwise says so first, and looks for such steps then: one of the two sees the other."""
        store = self.world.store
        id = self.journal_id
        header = store.get_header(id) if self.header.undoes else store.mark_undo(id)
        if header is None or not header.runs_in(id):
            return False
        self.header = replace(self.header, undoes=True)
        return True

    def remaining(self) -> float:
        """Seconds until this invocation is killed."""
        return self.visit.invocation.deadline - self.world.clock.monotonic()

    @property
    def feed(self) -> Feed:
        """What this invocation publishes of the run."""
        if self.visit.feed is None:
            self.visit.feed = Feed(self.world, self.header)
        return self.visit.feed

    def read(self, payload: Payload) -> str:
        return payloads.read(self.world.blobs, payload)

    def keep(self, text: str, what: str, *, limit: int | None = None) -> Payload:
        """Keep a JSON text, here or in S3. Raises PayloadTooLargeError."""
        if limit is not None:
            payloads.check_size(text, limit, what)
        payload = payloads.store(self.world.blobs, self.header.run_id, text, inline=payloads.INLINE_OUTPUT)
        if payload.key is not None and self.world.store.lives_longer(self.journal_id):
            self.world.blobs.extend(payload.key)
        return payload

    def load(self, scope: str, *, new: bool = False) -> None:
        """Bring a nested scope's partition into the journal; a new one is empty, and costs no read."""
        if scope in self.loaded:
            return
        self.loaded.add(scope)
        if new:
            self.journal.partitions.setdefault(scope, Partition(scope))
            return
        partition = self.world.store.load_scope(self.journal_id, scope)
        self.journal.add(partition)
        self._look_at(partition)

    def _look_at(self, partition: Partition) -> None:
        """See whether this message was overtaken."""
        self.items_loaded += len(partition.records)
        ours = paths.within(partition.scope, self.scope)
        for record in partition.records.values():
            self._see(record)
            if ours and not self._handed_out(record.path):
                self._meet(record.author)
        for entry in partition.log:
            if entry.time > self._newest:
                self._newest, self._rank = entry.time, -1
            if ours:
                self._meet(entry.author)
        if partition.failure is not None and ours:
            self._meet(partition.failure.author)

    def _handed_out(self, path: str) -> bool:
        """Whether a path is, or lies in, something that has a chain of its own."""
        while path:
            if path in self.journal.dispatched or path.endswith("]"):
                return path != self.scope
            path = paths.parent(path)
        return False

    def _meet(self, author: Author, *, now: bool = False) -> None:
        self._latest = max(self._latest, author.generation)
        if author.tag != self.tag:
            self._theirs = max(self._theirs, author, key=lambda other: (other.generation, other.tag))
            if self.message.forced:
                self.generation = max(self.generation, author.generation + 1)
            return
        self.repeats = self.repeats or not (self.visit.loads or now)
        self._mine = max(self._mine, author.generation)
        self.generation = max(self.generation, author.generation)  # it had taken the lead before

    def stamped(self, record: Record) -> Record:
        """A record that says which code wrote it, where that is not what the run's journal began on; and what it
        comes after in its millisecond."""
        code = self.code if self.code != self.header.code else None
        rank = self._rank + 1 if record.time == self._newest else 0
        same = record.code == code and record.rank == rank
        return record if same else replace(record, code=code, rank=rank)

    def _see(self, record: Record) -> None:
        """Note that nothing is older than a record."""
        if record.time > self._newest:
            self._newest, self._rank = record.time, record.rank
        elif record.time == self._newest:
            self._rank = max(self._rank, record.rank)

    # -- writing -------------------------------------------------------------------------------------

    def leave_a_stand_in(self) -> None:
        """See to it that a redelivery which dies is followed by another. It may be a copy of a message that was
        acknowledged, which does not come back; and whoever finds what it wrote leaves the rest to it. So before
        it writes, a message is sent that does what its redelivery would."""
        visit = self.visit
        if visit.delivery.receive_count > 1 and not visit.has_stand_in:
            visit.has_stand_in = True
            at = self.now() + lifetime(visit.invocation)
            stand_in = replace(visit.message, stands_for=self.tag, due=None)
            name = f"{self.journal_id}/{self.tag}/stand-in/{visit.delivery.receive_count}"
            send_at(self.world, stand_in.body(), at, now=self.now(), name=name)

    def register(self, record: Record) -> Record:
        """Write a record where there is none; what is there now."""
        self.leave_a_stand_in()
        record = self.stamped(record)
        return self._written(record, self.world.store.register(self.journal_id, record))

    def announce(self, record: Record) -> bool:
        """Write a record where there is none. Whether it is new: then so is what lies in its scope."""
        record = self.stamped(record)
        return self.register(record) is record

    def commit(self, record: Record) -> Record:
        """Write an outcome, or a failed attempt; what is there now. The first outcome stays."""
        self.leave_a_stand_in()
        record = self.stamped(record)
        return self._written(record, self.world.store.commit(self.journal_id, record))

    def commit_whole(self, record: Record) -> Record:
        """Write how a group or fan-out ended, which middleware is told of before: who comes again finds it ended."""
        scope = self.journal.partitions.get(record.path)
        if record.ended is not None and scope is not None:
            self.hooks.steps_ended(self.header, self.journal_id, scope.records.values(), record.ended)
        return self.commit(record)

    def claim(self, record: Record, seen: Record | None) -> Record:
        self.leave_a_stand_in()
        record = self.stamped(record)
        return self._written(record, self.world.store.claim(self.journal_id, record, seen))

    def take(self, record: Record, found: Record | None) -> Record:
        """Note a record that was committed together with other things; `found` if that is there instead."""
        return self._written(record, found)

    def _written(self, record: Record, found: Record | None) -> Record:
        self.outdated = True
        if found is None:
            self.progressed = True
            found = record
        elif found.author.tag == self.tag:
            self.repeats = True  # another delivery of this message is at work, and sends what follows
        self.note(found)
        if not self._handed_out(found.path):
            self._meet(found.author, now=True)
        return found

    def note(self, record: Record) -> None:
        """Take a record into the journal."""
        self.journal.put(record)
        self._see(record)
        self._latest = max(self._latest, record.author.generation)

    def lead(
        self, order: dict[str, list[str]], dispatched: Sequence[str] = (), lines: dict[str, int] | None = None
    ) -> None:
        """Make sure that it is this message that acts next: what the handler has seen, and what is handed
        out, is written down first where several might act. Raises Stale or Reload when another does.

        A follower may take the lead only with an outcome of its own, or one that came back from what was handed
        out: that of a step which ran beside others in one invocation is that invocation's, still at work.
        """
        if self.follower and not any(self._brings(path) for seen in order.values() for path in seen):
            if not self._has_joined():
                if self.code != self.header.code:
                    self._leave_a_check()
                raise Stale
            self.generation = self._mine = max(self.generation, self._latest + 1)
        if not order and not dispatched:
            return
        log = self.journal.partitions[self.scope].log
        generation = max(self.generation, self._latest + 1) if self.follower else self.generation
        if log:  # what an earlier entry handed out comes back a generation later, and must see this one
            generation = max(generation, log[-1].author.generation + 1)
        self.leave_a_stand_in()
        entry = LogEntry(
            position=len(log),
            author=Author(generation, self.tag),
            time=self.now(),
            order=order,
            dispatched=tuple(dispatched),
            lines=lines or {},
        )
        found = self.world.store.append(self.journal_id, self.scope, entry)
        if found is not None and not _same(found, entry):
            raise Reload
        log.append(entry)
        self.journal.note(entry)
        self.generation = self._mine = generation
        self.progressed = self.outdated = True
        self._latest = max(self._latest, generation)

    def _has_joined(self) -> bool:
        """Whether it was this message that joined a fan-out: that needs no entry of the log."""
        record = self.journal.find(self.message.joined) if self.message.joined is not None else None
        return record is not None and record.final and record.author.tag == self.tag

    def _leave_a_check(self) -> None:
        """A deploy may have put something before what this message brings: then the handler does not ask for that
        yet, and nobody else may be at work. If so, this goes on once it has been quiet for long enough."""
        seen = self.journal.order.get(self.scope, [])
        records = self.journal.partitions[self.scope].records
        if any(
            path in records and records[path].final for path in self.journal.dispatched.keys() - set(seen)
        ):
            now = self.now()
            at = now + patience(self.visit.invocation)
            name = f"{self.journal_id}/{self.scope}/{self.tag}/deployed"
            send_at(self.world, self.message.as_check().body(), at, now=now, name=name, late=True)

    def _brings(self, path: str) -> bool:
        """Whether it is an outcome that this message wrote, or that came back from what was handed out."""
        record = self.journal.find(path)
        if record is None:
            return False
        in_lanes = record.plan is not None and record.plan.lanes > 0
        return in_lanes or path in self.journal.dispatched or record.author.tag == self.tag

    # -- what brings the run back --------------------------------------------------------------------

    def next(self, **changes: Any) -> Continuation:
        """The message that follows the one in hand."""
        idle = 0 if self.progressed else self.message.idle + 1
        plain = Continuation(
            run=self.journal_id, generation=self.generation + 1, chain=self.message.chain, idle=idle
        )
        return replace(plain, **changes)

    def once_more(self, **changes: Any) -> Continuation:
        """The message that goes on with just what the one in hand is about."""
        message = self.message
        return self.next(leaf=message.leaf, lane=message.lane, joined=message.joined, **changes)

    def below(self, scope: str, lane: int | None = None) -> tuple[Level, ...]:
        """The chain of a branch that is handed out from this one."""
        return (*self.message.chain, Level(scope=scope, lane=lane))

    def send(self, messages: Iterable[Continuation]) -> None:
        bodies = [Outgoing(message.body()) for message in messages]
        if bodies:
            self.world.queue.send(bodies)

    def wake(self, path: str, at: int, *, message: Continuation | None = None) -> None:
        """Have a message delivered when the record at `path` is due.

        An earlier delivery of the message in hand may have sent it already. Then this one comes when the
        other has surely done its work, finds itself overtaken, and ends there.
        """
        now = self.now()
        fire = max(at, now)
        if self.repeats:
            fire += lifetime(self.visit.invocation)
        stamps = self.outlive(fire, again=self.repeats and self.world.store.lives_longer(self.journal_id))
        if stamps:  # and again, when all are gone that had loaded the run before
            fire = min(fire, now + lifetime(self.visit.invocation))
        due = replace(message or self.next(), due=Due(path=path, at=at, stamps=stamps))
        name = f"{self.journal_id}/{path}/{at}/{due.leaf}/{due.generation}"
        send_at(self.world, due.body(), fire, now=now, name=name, late=self.repeats)

    def outlive(self, at: int, *, again: bool = False) -> bool:
        """Keep what the run holds until then (milliseconds). Whether there was something to do."""
        before, self.header = self.header, outlive(self.world, self.header, at, again=again)
        return self.header is not before


def _same(one: LogEntry, other: LogEntry) -> bool:
    """Whether an entry is the one that an earlier delivery of the message wrote."""
    return (
        one.author == other.author
        and one.order == other.order
        and tuple(one.dispatched) == tuple(other.dispatched)
    )
