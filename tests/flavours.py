"""Sync and async handlers of one body: a generator that yields its steps, and gets their results back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from lambda_durable import AsyncContext, Context, Durable

Body = Callable[..., Generator[Any, Any, Any]]


class Sync:
    """Makes `def` handlers of generators: what they yield, a step's result, comes back to them."""

    name = "sync"

    def code(self, body: Body) -> Callable[..., Any]:
        def run(*args):
            generator, value = body(*args), None
            while True:
                try:
                    value = generator.send(value)
                except StopIteration as end:
                    return end.value

        return run

    def function(self, app: Durable, body: Body, id: str = "f", **options: Any) -> Any:
        run = self.code(body)

        @app.function(id, **options)
        def handler(ctx: Context):
            return run(ctx)

        return handler

    def parallel(self, ctx: Context, id: str, *branches: Body, **options: Any) -> Any:
        return list(ctx.step.parallel(id, *map(self.code, branches), **options))


class Async:
    """Makes `async def` handlers of the same generators: it awaits the coroutines that they yield."""

    name = "async"

    def code(self, body: Body) -> Callable[..., Any]:
        async def run(*args):
            generator = body(*args)
            step = generator.send
            value: Any = None
            while True:
                try:
                    awaitable = step(value)
                except StopIteration as end:
                    return end.value
                try:
                    step, value = generator.send, await awaitable
                except Exception as error:
                    step, value = generator.throw, error

        return run

    def function(self, app: Durable, body: Body, id: str = "f", **options: Any) -> Any:
        run = self.code(body)

        @app.function(id, **options)
        async def handler(ctx: AsyncContext):
            return await run(ctx)

        return handler

    def parallel(self, ctx: AsyncContext, id: str, *branches: Body, **options: Any) -> Any:
        """Async steps have no `parallel`: a map over branches has its paths and its rules."""

        async def branch(number: int) -> Any:
            return await self.code(branches[number])()

        return ctx.step.map_group(id, branch, range(len(branches)), **options)


FLAVOURS = [Sync(), Async()]
