"""Replaying finished steps: the engine alone, on a journal in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lambda_durable import AsyncContext, Context, Durable, Event
from lambda_durable.engine.asynchronous import AsyncReplay
from lambda_durable.engine.journal import Author, Kind, Partition, Payload, Record, State
from lambda_durable.engine.loaded import Journal
from lambda_durable.engine.replay import Replay
from lambda_durable.engine.sync import SyncReplay
from lambda_durable.function import Function

app = Durable("bench")


def identity(value: int) -> int:
    return value


@app.function("sync")
def in_sequence(ctx: Context[dict[str, int]]) -> int:
    return sum(ctx.step.run(f"s{i}", identity, i) for i in range(ctx.event.data["steps"]))


@app.function("async")
async def in_async_sequence(ctx: AsyncContext[dict[str, int]]) -> int:
    total = 0
    for i in range(ctx.event.data["steps"]):
        total += await ctx.step.run(f"s{i}", identity, i)
    return total


@app.function("gather")
async def in_parallel(ctx: AsyncContext[dict[str, int]]) -> int:
    return sum(
        await asyncio.gather(*(ctx.step.run(f"s{i}", identity, i) for i in range(ctx.event.data["steps"])))
    )


class Finished:
    """A driver for a run whose steps have all ended."""

    def now(self) -> int:
        return 0

    def read(self, payload: Payload) -> str:
        assert payload.text is not None
        return payload.text

    def advance(self, replay: Any) -> None:
        raise AssertionError("everything is in the journal")

    def finish(self, op: Any, result: Any, error: Any) -> None:
        raise AssertionError("there is no group")


@cache
def _records(steps: int) -> dict[str, Record]:
    return {
        f"s{i}": Record(
            path=f"s{i}",
            kind=Kind.RUN,
            state=State.COMPLETED,
            author=Author(i, "bench"),
            began=i,
            ended=i,
            attempts=1,
            output=Payload(text=str(i)),
        )
        for i in range(steps)
    }


def _replay(function: Function[Any, Any], steps: int) -> None:
    kind: type[Replay] = AsyncReplay if function.is_async else SyncReplay
    replay = kind(
        run_id="r",
        journal_id="r",
        journal=Journal([Partition("", _records(steps))]),
        driver=Finished(),
        started=0,
        retry=function.retry,
        focus="",
    )
    event: Event[Any] = Event("bench", {"steps": steps}, id="e", time=datetime(2025, 1, 1, tzinfo=UTC))
    result = replay.run(
        lambda: function.call(
            event=event,
            run_id="r",
            function_id=function.id,
            attempt=1,
            started_at=event.time,
            _logger=None,
            _renew=None,
        )
    )
    assert result == steps * (steps - 1) // 2


REPLAYS: dict[str, Callable[[int], None]] = {
    "sync": lambda steps: _replay(in_sequence, steps),
    "async": lambda steps: _replay(in_async_sequence, steps),
    "async, one gather": lambda steps: _replay(in_parallel, steps),
}
