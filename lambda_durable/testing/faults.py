"""What goes wrong on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, TypeVar

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .simulation import Simulation

T = TypeVar("T")

# So that every run ends, however unlucky: afterwards, a runtime's faults of that kind are over.
_AT_MOST = {
    "crash": 40,
    "duplicate": 300,
    "late": 300,
    "lose_response": 200,
    "stall": 40,
    "lose": 20,
    "throttle": 100,
    "freeze": 20,
    "stale": 300,
}

_USUAL = {
    "duplicate": 0.1,
    "late": 0.1,
    "crash": 0.05,
    "lose_response": 0.05,
    "throttle": 0.02,
    "freeze": 0.03,
    "stale": 0.2,
    "lose": 0.0,
}


@dataclass(frozen=True, slots=True, init=False)
class Faults:
    """What goes wrong in a LocalRuntime, at which rates. `Faults()` is everything at once; with arguments,
    only what they name: `Faults(crash=0.05)`. The rates are probabilities; a runtime has a bounded number
    of each, so that runs end.

    - `duplicate`: of a message: it is delivered twice, at once or seconds apart. Of an event or a
      schedule: it comes twice, in messages of their own.
    - `late`: of a message: it comes seconds or minutes late, and is overtaken.
    - `crash`: of an invocation: it dies before or after some AWS call of its, or inside a step.
    - `lose_response`: of an AWS call: it is applied, but its response is lost, so it is repeated, or fails.
    - `interleave`: invocations that are due at the same time take turns at every AWS call, at random.
    - `skew`: each invocation's clock is off, by up to 2.5 seconds either way.
    - `throttle`: of an AWS call: it is refused (throttled, or a transaction that conflicts with another), and has
      done nothing; of a batch of messages, some are taken. Of a message: Lambda has no room for it, so it comes back
      later, with a receive count that says more than there were invocations.
    - `freeze`: of an invocation: it stops somewhere for seconds or minutes, and then goes on as if nothing had
      happened, or runs into its timeout.
    - `stale`: of a read of an index: it is seconds behind the table.

    With `late` and `interleave`, an AWS call takes seconds now and then.

    AWS loses nothing, but people do: they purge queues and delete schedules. Not among everything is

    - `lose`: of a run's own message or schedule: it never comes. `drain()` then reconciles, too.
    """

    duplicate: float
    late: float
    crash: float
    lose_response: float
    interleave: bool
    skew: bool
    throttle: float
    freeze: float
    stale: float
    lose: float

    def __init__(
        self,
        *,
        duplicate: float | None = None,
        late: float | None = None,
        crash: float | None = None,
        lose_response: float | None = None,
        interleave: bool | None = None,
        skew: bool | None = None,
        throttle: float | None = None,
        freeze: float | None = None,
        stale: float | None = None,
        lose: float | None = None,
    ) -> None:
        given = {
            "duplicate": duplicate,
            "late": late,
            "crash": crash,
            "lose_response": lose_response,
            "throttle": throttle,
            "freeze": freeze,
            "stale": stale,
            "lose": lose,
        }
        switches = {"interleave": interleave, "skew": skew}
        for name, rate in given.items():
            if rate is not None and not 0 <= rate <= 1:
                raise ConfigurationError(f"Faults({name}=): a rate is 0 to 1, and this is {rate!r}")
        everything = all(value is None for value in (*given.values(), *switches.values()))
        for name, rate in given.items():
            object.__setattr__(self, name, _USUAL[name] if everything else rate or 0.0)
        for name, on in switches.items():
            object.__setattr__(self, name, everything or bool(on))


class Dice:
    """Rolls for faults, from a simulation's seed."""

    def __init__(self, simulation: Simulation, faults: Faults | None) -> None:
        self.faults = faults if faults is not None else Faults(interleave=False)
        self.on = faults is not None
        self.rolled: Counter[str] = Counter()
        """How many faults of each kind there were."""
        self.only: Container[int] | None = None
        """The numbers of those that strike, if not all do: in their order, the first is 0."""
        self.watch: Callable[[str], None] | None = None
        """Told of the kind of each fault that strikes."""
        self._drawn = 0
        self._simulation = simulation
        self._random = simulation.random("faults")
        self._others = simulation.random("other faults")

    def copy_after(self) -> timedelta | None:
        """How long after the first delivery a second one comes; None for none."""
        if not self._hit("duplicate", self.faults.duplicate):
            return None
        return timedelta(seconds=self._random.choice((0.0, 0.0, self._random.uniform(0, 30))))

    def loses(self) -> bool:
        """Whether a message of ours never comes."""
        return self._hit("lose", self.faults.lose)

    def lateness(self) -> timedelta:
        if not self._hit("late", self.faults.late):
            return timedelta()
        return timedelta(seconds=self._random.uniform(0, self._random.choice((5, 60, 600))))

    def stall(self) -> timedelta:
        """How long an AWS call takes."""
        if not self.faults.interleave or not self._hit("stall", self.faults.late / 10):
            return timedelta()
        return timedelta(seconds=self._random.uniform(0, self._random.choice((2, 20))))

    def dies_at(self, usual_points: int) -> int | None:
        """At which of its yield points an invocation dies, if one like it has `usual_points`."""
        if not self._hit("crash", self.faults.crash):
            return None
        return self._random.randint(1, usual_points)

    def loses_response(self) -> bool:
        return self._hit("lose_response", self.faults.lose_response)

    def repeats_call(self) -> bool:
        """Whether the client tries again by itself, after a lost response."""
        return self._random.random() < 0.5

    def skew(self) -> timedelta:
        return timedelta(seconds=self._random.uniform(-2.5, 2.5)) if self.faults.skew else timedelta()

    def refuses(self) -> bool:
        """Whether AWS has no room for a call, or Lambda none for a message."""
        return self._hit("throttle", self.faults.throttle, self._others)

    def some(self, things: Sequence[T]) -> list[T]:
        """Those of a batch that are taken though others are refused."""
        return [thing for thing in things if self._others.random() < 0.5]

    def freezes_at(self, usual_points: int) -> int | None:
        """At which of its yield points an invocation stops for a while, if one like it has `usual_points`."""
        if not self._hit("freeze", self.faults.freeze, self._others):
            return None
        return self._others.randint(1, usual_points)

    def freeze(self) -> timedelta:
        return timedelta(seconds=self._others.uniform(0, self._others.choice((5, 70, 1000))))

    def lag(self) -> timedelta:
        """How far behind the table an index is, for an invocation that reads it."""
        if self._simulation.current() is None or not self._hit("stale", self.faults.stale, self._others):
            return timedelta()
        return timedelta(seconds=self._others.uniform(0, self._others.choice((1, 20))))

    def second_of_minute(self) -> timedelta:
        return timedelta(seconds=self._random.randrange(60)) if self.on else timedelta()

    def _hit(self, kind: str, rate: float, random: Random | None = None) -> bool:
        if not rate or self.rolled[kind] >= _AT_MOST[kind] or (random or self._random).random() >= rate:
            return False
        self._drawn += 1
        if self.only is not None and self._drawn - 1 not in self.only:
            return False
        self.rolled[kind] += 1
        if self.watch is not None:
            self.watch(kind)
        return True
