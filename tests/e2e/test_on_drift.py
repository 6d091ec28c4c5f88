"""Old code, new code: runs that sleep through a deploy, each changed in another way, end rightly."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from deployment import Deployment, printed_template
from toolbox import ROOT

DRIFT = Path(__file__).parent / "drift"
FUNCTIONS = ["inserted", "deleted", "reordered", "edited", "renamed", "another-kind", "pinned", "upgraded"]
VERSION = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
NEXT_VERSION = f"{VERSION}.post1"


def write_project(folder: Path, code: str, library: Path) -> None:
    shutil.copy(DRIFT / f"{code}.py", folder / "app.py")
    (folder / "requirements.txt").write_text(f"{library}\n-c {ROOT / 'constraints.txt'}\n")


def next_release(folder: Path) -> Path:
    """This library, one version on."""
    shutil.copytree(ROOT / "lambda_durable", folder / "lambda_durable")
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    project = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(project.replace(f'"{VERSION}"', f'"{NEXT_VERSION}"', 1))
    return folder


@pytest.fixture(scope="module")
def drift(deploy, tmp_path_factory) -> Deployment:
    project = tmp_path_factory.mktemp("project")
    write_project(project, "before", ROOT)
    template = project / "template.yaml"
    template.write_text(printed_template("app.py", project))
    return deploy("drift", template, base=project).deploy()


@pytest.fixture(scope="module")
def old_schedules(drift) -> dict[str, str]:
    return drift.schedules()


@pytest.fixture(scope="module")
def ended(drift, old_schedules, clock, tmp_path_factory) -> dict[str, dict]:
    """What `show` says of a run of each function, after a deploy while they slept."""
    runs = {function: drift.client.start(function, {}).run_id for function in FUNCTIONS}
    for run_id in runs.values():
        drift.wait_for_step(run_id, "pause")

    write_project(drift.base, "after", next_release(tmp_path_factory.mktemp("release")))
    drift.deploy()
    clock.advance(timedelta(hours=1) - timedelta(seconds=30))
    return {function: drift.wait_for_end(run_id, faster=15) for function, run_id in runs.items()}


def outputs(run) -> dict[str, object]:
    assert run["status"] == "completed", run["error"]
    return {id: step["output"] for id, step in run["steps"].items() if step["kind"] == "run"}


def test_a_step_inserted_before_a_finished_one_runs_and_the_finished_one_stays(ended):
    assert ended["inserted"]["output"] == ["second, after", "first, before", "second, after"]
    assert outputs(ended["inserted"]) == {
        "first": "first, before",
        "second-before-first": "second, after",
        "second": "second, after",
    }


def test_a_finished_step_that_was_deleted_changes_nothing_and_is_still_shown(ended):
    assert ended["deleted"]["output"] == ["second, before"]
    assert outputs(ended["deleted"]) == {"first": "first, before", "second": "second, before"}


def test_reordered_steps_keep_their_own_outcomes(ended):
    assert ended["reordered"]["output"] == ["first, before", "second, before"]
    assert {step["attempts"] for step in ended["reordered"]["steps"].values() if step["kind"] == "run"} == {1}


def test_code_outside_steps_is_the_new_one(ended):
    assert ended["edited"]["output"] == ["edited", "edited", "first, before"]


def test_a_renamed_step_runs_again_under_its_new_name_and_show_says_so(ended):
    assert ended["renamed"]["output"] == ["first, after"]
    assert outputs(ended["renamed"]) == {"first": "first, before", "foremost": "first, after"}
    assert [id for id, step in ended["renamed"]["steps"].items() if step["unused"]] == ["first"]


def test_a_step_whose_kind_was_changed_is_a_determinism_error(ended):
    run = ended["another-kind"]
    assert run["status"] == "failed"
    assert run["error"]["type"].endswith("DeterminismError")
    assert "first" in run["error"]["message"]
    assert "which Lambda version 1 wrote, and this is Lambda version 2" in run["error"]["message"]
    assert run["steps"]["first"]["output"] == "first, before"


def test_a_pinned_run_ends_on_the_code_that_it_began_on(ended):
    run = ended["pinned"]
    assert run["output"] == ["first, before", "second, before", "before"]
    assert (run["version"], run["lambda_version"], run["pinned"]) == ("before", "1", True)


def test_what_begins_after_the_deploy_is_pinned_to_the_new_code(drift, ended, clock):
    run_id = drift.client.start("pinned", {}).run_id
    drift.wait_for_step(run_id, "pause")
    clock.advance(timedelta(hours=1) - timedelta(seconds=30))
    run = drift.wait_for_end(run_id, faster=15)
    assert run["output"] == ["first, after", "second, after", "after"]
    assert (run["version"], run["lambda_version"]) == ("after", "2")


def test_an_upgraded_library_goes_on_with_what_the_old_one_wrote(ended):
    assert ended["upgraded"]["output"] == [VERSION, NEXT_VERSION]


def test_the_schedules_are_those_of_the_new_code(drift, old_schedules, ended):
    def rates(schedules):
        crons = {name: rate for name, rate in schedules.items() if name.startswith("cron-")}
        return sorted(crons.values())

    assert rates(old_schedules) == ["rate(120 minutes)", "rate(60 minutes)"]
    assert rates(drift.schedules()) == ["rate(180 minutes)", "rate(60 minutes)"]
    assert old_schedules.keys() - drift.schedules().keys()
    assert drift.schedules().keys() - old_schedules.keys()


def test_what_a_schedule_starts_is_the_new_function(drift, ended, clock):
    clock.advance(timedelta(hours=1))
    (run, *_) = drift.wait("a run of new", lambda: list(drift.client.runs("new")), faster=5)
    assert drift.wait_for_end(run.run_id)["steps"]["first"]["output"] == "first, after"
