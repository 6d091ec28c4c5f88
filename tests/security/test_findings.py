"""Mistakes that were accepted in silence."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from lambda_durable import ConfigurationError, Context, Durable, Event, Middleware, Retry, Timeouts, on_event

MISSING_TABLE = {"Put": {"TableName": "nowhere", "Item": {"id": {"S": "1"}}}}


@pytest.mark.parametrize(
    "slip", ["around_steps", "arround_step", "run_start", "on_run_ended", "around_handlers"]
)
def test_a_misspelt_hook_is_refused_when_the_app_is_made(slip):
    kind = type("Watch", (Middleware,), {slip: lambda self, *_: None})
    with pytest.raises(ConfigurationError, match=f"'{slip}', which is never called: the hook is"):
        Durable("app", middleware=kind())


def test_methods_of_its_own_are_a_middlewares_business():
    class Watch(Middleware):
        @contextmanager
        def around_step(self, step):
            yield

        def report(self):
            pass

        def _around_steps(self):
            pass

        @property
        def spans(self):
            return []

    assert Durable("app", middleware=Watch()).middleware


def test_a_start_that_may_take_longer_than_the_whole_run_is_refused():
    with pytest.raises(ConfigurationError, match="start= could never be what ends it"):
        Timeouts(start="2h", finish="1h")
    assert Timeouts(start="1h", finish="1h").start == Timeouts(start="1h").start


@pytest.mark.parametrize("name", ["", "x" * 256, None, 7])
def test_a_signal_without_a_name_is_refused_where_it_is_sent(durable, name):
    with pytest.raises(ConfigurationError, match="a signal's name has 1 to 255 characters"):
        durable(Durable("app")).client.send_signal(name)


def test_a_transaction_on_a_table_that_is_not_there_names_it(durable):
    app = Durable("app", retry=Retry.never())

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.transact("pay", MISSING_TABLE)

    run = durable(app).run(f)
    assert run.status == "failed"
    assert "one of 'nowhere', or the app's own" in run.error.message
    assert run.steps["pay"].attempts == 1


class Visit(BaseModel):
    at: datetime
    tags: object = None


def test_an_events_data_is_plain_json_however_it_is_sent(durable):
    app = Durable("app")

    @app.function("f", on_event("go", Visit))
    def f(ctx: Context[Visit]) -> list[object]:
        came = ctx.step.wait_for_event("come", "come", timeout="1h", model=Visit)
        return [ctx.event.data.at, ctx.event.data.tags, came.data.at, came.data.tags]

    rt = durable(app)
    at = datetime(2025, 1, 1, tzinfo=UTC)
    rt.send(Event("go", {"at": at, "tags": {"$": "dict", "v": [(1, 2)]}}))
    rt.advance("1s")
    rt.send(Event("come", {"at": at, "tags": {"$set": 1, "$": 2}}))
    rt.drain()
    (run,) = rt.runs()
    assert rt.get(run.run_id).output == [at, {"$": "dict", "v": [[1, 2]]}, at, {"$set": 1, "$": 2}]
