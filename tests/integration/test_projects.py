"""`lambda-durable template` and `lambda-durable init`, as a user types them."""

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

ROOT = Path(__file__).parents[2]
APP = "from lambda_durable import Durable\napp = Durable('shop')\n"
HANDLER = "handler = app.handler\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget_modules(ROOT / "functions")  # the examples have modules of equal names
    yield tmp_path
    forget_modules(tmp_path)


def forget_modules(folder):
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def invoke(*arguments):
    return CliRunner().invoke(commands, [*map(str, arguments)])


def template_of(*arguments):
    result = invoke("template", *arguments)
    assert result.exit_code == 0, result.output
    return [line.strip() for line in result.stdout.splitlines()]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_repositorys_template_is_what_the_command_prints(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = invoke("template", "functions/checkout/app.py")
    assert result.exit_code == 0, result.output
    assert result.stdout == Path("template.yaml").read_text(), (
        "run: lambda-durable template functions/checkout/app.py > template.yaml"
    )


def test_it_names_folder_and_handler_of_a_file(folder):
    write(
        folder / "src/orders.py",
        "from lambda_durable import Durable\nshop = Durable('s')\nwork = shop.handler\n",
    )
    lines = template_of("src/orders.py")
    assert "CodeUri: src" in lines
    assert "Handler: orders.work" in lines
    assert not re.search(r"@\w+@", "".join(lines))


def test_a_module_of_a_package_is_named_from_the_folder_above_the_package(folder):
    write(folder / "code/shop/__init__.py", "")
    write(folder / "code/shop/app.py", APP + HANDLER)
    lines = template_of("code/shop/app.py")
    assert "CodeUri: code" in lines
    assert "Handler: shop.app.handler" in lines


def test_an_app_without_a_handler_is_told_what_to_write(folder):
    write(folder / "app.py", APP)
    result = invoke("template", "app.py")
    assert result.exit_code == 2
    assert result.stderr.endswith("write in it: handler = app.handler\n")


def test_what_an_app_prints_stays_out_of_the_template(folder):
    write(folder / "app.py", APP + HANDLER + "print('importing')\n")
    result = invoke("template", "app.py")
    assert result.stdout.startswith("AWSTemplateFormatVersion")
    assert "importing" in result.stderr


def test_a_missing_requirements_file_is_pointed_out(folder):
    write(folder / "app.py", APP + HANDLER)
    assert "requirements.txt is not there yet" in invoke("template", "app.py").stderr
    write(folder / "requirements.txt", "lambda-durable\n")
    assert invoke("template", "app.py").stderr == ""


def test_dependencies_become_a_layer(folder):
    write(folder / "app.py", APP + HANDLER)
    lines = template_of("app.py", "--layer", "dependencies", "--python", "3.12")
    assert "Layers: [!Ref Dependencies, !If [HasLayer, !Ref LayerArn, !Ref AWS::NoValue]]" in lines
    assert "ContentUri: dependencies" in lines
    assert "BuildMethod: python3.12" in lines


def test_a_python_that_lambda_has_not_is_refused(folder):
    write(folder / "app.py", APP + HANDLER)
    result = invoke("template", "app.py", "--python", "3.9")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--python is one of 3.11, 3.12" in result.stderr


def test_a_template_as_json(folder):
    write(folder / "app.py", APP + HANDLER)
    shown = json.loads(invoke("template", "app.py", "--json").stdout)
    assert (shown["code_uri"], shown["handler"]) == (".", "app.handler")
    assert "Handler: app.handler" in shown["template"]


# -- init ------------------------------------------------------------------------------------------------


def test_a_new_project_passes_its_own_tests_and_runs_its_event(folder):
    result = invoke("init", "My Shop", "--json")
    assert result.exit_code == 0, result.output
    project = folder / "My Shop"
    written = {Path(file).relative_to("My Shop").as_posix() for file in json.loads(result.stdout)["files"]}
    assert written == {file.relative_to(project).as_posix() for file in project.rglob("*") if file.is_file()}

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "lambda_durable.testing.plugin"]
    tested = subprocess.run(tests, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout

    run = invoke("run", project / "src/app.py", "-e", project / "events/order.json", "--json")
    assert json.loads(run.stdout)["output"]["order"] == "1042"


def test_app_and_stack_are_named_after_the_folder(folder):
    invoke("init", "My Shop")
    assert 'Durable("my-shop")' in (folder / "My Shop/src/app.py").read_text()
    assert 'stack_name = "my-shop-dev"' in (folder / "My Shop/samconfig.toml").read_text()
    placeholders = [path for path in folder.rglob("*") if path.is_file() and "@name@" in path.read_text()]
    assert placeholders == []


def test_its_template_is_the_one_that_the_command_prints(folder, monkeypatch):
    invoke("init", "shop")
    monkeypatch.chdir("shop")
    assert invoke("template", "src/app.py").stdout == Path("template.yaml").read_text()


def test_a_folder_with_something_in_it_is_left_alone(folder):
    write(folder / "shop/notes.txt", "mine")
    result = invoke("init", "shop")
    assert result.exit_code == 2
    assert "is not empty" in result.stderr
    assert [path.name for path in (folder / "shop").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["1st", "_", "你好"])
def test_a_name_that_no_stack_can_have_is_refused(name):
    result = invoke("init", name)
    assert result.exit_code == 2
    assert "begin with a letter" in result.stderr
