"""An app at work, and what an input may do to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from lambda_durable import Context, Durable, Retry, on_event
from lambda_durable.errors import DurableError
from lambda_durable.handler import LambdaHandler
from lambda_durable.log_keys import bound
from lambda_durable.ports import Delivery, Invocation
from lambda_durable.runtime.interrupts import ComesAgain
from lambda_durable.testing import LocalRuntime

WRITES = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "s3:PutObject",
    "scheduler:CreateSchedule",
)
MOST_INVOCATIONS = 400
"""What one input may cause: a run that gets nowhere is failed after 100."""

effects: Counter[str] = Counter()
app = Durable("fuzzed", steps_per_invocation=1, retry=Retry.fixed("1s", 2))


def count(run: str, step: str) -> str:
    effects[f"{run}/{step}"] += 1
    return step


@app.function(
    "order", on_event("order/*", if_exp="event.data.amount > 0"), labels=lambda event: [str(event.data)]
)
def order(ctx: Context[Any]) -> str:
    ctx.step.run("reserve", count, ctx.run_id, "reserve")
    ctx.step.map("parts", str, [1, 2], max_concurrency=1)
    ctx.step.wait_for_event("paid", "payment", match="data.order", timeout="2h")
    ctx.step.sleep("cool", "30m")
    return ctx.step.run("ship", count, ctx.run_id, "ship")


class Rig:
    """A run that waits (`target`, which an input may name), and one that has nothing to do with it (`bystander`)."""

    def __init__(self) -> None:
        effects.clear()
        self.rt = LocalRuntime(app, lambda_timeout="60s")
        self.rt.start(order, {"order": 7}, run_id="target")
        self.rt.start(order, {"order": 8}, run_id="bystander")
        self.rt.advance("5s")
        self.world = self.rt.client._world

    def handle(self, body: str, *, dead: bool = False) -> str:
        """What becomes of a message: `done`, `refused` (put aside, with a reason, and nothing written but, where
        somebody waits for what it was to start, that it failed), or `back`."""
        before, letters = self.rt.calls.copy(), len(self.rt.dead_letters)
        worker = self.rt._make_worker(self.world)
        now = self.world.clock.monotonic()
        invocation = Invocation(deadline=now + 60, timeout=60)
        try:
            with bound():
                (worker.dead_letter if dead else worker.handle)(Delivery(body, "fuzzed-message"), invocation)
        except (DurableError, ComesAgain):
            return "back"
        if len(self.rt.dead_letters) == letters:
            return "done"
        letter = self.rt.dead_letters.pop()
        assert letter.reason
        assert letter.body == body
        written = {name: n for name, n in (self.rt.calls - before).items() if name in WRITES}
        assert dead or '"invoker"' in body or not written, (
            f"refused with {letter.reason!r}, and yet wrote {written}"
        )
        return "refused"

    def finish(self) -> None:
        """Whatever was sent: the other run ends as it must, each step done once, at a bounded expense."""
        before = self.rt.invocations
        self.rt.drain()
        assert self.rt.invocations - before < MOST_INVOCATIONS
        run = self.rt.get("bystander")
        assert (run.status, run.output) == ("completed", "ship")
        assert {key: n for key, n in effects.items() if key.startswith("bystander/")} == {
            "bystander/reserve": 1,
            "bystander/ship": 1,
        }

    def handler(self) -> LambdaHandler:
        """The Lambda handler, on this cloud."""
        handler = LambdaHandler(app)
        handler._world = replace(self.world)
        return handler

    def close(self) -> None:
        self.rt.close()
