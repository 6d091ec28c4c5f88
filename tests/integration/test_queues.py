"""What waits, as people see it."""

from __future__ import annotations

import json

import pytest

from lambda_durable import (
    Concurrency,
    Context,
    Durable,
    Event,
    RateLimit,
    Throttle,
    on_event,
)
from lambda_durable.cli.commands import commands
from lambda_durable.client import Client


@pytest.fixture
def app():
    return Durable("shop")


def limits(rt, *args):
    return [queue for queue in rt.client.queues(*args) if queue.kind != "function"]


def functions(rt, *args):
    return {queue.function_id: queue for queue in rt.client.queues(*args) if queue.kind == "function"}


def test_what_waits_is_shown_for_each_value_of_a_key_and_no_more_when_all_are_served(durable, app):
    @app.function("f", on_event("job"), concurrency=Concurrency(2, key="data.who", counts="runs"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    began = rt.now()
    rt.send(*(Event("job", {"who": who}) for who in "aaaaabbbc"))
    rt.advance("1m")
    a, b = limits(rt)
    if a.waiting < b.waiting:
        a, b = b, a
    assert (a.kind, a.function_id, a.counts, a.key, a.limit) == ("concurrency", "f", "runs", '"a"', 2)
    assert (a.in_use, a.waiting, a.delayed, a.oldest) == (2, 3, 3, began)
    assert (b.key, b.in_use, b.waiting, b.delayed) == ('"b"', 2, 1, 1)
    assert limits(rt, "f") == limits(rt)
    rt.drain()
    assert limits(rt) == []


def test_limits_without_a_key_are_shown_in_any_case(durable, app):
    @app.function(
        "f",
        on_event("job"),
        concurrency=[Concurrency(3), Concurrency(9, scope="app", counts="runs")],
        throttle=Throttle(1, "10s"),
        rate_limit=RateLimit(5, "1h"),
    )
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "10m")

    rt = durable(app)
    assert {queue.waiting for queue in limits(rt)} == {0}
    rt.send(*(Event("job") for _ in range(7)))
    rt.advance("1s")
    by = {(queue.kind, queue.counts): queue for queue in limits(rt)}
    assert set(by) == {
        ("concurrency", "steps"),
        ("concurrency", "runs"),
        ("throttle", None),
        ("rate_limit", None),
    }
    assert by["throttle", None].every.total_seconds() == 10
    assert (by["throttle", None].waiting, by["throttle", None].delayed) == (4, 4)
    assert by["concurrency", "runs"].function_id is None
    assert by["concurrency", "runs"].in_use == 5
    assert functions(rt)["f"].skipped == 2


def test_a_long_value_of_a_key_is_shortened(durable, app):
    @app.function("f", on_event("job"), throttle=Throttle(1, "1h", key="data.who"))
    def f(ctx: Context[dict]) -> None:
        pass

    rt = durable(app)
    rt.send(*(Event("job", {"who": "x" * 10_000}) for _ in range(2)), Event("job"), Event("job"))
    rt.advance("1s")
    assert {queue.key for queue in limits(rt)} == {'"' + "x" * 99, ""}


def test_a_paused_function_is_shown_with_what_it_holds(durable, app):
    @app.function("f", on_event("job"))
    def f(ctx: Context[dict]) -> None:
        pass

    @app.function("g", on_event("other"))
    def g(ctx: Context[dict]) -> None:
        pass

    rt = durable(app)
    rt.client.pause(f)
    rt.send(Event("job"), Event("job"), Event("job"))
    rt.start(f)
    rt.advance("1m")
    found = functions(rt)
    assert (found["f"].paused, found["f"].held_events, found["f"].waiting) == (True, 3, 1)
    assert (found["g"].paused, found["g"].held_events) == (False, 0)
    assert list(functions(rt, f)) == ["f"]
    stranger = Client(world=rt.client._world)
    assert [queue.function_id for queue in stranger.queues()] == ["f"]
    rt.client.resume(f)
    rt.drain()
    assert functions(rt)["f"].held_events == 0
    assert stranger.queues() == []


def test_who_is_skipped_or_delayed_is_logged(durable, app, caplog):
    caplog.set_level("INFO", logger="lambda_durable.runtime.tallies")

    @app.function("f", on_event("job"), throttle=Throttle(1, "1h"), rate_limit=RateLimit(3, "1h"))
    def f(ctx: Context[dict]) -> None:
        pass

    rt = durable(app)
    rt.send(*(Event("job") for _ in range(4)))
    rt.advance("1m")
    said = [record.getMessage().rpartition(" is ")[2] for record in caplog.records]
    assert sorted(said) == ["delayed: it waits at throttle/f"] * 2 + ["skipped: rate_limit"]


# the command line


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command on the local client, and gives its exit status, output and messages."""

    def run(rt, *arguments):
        monkeypatch.setattr(
            "lambda_durable.cli.deployed.Client", lambda app, stack: Client(app, world=rt.client._world)
        )
        with pytest.raises(SystemExit) as left:
            commands(args=list(arguments))
        told = capsys.readouterr()
        return left.value.code, told.out, told.err

    return run


def test_pausing_and_listing_from_the_command_line(durable, app, command):
    @app.function("f", on_event("job"), throttle=Throttle(1, "1h", key="data.who"))
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1m")

    rt = durable(app)
    assert command(rt, "pause", "f")[0] == 2  # it has never run, and nobody knows it
    rt.send(Event("job", {"who": "a"}), Event("job", {"who": "a"}))
    rt.advance("1s")
    assert command(rt, "pause", "f") == (0, "paused function f\n", "")
    code, out, err = command(rt, "pause", "f")
    assert (code, out) == (1, "")
    assert "paused already" in err
    run = next(run.run_id for run in rt.runs() if run.status == "running")
    assert command(rt, "pause", run, "--json") == (0, f'{{\n  "paused": true,\n  "run": "{run}"\n}}\n', "")
    assert command(rt, "pause", run, "--events", "skip")[0] == 2
    assert command(rt, "pause", "f", "--runs", "stop")[0] == 2

    code, out, err = command(rt, "queues")
    assert code == 0
    assert "paused, 0 events held" in out
    assert 'key "a", one each 1 h' in out
    listed = json.loads(command(rt, "queues", "--json")[1])
    assert [(queue["kind"], queue["waiting"]) for queue in listed] == [("function", 0), ("throttle", 1)]

    assert command(rt, "resume", "f")[0] == 0
    assert command(rt, "resume", "f")[0] == 1
    assert command(rt, "resume", run)[0] == 0
    rt.drain()
    assert {run.status for run in rt.runs()} == {"completed"}
