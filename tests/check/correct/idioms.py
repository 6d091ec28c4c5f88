"""Idioms of Python around steps, which are hard to follow for who only reads code."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import json
import logging
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lambda_durable import AsyncContext, Context, Durable, NonRetriableError, Retry, StepError

app = Durable("idioms")
log = logging.getLogger(__name__)


@dataclass
class State:
    done: list[str] = field(default_factory=list)

    def mark(self, name: str) -> None:
        self.done.append(name)


@app.function("with-state")
def with_state(ctx: Context[dict]) -> list[str]:
    state = State()
    for name in ("x", "y"):
        ctx.step.run(name, print, name)
        state.mark(name)
    with contextlib.ExitStack() as stack:
        stack.callback(log.info, "over")
        ctx.step.run("z", print)
    return state.done


@app.function("tree")
def tree(ctx: Context[dict]) -> int:
    queue = deque([ctx.event.data["root"]])
    seen: set[str] = set()
    while queue:
        node = queue.popleft()
        if node in seen:
            continue
        seen.add(node)
        queue.extend(ctx.step.run(f"children-{node}", list))
    return len(seen)


@app.function("grouped")
def grouped(ctx: Context[dict]) -> dict:
    by = defaultdict(list)
    results = {}

    def worker(item):
        r = ctx.step.run("w", str, item)
        return r

    made = ctx.step.map_group("g", worker, ctx.event.data["items"])
    for item, r in zip(ctx.event.data["items"], made, strict=True):
        by[r].append(item)
        results[item] = r
    total = functools.reduce(lambda x, y: x + y, [1, 2, 3])
    ctx.step.run("sum", print, total)
    return {**by, **results}


@app.function("race")
async def race(ctx: AsyncContext[dict]) -> str:
    lock = asyncio.Lock()
    results = []

    async def one(n):
        r = await ctx.step.run(f"one-{n}", str, n)
        async with lock:
            results.append(r)

    await asyncio.gather(*[one(n) for n in range(3)])
    event = asyncio.create_task(ctx.step.wait_for_event("e", "x", timeout="1d"))
    work = asyncio.create_task(ctx.step.run("w", str))
    done, pending = await asyncio.wait({event, work}, return_when=asyncio.FIRST_COMPLETED)
    if event in done:
        work.cancel()
        return "event"
    event.cancel()
    return work.result() + ",".join(results)


@app.function("own-retries")
def own_retries(ctx: Context[dict]) -> str:
    attempt = 0
    while True:
        attempt += 1
        try:
            return ctx.step.options(retry=Retry.never()).run(f"try-{attempt}", str)
        except StepError as err:
            if attempt >= 3:
                raise
            ctx.logger.info("again", error=str(err))
            ctx.step.sleep(f"back-off-{attempt}", dt.timedelta(seconds=2**attempt))


def with_lock(ctx: Context[dict], name: str):
    def deco(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            ctx.step.run(f"lock-{name}", print)
            try:
                return fn(*args, **kwargs)
            finally:
                ctx.step.run(f"unlock-{name}", print)

        return inner

    return deco


@app.function("decorated")
def decorated(ctx: Context[dict]) -> None:
    @with_lock(ctx, "db")
    def work(x):
        ctx.step.run("work", print, x)

    work(3)


T = TypeVar("T")


class Repo(Generic[T]):
    items: dict[str, T] = {}

    def get(self, key: str) -> T:
        if key not in self.items:
            self.items[key] = self.load(key)
        return self.items[key]

    def load(self, key: str) -> T:
        with open(key) as file:
            return json.load(file)


repo = Repo()


@app.function("cached")
def cached(ctx: Context[dict]):
    return ctx.step.run("get", repo.get, "a"), ctx.step.run("get-2", lambda: repo.get("b"))


@app.function("tables")
async def tables(ctx: AsyncContext[dict]) -> None:
    steps = [("a", print), ("b", print)]
    coros = {name: ctx.step.run(name, fn) for name, fn in steps}
    out = dict(zip(coros, await asyncio.gather(*coros.values()), strict=True))
    async with asyncio.TaskGroup() as tg:
        ts = {n: tg.create_task(ctx.step.run(f"t-{n}", str)) for n in range(3)}
    log.info("%s %s", out, [t.result() for t in ts.values()])


@app.function("matched")
def matched(ctx: Context[dict]) -> str:
    match ctx.event.data:
        case {"kind": "a", "n": int(n)} if n > 3:
            ctx.step.run("x", print)
        case {"kind": "b"}:
            ctx.step.run("x", print)
        case _:
            raise NonRetriableError("no")
    start = ctx.now()
    ctx.step.sleep("s", "1h")
    took = ctx.now() - start
    return f"{took.total_seconds():.0f}s {(lambda q: q * 2)(3)} {sorted({1, 2})} {any(x for x in [1])}"


@app.function("futures")
def futures(ctx: Context[dict]) -> None:
    futures = []
    for n in range(3):
        futures.append(ctx.step.submit(f"s-{n}", str, n))
    first, *rest = futures
    total = first.result() + "".join(map(lambda fu: fu.result(), rest))
    ctx.step.run("total", print, total)
    try:
        data = json.loads(ctx.event.data["json"])
    except Exception:
        data = {}
    if data.get("id") == str(uuid.UUID(int=3)):
        ctx.step.run("three", print)


def collect(ctx, fs):
    done, _ = ctx.step.wait(fs)
    return [fu.result() for fu in done]


@app.function("handed-over")
def handed_over(ctx: Context[dict]):
    return collect(ctx, [ctx.step.submit("a", str), ctx.step.submit("b", str)])


@handed_over.on_failure
async def handing_over_failed(ctx: AsyncContext) -> None:
    await asyncio.gather(*map(lambda n: ctx.step.run(f"x{n}", print), range(3)))
