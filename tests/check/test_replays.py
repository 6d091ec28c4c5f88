"""Runs, replayed under another clock, with other random numbers, hashes and settings."""

from __future__ import annotations

import json
import os
import random
import secrets
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lambda_durable import Context, Durable
from lambda_durable.check import check
from lambda_durable.cli.commands import commands
from lambda_durable.testing import assert_deterministic
from lambda_durable.testing.elsewhere import HERE, World

ROOT = Path(__file__).parents[2]


def hidden(module, name):
    """Something that the static check does not see."""
    return getattr(module, "".join(name))


def app_of(body):
    app = Durable("elsewhere")

    @app.function("f")
    def f(ctx: Context[dict]) -> object:
        return body(ctx)

    return app


def told(durable, body, data=None):
    app = app_of(body)
    runtime = durable(app)
    run = runtime.run(app.functions["f"], data or {})
    try:
        assert_deterministic(runtime, run.run_id)
    except AssertionError as error:
        return str(error)
    return ""


def test_a_handler_that_does_the_same_everywhere_passes(durable):
    calls = []

    def body(ctx):
        number = ctx.step.run("number", lambda: calls.append(1) or str(uuid.uuid4()))
        ctx.step.sleep("a-day", "1d")
        hour = ctx.now().hour
        drawn = ctx.random.random()
        ctx.step.map("each", str, [1, 2])
        return [ctx.step.run(f"use-{number}-{hour}", str, drawn), number]

    assert told(durable, body) == ""
    assert calls == [1]  # the replays took it from the journal


def test_an_id_that_is_made_of_the_time_is_told_with_its_line(durable):
    text = told(durable, lambda ctx: ctx.step.run(f"op-{hidden(time, 'time')():.0f}", str))
    assert "renamed: 'op-" in text
    assert "and the code calls 'op-1930790467' in its place" in text
    assert "test_replays.py" in text
    assert text.endswith("it depends on the clock")


def test_a_branch_on_the_hour_is_told(durable):
    def body(ctx):
        hour = hidden(time, "gmtime")().tm_hour
        ctx.step.run("morning" if hour < 12 else "evening", str)

    assert "it depends on the clock" in told(durable, body)


def test_a_branch_on_the_monotonic_clock_is_told(durable):
    def body(ctx):
        began = ctx.step.run("began", hidden(time, "monotonic"))
        if hidden(time, "monotonic")() - began > 3600:
            ctx.step.run("late", str)

    assert "'late' is new" in told(durable, body)


def test_an_order_that_is_drawn_is_told(durable):
    def body(ctx):
        for pick in hidden(random, "sample")(["a", "b", "c", "d"], 2):
            ctx.step.run(f"handle-{pick}", str)

    assert "random numbers" in told(durable, body)


@pytest.mark.parametrize("draw", [uuid.uuid4, uuid.uuid1, secrets.token_hex, lambda: os.urandom(4).hex()])
def test_what_is_drawn_otherwise_is_told_too(durable, draw):
    text = told(durable, lambda ctx: ctx.step.run(f"op-{draw()}", str))
    assert "renamed" in text
    assert "it depends on" in text


def test_what_is_new_each_time_is_told_as_that(durable):
    text = told(durable, lambda ctx: ctx.step.run(f"op-{random.Random().random()}", str))
    assert text.endswith("it depends on what is new each time")


def test_an_output_made_of_the_environment_is_told(durable, monkeypatch):
    monkeypatch.setenv("SHOP_STAGE", "prod")

    def body(ctx):
        ctx.step.run("a", str)
        return hidden(os, "environ")["SHOP_STAGE"]

    text = told(durable, body)
    assert 'it returns "prod-0", and returned "prod"' in text
    assert text.endswith("it depends on the environment")


def test_who_fails_elsewhere_alone_is_told(durable):
    def body(ctx):
        ctx.step.run("a", str)
        if datetime.now(UTC).year > 2030:
            raise ValueError("too late")

    text = told(durable, body)
    assert "raises: the code raises ValueError" in text
    assert "it depends on the clock" in text


def test_who_fails_alike_everywhere_passes(durable):
    def body(ctx):
        ctx.step.run("a", str)
        raise ValueError("always")

    assert told(durable, body) == ""


def test_a_run_that_waits_is_replayed_as_far_as_it_came(durable):
    def body(ctx):
        ctx.step.run("ask", str)
        ctx.step.wait_for_signal(f"answer-{hidden(time, 'time')():.0f}", "s", timeout="1d")

    app = app_of(body)
    runtime = durable(app)
    run = runtime.start(app.functions["f"], {})
    runtime.advance("1s")
    with pytest.raises(AssertionError, match="depends on the clock"):
        assert_deterministic(runtime, run.run_id)


def test_a_world_is_the_same_each_time_and_leaves_no_trace():
    def look():
        with HERE.entered():
            now = datetime.now(UTC), time.time(), time.monotonic()
            return now, random.random(), uuid.uuid4(), secrets.token_hex(4), os.environ.copy()

    before = dict(os.environ), time.monotonic, os.urandom, uuid.uuid4()
    state = random.getstate()
    assert look() == look()
    assert (random.getstate(), dict(os.environ), time.monotonic, os.urandom) == (state, *before[:3])
    assert uuid.uuid4() != before[3]
    assert abs(datetime.now(UTC).timestamp() - time.time()) < 5


def test_worlds_differ():
    seen = set()
    for world in (HERE, World(clock=1), World(entropy=1), World(settings=1), World(settings=None)):
        with world.entered():
            seen.add((time.time(), random.random(), os.environ.get("PWD", "")))
    assert len(seen) >= 4


# The command

APP = """
import os
from lambda_durable import Context, Durable, on_event

app = Durable("elsewhere")
NAMES = ["ada", "bob", "cid", "dan", "eve"]

@app.function("by-set", on_event("by-set"))
def by_set(ctx: Context[dict]) -> None:
    for index, name in enumerate(hidden(NAMES)):
        ctx.step.run(f"{index}-{name}", print, name)

def hidden(names):
    return list(vars(__import__("builtins"))["set"](names))

@app.function("right", on_event("right"))
def right(ctx: Context[dict]) -> str:
    return ctx.step.run("a", str, ctx.event.data["x"])

@app.function("early", on_event("early"))
def early(ctx: Context[dict]) -> None:
    raise ValueError("too early")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    (tmp_path / "elsewhere_app.py").write_text(APP)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(commands, ["check", *map(str, arguments)])


def event(name):
    Path("event.json").write_text(json.dumps({"name": name, "data": {"x": "1"}}))
    return ("--replay", "elsewhere_app.py", "-e", "event.json", "--run-steps")


def test_the_command_replays_in_other_processes_where_sets_have_other_orders(folder):
    assert check([folder]).findings == []
    result = invoke(*event("by-set"))

    assert result.exit_code == 1
    assert "of 'by-set' does not do elsewhere what it did" in result.stdout
    assert "it depends on: hashes, or what is made at import" in result.stdout
    assert "1 of 1 run did something else when replayed elsewhere" in result.stderr


def test_the_command_replays_recorded_runs_and_says_what_it_did_not_prove(folder, durable):
    from lambda_durable.cli.loading import load_app

    app = load_app("elsewhere_app.py")
    runtime = durable(app)
    run = runtime.run(app.functions["right"], {"x": "1"})
    runtime.record(run.run_id, "journals")
    result = invoke("--replay", "elsewhere_app.py", "--journals", "journals", "--json")

    assert result.exit_code == 0, result.stderr
    (replay,) = json.loads(result.stdout)["replays"]
    assert (replay["run_id"], replay["outcome"], replay["differs"]) == (run.run_id, "same", False)


def test_a_run_that_did_nothing_says_nothing(folder):
    result = invoke(*event("early"))
    assert result.exit_code == 2
    assert "failed before its first step: ValueError: too early" in result.stderr
    assert "nothing was compared" in result.stderr


def test_mistakes_with_options_are_told_of(folder):
    asked = invoke("--replay", "elsewhere_app.py")
    assert asked.exit_code == 2
    assert "--replay needs a run" in asked.stderr
    assert "leave --event and --run-steps out" in invoke(*event("right"), "--journals", ".").stderr
    assert "leave --replay out" in invoke(*event("right"), "--sarif").stderr
    assert (
        "there is no file or folder nowhere"
        in invoke("--replay", "elsewhere_app.py", "--journals", "nowhere").stderr
    )
    assert "there is no file other.py" in invoke("--replay", "other.py", "--journals", ".").stderr
