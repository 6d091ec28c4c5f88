"""Replays elsewhere: recorded runs under another clock, with other random numbers, in another environment.

What a handler made of those, wherever it did, by itself or in a package, shows in what it does. No step is executed:
outcomes come from the journal. Nothing found is no proof, since a world has more than is changed here.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ..function import Function
from ..verify.judging import verify
from ..verify.recording import Recording
from ..verify.report import explain
from ..verify.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from ..app import Durable
    from .local_runtime import LocalRuntime

_DATES: Final = (
    datetime(2031, 3, 9, 2, 41, 7, tzinfo=UTC),
    datetime(2031, 3, 9, 15, 48, 18, tzinfo=UTC),  # the other half of the day
    datetime(2032, 2, 29, 23, 59, 58, tzinfo=UTC),
    datetime(2029, 11, 25, 9, 0, 0, tzinfo=UTC),  # before the first
)
_KEPT: Final = (
    "AWS_",
    "LAMBDA_",
    "POWERTOOLS_",
    "PYTHON",
    "LC_",
    "LANG",
    "PATH",
    "HOME",
    "TMP",
    "TEMP",
    "SYSTEMROOT",
)
"""So begin the names of settings that a process and its libraries need as they are."""

VARIATIONS: Final = 3


@dataclass(frozen=True, slots=True)
class World:
    """Where a handler runs: at which time, with which random numbers, in which environment (None: as it is). In the
    same world it is all the same; the clock stands still."""

    clock: int = 0
    entropy: int = 0
    settings: int | None = 0

    @contextmanager
    def entered(self) -> Iterator[Callable[[], None]]:
        """Be there. What it gives has the random numbers come from the first again."""
        import time_machine

        at = _DATES[self.clock]
        ticks = {name: getattr(time, name) for name in ("monotonic", "perf_counter", "process_time")}
        with (
            time_machine.travel(at, tick=False),
            _instead(time, {name: _always(at.timestamp() + self.clock) for name in ticks}),
            self._entropy() as begin_again,
            self._settings(),
        ):
            yield begin_again

    @contextmanager
    def _entropy(self) -> Iterator[Callable[[], None]]:
        source, state = random.Random(), random.getstate()

        def begin_again() -> None:
            source.seed(self.entropy)
            random.seed(self.entropy)
            vars(uuid)["_last_timestamp"] = None

        try:
            with (
                _instead(os, {"urandom": source.randbytes}),
                _instead(random, {"_urandom": source.randbytes}),
                _instead(uuid, {"_generate_time_safe": None, "_UuidCreate": None}),  # they ask the system
                _instead(uuid, {"_last_timestamp": None, "_node": 1}),
            ):
                begin_again()
                yield begin_again
        finally:
            random.setstate(state)

    @contextmanager
    def _settings(self) -> Iterator[None]:
        kept = dict(os.environ)
        if self.settings is not None:
            others = {name: value for name, value in kept.items() if not name.startswith(_KEPT)}
            os.environ.update({name: f"{value}-{self.settings}" for name, value in others.items()})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)


HERE: Final = World()
OTHERS: Final[dict[str, tuple[World, ...]]] = {
    "the clock": tuple(World(clock=number) for number in range(1, VARIATIONS + 1)),
    "random numbers": tuple(World(entropy=number) for number in range(1, VARIATIONS + 1)),
    "the environment": tuple(World(settings=number) for number in range(1, VARIATIONS + 1)),
}
"""The worlds that differ from HERE in one thing."""

ITSELF: Final = "what is new each time"
"""Nothing was changed, and yet it differs."""

PROCESS: Final = "hashes, or what is made at import"
"""These differ in another process."""

Replays = dict[str, list[Verdict]]
"""The verdicts on one run, by what differs from the first of ITSELF."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """How a run went elsewhere: the first verdict that says it was not as recorded, or else any. What that depends on
    is told by how replays differ among themselves; nothing where all differ from the recording in the same way."""

    verdict: Verdict
    depends_on: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return _differs(self.verdict)


def replay_here(recording: Recording, app: Durable) -> list[Verdict]:
    """The verdict on a recording in HERE. No step is executed."""
    return [_verify_in(HERE, recording, app)]


def replay_elsewhere(recording: Recording, app: Durable) -> Replays:
    """The verdicts on a recording in HERE, twice, and in all OTHERS."""
    found = {ITSELF: [*replay_here(recording, app), *replay_here(recording, app)]}
    for name, worlds in OTHERS.items():
        found[name] = [_verify_in(world, recording, app) for world in worlds]
    return found


def judge(replays: Replays) -> Repetition:
    """What the replays of one run tell."""
    first = _seen(replays[ITSELF][0])
    depends_on = [name for name, several in replays.items() if any(_seen(each) != first for each in several)]
    if ITSELF in depends_on:
        depends_on = [ITSELF]
    verdicts = [each for several in replays.values() for each in several]
    return Repetition(next(filter(_differs, verdicts), verdicts[0]), tuple(depends_on))


def assert_deterministic(runtime: LocalRuntime, run_id: str) -> None:
    """Replay a run of a LocalRuntime under other clocks, with other random numbers and in other environments, from its
    journal: no step is executed. Raises AssertionError, which says what it did otherwise, and what that depends on.

    `lambda-durable check --replay` also does so in other processes, where the order of sets is another.
    """
    repetition = judge(replay_elsewhere(runtime.recording(run_id), runtime.app))
    if repetition.differs:
        raise AssertionError(tell(repetition))


def tell(repetition: Repetition) -> str:
    """What differed, as text."""
    because = f"\n  it depends on {', '.join(repetition.depends_on)}" if repetition.depends_on else ""
    return f"{explain(repetition.verdict)}{because}"


def _differs(verdict: Verdict) -> bool:
    as_it_was = (Outcome.SAME, Outcome.GOES_ON, Outcome.SKIPPED)
    return bool(verdict.differences) or verdict.outcome not in as_it_was


def _seen(verdict: Verdict) -> object:
    return verdict.outcome, verdict.differences


def _verify_in(world: World, recording: Recording, app: Durable) -> Verdict:
    unpinned = replace(recording, header=replace(recording.header, pinned=False))
    with world.entered() as begin_again:
        return verify(unpinned, _Repeating(app, begin_again))


class _Repeating:
    """An app, each of whose handlers finds the same random numbers whenever it begins."""

    def __init__(self, app: Durable, begin_again: Callable[[], None]) -> None:
        self.id, self.max_output, self.middleware = app.id, app.max_output, app.middleware
        self.middleware_errors = app.middleware_errors
        self.functions = {id: _repeating(function, begin_again) for id, function in app.functions.items()}


def _repeating(function: Function[Any, Any], begin_again: Callable[[], None]) -> Function[Any, Any]:
    def handler(context: Any) -> Any:
        begin_again()
        return function.handler(context)

    repeating = copy(function)
    repeating.handler = handler
    return repeating


def _always(value: float) -> Callable[[], float]:
    return lambda: value


@contextmanager
def _instead(module: Any, names: dict[str, Any]) -> Iterator[None]:
    """Other things under some names of a module."""
    kept = {name: getattr(module, name) for name in names if hasattr(module, name)}
    for name in kept:
        setattr(module, name, names[name])
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)
