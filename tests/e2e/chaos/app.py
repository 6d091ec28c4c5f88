"""What is deployed: a function for each way in which a run is driven. What its steps do to the world is a line in a
file that none of our code reads: the effect log (log.py)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from hashlib import sha256
from typing import Any
from uuid import uuid4

from lambda_durable import (
    AsyncContext,
    Callback,
    Concurrency,
    Context,
    Durable,
    InvokeError,
    NonRetriableError,
    Retry,
    StepError,
    current_step,
    on_event,
)

LOG = os.environ.get("CHAOS_LOG", os.devnull)
TABLE = os.environ.get("CHAOS_TABLE", "payments")
LIMIT = int(os.environ.get("CROWD_LIMIT", "3"))

app = Durable("chaos")


def note(kind: str, **fields: Any) -> None:
    """One line, in one write: those of several processes don't mix, and a kill leaves a whole one or none."""
    line = json.dumps({"kind": kind, "pid": os.getpid(), **fields}) + "\n"
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


def effect(result: Any = None) -> Any:
    step = current_step()
    time.sleep(0.01)
    note("effect", run=step.run_id, step=step.step_id, attempt=step.attempt)
    time.sleep(random.uniform(0, 0.1))  # when it has happened, and nobody knows: what kills are for
    return result


def take_back(result: Any) -> None:
    effect()


def fail_before(attempt: int) -> str:
    effect()
    if current_step().attempt < attempt:
        raise ConnectionError("not yet")
    return "done"


def refuse() -> None:
    effect()
    raise NonRetriableError("sold out")


@app.function("sequential", on_event("chaos/sequential"))
def sequential(ctx: Context[dict]) -> int:
    total = sum(ctx.step.run(f"s{n}", effect, n) for n in range(4))
    large = ctx.step.run("large", effect, "x" * 400_000) if ctx.event.data["n"] % 3 == 0 else ""  # kept in S3
    return total + len(large)


@app.function("retrying", on_event("chaos/retrying"))
def retrying(ctx: Context[dict]) -> str:
    return ctx.step.options(retry=Retry.fixed("1s", 8)).run("flaky", fail_before, 3)


@app.function("hopeless", on_event("chaos/hopeless"))
def hopeless(ctx: Context[dict]) -> str:
    return ctx.step.options(retry=Retry.fixed("1s", 3)).run("flaky", fail_before, 99)


@app.function("fanning", on_event("chaos/fanning"))
def fanning(ctx: Context[dict]) -> int:
    def branch(n: int) -> int:
        return ctx.step.run("a", effect, n) + ctx.step.run("b", effect, n)

    mapped = ctx.step.map("each", effect, list(range(6)), max_concurrency=3)
    return sum(mapped) + sum(ctx.step.parallel("both", lambda: branch(10), lambda: branch(20)))


@app.function("gathering", on_event("chaos/gathering"))
async def gathering(ctx: AsyncContext[dict]) -> int:
    first = await asyncio.gather(*(ctx.step.run(f"g{n}", effect, n) for n in range(3)))
    return sum(first) + await ctx.step.run("last", effect, 10)


@app.function("waiting", on_event("chaos/waiting"))
def waiting(ctx: Context[dict]) -> list[str | None]:
    ctx.step.run("before", effect)
    answer = ctx.step.wait_for_event("hear", "chaos/answered", match="data.n", timeout="1h", lookback="1h")
    never = ctx.step.wait_for_event("hear-more", "chaos/never", match="data.n", timeout="2s")
    ctx.step.run("after", effect)
    return [answer and answer.name, never and never.name]


@app.function("asking", on_event("chaos/asking"))
def asking(ctx: Context[dict]) -> list[Any]:
    n = ctx.event.data["n"]

    def submit(callback: Callback) -> None:
        effect()
        note("token", n=n, token=callback.token)

    answer = ctx.step.wait_for_callback("ask", submit, timeout="1h")
    signal = ctx.step.wait_for_signal("listen", f"signal-{n}", timeout="1h")
    return [answer, signal and signal.data, ctx.step.run("after", effect, n)]


@app.function("sleeping", on_event("chaos/sleeping"))
def sleeping(ctx: Context[dict]) -> str:
    ctx.step.run("before", effect)
    ctx.step.sleep("nap", "2s")
    ctx.step.run("between", effect)
    ctx.step.sleep("night", "20m")  # a schedule
    return ctx.step.run("after", effect, "awake")


@app.function("callee")
def callee(ctx: Context[dict]) -> int:
    if ctx.event.data["refuse"]:
        ctx.step.run("refuse", refuse)
    return ctx.step.run("answer", effect, ctx.event.data["n"])


@app.function("calling", on_event("chaos/calling"))
def calling(ctx: Context[dict]) -> list[Any]:
    n = ctx.event.data["n"]
    answer = ctx.step.invoke("call", callee, {"n": n, "refuse": False})
    try:
        ctx.step.invoke("call-again", callee, {"n": n, "refuse": True})
    except InvokeError as error:
        return [answer, error.error_type]
    return [answer, None]


@app.function("undoing", on_event("chaos/undoing"))
def undoing(ctx: Context[dict]) -> None:
    step = ctx.step.options(undo=take_back)
    for name in ("hotel", "flight", "car"):
        step.run(name, effect)
    ctx.step.run("pay", refuse)


@app.function("stopped", on_event("chaos/stopped"))
def stopped(ctx: Context[dict]) -> None:
    ctx.step.options(undo=take_back).run("room", effect)
    ctx.step.run("breakfast", effect)
    ctx.step.wait_for_event("checkout", "chaos/never", match="data.n", timeout="90m")


@app.function("careful", on_event("chaos/careful"))
def careful(ctx: Context[dict]) -> list[str]:
    said = []
    for name, retry in (("once", Retry.never()), ("at-most", Retry.fixed("1s", 4))):
        step = ctx.step.options(semantics="at_most_once", retry=retry)
        try:
            said.append(step.run(name, effect, "done"))
        except StepError:
            said.append("unknown")
    return said


@app.function("paying", on_event("chaos/paying"))
def paying(ctx: Context[dict]) -> str:
    account = {"account": {"S": str(ctx.event.data["n"])}}
    add = {"TableName": TABLE, "Key": account, "UpdateExpression": "ADD paid :one"}
    ctx.step.transact("pay", {"Update": {**add, "ExpressionAttributeValues": {":one": {"N": "1"}}}})
    return ctx.step.run("after", effect, "paid")


def enter(stay: str, n: int, who: str) -> None:
    note("enter", stay=stay, run=current_step().run_id, n=n, who=who, at=time.monotonic())
    time.sleep(random.uniform(0.05, 0.2))


def leave(stay: str) -> None:
    note("leave", stay=stay, at=time.monotonic())


def visit(n: int, who: str) -> None:
    stay = uuid4().hex
    enter(stay, n, who)
    leave(stay)


@app.function("steps", on_event("crowd/steps"), concurrency=Concurrency(LIMIT, key="data.who"))
def steps(ctx: Context[dict]) -> None:
    ctx.step.run("visit", visit, **ctx.event.data)


@app.function("runs", on_event("crowd/runs"), concurrency=Concurrency(LIMIT, key="data.who", counts="runs"))
def runs(ctx: Context[dict]) -> None:
    ctx.step.run("enter", enter, ctx.run_id, **ctx.event.data)
    ctx.step.run("leave", leave, ctx.run_id)


_worker = app.handler


def handler(event: Any, context: Any) -> Any:
    records = event.get("Records", ())
    messages = [
        (each["messageId"], sha256(each["body"].encode()).hexdigest()[:16], _about(each["body"]))
        for each in records
    ]
    note("begin", messages=messages)
    answer = _worker(event, context)  # what it raises leaves no `end`, as a kill does
    note("end", ok=not (answer or {}).get("batchItemFailures"))
    return answer


def _about(body: str) -> str | None:
    """The run that a message is about, or the id of its event."""
    message = json.loads(body)
    run: str | None = message.get("run") or message.get("detail", {}).get("lambda_durable", {}).get("id")
    return run


note("ready")
