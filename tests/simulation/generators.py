"""Draws random workflows from a seed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.nodes import Changed, Group, Node, Sleep, Step
from tests.simulation.outside import (
    EVENTS,
    SIGNALS,
    STOPPED,
    Approval,
    Callback,
    EventWait,
    Happening,
    Invoke,
    Poll,
    Send,
    SignalWait,
    Transact,
)
from tests.simulation.parallels import Branches, Gather, Map, Polled, Race, Tasks
from tests.simulation.workflows import Life, Workflow


class Generator:
    """Draws a tree. Ids are short and equal from scope to scope, so that a mix-up of scopes shows."""

    def __init__(self, random: Random, size: int) -> None:
        self.random = random
        self.left = size

    def workflow(self) -> list[Node]:
        nodes = self.sequence(_Names(), depth=0, most=6)
        if self.random.random() < 0.1:
            nodes.append(Step(id="last", fails=self.random.choice((0, 1)), forever="attempts"))
        return nodes

    def sequence(self, names: _Names, *, depth: int, most: int, may_fail: bool = False) -> list[Node]:
        nodes = [self.node(names, depth) for _ in range(self.random.randint(1, most))]
        if may_fail and self.random.random() < 0.25:
            nodes.append(self.step(names, forever=self.random.choice(("at once", "attempts")), caught=False))
        return nodes

    def node(self, names: _Names, depth: int) -> Node:
        self.left -= 1
        kinds = ["step"] * 6 + ["sleep"]
        if self.left > 0:
            kinds += ["gather", "map", "race", "polled"] * 2
            if depth < 3:
                kinds += ["group", "branches", "branches"]
            if depth < 2:
                kinds += ["tasks"]
        return getattr(self, self.random.choice(kinds))(names, depth)

    def step(self, names: _Names, depth: int = 0, **given: Any) -> Step:
        draw = self.random
        fields: dict[str, Any] = {"id": names.new("s"), "caught": True}
        if draw.random() < 0.15 and not given and names.repeatable:
            fields["id"] = draw.choice(names.repeatable)
        elif not given:
            names.repeatable.append(fields["id"])
        if draw.random() < 0.3:
            fields |= {
                "fails": draw.choice((1, 1, 2, 3)),
                "delay": draw.choice((0, 5, 7, 60, 1200)),
                "jitter": draw.random() < 0.3,
            }
        if draw.random() < 0.15:
            fields["forever"] = draw.choice(("at once", "attempts"))
        elif draw.random() < 0.1:
            fields["at_most_once"] = True
        if draw.random() < 0.3:
            fields["takes"] = draw.choice((1, 2, 9, 20))
        return Step(**fields | given)

    def sure(self, names: _Names) -> Step:
        """A step that succeeds in the end."""
        return self.step(names, forever="", at_most_once=False, caught=False)

    def sleep(self, names: _Names, depth: int) -> Sleep:
        seconds = self.random.choice((0, 1, 30, 600, 899, 900, 901, 3600, 200_000))
        return Sleep(id=names.new("z"), seconds=seconds)

    def group(self, names: _Names, depth: int) -> Group:
        inner = self.sequence(_Names(), depth=depth + 1, most=3, may_fail=True)
        return Group(id=names.new("g"), nodes=inner, caught=True)

    def branches(self, names: _Names, depth: int) -> Branches:
        count = self.random.choice((0, 1, 2, 2, 3, 3, 4))
        inner = [self.sequence(_Names(), depth=depth + 1, most=2, may_fail=True) for _ in range(count)]
        parallel = self.random.random() < 0.5
        return Branches(
            id=names.new("p"),
            branches=inner,
            parallel=parallel,
            caught=True,
            **self._fan(count) if not parallel else {"width": self._width(count)},
        )

    def map(self, names: _Names, depth: int) -> Map:
        count = self.random.choice((1, 2, 3, 4, 5, 9))
        first = self.step(_Names(), at_most_once=False)
        same = {"delay": first.delay, "jitter": first.jitter, "at_most_once": False}
        forever = self.random.random() < 0.3
        items = []
        for index in range(count):
            fails = self.random.choice((0, 0, 0, 1, 2))
            ends = "at once" if forever and self.random.random() < 0.3 else ""
            takes = self.random.choice((0, 0, 1, 5, 20))
            items.append(Step(id=f"i{index}", fails=fails, forever=ends, takes=takes, caught=True, **same))
        return Map(id=names.new("m"), items=items, caught=True, **self._fan(count))

    def gather(self, names: _Names, depth: int) -> Gather:
        steps = [self.step(names, caught=True) for _ in range(self.random.randint(2, 4))]
        if self.random.random() < 0.2:
            steps.append(self.step(names, forever="at once", caught=False, at_most_once=False))
        how = self.random.choice(("gather", "taskgroup", "wait", "results"))
        return Gather(id=names.new("j"), steps=steps, how=how, caught=True)

    def tasks(self, names: _Names, depth: int) -> Tasks:
        names = names.without_repeats()
        inner = [self.sequence(names, depth=depth + 1, most=2) for _ in range(self.random.randint(2, 3))]
        return Tasks(id=names.new("t"), branches=inner)

    def race(self, names: _Names, depth: int) -> Race:
        against_sleep = self.random.random() < 0.4
        steps = [self.sure(names) for _ in range(1 if against_sleep else self.random.randint(2, 3))]
        sleep = self.random.choice((1, 5, 8, 100, 2000)) if against_sleep else None
        rest = self.random.choice(("await", "cancel", "leave"))
        return Race(id=names.new("r"), steps=steps, sleep=sleep, rest=rest)

    def polled(self, names: _Names, depth: int) -> Polled:
        meanwhile: Node = self.sure(names)
        if self.random.random() < 0.3:
            meanwhile = self.sleep(names, depth)
        return Polled(id=names.new("q"), step=self.sure(names), meanwhile=meanwhile)

    def _fan(self, count: int) -> dict[str, Any]:
        draw = self.random
        return {"width": self._width(count), "tolerant": draw.random() < 0.4, "keyed": draw.random() < 0.3}

    def _width(self, count: int) -> int | None:
        return self.random.choice((None, None, 1, 2, 3))


class _Names:
    """The ids of one scope."""

    def __init__(self, used: int = 0) -> None:
        self.used = used
        self.repeatable: list[str] = []
        self._repeats = True

    def new(self, letter: str) -> str:
        self.used += 1
        return f"{letter}{self.used}"

    def without_repeats(self) -> _Names:
        """The same scope's, for tasks of it: two of them must not use one id."""
        return _TaskNames(self)


class _TaskNames(_Names):
    def __init__(self, outer: _Names) -> None:
        super().__init__()
        self._outer = outer

    def new(self, letter: str) -> str:
        return self._outer.new(letter)

    @property
    def repeatable(self) -> list[str]:  # type: ignore[override]
        return []

    @repeatable.setter
    def repeatable(self, _: list[str]) -> None:
        pass


class OpenGenerator(Generator):
    """Draws workflows that the outside world takes part in, and what it does."""

    def __init__(self, random: Random, size: int, is_async: bool) -> None:
        super().__init__(random, size)
        self._open = ["event", "signal", "callback", "invoke", "poll"] * 2 + ["transact", "send"]
        if is_async:
            self._open += ["approval", "approval"]

    def node(self, names: _Names, depth: int) -> Node:
        chance = self.random.random()
        if chance < 0.05:
            return self.changed(names)
        if chance < 0.6:
            return super().node(names, depth)
        self.left -= 1
        return getattr(self, self.random.choice(self._open))(names)

    def workflow(self) -> list[Node]:
        nodes = super().workflow()
        if self.random.random() < 0.3:
            nodes.append(Step(id="broken", forever=self.random.choice(("at once", "attempts"))))
        return nodes

    def step(self, names: _Names, depth: int = 0, **given: Any) -> Step:
        draw = self.random
        drawn = replace(super().step(names, depth, **given), undo=draw.random() < 0.3)
        if drawn.takes > 1 and not given and draw.random() < 0.2:
            drawn = replace(drawn, forever="slow")
        return drawn

    def changed(self, names: _Names) -> Changed:
        """A step that a deploy brings, or takes away."""
        step = replace(self.sure(names), undo=False)
        since = self.random.choice((0, 1, 1, 2))
        until = self.random.choice((None, None, 2)) if since else 1
        return Changed(id=names.new("v"), step=step, since=since, until=until)

    def sleep(self, names: _Names, depth: int) -> Sleep:
        if self.random.random() < 0.1:
            return Sleep(id=names.new("z"), seconds=4_000_000)  # longer than what is written now lives
        return super().sleep(names, depth)

    def map(self, names: _Names, depth: int) -> Map:
        drawn, undo = super().map(names, depth), self.random.random() < 0.3
        once = self.random.random() < 0.1
        items = [replace(item, undo=undo, at_most_once=once) for item in drawn.items]
        if once:  # the policy is that of the first, and has no attempts to spare
            items = [replace(item, fails=items[0].fails) for item in items]
        return replace(drawn, items=items)

    def life(self) -> Life:
        draw = self.random
        rounds = [self.sequence(_Names(100 * number), depth=0, most=3) for number in range(1, self._rounds())]
        pin, start = draw.random() < 0.3, 600 if draw.random() < 0.05 else None
        finish = draw.choice((10, 100, 1000, 5000, 5_000_000)) if draw.random() < 0.2 else None
        return Life(
            rounds=rounds,
            pin=pin,
            start=start if finish is None or finish > 600 else None,
            finish=finish,
            cancel_on=draw.random() < 0.2,
            on_failure=draw.random() < 0.4,
        )

    def _rounds(self) -> int:
        return self.random.choice((1, 1, 1, 2, 3))

    def happenings(self) -> list[Happening]:
        draw, found = self.random, []
        for number in range(draw.randint(0, 12)):
            at = draw.choice((0, 1, 5, 30, 100, 600, 1000, 3000)) + draw.randrange(60)
            if draw.random() < 0.3:
                found.append(Happening(at, draw.choice(("complete", "complete", "beat", "fail")), "", number))
            elif draw.random() < 0.7:
                matches = draw.random() < 0.8
                found.append(Happening(at, "event", draw.choice(EVENTS), number, matches))
            else:
                found.append(Happening(at, "signal", draw.choice(SIGNALS), number))
        for one in [one for one in found if one.kind == "event" and draw.random() < 0.4]:  # soon another one
            found.append(replace(one, at=one.at + draw.randrange(90), number=one.number + 100))
        for _ in range(draw.choice((0, 0, 0, 1, 2))):
            found.append(Happening(draw.choice((0, 3, 20, 60, 300, 900, 4000)), "deploy"))
        if draw.random() < 0.2:
            found.append(Happening(draw.choice((0, 3, 40, 500)), "event", STOPPED, 0, draw.random() < 0.7))
        if draw.random() < 0.25:
            found.append(Happening(draw.choice((0, 2, 9, 20, 65, 200, 700, 5000)), "cancel"))
        return sorted(found, key=lambda happening: happening.at)

    def event(self, names: _Names) -> EventWait:
        return EventWait(
            id=names.new("w"),
            name=self.random.choice(EVENTS),
            seconds=self._seconds(),
            matching=self.random.random() < 0.7,
        )

    def signal(self, names: _Names) -> SignalWait:
        name = self.random.choice(SIGNALS)
        return SignalWait(id=names.new("n"), name=name, seconds=self._seconds(), caught=True)

    def callback(self, names: _Names) -> Callback:
        draw, seconds = self.random, self._seconds()
        return Callback(
            id=names.new("c"),
            seconds=seconds,
            heartbeat=draw.choice([None, None, *(beat for beat in (1, 30, 400) if beat <= seconds)]),
            slow=draw.choice((0, 0, 0, 1)),
            caught=True,
        )

    def approval(self, names: _Names) -> Approval:
        return Approval(id=names.new("a"), wait=self.event(names), sleep=self._seconds())

    def invoke(self, names: _Names) -> Invoke:
        draw = self.random
        sleep = draw.choice((0, 0, 1, 20, 1000))
        timeout = draw.choice((None, None, 10, 500, 5000))
        return Invoke(id=names.new("i"), sleep=sleep, fails=draw.random() < 0.2, timeout=timeout, caught=True)

    def poll(self, names: _Names) -> Poll:
        draw = self.random
        return Poll(
            id=names.new("o"),
            every=draw.choice((5, 60, 1000)),
            until=draw.choice((0, 10, 100, 2000)),
            timeout=draw.choice((20, 1000, 5000)),
            caught=True,
        )

    def transact(self, names: _Names) -> Transact:
        return Transact(id=names.new("x"))

    def send(self, names: _Names) -> Send:
        return Send(id=names.new("e"))

    def _seconds(self) -> int:
        return self.random.choice((1, 10, 60, 500, 1500, 4000))


def random_workflow(seed: int, *, is_async: bool, size: int = 10, opened: bool = False) -> Workflow:
    """`opened`: one that the outside world takes part in."""
    if not opened:
        return Workflow(Generator(Random(f"workflow {seed}"), size).workflow(), is_async)
    generator = OpenGenerator(Random(f"open workflow {seed}"), size, is_async)
    nodes, happenings, life = generator.workflow(), generator.happenings(), generator.life()
    if life.rounds and nodes[-1].id in ("last", "broken"):
        nodes, life = nodes[:-1], replace(life, rounds=[*life.rounds[:-1], [*life.rounds[-1], nodes[-1]]])
    return Workflow(nodes, is_async, happenings, life)
