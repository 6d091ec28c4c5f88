"""Crowds: many runs of functions with flow control, while everything crashes, comes twice, late or never.

All of a crowd follows from its seed. `play` says what is wrong with it, by named checks: no limit is exceeded, who
waits is served in its turn, all are served, what is dropped does nothing, and nothing is left behind.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch

from lambda_durable import (
    Concurrency,
    Context,
    Durable,
    Event,
    Idempotency,
    NonRetriableError,
    Priority,
    RateLimit,
    Retry,
    Run,
    RunNotFoundError,
    Singleton,
    Throttle,
    Timeouts,
    current_step,
    on_event,
)
from lambda_durable.aws import headers
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.durations import from_millis
from lambda_durable.engine.gates import Limit, Place
from lambda_durable.event_json import load_event
from lambda_durable.ports import Delivery
from lambda_durable.store import Pass
from lambda_durable.testing import Faults, LocalRuntime
from tests.simulation.aftermath import items_of
from tests.simulation.traced import Storm

TAKES = timedelta(seconds=10)

LAST = timedelta(seconds=2)
"""How long before its Lambda is killed a step is interrupted (`Invocation.last_call`)."""

MOST = 30
"""More than there are of anything at once."""

MOST_INVOCATIONS = 3000


@dataclass(frozen=True)
class Kind:
    """What a function has of flow control, and how many steps or runs at once that lets through, in all and for each
    value of the key."""

    options: Mapping[str, Any]
    steps: int = MOST
    steps_of_one: int = MOST
    runs: int = MOST
    runs_of_one: int = MOST
    drops: str = ""


KINDS = {
    "one step": Kind({"concurrency": Concurrency(1)}, steps=1),
    "three steps": Kind({"concurrency": Concurrency(3), "priority": Priority("data.urgent")}, steps=3),
    "one step of each": Kind({"concurrency": Concurrency(1, key="data.who")}, steps_of_one=1),
    "steps, twice limited": Kind(
        {"concurrency": [Concurrency(3), Concurrency(2, key="data.who")]}, steps=3, steps_of_one=2
    ),
    "steps of the app": Kind(
        {"concurrency": [Concurrency(2, scope="app"), Concurrency(1, key="data.who")]}, steps=2
    ),
    "steps and runs": Kind(
        {"concurrency": [Concurrency(2), Concurrency(2, counts="runs", key="data.who")]}, 2, 2, runs_of_one=2
    ),
    "one run": Kind({"concurrency": Concurrency(1, counts="runs")}, runs=1),
    "three runs": Kind(
        {"concurrency": Concurrency(3, counts="runs"), "priority": Priority("data.urgent")}, runs=3
    ),
    "runs, twice limited": Kind(
        {"concurrency": [Concurrency(3, counts="runs"), Concurrency(2, key="data.who", counts="runs")]},
        runs=3,
        runs_of_one=2,
    ),
    "a throttle": Kind({"throttle": Throttle(6, "1m")}),
    "runs and a throttle": Kind(
        {"concurrency": Concurrency(2, counts="runs"), "throttle": Throttle(6, "1m", key="data.who")}, runs=2
    ),
    "a rate limit": Kind({"rate_limit": RateLimit(4, "1m")}, drops="rate_limit"),
    "the first alone": Kind({"singleton": Singleton(key="data.who")}, runs_of_one=1, drops="singleton"),
    "the last alone": Kind({"singleton": Singleton(mode="cancel")}, runs=1),
    "once": Kind({"idempotency": Idempotency("data.who", ttl="9d")}, drops="idempotency"),
    "one run, or too late": Kind(
        {"concurrency": Concurrency(1, counts="runs"), "timeouts": Timeouts(start="40s")}, runs=1
    ),
}

FAULTS: dict[str, Faults | None] = {
    "none": None,
    "everything": Faults(),
    "twice": Faults(duplicate=0.3, late=0.2, interleave=True),
    "crashes": Faults(crash=0.15, lose_response=0.1),
    "frozen": Faults(freeze=0.2, duplicate=0.1, interleave=True),
}


class Bounded(LocalRuntime):
    def _deliver(self, delivery: Delivery, done: Any) -> None:
        if self.invocations > MOST_INVOCATIONS:
            raise Storm(f"{self.invocations} invocations; the latest message: {delivery.body}")
        super()._deliver(delivery, done)


@dataclass(frozen=True)
class Crowd:
    """What a seed stands for."""

    seed: int
    kind: str
    faults: str
    mode: Any

    @classmethod
    def of(cls, seed: int, kind: str | None = None, faults: str | None = None) -> Crowd:
        random = Random(f"crowd {seed}")
        drawn, struck, mode = (
            random.choice([*KINDS]),
            random.choice([*FAULTS, "everything"]),
            random.choice([1, 3, "all", "auto"]),
        )
        return cls(seed, kind or drawn, faults or struck, mode)

    def text(self) -> str:
        return f"crowd {self.seed}: {self.kind}, faults: {self.faults}, steps_per_invocation={self.mode!r}"


@dataclass
class Watch:
    """What steps did, and what is seen of the table whenever somebody passes a gate."""

    calls: list[tuple[datetime, datetime, str]] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    starts: list[datetime] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    runtime: LocalRuntime | None = None
    in_turn: bool = True
    """Whether nobody can join a line while another looks whose turn it is."""

    def call(self, who: str, what: str, *, fails: bool = False) -> str:
        assert self.runtime is not None
        now = self.runtime.now()
        left = timedelta(seconds=current_step().remaining_time) - LAST
        self.calls.append((now, now + min(TAKES, left), who))
        self.effects[what] += 1
        if fails and self.effects[what] == 1:
            raise OSError("not yet")
        return what

    def steps_at_once(self, of: str | None = None) -> int:
        """The most of them. A call that crashes is over sooner, and its slot is not."""
        times = [(began, ends) for began, ends, who in self.calls if of in (None, who)]
        return max((sum(at <= began < ends for at, ends in times) for began, _ in times), default=0)

    def admitted(self, now: int) -> None:
        """A run has just started: who is at work?"""
        assert self.runtime is not None
        self.starts.append(from_millis(now))
        at_work: Counter[str] = Counter()
        for item in items_of(self.runtime):
            if item["sk"]["S"] == "!" and "Q" in item:
                header = headers.header(item)
                if header.queueing is not None and header.queueing.admitted and not header.status.ended:
                    assert header.event.text is not None
                    data: Any = load_event(header.event.text).data
                    at_work.update(["", data["who"]])
        for who, count in at_work.items():
            self.runs[who] = max(self.runs[who], count)

    def passed(self, limit: Limit, place: Place | None) -> None:
        """Somebody has just passed a gate: from its line, or past nobody who waits."""
        assert self.runtime is not None
        if limit.drops or not self.in_turn or (place is not None and not limit.slots):
            return
        last = f"{place.order:014d}#" if place is not None else "9"
        before = [
            item["sk"]["S"]
            for item in items_of(self.runtime)
            if item["pk"]["S"] == f"q#{limit.gate}" and item["sk"]["S"] != "!" and item["sk"]["S"] < last
        ]
        if len(before) >= (limit.slots if place is not None else 1):
            self.wrong.append(f"who_waits_is_served_in_turn: {place} passed {before} at {limit.gate}")


Disturbance = Callable[[LocalRuntime], None]


def play(
    crowd: Crowd,
    *,
    count: int = 5,
    between: Disturbance | None = None,
    then: Disturbance = LocalRuntime.drain,
) -> list[str]:
    """What is wrong with a crowd. `between` events something may be done to it that loses some of them; and `then` all
    is brought to its end."""
    random, kind, faults = Random(f"{crowd.kind}{crowd.seed}"), KINDS[crowd.kind], FAULTS[crowd.faults]
    watch = Watch(in_turn=faults is None or not faults.interleave)
    app = _app(crowd, kind, watch)
    watch.runtime = runtime = Bounded(app, faults=FAULTS[crowd.faults], seed=crowd.seed, lambda_timeout="60s")
    for step in ("s0", "s1", "m", "undo/s0"):
        runtime.stub(step, takes=TAKES)
    moved, leased = DynamoStore.move, DynamoStore.lease

    def move(store: DynamoStore, before: Any, after: Any, moves: Any, *, now: int) -> bool:
        done = moved(store, before, after, moves, now=now)
        if done and after.status == "running":
            watch.admitted(now)
        for each in moves if done else ():
            if isinstance(each, Pass):
                watch.passed(each.limit, each.place)
        return done

    def lease(store: DynamoStore, wanted: Any, place: Any) -> Any:
        refused = leased(store, wanted, place)
        for limit in wanted.limits if refused is None else ():
            watch.passed(limit, place)
        return refused

    with patch.object(DynamoStore, "move", move), patch.object(DynamoStore, "lease", lease), _quietly():
        sent = _send(runtime, random, count, between)
        try:
            then(runtime)
        except Storm as storm:
            return [f"calls_are_bounded: {storm}"]
    return [*watch.wrong, *_wrong(crowd, kind, watch, runtime, sent, loses=between is not None)]


@contextmanager
def _quietly() -> Iterator[None]:
    """Many runs are to fail."""
    logger = logging.getLogger("lambda_durable")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _send(
    runtime: LocalRuntime, random: Random, count: int, between: Disturbance | None
) -> list[dict[str, Any]]:
    sent = []
    for n in range(count):
        data = {
            "n": n,
            "who": random.choice("aab"),
            "urgent": random.choice([0, 0, 300]),
            "nap": random.choice(["1s", "30s"]),
            "wide": random.choice([0, 0, 3]),
            "fails": random.random() < 0.2,
        }
        sent.append(data)
        runtime.send(Event("job", data, id=f"e{n}"))
        if random.random() < 0.5:
            runtime.advance(f"{random.choice([1, 5, 20])}s")
        if random.random() < 0.2:
            for run in list(runtime.runs())[:2]:
                with suppress(RunNotFoundError):
                    runtime.client.cancel(run.run_id)
        if between is not None:
            between(runtime)
    return sent


def _app(crowd: Crowd, kind: Kind, watch: Watch) -> Durable:
    app = Durable("app", steps_per_invocation=crowd.mode)

    def work(ctx: Context[dict[str, Any]]) -> int:
        data = ctx.event.data
        who, n = data["who"], f"{ctx.function_id}{data['n']}"
        book = ctx.step.options(undo=lambda _: watch.call(who, f"-{n}"))
        book.run("s0", watch.call, who, f"+{n}")
        ctx.step.sleep("nap", data["nap"])
        ctx.step.options(retry=Retry.fixed("5s", 3)).run("s1", watch.call, who, f"{n} again", fails=True)
        ctx.step.map("m", lambda i: watch.call(who, f"{n}[{i}]"), range(data["wide"]))
        if data["fails"]:
            raise NonRetriableError("no")
        return int(data["n"])

    app.function("f", on_event("job"), **kind.options)(work)
    if crowd.kind == "steps of the app":
        app.function("g", on_event("job"), concurrency=Concurrency(2, scope="app"))(work)
    return app


def _wrong(
    crowd: Crowd,
    kind: Kind,
    watch: Watch,
    runtime: LocalRuntime,
    sent: list[dict[str, Any]],
    *,
    loses: bool,
) -> Iterator[str]:
    runs = [runtime.get(each.run_id) for each in runtime.runs()]
    functions = 2 if crowd.kind == "steps of the app" else 1
    if len(runs) != len(sent) * functions and not loses:
        yield f"each_event_is_a_run: {len(runs)} runs of {len(sent)} events"
    over = {"completed", "failed", "cancelled", "skipped"}
    if not_over := [(run.event.id, run.status) for run in runs if run.status not in over]:
        yield f"all_are_served: {not_over}"
    if runtime.dead_letters:
        yield f"no_message_is_put_aside: {runtime.dead_letters}"
    for what, found, most in (
        ("steps", watch.steps_at_once(), kind.steps),
        ("runs", watch.runs[""], kind.runs),
        *(
            each
            for who in "ab"
            for each in (
                (f"steps of {who}", watch.steps_at_once(who), kind.steps_of_one),
                (f"runs of {who}", watch.runs[who], kind.runs_of_one),
            )
        ),
    ):
        if found > most * (functions if what.startswith("steps of") else 1):
            yield f"no_limit_is_exceeded: {found} {what} at once, of {most}"
    yield from _paces(crowd, watch)
    for run in runs:
        yield from _wrong_with(run, crowd, kind, watch, runtime)
    left = [item for item in items_of(runtime) if item["pk"]["S"].startswith("q#")]
    for item in left:
        if item["sk"]["S"] != "!" or item.get("w", {"N": "0"})["N"] != "0" or "x" not in item:
            yield f"nothing_is_left: {item}"


def _paces(crowd: Crowd, watch: Watch) -> Iterator[str]:
    """Starts are apart by what the limit says."""
    starts = sorted(watch.starts)
    if crowd.kind == "a throttle":
        for first, second in pairwise(starts):
            if second - first < timedelta(seconds=10) - _skew(crowd):
                yield f"no_limit_is_exceeded: two starts from {first} to {second}"
    if crowd.kind == "a rate limit":
        for first, sixth in zip(starts, starts[5:], strict=False):
            if sixth - first < timedelta(seconds=15) - _skew(crowd):
                yield f"no_limit_is_exceeded: six starts from {first} to {sixth}"


def _skew(crowd: Crowd) -> timedelta:
    """By how much two hosts' clocks differ at most."""
    faults = FAULTS[crowd.faults]
    return timedelta(seconds=4 if faults is not None and faults.skew else 0)


def _wrong_with(
    run: Run[Any], crowd: Crowd, kind: Kind, watch: Watch, runtime: LocalRuntime
) -> Iterator[str]:
    data = run.event.data
    n, status = f"{run.function_id}{data['n']}", run.status
    died = run.error is not None and run.error.type.endswith("StepInterruptedError")
    if status == "completed" and (not watch.effects[f"+{n}"] or data["fails"]):
        yield f"runs_end_as_they_must: {run.event.id} completed"
    if status == "failed" and not data["fails"] and not died and crowd.kind != "one run, or too late":
        yield f"runs_end_as_they_must: {run.event.id} failed: {run.error}"
    if status == "skipped":
        if run.skipped_reason != kind.drops or watch.effects[f"+{n}"]:
            yield f"what_is_dropped_does_nothing: {run.event.id} was skipped for {run.skipped_reason!r}"
        if kind.drops == "idempotency":
            first = runtime.get(run.duplicate_of or "").event.data if run.duplicate_of else {}
            if first.get("who") != data["who"]:
                yield f"a_duplicate_names_the_first: {run.event.id} names {run.duplicate_of}"
    elif crowd.kind == "once":
        others = [each for each in map(runtime.get, (r.run_id for r in runtime.runs())) if each.started_at]
        if run.started_at and sum(each.event.data["who"] == data["who"] for each in others) > 1:
            yield f"one_run_has_a_key: {run.event.id} and another of {data['who']}"
    undone = watch.effects[f"-{n}"]
    if status == "completed" and undone:
        yield f"runs_end_as_they_must: {run.event.id} completed, and was undone"
