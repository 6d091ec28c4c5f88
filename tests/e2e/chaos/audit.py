"""What is read of a stack when all is over, for the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaos.kinds import CHILDREN
from chaos.ledger import Ledger
from chaos.load import Started
from chaos.stage import PAYMENTS, Stage

Item = Mapping[str, Any]


def audit(stack: Stage, started: Sequence[Started]) -> Ledger:
    client = stack.deployment.client
    stack.log.read()
    stack.log.close()
    runs = {
        kind: [client.get(summary.run_id) for summary in client.runs(kind)]
        for kind in sorted({run.kind for run in started} | {CHILDREN})
    }
    payments = {int(item["account"]["S"]): int(item["paid"]["N"]) for item in _items(stack, PAYMENTS)}
    return Ledger(started, runs, stack.log, payments, left_behind(stack))


def left_behind(stack: Stage) -> list[str]:
    """What should not be there when all runs have ended, in words."""
    return [*_left_in_queues(stack), *_left_in_table(stack)]


def _left_in_queues(stack: Stage) -> Iterator[str]:
    for name, depths in stack.depths().items():
        if any(depths):
            yield f"{name} has {depths} messages that wait, that were received, that are delayed"
    yield from (f"a dead letter: {letter[:500]}" for letter in stack.dead_letters())
    for name, when in stack.deployment.schedules().items():
        if when.startswith("at("):
            yield f"the schedule {name}, {when}"


def _left_in_table(stack: Stage) -> Iterator[str]:
    items = {
        (item["pk"]["S"], item["sk"]["S"]): item
        for item in _items(stack, stack.deployment.resources["Table"])
    }
    for key, item in items.items():
        if what := left(item, items):
            yield f"{what}: {key}"


def left(item: Item, items: Mapping[tuple[str, str], Item]) -> str | None:
    """What an item is that should not be there when all runs have ended.

    A waiter is no such thing where its wait or its run has ended: who ended one may have died before it could remove
    it. Nobody is woken by it, and it expires. Nor is the claim of a step whose group or wait has ended: who was told
    of a callback may answer it although the step that told it died. Nor is the slot of a step whose worker died: it is
    a lease, and who comes next finds that it has ended.
    """
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if pk.startswith("s#") or (pk.startswith("w#") and sk != "!"):
        run = item["u"]["S"]
        over = any("t" in items.get((run, key), ()) for key in (f".{item['p']['S']}", "!"))
        return None if over and "x" in item else "a waiter"
    if pk.startswith("q#") and sk != "!":
        return "a place in a line"
    if pk.startswith("q#"):  # listed until somebody looks who waits there
        return f"a gate that has {inside}" if (inside := _inside(item)) else None
    if "kp" in item or {"gp", "k"} <= item.keys():
        return "a run that is still to be looked after"
    if sk.startswith(".") and "t" not in item and item.get("c", {}).get("S", "").count(":") == 2:
        run, _, within = pk.rpartition("/")
        return None if "t" in items.get((run, f".{within}"), ()) else "a claim"
    return None


def _inside(item: Item) -> list[str]:
    """Who is inside a gate and will never leave it; and its counts, where they are wrong, or somebody waits."""
    until = {name: int(value["N"]) for name, value in item.items() if name.startswith("+")}
    expected = {"n": len(until), "w": 0}
    counts = {name: int(item.get(name, {"N": "0"})["N"]) for name in expected}
    wrong = [f"{name} = {count}" for name, count in counts.items() if count != expected[name]]
    return [name for name, at in until.items() if at == 0] + wrong


def _items(stack: Stage, table: str) -> Iterator[Item]:
    for page in stack.deployment.aws("dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]
