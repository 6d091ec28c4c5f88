"""`lambda-durable run`, as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lambda_durable.cli.commands import commands
from lambda_durable.costs import pricing

ROOT = Path(__file__).parents[2]
CHECKOUT = str(ROOT / "functions/checkout/app.py")
EVENT = str(ROOT / "events/checkout.json")

APP = """
from pydantic import BaseModel
from lambda_durable import *

app = Durable("little")

class Order(BaseModel):
    count: int

def pack(count: int) -> str:
    print("packing")
    if count > 3:
        raise ValueError("too many\\nfor one parcel")
    return "parcel"

@app.function("ship", on_event("order/placed", Order), retry=Retry.fixed("10s", 2))
def ship(ctx: Context[Order]) -> str:
    return ctx.step.run("pack", pack, ctx.event.data.count)

@app.function("audit", on_event("order/*", if_exp=lambda event: event.name != "order/secret"))
def audit(ctx: Context[dict]) -> None:
    ctx.step.sleep("wait", "90m")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    (tmp_path / "little.py").write_text(APP)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def run(*arguments):
    return CliRunner().invoke(commands, ["run", *map(str, arguments)])


def write(name, content):
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def placed(count, **fields):
    return {"name": "order/placed", "data": {"count": count}, **fields}


def process(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from lambda_durable.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=120,
        check=False,
    )


# The main job


def test_what_a_model_took_is_told_beside_its_step():
    folder = ROOT / "functions/research"
    result = run(folder / "app.py", "-e", ROOT / "events/research.json")
    assert result.exit_code == 0, result.output
    assert re.search(r"✓ plan +stand-in, \d+ \+ \d+ tokens · \{", result.stdout)


def test_the_checkout_runs_to_its_end_and_is_told_as_it_happens():
    done = process("run", CHECKOUT, "-e", EVENT)

    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout
    assert [told.count(f"attempt {n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert "GatewayTimeout: the card gateway did not answer within 10 seconds; retries in" in told
    assert "sleeps 3 days until 2026-03-05" in told
    assert told.index("cool-off") < told.index("update-ledger") < told.index("send-receipt")
    assert "completed after 3 days" in told
    assert '"order": "A-1042"' in told
    assert "dynamodb:PutItem" in told
    assert "Lambda invocations" in told
    assert "for a million" in told
    assert "\x1b" not in told


def test_json_is_the_finished_run_and_nothing_else():
    done = process("run", CHECKOUT, "-e", EVENT, "--json")

    finished = json.loads(done.stdout)
    assert done.returncode == 0
    assert finished["status"] == "completed"
    assert finished["output"]["amount"] == 72250
    assert finished["steps"]["charge"]["attempts"] == 3
    assert finished["event"]["data"]["order"] == "A-1042"


def test_the_same_seed_gives_the_same_run_and_another_seed_other_delays(folder):
    event = write("e.json", placed(1))
    first, again, other = (run("little.py", "-e", event, "--json", "--seed", n).stdout for n in (1, 1, 2))

    assert first == again != other


@pytest.mark.parametrize("mode", ["1", "3", "all", "auto"])
def test_steps_per_invocation_changes_no_outcome(folder, mode):
    done = run("little.py", "-e", write("e.json", placed(1)), "--json", "--steps-per-invocation", mode)

    assert done.exit_code == 0
    assert [each["status"] for each in json.loads(done.stdout)] == ["completed", "completed"]


# A run that fails


def test_a_failed_run_is_told_with_its_error_and_exits_with_1(folder):
    done = run("little.py", "-e", write("e.json", placed(4)))

    assert done.exit_code == 1
    assert "attempt 1 failed: ValueError: too many for one parcel; retries in 10 s" in done.stdout
    assert "attempt 2 failed: ValueError: too many for one parcel; not retried" in done.stdout
    assert "ValueError (step pack): too many" in done.stdout
    assert f"raised at {folder / 'little.py'}:13, in pack" in done.stdout
    assert "Traceback" not in done.output


def test_a_failed_run_as_json_exits_with_1_and_what_the_code_prints_is_on_stderr(folder):
    done = run("little.py", "-e", write("e.json", placed(4)), "--json")

    ship = next(each for each in json.loads(done.stdout) if each["function_id"] == "ship")
    assert done.exit_code == 1
    assert (ship["status"], ship["error"]["type"]) == ("failed", "ValueError")
    assert "packing" in done.stderr


def test_data_that_the_model_refuses_is_a_failed_run_naming_the_field(folder):
    done = run("little.py", "-e", write("e.json", placed("many")))

    assert done.exit_code == 1
    assert "data.count" in done.stdout


# Events


def test_a_list_of_events_runs_all_of_them(folder):
    done = run("little.py", "-e", write("e.json", [placed(1), placed(2)]), "--json")

    assert [each["function_id"] for each in json.loads(done.stdout)] == ["ship", "audit"] * 2


def test_one_id_twice_starts_nothing_twice(folder):
    done = run("little.py", "-e", write("e.json", [placed(1, id="same"), placed(1, id="same")]), "--json")

    assert len(json.loads(done.stdout)) == 2  # ship and audit, once


def test_an_eventbridge_event_written_by_hand_may_leave_out_what_a_rule_adds(folder):
    done = run("little.py", "-e", write("e.json", {"detail-type": "order/placed", "detail": {"count": 1}}))

    assert done.exit_code == 0
    assert "sleeps 1 h 30 min until 2025-01-01 01:30:00" in done.stdout


def test_what_a_run_waits_for_is_told_and_that_it_timed_out(folder):
    write(
        "waits.py",
        """
from lambda_durable import Context, Durable, on_event

app = Durable("waits")
ANSWERS = iter([False, True])

@app.function("child")
def child(ctx: Context[dict]) -> int:
    ctx.step.sleep("nap", "5s")
    return 1

@app.function("parent", on_event("order/placed"))
def parent(ctx: Context[dict]) -> int:
    ctx.step.wait_for_signal("go", "green", timeout="1h")
    ctx.step.wait_for_event("paid", ["a", "b"], timeout="1h", match="data.count")
    ctx.step.poll("look", lambda: next(ANSWERS), until=bool, every="10m", timeout="1h")
    return ctx.step.invoke("ask", child, {})
""",
    )
    done = process("run", "waits.py", "-e", write("e.json", placed(7, time="2026-01-01T00:00:00Z")))

    assert (done.returncode, done.stderr) == (0, "")
    told = [line[19:].split(maxsplit=2) for line in done.stdout.splitlines() if line.startswith("2026-")]
    assert ["z", "go", "waits for signal green until 2026-01-01 01:00:00"] in told
    assert ["✓", "go", "timed out"] in told
    assert ["z", "paid", "waits for event a or b with 7 until 2026-01-01 02:00:00"] in told
    assert ["z", "look", "not yet; asks again in 10 min"] in told
    assert any(
        line[:2] == ["z", "ask"] and re.fullmatch(r"waits for run [0-9A-Z]{26}", line[2]) for line in told
    )
    assert ["z", "child:", "nap                   sleeps 5 s until 2026-01-01 02:10:05"] in told


def test_the_event_may_come_from_stdin(folder):
    done = CliRunner().invoke(commands, ["run", "little.py", "-e", "-"], input=json.dumps(placed(1)))

    assert done.exit_code == 0


# Mistakes


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("littel.py", "there is no file littel.py; did you mean little.py?"),
        ("nowhere/app.py", "there is no file nowhere/app.py: there is no folder nowhere"),
        (".", "is a folder"),
        ("", "APP is empty"),
        (":app", "is no app; write path/to/app.py"),
        ("no.such.module:app", "there is no module 'no.such.module'"),
        ("empty.py", 'there is no app in empty.py; write in it: app = Durable("name")'),
        ("two.py", "two.py has several apps, a, b; say which one: two.py:a"),
        ("little.py:nope", "there is no nope in little.py; the apps in it: app"),
        ("little.py:ship", "ship in little.py is of type Function, and no Durable"),
        ("syntax.py", "SyntaxError"),
        ("imports.py", "No module named 'nothere'; is it installed in this environment, or misspelt?"),
        ("exits.py", "SystemExit"),
        ("declared.py", "its context is an AsyncContext"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_one_line_and_exits_with_2(folder, app, message):
    write("empty.py", "x = 1")
    write("two.py", 'from lambda_durable import *\na = Durable("a")\nb = Durable("b")')
    write("syntax.py", "def f(:")
    write("imports.py", "import nothere")
    write("exits.py", "raise SystemExit(0)")
    write(
        "declared.py",
        "from lambda_durable import *\napp = Durable('a')\n"
        "@app.function('f')\nasync def f(ctx: Context[dict]): pass",
    )

    done = run(app, "-e", write("e.json", placed(1)))

    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"name": ', "e.json is no JSON: Expecting value at line 1, column 10"),
        ("", "e.json is empty"),
        ("[" * 100_000, "e.json is no JSON"),
        ([], "e.json holds an empty list"),
        (3, "is no event"),
        ({"nam": "order/placed"}, "is no event"),
        ({"name": "order/placed", "dta": {}}, "a plain event has no 'dta'"),
        ({"name": 3}, "expected a string"),
        ({"name": "order/placed", "time": "yesterday"}, "time: is no ISO 8601 time"),
        ([placed(1), {"detail-type": ""}], "event 2 of 2: detail-type"),
        (
            {"name": "odrer/placed"},
            "no function wants the event 'odrer/placed' (did you mean 'order/placed'?)",
        ),
        ({"name": "odrer/placed"}, "the names known to app 'little': 'order/*', 'order/placed'"),
        (
            {"name": "order/secret"},
            "event 'order/secret' starts nothing: the if_exp of its trigger refuses it",
        ),
    ],
)
def test_an_event_that_cannot_be_sent_is_one_line_and_exits_with_2(folder, content, message):
    done = run("little.py", "-e", write("e.json", content))

    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_event_file_that_is_not_there_exits_with_2(folder):
    write("event.json", placed(1))

    done = run("little.py", "-e", "evnt.json")

    assert done.exit_code == 2
    assert "there is no event file evnt.json; did you mean event.json?" in done.stderr


@pytest.mark.parametrize("mode", ["0", "-1", "some", "1.5"])
def test_a_bad_steps_per_invocation_exits_with_2(folder, mode):
    done = run("little.py", "-e", write("e.json", placed(1)), f"--steps-per-invocation={mode}")

    assert done.exit_code == 2
    assert "--steps-per-invocation is a number from 1, all or auto" in done.stderr


def test_who_reads_no_further_gets_no_traceback(folder):
    write("e.json", placed(1))
    command = (
        f"{sys.executable} -c 'from lambda_durable.cli import main; main()' run little.py -e e.json | head -1"
    )

    done = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )

    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


# Ways to name an app


@pytest.mark.parametrize("app", ["little.py", "./little.py:app", "little:app", "little"])
def test_an_app_is_named_by_path_or_by_module(folder, app):
    done = run(app, "-e", write("e.json", placed(1)))

    assert done.exit_code == 0, done.stderr


def test_an_app_in_a_package_may_import_its_siblings_relatively(folder):
    (folder / "shop").mkdir()
    write("shop/__init__.py", "")
    write("shop/parcels.py", APP)
    write("shop/main.py", "from .parcels import app")

    done = run("shop/main.py", "-e", write("e.json", placed(1)))

    assert done.exit_code == 0, done.stderr


# The bill


def test_a_message_is_three_requests_and_a_message_from_eventbridge_is_one_to_send_too():
    used = {"sqs:SendMessage": 4, "sqs:SendMessageBatch": 1}

    charges = pricing.bill(
        used, invocations=8, read_units=5, write_units=6, index_units=2, events=1, schedules=1
    )
    counts = {charge.what: charge.count for charge in charges}

    assert counts["SQS requests"] == 5 + 1 + 1 + 2 * 8
    assert counts["DynamoDB write units"] == 6 + 2
    assert counts["Lambda requests"] == 8
    assert counts["Lambda GB-seconds"] == pytest.approx(8 * 0.050 * 0.25)


CLOCK = """
from lambda_durable import *

app = Durable("clock")

@app.function("tick", [cron("30 9 * * MON-FRI", timezone="Europe/Paris"), every("6h"), on_event("tick")])
def tick(ctx: Context[dict]) -> str:
    return f"{ctx.event.data.get('schedule')} {ctx.event.time:%H:%M}"
"""


def test_without_an_event_each_schedule_is_due_once(folder):
    write("clock.py", CLOCK)

    result = run("clock.py", "--json")

    assert result.exit_code == 0, result.output
    assert [shown["output"] for shown in json.loads(result.stdout)] == [
        "every 6h 06:00",
        "30 9 * * MON-FRI 08:30",
    ]


def test_a_start_that_is_put_off_is_told_as_such(folder):
    write("clock.py", CLOCK)
    result = run("clock.py")
    assert "starts in 2 h 30 min as run" in result.stdout
    assert "completed\n" in result.stdout, "without the time for which it was put off"


def test_a_schedule_s_event_can_be_given(folder):
    write("clock.py", CLOCK)
    due = {"name": "lambda_durable/scheduled", "time": "2025-03-01T12:00:00Z"}

    result = run("clock.py", "--json", "-e", write("due.json", {**due, "data": {"schedule": "every 6h"}}))

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["output"] == "every 6h 12:00"


def test_a_schedule_that_the_app_has_not_is_named(folder):
    write("clock.py", CLOCK)
    result = run(
        "clock.py", "-e", write("due.json", {"name": "lambda_durable/scheduled", "data": {"schedule": "x"}})
    )
    assert result.exit_code == 2
    assert "whose schedules are '30 9 * * MON-FRI', 'every 6h'" in result.stderr


def test_without_an_event_or_a_schedule_it_says_what_to_name(folder):
    result = run("little.py")
    assert result.exit_code == 2
    assert "-e EVENT.json" in result.stderr


def test_an_option_that_makes_no_sense_is_told_with_the_line_that_has_it(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "from lambda_durable import Durable\n\napp = Durable('a')\n\n\n"
        "@app.function('f', priority=5)\ndef f(ctx): ...\n"
    )
    done = CliRunner().invoke(commands, ["run", str(app)])
    assert done.exit_code != 0
    assert f"priority= of function 'f' takes a Priority, and this is 5 ({app}, line 6)" in done.stderr
