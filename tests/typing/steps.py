"""A step takes what its function takes, and gives what it gives."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, assert_type

from shop import Claim, app, count, lock, notify

from lambda_durable import Context, Retry, Step, StepError, StepFuture


@app.step
def charge(amount: int) -> str:
    raise NotImplementedError


@app.step(id="refund", retry=Retry.never(), semantics="at_most_once")
def refund(amount: int) -> str:
    raise NotImplementedError


def run(ctx: Context[None]) -> None:
    assert_type(ctx.step.run("lock", lock, "sku", 2, urgent=True), Claim)
    assert_type(ctx.step.run("count", count), int)
    assert_type(ctx.step.run("lambda", lambda: "x"), str)
    assert_type(ctx.step.options(retry=Retry.never(), semantics="at_most_once"), Step)
    ctx.step.run("notify", notify, email="a@b.c")

    ctx.step.run("lock", lock, 1)  # type: ignore[arg-type]
    ctx.step.run("lock", lock)  # type: ignore[call-arg]
    ctx.step.run("lock", lock, "sku", urgently=True)  # type: ignore[call-arg]
    ctx.step.run("lock", lock("sku"))  # type: ignore[arg-type]
    ctx.step.run(1, count)  # type: ignore[arg-type]
    ctx.step.options(semantics="exactly_once")  # type: ignore[arg-type]


def submit(ctx: Context[None]) -> None:
    claim = ctx.step.submit("lock", lock, "sku")
    assert_type(claim, StepFuture[Claim])
    assert_type(claim.result(), Claim)
    assert_type(claim.done(), bool)
    done, not_done = ctx.step.wait([claim, ctx.step.submit("count", count)], return_when="FIRST_COMPLETED")
    assert_type(done, tuple[StepFuture[Any], ...])
    assert_type(not_done, tuple[StepFuture[Any], ...])

    ctx.step.submit("lock", lock, 1)  # type: ignore[arg-type]
    ctx.step.wait([claim], return_when="FIRST")  # type: ignore[arg-type]


def parallel(ctx: Context[None]) -> None:
    assert_type(ctx.step.parallel("one", count), tuple[int])
    assert_type(ctx.step.parallel("two", count, lambda: "x"), tuple[int, str])
    assert_type(
        ctx.step.parallel("four", count, count, lambda: lock("a"), count), tuple[int, int, Claim, int]
    )
    assert_type(ctx.step.parallel("some", *[count, count], max_concurrency=1), tuple[Any, ...])

    ctx.step.parallel("two", count, lock)  # type: ignore[arg-type]
    ctx.step.parallel("two", count, 1)  # type: ignore[call-overload]


def fan_out(ctx: Context[None], skus: list[str]) -> None:
    assert_type(ctx.step.map("locks", lock, skus), list[Claim])
    assert_type(ctx.step.map("lengths", lambda sku: len(sku), skus, key=lambda sku: sku.lower()), list[int])
    assert_type(ctx.step.map("locks", lock, skus, return_exceptions=True), list[Claim | StepError])
    assert_type(ctx.step.map("charges", charge, [1, 2], max_concurrency=2), list[str])
    assert_type(ctx.step.map_group("locks", lock, skus), list[Claim])
    assert_type(ctx.step.map_group("locks", lock, skus, return_exceptions=True), list[Claim | StepError])

    ctx.step.map("locks", lock, [1, 2])  # type: ignore[arg-type]
    ctx.step.map("locks", lock, skus, key=len)  # type: ignore[arg-type]
    ctx.step.map("counts", count, skus)  # type: ignore[arg-type]


def group(ctx: Context[None]) -> None:
    def settle(sku: str) -> Claim:
        return ctx.step.run("lock", lock, sku)

    assert_type(ctx.step.group("settle", settle, "a"), Claim)
    ctx.step.group("settle", settle, 1)  # type: ignore[arg-type]


def sleep(ctx: Context[None]) -> None:
    ctx.step.sleep("a", "3d")
    ctx.step.sleep("b", timedelta(days=3))
    ctx.step.sleep_until("c", datetime.now())

    ctx.step.sleep("d", 3)  # type: ignore[arg-type]
    ctx.step.sleep_until("e", "tomorrow")  # type: ignore[arg-type]


def durable_functions(ctx: Context[None]) -> None:
    assert_type(charge(3), str)
    assert_type(refund(3), str)
    assert_type(ctx.step.run("again", charge, 3), str)

    charge("3")  # type: ignore[arg-type]
    refund()  # type: ignore[call-arg]
    app.step(3)  # type: ignore[call-overload]
