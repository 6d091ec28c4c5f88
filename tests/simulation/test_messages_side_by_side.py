"""Two messages that both drive a run on: who was overtaken starts nothing more, and the other one sees to the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambda_durable import AsyncContext, Durable
from lambda_durable.testing import Faults


@pytest.mark.parametrize("seed", range(40))
def test_who_leads_goes_on_with_what_one_that_was_overtaken_has_done(durable, seed):
    app = Durable("app", steps_per_invocation="all")

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        once = ctx.step.options(semantics="at_most_once")
        steps: list[Any] = [once.run("first", int), ctx.step.run("beside", int), once.run("slow", int)]
        await asyncio.gather(*steps)
        return "done"

    rt = durable(app, faults=Faults(duplicate=0.5, interleave=True), seed=seed)
    rt.stub("slow", takes="2s")
    rt.stub("first", takes="1s")
    assert rt.run(f).output == "done"
