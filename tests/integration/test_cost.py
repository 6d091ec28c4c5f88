"""`lambda-durable cost`: what a journal tells is what was counted, and what is counted is multiplied right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lambda_durable import Context, Durable, Event, Retry, current_step, on_event
from lambda_durable.cli.commands import commands
from lambda_durable.cli.estimate import Assumed, break_even, count, peers, sequence
from lambda_durable.cli.samples import sample
from lambda_durable.costs.journal_bill import bill_of
from lambda_durable.costs.pricing import STANDING, bill, total
from lambda_durable.runtime.sealing import sealed
from lambda_durable.verify import read_recording

GIVEN = Assumed(step=50, invocation=20, megabytes=256)


# -- of one run, from its journal --------------------------------------------------------------------


def third_time() -> int:
    if (step := current_step()).attempt < 3:
        raise ValueError(step.step_id)
    return 3


def steps(ctx: Context) -> None:
    for number in range(5):
        ctx.step.run(f"s{number}", lambda: "x" * 900)


def large(ctx: Context) -> None:
    ctx.step.run("small", lambda: "x" * 5_000)
    ctx.step.run("large", lambda: "x" * 100_000)
    ctx.step.sleep("long", "3d")
    ctx.step.run("last", lambda: "x" * 100_000)


def sleeps(ctx: Context) -> None:
    ctx.step.run("a", int)
    ctx.step.sleep("long", "3d")
    ctx.step.run("b", int)
    ctx.step.sleep("short", "5m")


def retries(ctx: Context) -> None:
    ctx.step.options(retry=Retry.fixed("1m", 5)).run("f", third_time)


def groups(ctx: Context) -> None:
    ctx.step.group("g", lambda: [ctx.step.run("a", int), ctx.step.run("b", int)])


def maps(ctx: Context) -> None:
    ctx.step.map("m", str, range(10))


def branches(ctx: Context) -> None:
    ctx.step.parallel("p", lambda: ctx.step.run("a", int), lambda: ctx.step.run("b", int))


def waits(ctx: Context) -> None:
    ctx.step.wait_for_event("w", "paid", timeout="2d")


def undone(ctx: Context) -> None:
    ctx.step.options(undo=lambda _: None).run("a", int)


@pytest.mark.parametrize("mode", [1, "all"])
@pytest.mark.parametrize(
    "code",
    [steps, large, sleeps, retries, groups, maps, branches, waits, undone],
    ids=lambda code: code.__name__,
)
def test_what_a_journal_tells_is_what_was_counted(durable, code, mode):
    app = Durable("shop")

    @app.function("f", on_event("go"))
    def f(ctx: Context) -> None:
        code(ctx)

    rt = durable(app, steps_per_invocation=mode)
    rt.send(Event("go", {"n": 1}))
    rt.drain()
    calls, usage = rt.calls.copy(), rt.usage
    counted = bill(
        calls,
        invocations=rt.invocations,
        read_units=usage.read_units,
        write_units=usage.write_units,
        index_units=usage.index_units,
        events=1,
        schedules=calls["scheduler:CreateSchedule"],
        milliseconds=rt.invocations * 20,
    )
    (summary,) = rt.runs()
    told = bill_of(read_recording(rt.client._world, summary.run_id), overhead=20, megabytes=256)

    found = {charge.what: charge.count for charge in told.charges}
    for charge in counted:
        if charge.what == "DynamoDB read units":  # what a group's scope takes is not known to the unit
            assert found[charge.what] == pytest.approx(charge.count, abs=2)
        elif (
            charge.what == "DynamoDB write units" and code is waits
        ):  # which paths waits have is written once
            assert found[charge.what] == charge.count - 1
        else:
            assert found[charge.what] == pytest.approx(charge.count, abs=0.001), charge.what
    assert found.keys() == {charge.what for charge in counted}


def test_a_run_s_cost_is_told_to_the_operation(durable, monkeypatch):
    app = Durable("shop")

    @app.function("f", on_event("go"))
    def f(ctx: Context) -> None:
        sleeps(ctx)
        ctx.step.run("small", sample, 5_000)
        ctx.step.run("large", lambda: "x" * 100_000)

    rt = durable(app)
    rt.start(f, run_id="run-1")
    rt.drain()
    monkeypatch.setattr(
        "lambda_durable.verify.deployed.world_of",
        lambda stack, app: rt.client._world if app is None else sealed(rt.client._world, app),
    )
    before = rt.calls.copy()
    done = CliRunner().invoke(commands, ["cost", "run-1", "--json"])
    assert done.exit_code == 0
    assert set(rt.calls - before) <= {"dynamodb:Query", "s3:GetObject"}
    operations = {each["id"]: each for each in json.loads(done.stdout)["operations"]}
    assert [(each["id"], each["write_units"]) for each in operations.values()] == [
        ("a", 1),
        ("long", 1),
        ("b", 1),
        ("short", 1),
        ("small", 2),
        ("large", 1),
    ]
    assert (operations["long"]["schedules"], operations["short"]["schedules"]) == (1, 0)
    assert (operations["small"]["puts"], operations["large"]["puts"]) == (0, 1)
    shown = CliRunner().invoke(commands, ["cost", "run-1"])
    assert "What it has cost" in shown.stdout
    assert "1 schedule" in shown.stdout
    assert CliRunner().invoke(commands, ["cost", "run-2"]).exit_code == 1


# -- at a rate ---------------------------------------------------------------------------------------


def test_a_million_runs_of_five_steps_cost_elsewhere_what_the_published_prices_say():
    app, start = sequence(5, 1000)
    counted = count(app, start, 1)
    assert (counted.attempts, counted.invocations) == (5, 5)
    durable_functions, step_functions = peers(counted, GIVEN)
    assert durable_functions.dollars * 1e6 == pytest.approx(51.43, abs=0.02)
    assert step_functions.dollars * 1e6 == pytest.approx(151.83, abs=0.01)
    stepwise, at_once = (total(count(app, start, mode).charges(GIVEN)) for mode in (1, "all"))
    assert at_once < stepwise < durable_functions.dollars


def test_what_the_docs_say_it_costs_is_what_is_counted():
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
    app, start = sequence(5, 900)
    counted = {mode: count(app, start, mode) for mode in (1, "all")}
    (durable_functions, _), ours = (
        peers(counted[1], GIVEN),
        [total(each.charges(GIVEN)) for each in counted.values()],
    )
    for dollars in (*ours, durable_functions.dollars):
        assert f"{dollars * 1e6:.2f}" in page
    for dollars in ours:
        assert f"{break_even(dollars, durable_functions.dollars):,}" in page


def test_from_the_break_even_on_it_is_cheaper_with_what_an_idle_stack_costs():
    standing = sum(STANDING.values())
    runs = break_even(20e-6, 51e-6)
    assert standing + runs * 20e-6 < runs * 51e-6
    assert standing + (runs - 1) * 20e-6 >= (runs - 1) * 51e-6
    assert break_even(50e-6, 50e-6) is None


APP = """
from lambda_durable import Context, Durable, on_event
app = Durable("shop")

@app.function("checkout", on_event("shop/order"))
def checkout(ctx: Context) -> int:
    print("the step's own")
    ctx.step.run("charge", int)
    return ctx.step.run("ship", lambda: 7)

@app.function("fails")
def fails(ctx: Context) -> None:
    raise ValueError(ctx.event.data["why"])
"""


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "order.json").write_text('{"name": "shop/order", "data": {}, "time": "2026-03-02T09:15:00Z"}')
    return lambda *arguments: CliRunner().invoke(commands, ["cost", *arguments])


@pytest.mark.parametrize(
    "how", [("-e", "order.json"), ("--function", "checkout"), ("--function", "checkout", "--data", "{}")]
)
def test_an_app_is_counted_in_a_run_of_it(cli, how):
    done = cli("app.py", "--rate", "1M/month", *how, "--json")
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    stepwise, at_once = found["modes"]["stepwise"], found["modes"]["all"]
    assert (stepwise["invocations"], at_once["invocations"]) == (2, 1)
    assert stepwise["dollars_a_month"] == pytest.approx(stepwise["dollars"] * 1e6)
    sent = "EventBridge events" in {each["what"] for each in stepwise["charges"]}
    assert sent == (how[0] == "-e")
    shown = cli("app.py", "--rate", "1M/month", *how)
    assert "1,000,000 a month" in shown.stdout
    assert "AWS Lambda durable functions" in shown.stdout


def test_a_run_that_fails_is_told_since_it_was_counted(cli):
    done = cli("app.py", "--rate", "1/day", "--function", "fails", "--data", '{"why": "no"}')
    assert done.exit_code == 1
    assert "a run of 'fails' is failed: ValueError: no; what was counted is that" in done.stderr


@pytest.mark.parametrize(
    ("rate", "runs"),
    [("1000000/month", 1e6), ("1M/month", 1e6), ("2k/day", 2000 * 730 / 24), ("20/second", 20 * 3600 * 730)],
)
def test_a_rate_is_runs_a_month(cli, rate, runs):
    found = json.loads(cli("--steps", "1", "--rate", rate, "--json").stdout)
    assert found["a_month"] == pytest.approx(runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a RUN_ID; or say --rate"),
        (("--rate", "often", "--steps", "1"), "--rate is a number per time"),
        (("--rate", "1/day"), "name an APP to count, or say how many --steps"),
        (("app.py", "--rate", "1/day"), "say which --function: checkout, fails"),
        (("app.py", "--rate", "1/day", "--function", "gone"), "has no function 'gone'"),
        (("app.py", "--rate", "1/day", "--function", "checkout", "--data", "{"), "--data is no JSON"),
        (
            ("app.py", "--rate", "1/day", "-e", "order.json", "--data", "{}"),
            "leave --function and --data out",
        ),
        (("--steps", "1", "--rate", "1/day", "--step-time", "5"), "--step-time"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_exits_with_2(cli, arguments, message):
    done = cli(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
