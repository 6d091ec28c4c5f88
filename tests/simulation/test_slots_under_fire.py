"""Limits of steps while everything crashes, comes twice, late or never: never exceeded, and all runs end."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest

from lambda_durable import (
    Concurrency,
    Context,
    Durable,
    Event,
    NonRetriableError,
    Priority,
    Retry,
    RunNotFoundError,
    current_step,
    on_event,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere
from tests.simulation.aftermath import items_of

TAKES = 10
"""Seconds."""

LAST = timedelta(seconds=2)
"""How long before its Lambda is killed a step is interrupted (`Invocation.last_call`)."""

KINDS = {
    "one": {"concurrency": Concurrency(1)},
    "three": {"concurrency": Concurrency(3), "priority": Priority("data.urgent")},
    "keyed": {"concurrency": Concurrency(1, key="data.who")},
    "two": {"concurrency": [Concurrency(3), Concurrency(2, key="data.who")]},
    "app": {"concurrency": [Concurrency(2, scope="app"), Concurrency(1, key="data.who")]},
    "both": {"concurrency": [Concurrency(2), Concurrency(2, counts="runs", key="data.who")]},
}
MOST = {
    "one": ("all", 1),
    "three": ("all", 3),
    "keyed": ("who", 1),
    "two": ("who", 2),
    "app": ("all", 2),
    "both": ("all", 2),
}


class Effects:
    """When each step's function was called, and for whom."""

    def __init__(self):
        self.log = []
        self.failed = set()

    def call(self, who, what, *, fails=False):
        given_up = timedelta(seconds=current_step().remaining_time) - LAST
        self.log.append((self.rt.now(), self.rt.now() + min(timedelta(seconds=TAKES), given_up), who))
        if fails and what not in self.failed:
            self.failed.add(what)
            raise OSError("not yet")
        return what

    def most_at_once(self, of=None):
        """A call that crashes is over sooner, and its slot is not."""
        times = [(began, ends) for began, ends, who in self.log if of in (None, who)]
        return max((sum(at <= began < ends for at, ends in times) for began, _ in times), default=0)


def make(kind, mode):
    app, effects = Durable("app", steps_per_invocation=mode), Effects()

    def work(ctx: Context[dict]) -> int:
        data = ctx.event.data
        who, n = data["who"], data["n"]
        book = ctx.step.options(undo=lambda _: effects.call(who, f"{n}-undo"))
        book.run("s0", effects.call, who, f"{n}-0")
        ctx.step.sleep("nap", data["nap"])
        steps = ctx.step.options(retry=Retry.fixed("5s", 3))
        steps.run("s1", effects.call, who, f"{n}-1", fails=True)
        ctx.step.map("m", lambda i: effects.call(who, f"{n}-m{i}"), range(data["wide"]))
        if data.get("fails"):
            raise NonRetriableError("no")
        return data["n"]

    f = app.function("f", on_event("job"), **KINDS[kind])(work)
    if kind == "app":
        app.function("g", on_event("job"), concurrency=Concurrency(2, scope="app"))(work)
    return app, f, effects


def fire(kind, seed, faults, count=5):
    random = Random(f"{kind}{seed}")
    app, _, effects = make(kind, random.choice([1, "all", "auto"]))
    rt = effects.rt = LocalRuntime(app, faults=faults, seed=seed, lambda_timeout="60s")
    for step in ("s0", "s1", "m", "undo/s0"):
        rt.stub(step, takes=f"{TAKES}s")
    for n in range(count):
        data = {
            "n": n,
            "who": random.choice("aab"),
            "urgent": random.choice([0, 0, 300]),
            "nap": random.choice(["1s", "30s"]),
            "wide": random.choice([0, 1, 3]),
            "fails": random.random() < 0.2,
        }
        rt.send(Event("job", data, id=f"e{n}"))
        if random.random() < 0.5:
            rt.advance(f"{random.choice([1, 5, 20])}s")
        if random.random() < 0.2:
            for run in list(rt.runs())[:2]:
                with suppress(RunNotFoundError):
                    rt.client.cancel(run.run_id)
    rt.drain()

    runs = [rt.get(each.run_id) for each in rt.runs()]
    assert len(runs) == count * (2 if kind == "app" else 1)
    assert {run.status for run in runs} <= {"completed", "failed", "cancelled"}, Counter(
        run.status for run in runs
    )
    assert rt.dead_letters == []
    assert {run.status for run in runs if run.event.data["fails"]} <= {"failed", "cancelled"}
    assert all(run.event.data["fails"] for run in runs if run.status == "failed")
    of, most = MOST[kind]
    for who in "ab" if of == "who" else [None]:
        assert effects.most_at_once(who) <= most
    left = [item for item in items_of(rt) if item["pk"]["S"].startswith("q#")]
    places = [item for item in left if item["sk"]["S"] != "!"]
    assert places == [], [(item, rt.get(item["u"]["S"]).status) for item in places]
    assert [item for item in left if item.get("w", {"N": "0"})["N"] != "0"] == []
    return effects


FAULTS = {
    "none": None,
    "everything": Faults(),
    "twice": Faults(duplicate=0.3, late=0.2, interleave=True),
    "crashes": Faults(crash=0.15, lose_response=0.1),
    "frozen": Faults(freeze=0.2, duplicate=0.1, interleave=True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("faults", FAULTS)
def test_no_limit_is_exceeded_and_all_are_served(kind, seed, faults):
    fire(kind, seed, FAULTS[faults])


@pytest.mark.parametrize("kind", ["one", "two"])
def test_a_crash_anywhere_leaves_nobody_waiting(kind):
    def others(rt, run):
        effects.rt = rt
        rt.send(Event("job", {"n": 1, "who": "a", "urgent": 0, "nap": "5s", "wide": 0}, id="e1"))
        rt.drain()

    app, f, effects = make(kind, "all")
    for crash in crash_everywhere(
        app, f, {"n": 0, "who": "a", "urgent": 0, "nap": "5s", "wide": 2}, drive=others
    ):
        runs = list(crash.runtime.runs())
        assert [run.status for run in runs] == ["completed"] * 2, crash.point
