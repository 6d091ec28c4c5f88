"""One event, and many who wait: for it, or for others of its name."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest

from lambda_durable import Context, Durable, Event
from lambda_durable.runtime import arrivals, worker
from lambda_durable.testing import Faults, LocalRuntime


def make(effects: list[str]) -> Durable:
    app = Durable("app", steps_per_invocation=1)

    @app.function("order")
    def order(ctx: Context[dict[str, Any]]) -> Any:
        found = ctx.step.wait_for_event("wait", "paid", timeout="1h", match="data.order")
        ctx.step.run("ship", effects.append, ctx.run_id)
        return found and found.data["n"]

    return app


def crowd(rt: LocalRuntime, size: int) -> None:
    """Let `size` more wait for events of the same name, each with another value: as the one who waits does."""
    table = rt.aws("dynamodb")
    (name,) = table.list_tables()["TableNames"]
    (one,) = (
        item
        for item in table.scan(TableName=name)["Items"]
        if item["pk"]["S"].startswith("w#") and "data.order" in item["pk"]["S"]
    )
    value = one["pk"]["S"]
    items = ({**one, "pk": {"S": value.replace('"o"', f'"other {n}"')}} for n in range(size))
    while batch := list(islice(items, 25)):
        table.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item}} for item in batch]})


def test_ten_thousand_who_wait_for_other_values_add_nothing():
    def cost(others: int) -> tuple[Counter[str], float, float]:
        effects: list[str] = []
        app = make(effects)
        rt = LocalRuntime(app)
        run = rt.start(app.functions["order"], {"order": "o"})
        rt.advance("1m")
        crowd(rt, others)
        calls, usage = rt.calls.copy(), (rt.usage.items_read, rt.usage.write_units)
        rt.send(Event("paid", {"order": "o", "n": 7}))
        rt.advance("0s")
        assert rt.get(run.run_id).output == 7
        assert effects == [run.run_id]
        return rt.calls - calls, rt.usage.items_read - usage[0], rt.usage.write_units - usage[1]

    assert cost(0) == cost(10_000)


@pytest.mark.parametrize("faults", [None, Faults(crash=0.02), Faults(duplicate=0.1, lose_response=0.02)])
def test_one_event_ends_the_waits_of_many_runs_page_by_page(faults, monkeypatch):
    monkeypatch.setattr(arrivals, "PAGE", 10)
    monkeypatch.setattr(worker, "_until", lambda _: -1.0)  # each page takes all the time there is
    effects: list[str] = []
    app = make(effects)
    rt = LocalRuntime(app, faults=faults, seed=5, lambda_timeout="60s")
    runs = {rt.start(app.functions["order"], {"order": "o"}).run_id for _ in range(120)}
    rt.advance("30m")
    before = rt.invocations
    rt.send(Event("paid", {"order": "o", "n": 7}))
    rt.drain()

    assert {rt.get(run).output for run in runs} == {7}
    assert set(effects) == runs
    if faults is None:
        assert len(effects) == 120
        # Twelve pages; a wake-up each, and one step an invocation; then their time-outs, which find nothing to do.
        assert rt.invocations - before <= 13 + 3 * 120
