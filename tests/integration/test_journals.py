"""Journals as files: a repository's own tests replay them, and `export` and `verify` are commands for it."""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from lambda_durable import ConfigurationError, Context, Durable, Event, on_event
from lambda_durable.cli.commands import commands
from lambda_durable.cli.loading import load_app
from lambda_durable.encryption import Encryption, RawKey
from lambda_durable.runtime.sealing import sealed
from lambda_durable.testing import LocalRuntime, verify_journals
from lambda_durable.verify import Outcome, read_files, read_recording, verify
from lambda_durable.verify.files import dump, load

APP = """
from lambda_durable import Context, Durable
app = Durable("shop")

def trap():
    raise AssertionError("a step was executed")

@app.function("checkout")
def checkout(ctx: Context) -> int:
    print("the handler's own")
    ctx.step.run("lock", trap)
    ctx.step.run("bill", trap)
    ctx.step.sleep("cool-off", "3d")
    return ctx.step.run("ship", trap)
"""


class Order(BaseModel):
    sku: str
    count: int = 1


def shop(*steps: str, middleware: Any = ()) -> Durable:
    app = Durable("shop", middleware=middleware)

    @app.function("checkout", on_event("shop/order", Order), version="2026-11")
    def checkout(ctx: Context) -> int:
        for step in steps or ("lock", "charge"):
            ctx.step.run(step, dict, step=step, when=timedelta(days=1))
        ctx.step.sleep("cool-off", "3d")
        return ctx.step.run("ship", lambda: 7)

    return app


@pytest.fixture
def rt(durable):
    runtime = durable(shop())
    for step in ("lock", "charge", "ship"):
        runtime.stub(step, takes="1s")
    return runtime


@pytest.fixture
def cli(rt, monkeypatch, tmp_path):
    """Calls a command on the runtime's table, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    bare = rt.client._world
    monkeypatch.setattr(
        "lambda_durable.verify.deployed.world_of",
        lambda stack, app: bare if app is None else sealed(bare, app),
    )
    return lambda *arguments: CliRunner().invoke(commands, arguments)


def start(rt: LocalRuntime, run_id: str = "run-1", function: str = "checkout") -> None:
    rt.start(rt._app.functions[function], Order(sku="s-1"), run_id=run_id)


# -- files -------------------------------------------------------------------------------------------


def test_a_journal_is_readable_and_comes_back_as_it_was(rt, tmp_path):
    start(rt)
    rt.advance("1h")
    path = rt.record("run-1", tmp_path)
    assert path == tmp_path / "checkout" / "run-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    kept = json.loads(path.read_text())
    assert kept["format"] == "lambda_durable.journal/1"
    assert (kept["run_id"], kept["status"], kept["version"]) == ("run-1", "running", "2026-11")
    assert kept["event"]["data"] == {"sku": "s-1", "count": 1}
    assert [step["id"] for step in kept["steps"]] == ["lock", "charge", "cool-off"]
    assert kept["steps"][0]["ended"] == "2025-01-01T00:00:01.000+00:00"

    ((_, recording),) = read_files(tmp_path)
    assert dump(recording) == path.read_text()
    assert verify(recording, shop()) == verify(read_recording(rt.client._world, "run-1"), shop())


def test_large_outputs_are_in_the_file_and_what_answers_a_callback_is_not(durable, tmp_path):
    app, tokens = Durable("shop"), []

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("large", lambda: "x" * 100_000)
        ctx.step.wait_for_callback("paid", lambda callback: tokens.append(callback.token), timeout="9d")

    runtime = durable(app)
    run = runtime.start(f)
    runtime.advance("1m")
    text = runtime.record(run.run_id, tmp_path / "one.json").read_text()
    assert "x" * 100_000 in text
    nonce = read_recording(runtime.client._world, run.run_id).top.records["paid"].waits.nonce
    assert nonce
    assert nonce not in text
    assert verify(load(text, "it"), app).at == ("paid",)


@pytest.mark.parametrize("run_id", ["..", "a:b c", "ü" * 200, ".hidden"])
def test_a_run_s_id_can_be_no_way_out_of_the_folder(durable, tmp_path, run_id):
    runtime = durable(shop())
    start(runtime, run_id)
    runtime.drain()
    path = runtime.record(run_id, tmp_path)
    assert path.resolve().parent == tmp_path.resolve() / "checkout"
    ((_, recording),) = read_files(tmp_path)
    assert recording.header.run_id == run_id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no journal that `lambda-durable export` wrote"),
        ("[]", "no journal"),
        ('{"format": "lambda_durable.journal/2"}', "was it written by a newer one"),
        ('{"format": "lambda_durable.journal/1"}', r"no journal .*\(KeyError: 'run_id'\)"),
    ],
)
def test_a_file_that_is_no_journal_is_named(tmp_path, text, message):
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(ConfigurationError, match=f"it.json .*{message}"):
        list(read_files(tmp_path))


# -- in a repository's own tests ---------------------------------------------------------------------


def test_a_repository_s_own_test_fails_on_the_journal_that_diverges(rt, tmp_path):
    start(rt)
    rt.drain()
    rt.record("run-1", tmp_path)
    (verdict,) = verify_journals(shop(), tmp_path)
    assert verdict.outcome is Outcome.SAME
    with pytest.raises(
        AssertionError, match=r"run-1.json: run run-1 .*diverges\n  renamed: 'charge' is recorded"
    ):
        verify_journals(shop("lock", "bill"), tmp_path)
    verify_journals(shop("lock", "check", "charge"), tmp_path)
    with pytest.raises(AssertionError, match="added: 'check' is new"):
        verify_journals(shop("lock", "check", "charge"), tmp_path, strict=True)


def test_a_folder_without_journals_fails_rather_than_passes(tmp_path):
    with pytest.raises(ConfigurationError, match="no journals in"):
        verify_journals(shop(), tmp_path)


# -- commands ----------------------------------------------------------------------------------------


def test_export_writes_files_that_verify_reads(rt, cli):
    for number in range(3):
        start(rt, f"run-{number}")
    rt.drain()
    done = cli("export", "--function", "checkout", "--status", "completed", "-o", "kept", "--json")
    assert done.exit_code == 0
    assert sorted(json.loads(done.stdout)) == [f"kept/checkout/run-{number}.json" for number in range(3)]
    checked = cli("verify", "app.py", "kept", "--json")
    assert checked.exit_code == 1
    assert {each["outcome"] for each in json.loads(checked.stdout)} == {"diverges"}
    assert cli("export", "run-1", "-o", "one").stdout == "one/checkout/run-1.json\n"
    assert cli("export", "run-9").exit_code == 1


def test_live_runs_are_verified_and_nothing_in_the_table_changes(rt, cli):
    start(rt, "ended")
    rt.drain()
    start(rt, "asleep")
    rt.advance("1h")
    rt.stub("charge", takes="1h")
    start(rt, "early")
    rt.advance("10s")
    before, calls = rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"], rt.calls.copy()
    done = cli("verify", "app.py", "--json")
    spent = rt.calls - calls
    assert set(spent) == {"dynamodb:Query", "dynamodb:GetItem"}
    assert rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"] == before
    assert done.exit_code == 1
    found = {each["run_id"]: each for each in json.loads(done.stdout)}
    assert {run: each["outcome"] for run, each in found.items()} == {"asleep": "diverges", "early": "goes on"}
    assert [(each["change"], each["step"], each["now"]) for each in found["asleep"]["differences"]] == [
        ("renamed", "charge", "bill")
    ]
    assert cli("verify", "app.py", "--function", "checkout", "--since", "2999-01-01").exit_code == 0


def test_what_diverges_is_named_with_its_step_and_line(rt, cli):
    start(rt)
    rt.advance("1h")
    done = cli("verify", "app.py")
    assert done.exit_code == 1
    assert "diverges" in done.stdout
    assert "renamed: 'charge' is recorded, and the code calls 'bill' in its place" in done.stdout
    assert "(app.py:12)" in done.stdout
    assert "1 run on the code of 'shop': 1 diverges" in done.stderr


def test_a_step_that_the_code_has_no_id_for_any_more_is_removed_though_what_follows_is_not_known(
    rt, cli, tmp_path
):
    start(rt)
    rt.advance("1h")  # it sleeps in `cool-off`
    (tmp_path / "app.py").write_text(
        APP.replace('"bill"', '"charge"')
        .replace('ctx.step.sleep("cool-off", "3d")', "")
        .replace('return ctx.step.run("ship", trap)', 'return int(str(ctx.step.run("ship", trap)))')
    )
    (found,) = json.loads(cli("verify", "app.py", "--json").stdout)
    assert (found["outcome"], found["at"]) == ("diverges", ["ship"])
    assert [(each["change"], each["step"]) for each in found["differences"]] == [("removed", "cool-off")]


def test_what_many_runs_share_is_told_once_with_the_first_of_them(rt, cli):
    for number in range(5):
        start(rt, f"run-{number}")
    rt.advance("1h")
    done = cli("verify", "app.py")
    assert done.stdout.count("renamed: 'charge' is recorded") == 1
    assert len(set(re.findall(r"run-\d", done.stdout))) == 3
    assert "and 2 more" in done.stdout
    assert len(set(re.findall(r"run-\d", cli("verify", "app.py", "--all").stdout))) == 5
    assert len(json.loads(cli("verify", "app.py", "--json").stdout)) == 5


def test_a_run_of_which_nothing_can_be_said_does_not_pass_unless_that_is_allowed(rt, cli, tmp_path):
    start(rt)
    rt.advance("1h")
    asks = 'if ctx.step.run("ask", trap):\n        ctx.step.run("charge", trap)'
    (tmp_path / "app.py").write_text(
        APP.replace('ctx.step.run("bill", trap)', asks).replace("bill", "charge")
    )
    rt.record("run-1", tmp_path / "kept")
    for where in ((), ("kept",)):
        done = cli("verify", "app.py", *where)
        assert (done.exit_code, "cannot say" in done.stderr) == (1, True), done.stdout
        assert cli("verify", "app.py", *where, "--allow-unclear").exit_code == 0
    app = load_app("app.py")
    with pytest.raises(AssertionError, match="cannot say"):
        verify_journals(app, tmp_path / "kept")
    assert [each.outcome for each in verify_journals(app, tmp_path / "kept", allow_unclear=True)] == [
        "cannot say"
    ]


def test_no_runs_are_no_failure(cli):
    done = cli("verify", "app.py")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "there are no such runs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "app.py", "nowhere"), "there is no file or folder nowhere"),
        (("verify", "app.py", "app.py"), "app.py is no journal"),
        (("verify", "app.py", "nowhere", "--status", "failed"), "leave JOURNALS out"),
        (("verify", "app.py", "--status", "fine"), "--status is one of"),
        (("verify", "app.py", "--status", "failed"), "say --function ID"),
        (("verify", "gone.py"), "there is no file gone.py"),
        (("export", "run-1", "--function", "f"), "not both"),
        (("export", "run-1", "-o", "it.json"), "-o is a folder"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_exits_with_2(cli, arguments, message):
    done = cli(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_encoded_is_exported_with_the_app_and_on_request_alone(durable, monkeypatch, tmp_path):
    runtime = durable(shop(middleware=Encryption(RawKey("k", bytes(32)))))
    runtime.send(Event("shop/order", {"sku": "secret-1"}))
    runtime.drain()
    (summary,) = runtime.runs()
    from tests.security.test_sealed_state import bare

    monkeypatch.chdir(tmp_path)
    keys = "from tests.integration.test_journals import *\napp = shop(middleware=Encryption(RawKey('k', bytes(32))))\n"
    (tmp_path / "app.py").write_text(keys)
    monkeypatch.setattr(
        "lambda_durable.verify.deployed.world_of",
        lambda stack, app: bare(runtime) if app is None else sealed(bare(runtime), app),
    )
    call = lambda *options: CliRunner().invoke(commands, ["export", summary.run_id, *options])  # noqa: E731
    without = call()
    assert without.exit_code == 1
    assert "was encoded by middleware 'encryption'" in without.stderr
    assert "say --app" in without.stderr
    unasked = call("--app", "app.py")
    assert unasked.exit_code == 2
    assert "say --plain" in unasked.stderr
    assert not os.path.exists("journals")
    done = call("--app", "app.py", "--plain")
    assert done.exit_code == 0
    assert "secret-1" in Path(done.stdout.strip()).read_text()
