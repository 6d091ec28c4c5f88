"""Random workflows: a tree, and what happens to its run as a whole, made into a function of an app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lambda_durable import (
    AsyncContext,
    CancelOn,
    Context,
    Durable,
    NonRetriableError,
    Timeouts,
    current_step,
    on_event,
)
from lambda_durable.function import Function
from tests.simulation.nodes import Env, Model, Node, Outside, Step, digest, mix, run_body, run_body_async
from tests.simulation.outside import STOPPED, Happening

CHILD = "child"
TOLD = "told"


@dataclass(frozen=True)
class Life:
    """What a function says of its runs as a whole. `rounds` are the bodies after the first: the run continues
    as new with each. Times are in seconds."""

    rounds: Sequence[Sequence[Node]] = ()
    pin: bool = False
    start: int | None = None
    finish: int | None = None
    cancel_on: bool = False
    on_failure: bool = False

    def line(self) -> str:
        words = [
            "pinned" * self.pin,
            f"to start within {self.start}s" * bool(self.start),
            f"to end within {self.finish}s" * bool(self.finish),
            f"cancelled by {STOPPED!r}" * self.cancel_on,
            "on_failure" * self.on_failure,
        ]
        return ", ".join(filter(None, words))


@dataclass(frozen=True)
class Workflow:
    nodes: Sequence[Node]
    is_async: bool = False
    happenings: Sequence[Happening] = ()
    life: Life = Life()

    @property
    def rounds(self) -> list[Sequence[Node]]:
        """The bodies of the journals of a run, one after the other."""
        return [self.nodes, *self.life.rounds]

    def text(self) -> str:
        title = "async def workflow:" if self.is_async else "def workflow:"
        lines = [f"{title}  {self.life.line()}".rstrip()]
        for number, nodes in enumerate(self.rounds):
            lines += ["  then, as new:"] * bool(number)
            lines += [f"    {line}" for node in nodes for line in node.lines()]
        return "\n".join([*lines, *(happening.line() for happening in self.happenings)])

    def everything(self) -> Model:
        """All steps that may ever be called."""
        model = Model({}, everything=True)
        self.model(model)
        return model

    def nodes_within(self) -> Iterator[Node]:
        """All nodes, at whatever depth."""
        left = [node for nodes in self.rounds for node in nodes]
        while left:
            yield (node := left.pop())
            left += node.inside()

    def model(self, m: Model) -> Any:
        """What the run gives. Raises Failed."""
        acc, values = 0, None
        for nodes in self.rounds:
            values = m.body("", nodes, acc)
            acc = mix(acc, values)
        return values

    def build(self, outside: Outside, version: int = 0) -> tuple[Durable, Function[Any, Any]]:
        """An app with the workflow, and what it invokes and sends events to, after so many deploys."""
        app, life = Durable("simulation"), self.life
        configured = app.function(
            "workflow",
            timeouts=Timeouts(
                start=f"{life.start}s" if life.start is not None else None,
                finish=f"{life.finish}s" if life.finish is not None else None,
            ),
            cancel_on=CancelOn(STOPPED, match="data.key") if life.cancel_on else (),
            version=f"{version}",
            pin=life.pin,
        )

        def renewed(ctx: Any, number: int, values: Any) -> Any:
            """The output, or another round."""
            if number + 1 == len(self.rounds):
                return values
            acc = mix(_acc(ctx), values)
            return ctx.continue_as_new({**ctx.event.data, "round": number + 1, "acc": acc})

        if self.is_async:

            @configured
            async def handler(ctx: AsyncContext[Any]) -> Any:
                number = ctx.event.data.get("round", 0)
                env = Env(ctx, _async_function(outside, version), outside, version)
                return renewed(ctx, number, await run_body_async(env, self.rounds[number], _acc(ctx)))
        else:

            @configured
            def handler(ctx: Context[Any]) -> Any:
                number = ctx.event.data.get("round", 0)
                env = Env(ctx, _function(outside, version), outside, version)
                return renewed(ctx, number, run_body(env, self.rounds[number], _acc(ctx)))

        if life.on_failure:

            @handler.on_failure
            def failed(ctx: Context[Any]) -> Any:
                return ctx.step.run("tell", str, ctx.event.data.run_id)

        @app.function(CHILD)
        def child(ctx: Context[Any]) -> int:
            data = ctx.event.data
            ctx.step.sleep("nap", f"{data['sleep']}s")
            if data["fails"]:
                raise NonRetriableError("it is to fail")
            return ctx.step.run("give", digest, data["id"], data["acc"])

        @app.function("sent", on_event("sent"))
        def sent(ctx: Context[Any]) -> Any:
            return ctx.step.run("take", dict, ctx.event.data)

        return app, handler


def _acc(ctx: Any) -> int:
    acc: int = ctx.event.data.get("acc", 0)
    return acc


def _function(outside: Outside, version: int) -> Callable[[Step], Callable[[int], int]]:
    def of(step: Step) -> Callable[[int], int]:
        def effect(acc: int) -> int:
            info = current_step()
            succeeds = info.attempt > step.fails and not step.forever
            outside.log(info.step_id, info.attempt, succeeds, version)
            if step.tells:
                info.publish(TOLD, info.step_id)
            return step.act(info.step_id, info.attempt, acc)

        return effect

    return of


def _async_function(outside: Outside, version: int) -> Callable[[Step], Callable[[int], Any]]:
    def of(step: Step) -> Callable[[int], Any]:
        effect = _function(outside, version)(step)

        async def async_effect(acc: int) -> int:
            await asyncio.sleep(0)
            return effect(acc)

        # Both kinds of function are steps of an async handler.
        return effect if sum(map(ord, step.id)) % 2 else async_effect

    return of
