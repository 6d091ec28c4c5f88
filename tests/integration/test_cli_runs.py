"""`runs`, `events`, `rerun`, `replay` and `cancel` on the command line, in virtual time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from pydantic import BaseModel
from typer.main import get_command

from lambda_durable import Context, Durable, Event, Retry, on_event
from lambda_durable.cli import repeats, runs
from lambda_durable.cli.commands import commands
from lambda_durable.cli.panels import PANELS
from lambda_durable.client import Client


class Shop:
    def __init__(self):
        self.app = Durable("shop", retry=Retry.never())
        self.broken = True
        self.done: list[str] = []

        @self.app.function("order", on_event("order"), labels=lambda event: [f"o-{event.data['n']}"])
        def order(ctx: Context[dict]) -> dict:
            ctx.step.run("reserve", self.do, "reserve")
            ctx.step.sleep("rest", ctx.event.data.get("rest", "1s"))
            return {"paid": ctx.step.run("charge", self.charge, ctx.event.data["n"])}

        self.order = order

    def do(self, what):
        self.done.append(what)
        return what

    def charge(self, number):
        if self.broken:
            raise ValueError("the provider is down")
        return number * 10


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def app():
    return Durable("shop")


@pytest.fixture
def command(monkeypatch, capsys):
    """Calls the command line on a runtime: exit status, stdout and stderr."""

    def command(rt, *arguments):
        monkeypatch.setattr(
            "lambda_durable.cli.deployed.Client", lambda app, stack: Client(app, world=rt.client._world)
        )
        with pytest.raises(SystemExit) as left:
            commands(args=list(arguments))
        return left.value.code or 0, *capsys.readouterr()

    return command


def orders(rt, count, **data):
    for number in range(count):
        rt.send(Event("order", {"n": number, **data}))
        rt.advance("10s")
    return [run.run_id for run in rt.runs("order")][::-1]


def test_a_failed_run_is_found_understood_and_done_again(durable, shop, command):
    rt = durable(shop.app)
    (run,) = orders(rt, 1)
    status, out, _ = command(rt, "runs", "order", "--status", "failed")
    assert (status, out.count(run)) == (0, 1)

    status, out, _ = command(rt, "show", run)
    assert status == 0
    assert re.search(r"✗ charge +attempt 1 failed: ValueError: the provider is down", out)
    assert "ValueError (step charge): the provider is down" in out
    assert f"lambda-durable rerun {run} --from-failed" in out

    shop.broken = False
    status, out, err = command(rt, "rerun", run, "--from-failed")
    assert (status, err) == (0, f"lambda-durable rerun: does {run} again from step charge\n")
    rt.drain()
    new = out.strip()
    status, out, _ = command(rt, "show", new)
    assert "completed" in out
    assert '"paid": 0' in out
    assert '"reserve" · kept' in out
    assert f"again     {run} from step charge" in out
    assert f"done again  {new}" in command(rt, "show", run)[1]
    assert shop.done == ["reserve"]


def test_who_sent_data_that_does_not_fit_is_told_to_send_other(durable, app, command):
    class Order(BaseModel):
        n: int

    @app.function("order", on_event("order", Order))
    def order(ctx: Context[Order]) -> int:
        return ctx.event.data.n

    rt = durable(app)
    (run,) = orders(rt, 1, n="one")
    assert f"with data that fits: lambda-durable rerun {run} --data JSON" in command(rt, "show", run)[1]
    command(rt, "rerun", run, "--data", '{"n": 1}')
    rt.drain()
    assert [run.status for run in rt.runs("order")] == ["completed", "failed"]


def test_a_rerun_takes_a_step_other_data_and_an_id(durable, shop, command):
    rt = durable(shop.app)
    shop.broken = False
    (run,) = orders(rt, 1)
    options = ("--from-step", "charge", "--data", '{"n": 7}', "--id", "mine", "--json")
    status, out, _ = command(rt, "rerun", run, *options)
    assert (status, json.loads(out)) == (0, {"run_id": "mine", "rerun_of": run, "rerun_from": "charge"})
    rt.drain()
    assert rt.get("mine").output == {"paid": 70}
    assert json.loads(command(rt, "show", "mine", "--json")[1])["rerun_of"] == run


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["nothing"], 1, "there is no run 'nothing' to do again"),
        (["RUN", "--from-step", "chrage"], 2, "has no step 'chrage'; it has 'charge'"),
        (["RUN", "--data", "{"], 2, "--data is no JSON"),
        (["RUN", "--from-failed", "--from-step", "charge"], 2, "give one of them"),
        (
            ["RUN", "--from-failed"],
            2,
            "did not fail on a step: it is completed; --from-step STEP says from where",
        ),
    ],
)
def test_a_rerun_that_makes_no_sense_is_one_line(durable, shop, command, options, status, said):
    rt = durable(shop.app)
    shop.broken = False
    (run,) = orders(rt, 1)
    left, out, err = command(rt, "rerun", *(run if each == "RUN" else each for each in options))
    assert (left, out, err.count("\n")) == (status, "", 1)
    assert said in err


def test_runs_are_searched_and_it_says_how_far(durable, shop, command):
    rt = durable(shop.app)
    made = orders(rt, 5)
    status, out, err = command(rt, "runs", "order", "--where", "event.data.n > 1", "--look-at", "2")
    assert (status, [each for each in made if each in out]) == (0, made[3:])
    assert "looked at 2 runs, back to " in err
    cursor = err.rpartition("--cursor '")[2].strip("'\n")
    status, out, _ = command(rt, "runs", "order", "--if", "event.data.n > 1", "--cursor", cursor, "--json")
    page = json.loads(out)
    assert [run["run_id"] for run in page["runs"]] == [made[2]]
    assert (page["looked_at"], page["failed"], page["cursor"]) == (3, 0, None)
    assert command(rt, "runs", "order", "--where", "event.")[0] == 2
    assert command(rt, "runs", "order", "--cursor", cursor)[0] == 2
    assert command(rt, "runs", "--where", "true")[0] == 2


def test_a_list_that_is_watched_shows_what_changes(durable, shop, command, monkeypatch):
    rt = durable(shop.app)
    (run,) = orders(rt, 1, rest="1h")
    left = iter(["30m", "2h", None])

    def sleep(_):
        if (passes := next(left)) is None:
            raise KeyboardInterrupt
        rt.advance(passes)

    monkeypatch.setattr(runs.time, "sleep", sleep)
    status, out, _ = command(rt, "runs", "order", "--watch")
    assert status == 0
    assert [("running" in line, "failed" in line) for line in out.splitlines()] == [
        (True, False),
        (False, True),
    ]
    assert command(rt, "runs", "order", "--watch", "--json")[0] == 2


def test_events_are_listed_with_their_runs(durable, shop, command):
    rt = durable(shop.app)
    made = orders(rt, 3)
    status, out, _ = command(rt, "events", "order", "--limit", "2")
    assert (status, [each for each in made if each in out]) == (0, made[1:])
    listed = json.loads(command(rt, "events", "order", "--json")[1])
    assert [event["runs"]["order"] for event in listed] == made[::-1]
    assert command(rt, "events", "nothing")[1:] == ("", "lambda-durable events: there are none such\n")


def test_a_function_that_is_none_is_told_from_nothing_found(durable, shop, command):
    rt = durable(shop.app)
    orders(rt, 1)
    assert "there is no run of a function 'ordr'" in command(rt, "runs", "ordr")[2]
    assert "there are none such" in command(rt, "runs", "order", "--status", "skipped")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "order", "--status", "faild"], "runs: --status is one of queued,"),
        (
            ["runs", "order", "--where", "event.data.n >"],
            "runs: --where: 'event.data.n >' is no CEL: at character 15, it ends too early\n",
        ),
        (["replay", "order", "--per-second", "0"], "replay: --per-second is a number above 0"),
        (["cancel", "--function", "order", "--if", "event.data.n >"], "cancel: --if: "),
        (["pause", "order", "--events", "drop"], "pause: --events: expected 'hold' or 'skip'"),
        (["pause", "ordr"], "pause: there is no run 'ordr', and no function 'ordr' has ever run"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_words_of_the_command_line(durable, shop, command, arguments, message):
    rt = durable(shop.app)
    orders(rt, 1)
    status, out, err = command(rt, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"lambda-durable {message}")


def test_help_has_each_command_in_a_panel(durable, shop, command):
    shown = command(durable(shop.app), "--help")[1]
    assert [panel for panel in PANELS if panel in shown] == list(PANELS)
    listed = [name for names in PANELS.values() for name in names]
    assert sorted(listed) == sorted(get_command(commands).commands)


def test_runs_are_cancelled_by_id_or_all_of_a_function(durable, shop, command):
    rt = durable(shop.app)
    made = orders(rt, 4, rest="1d")
    assert command(rt, "cancel", made[0])[:2] == (0, f"{made[0]}\n")
    status, out, err = command(rt, "cancel", made[0], made[1])
    assert (status, out, made[0] in err) == (1, f"{made[1]}\n", True)
    status, out, _ = command(rt, "cancel", "--function", "order", "--if", "event.data.n == 3", "--json")
    assert (status, json.loads(out)) == (0, [made[3]])
    assert command(rt, "cancel", "--function", "order")[:2] == (0, f"{made[2]}\n")
    assert command(rt, "cancel", "--function", "order")[:2] == (0, "")
    for bad in ([], [made[0], "--function", "order"], [made[0], "--if", "true"]):
        assert command(rt, "cancel", *bad)[0] == 2
    assert command(rt, "cancel", "nothing")[0] == 1


def test_runs_are_done_again_in_bulk(durable, shop, command):
    rt = durable(shop.app)
    orders(rt, 3)
    shop.broken = False
    status, out, _ = command(rt, "replay", "order", "--per-second", "100")
    new = out.split()
    rt.drain()
    assert (status, [rt.get(run).status for run in new]) == (0, ["completed"] * 3)
    status, out, err = command(rt, "replay", "order", "--since", "1h")
    assert (status, out, "is left to do again" in err) == (0, "", True)
    assert json.loads(command(rt, "replay", "order", "--json")[1]) == []
    assert command(rt, "replay", "order", "--status", "running")[0] == 2


class Terminal:
    def __init__(self, answer):
        self._answer = answer

    def isatty(self):
        return True

    def readline(self):
        return self._answer


@pytest.mark.parametrize(("answer", "status"), [("n\n", 2), ("", 2), ("y\n", 0)])
def test_a_person_is_asked_before_many_runs_are_cancelled(
    durable, shop, command, monkeypatch, answer, status
):
    rt = durable(shop.app)
    orders(rt, 1, rest="1d")
    monkeypatch.setattr(repeats.sys, "stdin", Terminal(answer))
    monkeypatch.setattr(repeats.sys.stderr, "isatty", lambda: True, raising=False)
    left, _, err = command(rt, "cancel", "--function", "order")
    assert (left, "cancel the runs of order that have not ended" in err) == (status, True)
    rt.advance("1m")
    assert next(rt.runs("order")).status == ("cancelled" if status == 0 else "running")


def complete(*words):
    environment = {
        **os.environ,
        "_LAMBDA_DURABLE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["lambda-durable", *words]),
        "COMP_CWORD": str(len(words)),
    }
    program = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.split()


def test_a_shell_completes_commands_and_statuses():
    assert {"rerun", "replay", "resume"} <= set(complete("re"))
    assert complete("runs", "order", "--status", "ca") == ["cancelling", "cancelled"]


def test_show_tells_what_a_run_has_published_between_its_steps(durable, command):
    app = Durable("shop")

    @app.function("ship")
    def ship(ctx: Context[dict]) -> None:
        ctx.publish("status", {"at": "packing"})
        ctx.step.run("pack", int)
        ctx.publish("status", "sent")

    rt = durable(app)
    rt.stub("pack", takes="1m")
    run = rt.run(ship).run_id
    status, out, _ = command(rt, "show", run, "--watch")
    assert status == 0
    found = [line.split("  ")[-1].strip() for line in out.splitlines() if "»" in line]
    assert found == ['{"at": "packing"}', '"sent"']
    assert out.index("packing") < out.index("pack ") < out.index('"sent"')
