"""A line of ten thousand: who leaves a gate finds the next as if it were short."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lambda_durable import Concurrency, Context, Durable, Throttle
from lambda_durable.runtime.lines import AT_ONCE
from lambda_durable.testing import LocalRuntime

SHORT, LONG = 20, 10_000


def work(n: int) -> None:
    raise AssertionError("it is stubbed")


class Line:
    """A gate that lets one through each ten seconds, and who waits there: one run, and many after it."""

    def __init__(self, **limits: Any) -> None:
        app = Durable("shop", steps_per_invocation=1)

        @app.function("f", **limits)
        def f(ctx: Context[int]) -> None:
            ctx.step.run("work", work, ctx.event.data)

        self.served: list[int] = []
        self.rt = LocalRuntime(app)
        self.rt.stub("work", self.served.append, takes="10s")
        for n in range(2):
            self.rt.start(f, n)
            self.rt.advance("1s")
        assert self.served == [0]

    def grow(self, size: int) -> None:
        """Let `size` more wait, as the one does who waits."""
        (table,) = self.rt._cloud.tables().values()
        (one,) = filter(is_place, (item.to_json()["Attributes"] for item in table.all_items()))
        order, run = int(one["sk"]["S"].partition("#")[0]), one["u"]["S"]
        for n in range(size):
            body = one["b"]["S"].replace(run, f"other-{n}")
            there = {"sk": {"S": f"{order + 1 + n:014d}#{n}"}, "u": {"S": f"other-{n}"}, "b": {"S": body}}
            table.put_item({**one, **there})
        self.rt.aws("dynamodb").update_item(
            TableName=table.name,
            Key={"pk": one["pk"], "sk": {"S": "!"}},
            UpdateExpression="ADD w :size",
            ExpressionAttributeValues={":size": {"N": str(size)}},
        )

    def cost_of_the_next(self) -> tuple[Counter[str], int, float]:
        """What is called, and what is read, from when one leaves until the next has its turn."""
        calls, items, units = self.rt.calls.copy(), self.rt.usage.items_read, self.rt.usage.write_units
        self.rt.advance("9s")
        assert self.served == [0, 1]
        usage = self.rt.usage
        return self.rt.calls - calls, usage.items_read - items, usage.write_units - units


def is_place(item: dict[str, Any]) -> bool:
    return item["pk"]["S"].startswith("q#") and item["sk"]["S"] != "!"


@pytest.mark.parametrize(
    "limits",
    [
        {"concurrency": Concurrency(1)},
        {"concurrency": Concurrency(1, counts="runs")},
        {"throttle": Throttle(1, "10s")},
    ],
    ids=["steps", "runs", "throttle"],
)
def test_the_next_is_found_with_as_many_reads_however_many_wait(limits):
    def cost(size: int) -> tuple[Counter[str], int, float]:
        line = Line(**limits)
        line.grow(size)
        return line.cost_of_the_next()

    calls, items_read, write_units = cost(SHORT)
    assert cost(LONG) == (calls, items_read, write_units)
    assert items_read <= calls["dynamodb:Query"] * (AT_ONCE + 1) + calls["dynamodb:GetItem"]
