"""Bursts and batches of events under faults, and what must have become of them."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from lambda_durable import Batch, Context, Debounce, Durable, Event, on_event
from lambda_durable.event_json import load_event
from lambda_durable.testing import Faults, LocalRuntime

SKEW = 5

KINDS = {
    "quiet": {"debounce": Debounce("20s", key="data.who")},
    "capped": {"debounce": Debounce("20s", timeout="45s")},
    "long": {"debounce": Debounce("40m", key="data.who")},
    "pairs": {"batch": Batch(2, "30s", key="data.who")},
    "fives": {"batch": Batch(5, "1m")},
    "slow": {"batch": Batch(4, "40m", key="data.who")},
}


def make(kind, mode):
    app = Durable("app", steps_per_invocation=mode)

    @app.function("f", on_event("job"), **KINDS[kind])
    def f(ctx: Context[dict]) -> list[str]:
        return ctx.step.run("ids", lambda: [event.id for event in ctx.events])

    return app, f


class Aftermath:
    """What has become of the events that were sent."""

    def __init__(self, rt, kind):
        (self.limit,) = KINDS[kind].values()
        self.kind = kind
        self.rt = rt
        store = rt.client._world.store
        self.items = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
        ids = [item["pk"]["S"][2:] for item in self.items if item["pk"]["S"].startswith("e#")]
        self.events = {id: store.get_event(id) for id in ids}
        self.runs = sorted(
            (rt.get(run.run_id) for run in rt.runs()), key=lambda run: (run.created_at, run.run_id)
        )
        self.by_key = defaultdict(list)
        for run in self.runs:
            self.by_key[self.key(run.event)].append(run)

    def wrong(self):
        checks = [self.served, self.in_order if "debounce" in KINDS[self.kind] else self.in_one_batch]
        for check in checks:
            try:
                check()
            except AssertionError as error:
                yield f"{check.__name__}: {str(error) or 'not so'}"

    def key(self, event):
        return event.data["who"] if self.limit.key else ""

    def order(self, id):
        return (self.events[id].seen, id)

    def sent(self, who):
        """The ids of a key's events, in their order."""
        of_key = [
            id for id, each in self.events.items() if self.key(load_event(each.payload.text)) in (who, "")
        ]
        return sorted(of_key, key=self.order)

    def served(self):
        """All runs have completed, each with what it was given; nothing is left."""
        assert self.rt.dead_letters == []
        for run in self.runs:
            assert run.status == "completed", run.error
            assert run.output == [event.id for event in run.events]
        for item in self.items:
            if item["pk"]["S"].startswith(("d#", "m#")):
                assert "x" in item
                if item["sk"]["S"] == "!" and "l" in item:
                    assert not item.keys() & {"o", "w", "v", "V"}, item
                elif item["sk"]["S"] == "!" and item["pk"]["S"].startswith("d#"):
                    if "o" in item:  # a seat that nobody came to is nobody's
                        batch = f"{item['pk']['S']}#{item['o']['N']}"
                        there = [each for each in self.items if each["pk"]["S"] == batch and "l" in each]
                        assert "c" in item or not there, item
                    else:
                        assert item["n"]["N"] == "0", item

    def in_order(self):
        """Of each key the last event was run; none was run twice, or too soon."""
        for who, runs in self.by_key.items():
            sent = self.sent(who)
            ran = [run.event.id for run in runs]
            assert sent[-1] in ran
            assert sorted(set(ran), key=self.order) == sorted(ran, key=self.order)
            before = -1
            for run in sorted(runs, key=lambda run: self.order(run.event.id)):
                last = sent.index(run.event.id)
                first = self.events[sent[before + 1]].seen / 1000
                due = self.events[run.event.id].seen / 1000 + self.limit.period.total_seconds()
                if self.limit.timeout is not None:
                    due = min(due, first + self.limit.timeout.total_seconds())
                assert run.created_at.timestamp() >= due - SKEW
                before = last

    def in_one_batch(self):
        """Each event is in one batch, in its place; a batch is full, or its time was over."""
        batched = [event.id for run in self.runs for event in run.events]
        assert sorted(batched) == sorted(self.events)
        taken_away = [
            item["pk"]["S"]
            for item in self.items
            if item["pk"]["S"].startswith("d#") and item["sk"]["S"] != "!" and "l" not in item
        ]
        for run in self.runs:
            ids = [event.id for event in run.events]
            assert ids == sorted(ids, key=self.order)
            assert len({self.key(event) for event in run.events}) == 1
            assert len(ids) <= self.limit.max_size
            if len(ids) < self.limit.max_size and not taken_away:
                first = min(self.events[id].seen for id in ids) / 1000
                assert run.created_at.timestamp() >= first + self.limit.timeout.total_seconds() - SKEW


def bursts(random, rt, count):
    """Events as they come: some at once, some long after, some once more with other data."""
    for n in range(count):
        rt.send(Event("job", {"who": random.choice("aab"), "n": n}, id=f"e{n:02d}"))
        if random.random() < 0.1:
            rt.send(Event("job", {"who": "again", "n": n}, id=f"e{random.randrange(n + 1):02d}"))
        if random.random() < 0.6:
            rt.advance(f"{random.choice([1, 5, 20, 30, 200])}s")
    rt.drain()


def fire(kind, seed, faults, count=14):
    """What is wrong, each with the name of the check that found it."""
    random = Random(f"{kind}{seed}")
    app, _ = make(kind, random.choice([1, "all", "auto"]))
    rt = LocalRuntime(app, faults=faults, seed=seed, lambda_timeout="60s")
    try:
        bursts(random, rt, count)
        after = Aftermath(rt, kind)
        return list(after.wrong())
    finally:
        rt.close()


def simulate(seed):
    """One case, all of which follows from the seed."""
    random = Random(f"collecting {seed}")
    return fire(random.choice(list(KINDS)), seed, FAULTS[random.choice([*FAULTS][1:])])


FAULTS = {
    "none": None,
    "everything": Faults(),
    "twice": Faults(duplicate=0.3, late=0.2, interleave=True),
    "crashes": Faults(crash=0.15, lose_response=0.1),
    "stops": Faults(freeze=0.1, throttle=0.1, interleave=True, late=0.1),
}
