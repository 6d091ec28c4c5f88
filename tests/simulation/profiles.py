"""Profiles: narrow vocabularies, so that what is rare in workflows of everything comes often.

A seed draws its profile: most have the whole, some go deep into one corner. A planted bug names the profile in
which it is hunted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.simulation.generators import OpenGenerator, _Names
from tests.simulation.nodes import Node, Sleep
from tests.simulation.outside import EVENTS, STOPPED, EventWait, Happening
from tests.simulation.workflows import Life, Workflow

WHOLE = "whole"

SHARE = 0.25
"""Of seeds that have a narrow profile."""


@dataclass(frozen=True)
class Profile:
    """What its workflows are made of: `kinds` of nodes (one named twice comes twice as often), at most so many
    `nodes` at a level, `rounds` that a run continues as new for, the chance of a time by which it is to be over,
    how many deploys. Waits last so many `seconds`, and at these `moments`, or up to `spread` seconds later,
    something happens."""

    kinds: tuple[str, ...]
    nodes: int = 3
    rounds: tuple[int, ...] = (0,)
    finish: float = 0.0
    deploys: tuple[int, ...] = (0,)
    happenings: int = 6
    seconds: tuple[int, ...] = (1, 10, 60, 500, 1500, 4000)
    moments: tuple[int, ...] = (0, 2, 30, 100, 600)
    spread: int = 60


PROFILES = {
    "waits": Profile(("event", "event", "event", "signal", "callback", "step", "tasks"), happenings=10),
    "wakes": Profile(
        ("step", "step", "event", "event", "signal", "approval"),
        nodes=4,
        happenings=12,
        seconds=(10, 30, 60),
        moments=(0, 9, 29, 58, 68, 88, 118),
        spread=4,
    ),
    "backs": Profile(
        ("back", "back", "back", "event", "step", "sleep", "tasks", "group"),
        nodes=4,
        happenings=12,
        seconds=(30, 500, 4000),
        moments=(0, 0, 0, 1, 30, 100),
        spread=2,
    ),
    "effects": Profile(("send", "send", "transact", "step"), nodes=4, happenings=0),
    "renewals": Profile(("step", "sleep", "event"), nodes=2, rounds=(1, 2, 3)),
    "deadlines": Profile(("sleep", "event", "step", "signal"), finish=1.0),
    "deploys": Profile(("changed", "step", "sleep", "event", "tasks", "group"), nodes=4, deploys=(1, 2)),
}


class NarrowGenerator(OpenGenerator):
    """Draws workflows of one profile."""

    def __init__(self, random: Random, size: int, profile: Profile, *, is_async: bool) -> None:
        super().__init__(random, size, is_async)
        self.profile = profile
        self._kinds = [kind for kind in profile.kinds if is_async or kind != "approval"]

    def workflow(self) -> list[Node]:
        return self.sequence(_Names(), depth=0, most=self.profile.nodes)

    def node(self, names: _Names, depth: int) -> Node:
        self.left -= 1
        nests = {"tasks", "group", "race", "polled"}
        flat = depth >= 2 or self.left <= 0
        kind = self.random.choice([each for each in self._kinds if not (flat and each in nests)])
        if kind in ("step", "sleep", *nests):
            return getattr(self, kind)(names, depth)
        return getattr(self, kind)(names)

    def sleep(self, names: _Names, depth: int) -> Sleep:
        return Sleep(id=names.new("z"), seconds=self.random.choice((0, 1, 30, 100, 600, 3600)))

    def event(self, names: _Names) -> EventWait:
        return replace(super().event(names), name=EVENTS[0])

    def back(self, names: _Names) -> EventWait:
        return replace(self.event(names), lookback=self.random.choice((5, 60, 1000)))

    def _seconds(self) -> int:
        return self.random.choice(self.profile.seconds)

    def life(self) -> Life:
        draw, profile = self.random, self.profile
        rounds = range(1, draw.choice(profile.rounds) + 1)
        return Life(
            rounds=[self.sequence(_Names(100 * number), depth=0, most=profile.nodes) for number in rounds],
            finish=draw.choice((10, 100, 1000)) if draw.random() < profile.finish else None,
            cancel_on=draw.random() < 0.1,
            on_failure=draw.random() < 0.2,
        )

    def happenings(self) -> list[Happening]:
        draw, found = self.random, []
        for number in range(draw.randint(0, self.profile.happenings)):
            at = draw.choice(self.profile.moments) + draw.randrange(self.profile.spread)
            kind = draw.choice(("event", "event", "event", "signal", "complete"))
            name = {"event": EVENTS[0], "signal": "go", "complete": ""}[kind]
            found.append(Happening(at, kind, name, number))
        for one in [one for one in found if one.kind == "event" and draw.random() < 0.6]:
            found.append(replace(one, at=one.at + draw.randrange(100), number=one.number + 100))
        for _ in range(draw.choice(self.profile.deploys)):
            found.append(Happening(draw.choice((0, 3, 20, 60, 300)), "deploy"))
        if draw.random() < 0.1:
            found.append(Happening(draw.choice((3, 40, 500)), "event", STOPPED))
        return sorted(found, key=lambda happening: happening.at)


def profile_of(seed: int) -> str:
    """The profile that a seed draws."""
    random = Random(f"profile {seed}")
    return random.choice(list(PROFILES)) if random.random() < SHARE else WHOLE


def narrow_workflow(seed: int, profile: str, *, is_async: bool, size: int) -> Workflow:
    random = Random(f"{profile} workflow {seed}")
    generator = NarrowGenerator(random, size, PROFILES[profile], is_async=is_async)
    return Workflow(generator.workflow(), is_async, generator.happenings(), generator.life())
