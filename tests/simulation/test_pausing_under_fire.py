"""Pausing while everything crashes, comes twice, late or never: nothing is lost, and nothing begins meanwhile."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from botocore.exceptions import ClientError

from lambda_durable import Concurrency, Context, Durable, Event, RunNotFoundError, Throttle, on_event
from lambda_durable.pauses import EFFECT
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

KINDS = {
    "plain": {},
    "one": {"concurrency": Concurrency(1, counts="runs")},
    "shared": {"concurrency": Concurrency(2, scope="app", counts="runs")},
    "throttled": {"throttle": Throttle(6, "1m")},
    "steps": {"concurrency": Concurrency(2)},
}

FAULTS = {
    "none": None,
    "everything": Faults(
        duplicate=0.1,
        late=0.1,
        crash=0.05,
        lose_response=0.05,
        interleave=True,
        skew=True,
        throttle=0.05,
        stale=0.2,
    ),
    "twice": Faults(duplicate=0.3, late=0.2, interleave=True),
    "crashes": Faults(crash=0.15, lose_response=0.1),
}

GRACE = EFFECT + timedelta(seconds=10)
"""By when a pause has its effect: clocks that differ, a look a second, and a step that had begun to begin."""


class Case:
    """An app, its runtime, and when each step began."""

    def __init__(self, kind, seed, faults):
        self.random = Random(f"{kind}{seed}")
        mode = self.random.choice([1, "all", "auto"])
        self.app, self.began, self.undone = Durable("app", steps_per_invocation=mode), [], Counter()
        self.paused: dict[str, list] = {}

        @self.app.function("f", on_event("job"), **KINDS[kind])
        def f(ctx: Context[dict]) -> int:
            n = ctx.event.data["n"]
            book = ctx.step.options(undo=lambda _: self.undone.update([n]))
            book.run("a", self.begin, "f", ctx.run_id, n)
            ctx.step.sleep("nap", ctx.event.data["nap"])
            ctx.step.map("m", lambda _: self.begin("f", ctx.run_id, n), [1, 2])
            ctx.step.wait_for_event("w", "never", timeout="7s")
            ctx.step.run("b", self.begin, "f", ctx.run_id, n)
            return n

        @self.app.function("g", on_event("other"), **KINDS[kind] if kind == "shared" else {})
        def g(ctx: Context[dict]) -> None:
            ctx.step.run("g", self.begin, "g", ctx.run_id, -1)

        self.rt = LocalRuntime(self.app, faults=faults, seed=seed, lambda_timeout="60s")

    def begin(self, function, run, n):
        self.began.append((self.rt.now(), function, run, n))

    def call(self, method, *args, **kwargs):
        """What a user does, who tries again when AWS says no."""
        while True:
            try:
                return getattr(self.rt.client, method)(*args, **kwargs)
            except ClientError:
                self.rt.advance("100ms")

    def pause(self, what, method, *args, **kwargs):
        self.call(method, *args, **kwargs)
        spans = self.paused.setdefault(what, [])
        if not spans or spans[-1][1] is not None:
            spans.append([self.rt.now(), None])

    def resume(self, what, method, *args):
        spans = self.paused.get(what, [])
        now = self.rt.now()
        self.call(method, *args)
        if spans and spans[-1][1] is None:
            spans[-1][1] = now

    def check(self):
        """No step began while its function, or its run, was paused."""
        for at, function, run, n in self.began:
            for what in (function, run):
                for since, until in self.paused.get(what, []):
                    assert not since + GRACE < at < (until or at), (what, n, since, at, until)


def fire(kind, seed, faults, count=7):
    case = Case(kind, seed, faults)
    rt, random = case.rt, case.random
    skipped, held = set(), []
    for n in range(count):
        for _ in range(random.randrange(3)):
            act = random.randrange(7)
            if act == 0:
                case.pause("f", "pause", "f")
            elif act == 1:
                case.resume("f", "resume", "f")
            elif act == 2:
                case.resume("f", "resume", "f")
                case.pause("f", "pause", "f")
            elif act < 6:
                for run in list(rt.runs("f"))[: random.randrange(3)]:
                    with suppress(RunNotFoundError):
                        if act == 5:
                            case.call("cancel", run.run_id)
                        elif act == 4:
                            case.resume(run.run_id, "resume_run", run.run_id)
                        elif not rt.get(run.run_id).ended_at:
                            case.pause(run.run_id, "pause_run", run.run_id)
            if random.random() < 0.5:
                rt.advance(f"{random.choice([1, 15, 40])}s")
        data = {"n": n, "nap": random.choice(["1s", "30s"])}
        case.call("send", Event("job", data, id=f"e{n}"), Event("other", id=f"o{n}"))
        if random.random() < 0.6:
            rt.advance(f"{random.choice([1, 15])}s")
    rt.advance("10m")
    case.resume("f", "resume", "f")
    for run in list(rt.runs("f")):
        case.resume(run.run_id, "resume_run", run.run_id)
    rt.drain()
    for run in list(rt.runs("f")):  # that became runs since
        case.resume(run.run_id, "resume_run", run.run_id)
    rt.drain()

    case.check()
    runs = [rt.get(each.run_id) for each in rt.runs("f")]
    assert Counter(run.event.data["n"] for run in runs) == {n: 1 for n in range(count) if n not in skipped}
    assert {run.status for run in runs} <= {"completed", "cancelled"}, [
        (run.event.data, run.status) for run in runs
    ]
    assert {run.status for run in rt.runs("g")} == {"completed"}
    assert len(list(rt.runs("g"))) == count
    assert not any(run.paused for run in runs)
    began = Counter(n for _, function, _, n in case.began if function == "f")
    for run in runs:
        n = run.event.data["n"]
        if run.status == "completed":
            assert began[n] >= 4
            assert case.undone[n] == 0
    nothing_is_kept(rt)
    assert rt.dead_letters == []
    assert held == []


def nothing_is_kept(rt):
    (table,) = rt._cloud.tables().values()
    items = [item.to_json()["Attributes"] for part in table.items.values() for item in part.values()]
    assert [item["pk"] for item in items if item["pk"]["S"].startswith("z#")] == []
    assert [item["pk"] for item in items if item["pk"]["S"].startswith("q#") and "x" not in item] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("faults", FAULTS)
def test_nothing_begins_while_it_is_paused_and_all_ends_when_it_goes_on(kind, seed, faults):
    fire(kind, seed, FAULTS[faults])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("faults", ["everything", "crashes"])
def test_each_held_event_becomes_one_run_in_the_order_in_which_they_came(seed, faults):
    case = Case("plain", seed, FAULTS[faults])
    rt, random = case.rt, case.random
    case.pause("f", "pause", "f")
    rt.advance("30s")
    for n in range(8):
        case.call("send", Event("job", {"n": n, "nap": "1s"}, id=f"e{n}"))
        rt.advance("6m")  # so late no delivery is
        if random.random() < 0.2:
            case.resume("f", "resume", "f")
            case.pause("f", "pause", "f")
            rt.advance("6m")
    assert case.began == [] or len(case.paused["f"]) > 1
    case.resume("f", "resume", "f")
    case.resume("f", "resume", "f")
    rt.drain()
    runs = sorted((rt.get(run.run_id) for run in rt.runs("f")), key=lambda run: run.created_at)
    assert [run.event.data["n"] for run in runs] == list(range(8))
    assert {run.status for run in runs} == {"completed"}
    case.check()
    nothing_is_kept(rt)


def drive(case):
    def outside(rt, run):
        case.rt = rt
        rt.advance("3s")
        while not list(rt.runs("f")):
            rt.advance("1m")
        rt.client.pause_run(run.run_id)
        rt.client.pause("f")
        rt.send(Event("job", {"n": 1, "nap": "1s"}, id="e1"))
        rt.advance("5m")
        rt.client.resume("f")
        rt.advance("5m")
        rt.client.resume_run(run.run_id)
        rt.drain()

    return outside


@pytest.mark.parametrize("kind", ["plain", "one"])
def test_a_crash_anywhere_loses_nothing_that_is_held(kind):
    case = Case(kind, 0, None)
    function = case.app.functions["f"]
    for crash in crash_everywhere(
        case.app, function, {"n": 0, "nap": "30s"}, drive=drive(case), steps_per_invocation="all"
    ):
        runs = list(crash.runtime.runs("f"))
        assert len(runs) == 2, crash.point
        assert {run.status for run in runs} == {"completed"}, (crash.point, runs)
        nothing_is_kept(crash.runtime)
