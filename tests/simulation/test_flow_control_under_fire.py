"""Flow control while everything crashes, comes twice, late or never: no limit is exceeded, and all are served."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from lambda_durable import (
    Concurrency,
    Context,
    Durable,
    Event,
    Idempotency,
    NonRetriableError,
    Priority,
    RateLimit,
    RunNotFoundError,
    Singleton,
    Throttle,
    Timeouts,
    on_event,
)
from lambda_durable.aws import headers
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

KINDS = {
    "one": {"concurrency": Concurrency(1, counts="runs")},
    "three": {"concurrency": Concurrency(3, counts="runs"), "priority": Priority("data.urgent")},
    "keyed": {"concurrency": [Concurrency(3, counts="runs"), Concurrency(2, key="data.who", counts="runs")]},
    "throttled": {"throttle": Throttle(6, "1m", burst=1)},
    "both": {"concurrency": Concurrency(2, counts="runs"), "throttle": Throttle(6, "1m", key="data.who")},
    "limited": {"rate_limit": RateLimit(4, "1m")},
    "skips": {"singleton": Singleton(key="data.who")},
    "cancels": {"singleton": Singleton(mode="cancel")},
    "once": {"idempotency": Idempotency("data.who", ttl="9d")},
    "late": {"concurrency": Concurrency(1, counts="runs"), "timeouts": Timeouts(start="40s")},
}


class Watch:
    """Looks, after each step that a run takes through the gates, at who is at work."""

    def __init__(self, monkeypatch, kind):
        self.kind = kind
        self.most: Counter = Counter()
        self.starts: list[int] = []
        moved, runs = DynamoStore.move, self

        def move(store, before, after, moves, *, now):
            done = moved(store, before, after, moves, now=now)
            if done and after.status == "running":
                runs.look(store)
            return done

        monkeypatch.setattr(DynamoStore, "move", move)

    def look(self, store):
        from lambda_durable.event_json import load_event

        table = self.tables()
        at_work: Counter = Counter()
        for partition in table.items.values():
            for found in partition.values():
                item = found.to_json()["Attributes"]
                if item["sk"]["S"] == "!" and "kp" in item:
                    header = headers.header(item)
                    if (
                        header.status in ("running", "cancelling", "compensating")
                        and header.queueing.admitted
                    ):
                        at_work["all"] += 1
                        at_work[load_event(header.event.text).data["who"]] += 1
        for name, count in at_work.items():
            self.most[name] = max(self.most[name], count)


def make(kind, mode):
    app, effects = Durable("app", steps_per_invocation=mode), Counter()

    @app.function("f", on_event("job"), **KINDS[kind])
    def f(ctx: Context[dict]) -> int:
        data = ctx.event.data
        book = ctx.step.options(undo=lambda _: effects.update([f"-{data['n']}"]))
        book.run("book", effects.update, [f"+{data['n']}"])
        ctx.step.sleep("nap", data["nap"])
        if data.get("fails"):
            raise NonRetriableError("no")
        return data["n"]

    return app, f, effects


MOST = {"one": 1, "three": 3, "both": 2, "cancels": 1, "late": 1}


def fire(monkeypatch, kind, seed, faults, count=8):
    random = Random(f"{kind}{seed}")
    app, f, effects = make(kind, random.choice([1, "all", "auto"]))
    rt = LocalRuntime(app, faults=faults, seed=seed, lambda_timeout="60s")
    watch = Watch(monkeypatch, kind)
    watch.tables = lambda: next(iter(rt._cloud.tables().values()))
    sent = []
    for n in range(count):
        data = {
            "n": n,
            "who": random.choice("aab"),
            "urgent": random.choice([0, 0, 300]),
            "nap": random.choice(["1s", "30s"]),
        }
        data["fails"] = random.random() < 0.2
        rt.send(Event("job", data, id=f"e{n}"))
        sent.append(data)
        if random.random() < 0.5:
            rt.advance(f"{random.choice([1, 5, 20])}s")
        if random.random() < 0.2:
            for run in list(rt.runs())[:2]:
                with suppress(RunNotFoundError):
                    rt.client.cancel(run.run_id)
    rt.drain()

    runs = [rt.get(each.run_id) for each in rt.runs()]
    assert len(runs) == count
    assert {run.status for run in runs} <= {"completed", "failed", "cancelled", "skipped"}, Counter(
        run.status for run in runs
    )
    assert rt.dead_letters == []
    for run in runs:
        n = run.event.data["n"]
        if run.status == "completed":
            assert effects[f"+{n}"] >= 1
            assert effects[f"-{n}"] == 0
        if run.status == "skipped":
            assert effects[f"+{n}"] == 0
            assert kind in ("limited", "skips", "once")
    if kind in MOST:
        assert watch.most["all"] <= MOST[kind]
    if kind == "keyed":
        assert watch.most["all"] <= 3
        assert max(watch.most["a"], watch.most["b"]) <= 2
    if kind == "skips":
        assert max(watch.most["a"], watch.most["b"]) <= 1
    if kind == "once":
        started = Counter(run.event.data["who"] for run in runs if run.status != "skipped" and run.started_at)
        assert max(started.values()) == 1
        for run in runs:
            if run.status == "skipped":
                assert rt.get(run.duplicate_of).event.data["who"] == run.event.data["who"]
    if kind == "late":
        assert all(
            "not begun" in run.error.message
            for run in runs
            if run.status == "failed" and not run.event.data["fails"]
        )
    elif kind != "cancels":
        failed = {run.event.data["n"] for run in runs if run.status == "failed"}
        assert failed <= {data["n"] for data in sent if data["fails"]}
    items = [item for partition in watch.tables().items.values() for item in partition.values()]
    left = [item.to_json()["Attributes"] for item in items]
    left = [item for item in left if item["pk"]["S"].startswith("q#") and "x" not in item]
    assert left == []


FAULTS = {
    "none": None,
    "everything": Faults(),
    "twice": Faults(duplicate=0.3, late=0.2, interleave=True),
    "crashes": Faults(crash=0.15, lose_response=0.1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", FAULTS)
def test_no_limit_is_exceeded_and_all_are_served(monkeypatch, kind, seed, faults):
    fire(monkeypatch, kind, seed, FAULTS[faults])


def others(rt, run):
    for n in range(1, 4):
        rt.send(Event("job", {"n": n, "who": "a", "urgent": 0, "nap": "5s"}, id=f"e{n}"))
        rt.advance("2s")
    rt.drain()


@pytest.mark.parametrize("kind", ["one", "throttled", "both", "cancels", "keyed"])
def test_a_crash_anywhere_leaves_nobody_waiting(kind):
    app, f, effects = make(kind, "all")
    for crash in crash_everywhere(app, f, {"n": 0, "who": "a", "urgent": 0, "nap": "5s"}, drive=others):
        runs = list(crash.runtime.runs())
        assert len(runs) == 4, crash.point
        expected = {"completed", "cancelled"} if kind == "cancels" else {"completed"}
        assert {run.status for run in runs} <= expected, (crash.point, runs)
        assert [run for run in runs if run.status == "completed"], crash.point
