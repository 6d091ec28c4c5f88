"""The examples, deployed side by side: an event on the bus becomes a finished run."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from toolbox import ROOT

EVENTS = ROOT / "events"


@pytest.fixture(scope="module")
def shop(deploy):
    """The repository's own template."""
    return deploy("shop", ROOT / "template.yaml").deploy()


def made_by_template(deploy, tmp_path_factory, example):
    """A stack of what `lambda-durable template` prints."""
    program = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]
    printed = subprocess.run(
        [*program, "template", f"functions/{example}/app.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    template = tmp_path_factory.mktemp("template") / "template.yaml"
    template.write_text(printed.stdout)
    return deploy(example, template).deploy()


@pytest.fixture(scope="module")
def crm(deploy, tmp_path_factory):
    return made_by_template(deploy, tmp_path_factory, "onboarding")


@pytest.fixture(scope="module")
def billing(deploy, tmp_path_factory):
    return made_by_template(deploy, tmp_path_factory, "nightly")


def test_a_purchase_is_settled_after_its_cool_off(shop, clock):
    event = shop.put_event_file(EVENTS / "checkout.json")
    run_id = shop.wait("a run of checkout", lambda: shop.run_of("checkout", event))["run_id"]
    asleep = shop.wait_for_step(run_id, "cool-off")
    (schedule,) = (name for name in shop.schedules() if "-" not in name)
    assert shop.schedules()[schedule].startswith("at(")

    clock.advance(timedelta(days=3) - timedelta(seconds=30))
    run = shop.wait_for_end(run_id, faster=15)

    assert run["status"] == "completed", run["error"]
    assert list(run["output"]) == ["order", "claim", "payment", "ledger_entry", "amount", "currency"]
    assert run["steps"]["cool-off"]["wake_at"] == asleep["steps"]["cool-off"]["wake_at"]
    assert run["ended_at"] >= run["steps"]["cool-off"]["wake_at"]
    assert schedule not in shop.schedules()
