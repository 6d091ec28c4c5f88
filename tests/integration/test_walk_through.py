"""From `lambda-durable init` to a run that failed, found, understood and done again, as docs/runs.md tells it."""

from __future__ import annotations

import re
import subprocess

import pytest
from test_dev import PROGRAM, ROOT, Dev

SENDS = 'logger.info("to %s: %s", address, text)'
REFUSES = 'raise NonRetriableError("the mail server refuses us")'
ORDER = {"number": "1042", "email": "ada@example.com", "amount": 4900}


@pytest.fixture
def shop(tmp_path):
    """A project that is new, whose mail server refuses mails, and `lambda-durable dev` at work on it."""
    made = subprocess.run(
        [*PROGRAM, "init", "shop"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    code = tmp_path / "shop" / "src" / "app.py"
    code.write_text(code.read_text().replace(SENDS, REFUSES))
    dev = Dev(tmp_path / "shop", app="src/app.py")
    yield dev
    if dev.process.poll() is None:
        dev.stop()


def test_a_failed_run_is_found_understood_and_done_again_from_where_it_failed(shop):
    event = shop.send("order.placed", ORDER)
    failed = shop.first_run("fulfil", status="failed")

    (came,) = shop.json("events", "order.placed")
    assert (came["id"], came["runs"]) == (event, {"fulfil": failed})
    found = shop.command("runs", "fulfil", "--where", "event.data.number == '1042' && output == null")
    assert failed in found.stdout
    assert "looked at 1 runs" in found.stderr

    shown = shop.command("show", failed).stdout
    assert re.search(r"✓ charge +\"payment-", shown)
    assert re.search(r"✗ confirm +attempt 1 failed: .*NonRetriableError: the mail server refuses us", shown)
    assert re.search(r"raised at .*src/app.py:\d+, in send_mail", shown)
    assert f"lambda-durable rerun {failed} --from-failed" in shown

    code = shop.folder / "src" / "app.py"
    code.write_text(code.read_text().replace(REFUSES, SENDS))
    again = shop.command("rerun", failed, "--from-failed")
    assert (again.returncode, again.stderr) == (0, f"lambda-durable: does {failed} again from step confirm\n")
    new = again.stdout.strip()
    shop.wait(lambda: "delivery" in shop.json("show", new).get("steps", {}))
    assert shop.command("skip").returncode == 0

    watched = shop.command("show", new, "--watch")
    assert watched.returncode == 0, watched.stdout
    run, first = shop.json("show", new), shop.json("show", failed)
    assert run["output"] == {"order": "1042", "payment": first["steps"]["charge"]["output"]}
    assert [id for id, step in run["steps"].items() if step["kept"]] == ["charge"]
    assert (run["rerun_of"], run["rerun_from"], first["reruns"]) == (failed, "confirm", [new])
    assert shop.json("replay", "fulfil") == []  # what failed has been put right
