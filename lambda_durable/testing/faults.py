"""What goes wrong on purpose."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .simulation import Simulation

# So that every run ends, however unlucky: afterwards, a runtime's faults of that kind are over.
_AT_MOST = {"crash": 40, "duplicate": 300, "late": 300, "lose_response": 200, "stall": 40, "lose": 20}


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
        lose: float | None = None,
    ) -> None:
        given = {
            "duplicate": duplicate,
            "late": late,
            "crash": crash,
            "lose_response": lose_response,
            "lose": lose,
        }
        switches = {"interleave": interleave, "skew": skew}
        for name, rate in given.items():
            if rate is not None and not 0 <= rate <= 1:
                raise ConfigurationError(f"Faults({name}=): a rate is 0 to 1, and this is {rate!r}")
        everything = all(value is None for value in (*given.values(), *switches.values()))
        usual = {"duplicate": 0.1, "late": 0.1, "crash": 0.05, "lose_response": 0.05, "lose": 0.0}
        for name, rate in given.items():
            object.__setattr__(self, name, usual[name] if everything else rate or 0.0)
        for name, on in switches.items():
            object.__setattr__(self, name, everything or bool(on))


class Dice:
    """Rolls for faults, from a simulation's seed."""

    def __init__(self, simulation: Simulation, faults: Faults | None) -> None:
        self.faults = faults if faults is not None else Faults(interleave=False)
        self.on = faults is not None
        self._random = simulation.random("faults")
        self._rolled: Counter[str] = Counter()

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

    def second_of_minute(self) -> timedelta:
        return timedelta(seconds=self._random.randrange(60)) if self.on else timedelta()

    def _hit(self, kind: str, rate: float) -> bool:
        if not rate or self._rolled[kind] >= _AT_MOST[kind] or self._random.random() >= rate:
            return False
        self._rolled[kind] += 1
        return True
