"""The service that Restate's server calls: a handler of so many steps."""

from __future__ import annotations

import asyncio
import sys

import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

service = restate.Service("Bench")


async def _add(total: int, payload: str) -> int:
    return total + len(payload)


@service.handler("sequence")
async def sequence(ctx: restate.Context, asked: dict[str, int]) -> int:
    total, payload = 0, "x" * asked["size"]
    for _ in range(asked["steps"]):
        total = await ctx.run_typed("s", _add, total=total, payload=payload)
    return total


if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.keep_alive_max_requests = config.h2_max_concurrent_streams = 1 << 30
    asyncio.run(serve(restate.app([service]), config))
