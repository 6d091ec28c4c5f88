"""`lambda-durable check`, as a user types it."""

from __future__ import annotations

import json
import sys

import pytest
from sarif_kit import validation_errors
from typer.testing import CliRunner

from lambda_durable.check import RULES
from lambda_durable.cli.commands import commands

APP = """\
import time

from prices import total

from lambda_durable import Context, Durable

app = Durable("shop")


@app.function("checkout")
def checkout(ctx: Context[dict]) -> float:
    began = time.time()
    ctx.step.run("pay", print, total(ctx))
    return began
"""
PRICES = """\
import requests


def total(ctx):
    return requests.get("https://example.com").json()
"""
RIGHT = APP.replace("time.time()", "ctx.now()").replace("total(ctx)", "3").replace("import time\n", "")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(commands, ["check", *map(str, arguments)])


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_what_is_found_is_told_with_its_place_and_the_way_out(folder):
    write(folder, app=APP, prices=PRICES)
    result = invoke()

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "app.py:12:13: clock time.time() outside a step"
    assert lines[1].startswith("    way out: take ctx.now()")
    assert lines[2] == "prices.py:5:12: network requests.get() outside a step (called by checkout)"
    assert result.stderr == "lambda-durable check: 2 findings (1 handler in 2 files)\n"


def test_nothing_found_is_a_success(folder):
    write(folder, app=RIGHT, prices=PRICES)
    result = invoke("app.py")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "lambda-durable check: nothing found (1 handler in 1 file)\n"


def test_nothing_is_imported(folder):
    write(folder, app="1 / 0\n" + APP, prices=PRICES)
    assert invoke("app.py").exit_code == 1
    assert "prices" not in sys.modules


def test_notes_are_counted_and_listed_when_asked(folder):
    write(
        folder,
        app=RIGHT.replace("ctx.now()", "unheard_of()").replace("prices import total", "x import unheard_of"),
    )
    counted, listed = invoke(), invoke("--notes")

    assert (counted.exit_code, counted.stdout) == (0, "")
    assert "1 note on what could not be looked into; --notes lists them" in counted.stderr
    assert listed.exit_code == 0
    assert listed.stdout.startswith("app.py:11:13: unresolved x.unheard_of() is code of another project\n")


def test_json_has_what_was_found_and_why(folder):
    write(folder, app=APP, prices=PRICES)
    result = invoke("--json")
    told = json.loads(result.stdout)

    assert result.exit_code == 1
    assert (told["files"], told["handlers"], told["notes"]) == (2, 1, [])
    first, second = told["findings"]
    assert (first["rule"], first["line"], first["column"], first["end_column"]) == ("clock", 12, 13, 24)
    assert (first["handler"], first["why"]) == ("checkout", RULES["clock"].why)
    assert (second["path"], second["route"]) == ("prices.py", ["checkout"])


def test_sarif_is_valid_and_has_places_as_editors_count_them(folder):
    write(
        folder,
        app=APP.replace("import time\n", "import time\nimport unheard_of\nunheard = unheard_of.f\n"),
        prices=PRICES,
    )
    (folder / "app.py").write_text(
        (folder / "app.py").read_text().replace("return began", "return unheard()")
    )
    result = invoke("--sarif")
    log = json.loads(result.stdout)

    assert result.exit_code == 1
    assert validation_errors(log) == []
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == list(RULES)
    assert [each["level"] for each in run["results"]] == ["error", "error", "note"]
    first = run["results"][0]
    assert rules[first["ruleIndex"]] == first["ruleId"] == "clock"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "app.py"
    assert place["region"] == {"startLine": 14, "startColumn": 13, "endLine": 14, "endColumn": 24}
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_sarif_tells_of_files_that_could_not_be_read(folder):
    write(folder, app=RIGHT, broken="def f(:\n")
    result = invoke("--sarif")
    log = json.loads(result.stdout)
    assert result.exit_code == 2
    assert validation_errors(log) == []
    (invocation,) = log["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    assert "broken.py:1:7" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_rules_can_be_left_out(folder):
    write(folder, app=APP, prices=PRICES)
    assert invoke("--ignore", "clock", "--ignore", "network").exit_code == 0
    wrong = invoke("--ignore", "clocks")
    assert wrong.exit_code == 2
    assert "there is no rule clocks; those there are: clock, random" in wrong.stderr


def test_the_rules_are_listed():
    result = invoke("--rules")
    assert result.exit_code == 0
    assert all(f"{rule.id} {rule.title}" in result.stdout for rule in RULES.values())
    assert [rule["id"] for rule in json.loads(invoke("--rules", "--json").stdout)] == list(RULES)


def test_what_is_no_python_is_told_and_the_rest_looked_at(folder):
    write(folder, app=APP, prices=PRICES, broken="def f(:\n")
    result = invoke()
    assert result.exit_code == 2
    assert "app.py:12:13: clock" in result.stdout
    assert "broken.py:1:7 is no Python: invalid syntax" in result.stderr


@pytest.mark.parametrize("content", [b"\x00", "x = 'é'".encode("latin-1"), b"x = " + b"(" * 500, b"  x\n y"])
def test_odd_files_are_told_of(folder, content):
    (folder / "odd.py").write_bytes(content)
    result = invoke("odd.py")
    assert result.exit_code == 2
    assert "odd.py" in result.stderr
    assert "Traceback" not in result.stderr


def test_mistakes_with_paths_are_told_of(folder):
    write(folder, app=RIGHT)
    (folder / "empty").mkdir()
    assert "there is no ap.py; did you mean app.py?" in invoke("ap.py").stderr
    assert "there is no Python in empty" in invoke("empty").stderr
    assert invoke("--json", "--sarif").exit_code == 2


def test_what_is_installed_is_not_looked_at(folder):
    for place in ("venv", "node_modules/x", ".hidden"):
        (folder / place).mkdir(parents=True)
        write(folder / place, app=APP)
    (folder / "venv/pyvenv.cfg").touch()
    write(folder, app=RIGHT, prices=PRICES)
    assert invoke().exit_code == 0


SETTINGS = """
[tool.lambda_durable.check]
paths = ["src"]
"""


def test_a_project_says_what_is_checked_by_which_rules(folder, monkeypatch):
    (folder / "src").mkdir()
    (folder / "tests").mkdir()
    write(folder / "src", app=APP, prices=PRICES)
    write(folder / "tests", other=APP)

    def rules(*arguments):
        return {finding["rule"] for finding in json.loads(invoke("--json", *arguments).stdout)["findings"]}

    settings = folder / "pyproject.toml"
    settings.write_text(SETTINGS)
    assert invoke().stderr == "lambda-durable check: 2 findings (1 handler in 2 files)\n"
    assert rules() == {"clock", "network"}
    settings.write_text(SETTINGS + 'ignore = ["clock"]')
    monkeypatch.chdir(folder / "tests")
    assert rules() == {"network"}
    assert rules("--ignore", "network") == set()
    assert "other.py" in invoke("other.py", "--notes").stdout  # what is typed goes before
    settings.write_text(SETTINGS + 'select = ["clock"]')
    assert rules() == {"clock"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'ignored = ["clock"]',
            "tool.lambda_durable.check.ignored: Extra inputs are not permitted; it has",
        ),
        ('ignore = "clock"', "tool.lambda_durable.check.ignore: Input should be a valid tuple; it has"),
        (
            'select = ["clocks"]',
            "[tool.lambda_durable.check]: there is no rule clocks; those there are: clock,",
        ),
        ("select = [", "is no TOML"),
    ],
)
def test_a_mistake_in_the_settings_is_told(folder, line, told):
    write(folder, app=RIGHT)
    (folder / "pyproject.toml").write_text(f"[tool.lambda_durable.check]\n{line}\n")
    result = invoke()
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
