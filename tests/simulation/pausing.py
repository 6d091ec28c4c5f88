"""Functions and runs that are paused and resumed under faults, and what must have become of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random

from botocore.exceptions import ClientError

from lambda_durable import (
    Batch,
    Concurrency,
    Context,
    Debounce,
    Durable,
    Event,
    RunNotFoundError,
    Throttle,
    on_event,
)
from lambda_durable.pauses import EFFECT
from lambda_durable.testing import Faults, LocalRuntime

KINDS = {
    "plain": {},
    "one": {"concurrency": Concurrency(1, counts="runs")},
    "shared": {"concurrency": Concurrency(2, scope="app", counts="runs")},
    "throttled": {"throttle": Throttle(6, "1m")},
    "steps": {"concurrency": Concurrency(2)},
    "debounced": {"debounce": Debounce("20s")},
    "batched": {"batch": Batch(3, "30s")},
}

FAULTS = {
    "none": None,
    "everything": Faults(
        duplicate=0.1,
        late=0.1,
        crash=0.03,
        lose_response=0.03,
        interleave=True,
        skew=True,
        throttle=0.02,
        stale=0.2,
    ),
    "twice": Faults(duplicate=0.3, late=0.2, interleave=True),
    "crashes": Faults(crash=0.15, lose_response=0.1),
}

GRACE = EFFECT + timedelta(seconds=10)
"""By when a pause has its effect: clocks that differ, a look a second, and a step that had begun to begin."""


class Case:
    """An app, its runtime, when each step began, and when what was paused."""

    def __init__(self, kind, seed, faults):
        self.kind, self.random = kind, Random(f"{kind}{seed}")
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

    def send(self, n):
        data = {"n": n, "nap": self.random.choice(["1s", "30s"])}
        self.call("send", Event("job", data, id=f"e{n}"), Event("other", id=f"o{n}"))

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

    # -- what must be so -----------------------------------------------------------------------------

    def wrong(self, count) -> Iterator[str]:
        """What is not as it must be after `count` events, by the names of the checks."""
        for check in (self.nothing_begins_in_a_pause, self.all_are_served, self.nothing_is_kept):
            try:
                check(count)
            except AssertionError as error:
                yield f"{check.__name__}: {str(error) or 'not so'}"

    def nothing_begins_in_a_pause(self, _):
        for at, function, run, n in self.began:
            for what in (function, run):
                for since, until in self.paused.get(what, []):
                    assert not since + GRACE < at < (until or at), (what, n, since, at, until)

    def all_are_served(self, count):
        """Each event has its run, or its place in one; no run is lost, and none does its work twice."""
        runs = self.runs()
        ran = [event.data["n"] for run in runs for event in run.events]
        if self.kind == "debounced":
            ran.sort(key=self.place)
            assert len(set(ran)) == len(ran), ran
            assert max(range(count), key=self.place) in ran, ran
        else:
            assert Counter(ran) == dict.fromkeys(range(count), 1), ran
        assert {run.status for run in runs} <= {"completed", "cancelled"}, [run.status for run in runs]
        assert [run.run_id for run in runs if run.paused] == []
        began = Counter(run for _, _, run, _ in self.began)
        for run in runs:
            if run.status == "completed":
                assert began[run.run_id] >= 4, run
                assert self.undone[run.event.data["n"]] == 0, run
        assert [run.status for run in self.rt.runs("g")] == ["completed"] * count

    def nothing_is_kept(self, _):
        assert self.rt.dead_letters == []
        assert kept(self.rt) == []

    def runs(self):
        runs = [self.rt.get(run.run_id) for run in self.rt.runs("f")]
        return sorted(runs, key=lambda run: (run.created_at, run.run_id))

    def place(self, n):
        return self.rt.client._world.store.get_event(f"e{n}").seen, f"e{n}"


def kept(rt):
    """What is still kept in the table: for functions, or for runs that are not over."""
    (table,) = rt._cloud.tables().values()
    items = [item.to_json()["Attributes"] for part in table.items.values() for item in part.values()]
    of_runs = [each["pk"] for each in items if each["pk"]["S"].startswith("q#") and "x" not in each]
    return of_runs + [each["pk"] for each in items if each["pk"]["S"].startswith("z#")]


def turmoil(case, count):
    """Events come while a function and its runs are paused, resumed and cancelled."""
    rt, random = case.rt, case.random
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
        case.send(n)
        if random.random() < 0.6:
            rt.advance(f"{random.choice([1, 15])}s")
    rt.advance("10m")
    case.resume("f", "resume", "f")
    for _ in range(2):
        for run in list(rt.runs("f")):  # the second time, those that became runs since
            case.resume(run.run_id, "resume_run", run.run_id)
        rt.drain()


def in_turn(case, count):
    """Events come one after the other while their function is paused; no copy is so late that it overtakes others."""
    rt, random = case.rt, case.random
    case.pause("f", "pause", "f")
    rt.advance("30s")
    for n in range(count):
        case.send(n)
        rt.advance("6m")
        if random.random() < 0.2:
            rt.advance("20m")
            case.resume("f", "resume", "f")
            case.pause("f", "pause", "f")
            rt.advance("6m")
    rt.advance("20m")
    case.resume("f", "resume", "f")
    rt.drain()


def fire(kind, seed, faults, scene: Callable = turmoil, count=7):
    """What is wrong, each with the name of the check that found it."""
    case = Case(kind, seed, faults)
    try:
        scene(case, count)
        wrong = list(case.wrong(count))
        if scene is in_turn:
            ran = [[case.place(event.data["n"]) for event in run.events] for run in case.runs()]
            if ran != (list(map(sorted, ran)) if kind == "batched" else sorted(ran)):
                wrong.append(f"in_turn: {ran}")
        return wrong
    finally:
        case.rt.close()


def simulate(seed):
    """One case, all of which follows from the seed."""
    random = Random(f"pausing {seed}")
    kind, faults = random.choice(list(KINDS)), random.choice([*FAULTS][1:])
    return fire(kind, seed, FAULTS[faults], random.choice([turmoil, turmoil, in_turn]))
