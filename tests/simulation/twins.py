"""Workflows that are written twice, as a sync and as an async handler. Each says what must come of it: its
output, and the attempts of each of its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lambda_durable import AsyncContext, Context, Durable, Retry, StepError, current_step
from lambda_durable.function import Function

SOON, TOMORROW = Retry.fixed("7s", 5), Retry.fixed("1d", 5)
app = Durable("equivalence", retry=SOON)


@dataclass(frozen=True)
class Example:
    kinds: dict[str, Function[Any, Any]]
    output: Any
    attempts: dict[str, int]
    takes: dict[str, str] = field(default_factory=dict)


EXAMPLES: dict[str, Example] = {}
CASES: list[tuple[str, str]] = []


def example(output: Any, attempts: dict[str, int], **takes: str) -> Callable[[Callable[..., Any]], None]:
    """What the decorated function defines is an example: it returns its handlers."""

    def add(define: Callable[[], tuple[Callable[..., Any], ...]]) -> None:
        name = define.__name__
        handlers = dict(zip(("sync", "async"), define(), strict=True))
        kinds = {kind: app.function(f"{name}-{kind}")(handler) for kind, handler in handlers.items()}
        EXAMPLES[name] = Example(kinds, output, attempts, takes)
        CASES.extend((name, kind) for kind in kinds)

    return add


# What the steps do


def say(word: str) -> str:
    return word


async def murmur(word: str) -> str:
    await asyncio.sleep(0)
    return word


def third_time(word: str) -> str:
    if current_step().attempt < 3:
        raise ConnectionError(word)
    return word


def second_time(word: str) -> str:
    if current_step().attempt < 2:
        raise ConnectionError(word)
    return word


def refuse(word: str) -> str:
    raise PermissionError(word)


def square(n: int) -> int:
    if n % 4 == 1 and current_step().attempt < 2:
        raise ConnectionError(n)
    if n % 4 == 2:
        raise ArithmeticError(n)
    return n * n


def where(outcomes: list[Any]) -> list[Any]:
    return [outcome.step_id if isinstance(outcome, StepError) else outcome for outcome in outcomes]


# The examples


@example(["a", "b", "a", "refused"], {"a": 1, "b": 3, "a:1": 1, "nap": 0, "no": 5})
def in_sequence():
    def sync(ctx: Context[Any]) -> list[str]:
        said = [ctx.step.run("a", say, "a"), ctx.step.run("b", third_time, "b"), ctx.step.run("a", say, "a")]
        ctx.step.sleep("nap", "2h")
        try:
            ctx.step.run("no", refuse, "no")
        except StepError:
            said.append("refused")
        return said

    async def asynchronous(ctx: AsyncContext[Any]) -> list[str]:
        said = [await ctx.step.run("a", murmur, "a"), await ctx.step.run("b", third_time, "b")]
        said.append(await ctx.step.run("a", say, "a"))
        await ctx.step.sleep("nap", "2h")
        try:
            await ctx.step.run("no", refuse, "no")
        except StepError:
            said.append("refused")
        return said

    return sync, asynchronous


@example(
    [["left x", "left y"], ["right x", "right y"]],
    {"p": 1, "p[0]": 1, "p[1]": 1, "p[0]/x": 1, "p[0]/y": 3, "p[0]/nap": 0}
    | {"p[1]/x": 1, "p[1]/y": 3, "p[1]/nap": 0},
)
def branches_with_equal_ids():
    sides = ["left", "right"]

    def sync(ctx: Context[Any]) -> list[list[str]]:
        def branch(side: str) -> list[str]:
            first = ctx.step.run("x", say, f"{side} x")
            ctx.step.sleep("nap", "20m")
            return [first, ctx.step.run("y", third_time, f"{side} y")]

        return list(ctx.step.parallel("p", lambda: branch(sides[0]), lambda: branch(sides[1])))

    async def asynchronous(ctx: AsyncContext[Any]) -> list[list[str]]:
        async def branch(side: str) -> list[str]:
            first = await ctx.step.run("x", murmur, f"{side} x")
            await ctx.step.sleep("nap", "20m")
            return [first, await ctx.step.run("y", third_time, f"{side} y")]

        return await ctx.step.map_group("p", branch, sides)

    return sync, asynchronous


@example(
    [["left x", "left y"], ["right x", "right y"]],
    {"left": 1, "left/x": 1, "left/y": 3, "right": 1, "right/x": 1, "right/y": 3},
)
def groups_with_equal_ids():
    def sync(ctx: Context[Any]) -> list[list[str]]:
        def both(side: str) -> list[str]:
            return [ctx.step.run("x", say, f"{side} x"), ctx.step.run("y", third_time, f"{side} y")]

        return [ctx.step.group(side, both, side) for side in ("left", "right")]

    async def asynchronous(ctx: AsyncContext[Any]) -> list[list[str]]:
        async def both(side: str) -> list[str]:
            return [
                await ctx.step.run("x", say, f"{side} x"),
                await ctx.step.run("y", third_time, f"{side} y"),
            ]

        return await asyncio.gather(*(ctx.step.group(side, both, side) for side in ("left", "right")))

    return sync, asynchronous


@example(["a", "b", "c", "abc"], {"a": 1, "b": 2, "c": 1, "d": 1}, a="90s", b="30s", c="1s")
def durations_reversed():
    def sync(ctx: Context[Any]) -> list[str]:
        futures = [
            ctx.step.submit(*call) for call in (("a", say, "a"), ("b", second_time, "b"), ("c", say, "c"))
        ]
        said = [future.result() for future in futures]
        return [*said, ctx.step.run("d", say, "".join(said))]

    async def asynchronous(ctx: AsyncContext[Any]) -> list[str]:
        step = ctx.step
        said = await asyncio.gather(
            step.run("a", murmur, "a"), step.run("b", second_time, "b"), step.run("c", say, "c")
        )
        return [*said, await step.run("d", say, "".join(said))]

    return sync, asynchronous


@example(["hare first", "tortoise"], {"hare": 1, "tortoise": 3, "hare-won": 1}, hare="1s", tortoise="40s")
def first_completed():
    def sync(ctx: Context[Any]) -> list[str]:
        slow = ctx.step.options(retry=TOMORROW).submit("tortoise", third_time, "tortoise")
        done, _ = ctx.step.wait([slow, ctx.step.submit("hare", say, "hare")], return_when="FIRST_COMPLETED")
        winner = done[0].result()
        return [ctx.step.run(f"{winner}-won", say, f"{winner} first"), slow.result()]

    async def asynchronous(ctx: AsyncContext[Any]) -> list[str]:
        step = ctx.step
        slow = asyncio.ensure_future(step.options(retry=TOMORROW).run("tortoise", third_time, "tortoise"))
        racers = [slow, asyncio.ensure_future(step.run("hare", say, "hare"))]
        done, _ = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        winner = done.pop().result()
        return [await step.run(f"{winner}-won", say, f"{winner} first"), await slow]

    return sync, asynchronous


def race_against_a_sleep(retry: Retry, sleep: str) -> tuple[Callable[..., Any], ...]:
    """A sync handler can't wait for both at once: it sleeps, and asks."""

    def sync(ctx: Context[Any]) -> list[Any]:
        work = ctx.step.options(retry=retry).submit("work", second_time, "work")
        ctx.step.sleep("nap", sleep)
        answer = ctx.step.run("in-time" if work.done() else "late", say, "told")
        return [answer, work.result()]

    async def asynchronous(ctx: AsyncContext[Any]) -> list[Any]:
        work = asyncio.ensure_future(ctx.step.options(retry=retry).run("work", second_time, "work"))
        nap = asyncio.ensure_future(ctx.step.sleep("nap", sleep))
        done, _ = await asyncio.wait([work, nap], return_when=asyncio.FIRST_COMPLETED)
        answer = await ctx.step.run("in-time" if work in done else "late", say, "told")
        await nap
        return [answer, await work]

    return sync, asynchronous


@example(["told", "work"], {"work": 2, "nap": 0, "late": 1}, work="9s")
def a_sleep_before_a_step():
    return race_against_a_sleep(TOMORROW, "3h")


@example(["told", "work"], {"work": 2, "nap": 0, "in-time": 1}, work="9s")
def a_step_before_a_sleep():
    return race_against_a_sleep(SOON, "2d")


@example(
    ["A(a)", "B(b)", "C(c)"],
    {"boxes": 1}
    | {f"boxes[{i}]{rest}": 1 for i in range(3) for rest in ("", "/pack", "/pack/label", "/pack/label/print")}
    | {f"boxes[{i}]/pack/fill": 2 for i in range(3)}
    | {f"boxes[{i}]/pack/label/dry": 0 for i in range(3)},
)
def groups_in_groups_of_a_map():
    def sync(ctx: Context[Any]) -> list[str]:
        def label(word: str) -> str:
            ctx.step.sleep("dry", "30s")
            return ctx.step.run("print", say, word.upper())

        def pack(word: str) -> str:
            filled = ctx.step.run("fill", second_time, word)
            return f"{ctx.step.group('label', label, word)}({filled})"

        return ctx.step.map_group("boxes", lambda word: ctx.step.group("pack", pack, word), ["a", "b", "c"])

    async def asynchronous(ctx: AsyncContext[Any]) -> list[str]:
        async def label(word: str) -> str:
            await ctx.step.sleep("dry", "30s")
            return await ctx.step.run("print", murmur, word.upper())

        async def pack(word: str) -> str:
            filled = await ctx.step.run("fill", second_time, word)
            return f"{await ctx.step.group('label', label, word)}({filled})"

        async def box(word: str) -> str:
            return await ctx.step.group("pack", pack, word)

        return await ctx.step.map_group("boxes", box, ["a", "b", "c"])

    return sync, asynchronous


@example(
    [[0, 1, "m[2]", 9, 16, 25, "m[6]"], "n[2] failed"],
    {"m": 1, "m[0]": 1, "m[1]": 2, "m[2]": 5, "m[3]": 1, "m[4]": 1, "m[5]": 2, "m[6]": 5}
    | {"n": 1, "n[0]": 1, "n[1]": 2, "n[2]": 5},
)
def maps_with_failures():
    def sync(ctx: Context[Any]) -> list[Any]:
        squares = ctx.step.map("m", square, range(7), max_concurrency=2, return_exceptions=True)
        try:
            return [where(squares), ctx.step.map("n", square, range(3), max_concurrency=2)]
        except StepError as error:
            return [where(squares), f"{error.step_id} failed"]

    async def asynchronous(ctx: AsyncContext[Any]) -> list[Any]:
        squares = await ctx.step.map("m", square, range(7), max_concurrency=2, return_exceptions=True)
        try:
            return [where(squares), await ctx.step.map("n", square, range(3), max_concurrency=2)]
        except StepError as error:
            return [where(squares), f"{error.step_id} failed"]

    return sync, asynchronous
