"""Reruns: a run begins with the event of another one, and, from a step on, with what that one has.

The new run's header comes first, and says what it is a rerun of. Whatever message comes for it then copies what is to
be kept, before anything else: each record where there is none, and last of all, in the header, that all is there. So a
crash anywhere leaves a run that has a driver, and who comes again goes on where the copying stopped.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from functools import partial

from ..durations import to_millis
from ..engine import paths
from ..engine.interrupts import Reload, Suspend
from ..engine.journal import Header, Kind, Origin, Record, RunStatus
from ..errors import ConfigurationError, DurableError
from ..ports import World
from . import payloads
from .chain import Chain
from .keeping import Keeping, Moment, moment
from .messages import Rerun, Start
from .scopes import partitions
from .starting import start_of
from .wakes import send_at

AT_ONCE = 100
"""Records that are copied between two looks at the time that is left."""

MARGIN = 0.25
"""The part of an invocation that is left for what comes after the copying."""

LONGEST_PAUSE = 3600
"""Seconds between two looks whether a run is undone that is to be repeated."""


def keep(chain: Chain) -> DurableError | None:
    """Copy what a run begins with, and leave by an Interrupt. An error if that can't be."""
    header, origin, store = chain.header, chain.header.origin, chain.world.store
    assert origin is not None
    repeated = store.get_header(origin.run_id)
    if repeated is None or _expires(chain.world, repeated):
        return ConfigurationError(
            f"run {origin.run_id}, which this one was to repeat from step {origin.step!r}, has expired"
        )
    if repeated.status in (RunStatus.CANCELLING, RunStatus.COMPENSATING):
        _come_back(chain, min(2**chain.message.idle, LONGEST_PAUSE), idle=min(chain.message.idle + 1, 50))
        raise Suspend
    keeping = Keeping(
        load=partial(store.load_scope, origin.journal),
        find=partial(store.get_record, origin.journal),
        anew=_anew(chain.world, repeated, origin),
    )
    undoes = False
    for scope, records in keeping.records():
        undoes = undoes or any(record.undo is not None for record in records)
        there = store.load_scope(header.run_id, scope).records if chain.repeats and records else {}
        left = [record for record in records if record.path not in there]
        for start in range(0, len(left), AT_ONCE):
            some = left[start : start + AT_ONCE]
            store.keep_all(header.run_id, [_copied(chain.world, header.run_id, record) for record in some])
            if chain.remaining() < chain.visit.invocation.timeout * MARGIN:
                _come_back(chain, 0, idle=chain.message.idle)
                raise Suspend
    for scope, entry in keeping.logs():
        store.append(header.run_id, scope, entry)
    store.all_kept(header, undoes=undoes)
    raise Reload


def message(
    world: World,
    repeated: Header,
    run: str,
    *,
    step: str = "",
    text: str | None = None,
    in_bulk: bool = False,
) -> Start:
    """The message that begins a rerun, with an event (JSON) of its own or that of the run that it repeats."""
    rerun = Rerun(
        run=repeated.run_id, journal=repeated.journal_id if step else "", step=step, in_bulk=in_bulk
    )
    if text is None:
        return Start(function=repeated.function_id, run=run, rerun=rerun)
    return replace(start_of(world, repeated.function_id, run, text), rerun=rerun)


def step_of(world: World, header: Header, id: object) -> str:
    """The path of the step from which a run is to be repeated. Raises ConfigurationError for one that it has not."""
    if not isinstance(id, str) or not id:
        raise ConfigurationError(f"from_step= is the id of a step, and this is {id!r}")
    if _expires(world, header):
        raise ConfigurationError(
            f"run {header.run_id} of {header.function_id!r} has expired: some of its steps may be gone, and would be "
            "done anew; do it again as a whole"
        )
    for path in dict.fromkeys((id, paths.escape(id))):
        record = world.store.get_record(header.journal_id, path) if path[0] != ":" else None
        if record is not None:
            return _with_its_callback(world, header, path)
    known = _steps(world, header)
    if id in known:
        return id
    near = difflib.get_close_matches(id, known, n=3, cutoff=0.5) or known[:5]
    has = f"; it has {', '.join(map(repr, near))}" if near else "; it has none yet"
    raise ConfigurationError(f"run {header.run_id} of {header.function_id!r} has no step {id!r}{has}")


def _expires(world: World, header: Header) -> bool:
    """Whether what a run has may be going, item by item and in any order, while its header is still there."""
    return header.expires is not None and header.expires <= to_millis(world.clock.now())


def _with_its_callback(world: World, header: Header, path: str) -> str:
    """What submits a callback is part of that: a token can't be handed back twice."""
    around = paths.parent(path)
    if around and not paths.is_branch(path) and not paths.is_branch(around):
        record = world.store.get_record(header.journal_id, around)
        if record is not None and record.kind is Kind.WAIT_FOR_CALLBACK:
            return around
    return path


def _steps(world: World, header: Header) -> list[str]:
    known: dict[str, None] = {}
    for partition in partitions(world, header.journal_id):
        known |= dict.fromkeys(partition.records)
        known |= dict.fromkeys(path for entry in partition.log for path in entry.dispatched)
    return list(known)


def _anew(world: World, repeated: Header, origin: Origin) -> dict[str, Moment]:
    """What happens once more, and when it had ended: the step that was asked for, and all that was undone."""
    find = world.store.get_record
    anew = {origin.step: moment(find(origin.journal, origin.step))}
    if repeated.ends_as is not None and repeated.journal_id == origin.journal:
        undone = world.store.load_scope(origin.journal, paths.UNDO).records
        targets = {paths.undone(path) for path, record in undone.items() if record.final and not record.error}
        anew |= {path: moment(find(origin.journal, path)) for path in sorted(targets)}
    return {path: at for path, at in anew.items() if not anew.keys() & set(paths.enclosing(path))}


def _copied(world: World, run: str, record: Record) -> Record:
    """A record as the new run has it. What lies in S3 goes with its run, which may expire first."""
    if record.output is None or record.output.key is None:
        return record
    text = payloads.read(world.blobs, record.output)
    return replace(record, output=payloads.store(world.blobs, run, text, inline=payloads.INLINE_OUTPUT))


def _come_back(chain: Chain, seconds: int, *, idle: int) -> None:
    """Have the message in hand delivered once more, and go on with the copying then."""
    now = chain.now()
    again = replace(chain.message, idle=idle, stands_for=chain.tag)
    name = f"{chain.journal_id}/{chain.tag}/kept/{idle}"
    send_at(chain.world, again.body(), now + 1000 * seconds, now=now, name=name)
