"""What lines of the log say of where they were written."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from lambda_durable import Context, Durable, Retry, RunKeys
from lambda_durable.log_keys import bound

ROOT = Path(__file__).parents[2]
KEYS = ("run_id", "function_id", "step_id", "attempt", "message_id")

logger = logging.getLogger("tests.payments")


@pytest.fixture
def lines():
    """Records of all loggers, as the root's handler gets them."""

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(record)

    seen: list[logging.LogRecord] = []
    root, handler = logging.getLogger(), Handler()
    handler.addFilter(RunKeys())
    before = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield seen
    root.setLevel(before)
    root.removeHandler(handler)


def keys(record):
    return {key: getattr(record, key) for key in KEYS if hasattr(record, key)}


def test_a_line_of_a_steps_function_names_run_function_step_and_attempt(durable, lines):
    app = Durable("shop", retry=Retry.fixed("1s", 3))

    def pay():
        logger.info("paying")
        if len([line for line in lines if line.name == "tests.payments"]) == 1:
            raise ValueError("secret")

    @app.function("buy")
    def buy(ctx: Context[dict]) -> None:
        ctx.step.group("g", lambda: ctx.step.run("pay", pay))

    run = durable(app).run(buy)
    paying = [keys(line) for line in lines if line.name == "tests.payments"]
    known = {"run_id": run.run_id, "function_id": "buy", "step_id": "g/pay"}
    assert paying == [{**known, "attempt": 1}, {**known, "attempt": 2}]
    (failed,) = [line for line in lines if line.name == "lambda_durable.runtime.tallies"]
    assert keys(failed) == {**known, "attempt": 1}
    assert "secret" not in failed.getMessage()
    assert "'g/pay'" in failed.getMessage()
    assert "ValueError" in failed.getMessage()


def test_steps_side_by_side_keep_their_lines_apart(durable, lines):
    app = Durable("shop")

    def work(number):
        logger.info("%d", number)

    @app.function("many", steps_per_invocation="all")
    def many(ctx: Context[dict]) -> None:
        ctx.step.map("m", work, [0, 1, 2])

    durable(app).run(many)
    told = {line.getMessage(): line.step_id for line in lines if line.name == "tests.payments"}
    assert told == {"0": "m[0]", "1": "m[1]", "2": "m[2]"}


def test_a_line_keeps_what_it_has_of_its_own_and_gets_no_key_when_its_run_is_over(lines):
    with bound(run_id="r1", message_id="m1"):
        logger.info("one", extra={"run_id": "mine"})
    logger.info("two")
    assert [keys(line) for line in lines] == [{"run_id": "mine", "message_id": "m1"}, {}]


def test_the_docs_name_each_key_and_each_logger():
    page = (ROOT / "docs/observability.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", page, re.MULTILINE)) == set(KEYS)
    told = re.findall(r"^\| `(?:ERROR|WARNING|INFO)` \| ([^|]+) \|", page, re.MULTILINE)
    named = {f"lambda_durable.{name}" for cell in told for name in re.findall(r"`([\w.]+)`", cell)}
    assert named == set(loggers_of_the_worker())


def loggers_of_the_worker():
    """The names of the loggers of what runs in the worker."""
    package = ROOT / "lambda_durable"
    elsewhere = ("api", "check", "cli", "dashboard", "doctor", "local", "testing", "verify")
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[0] in elsewhere:
            continue
        for name in re.findall(r"= logging\.getLogger\((.*)\)$", path.read_text(), re.MULTILINE):
            own = f"lambda_durable.{'.'.join(parts)}"
            if re.search(r"^\s*\w+\.(info|warning|error|exception)\(", path.read_text(), re.MULTILINE):
                yield own if name == "__name__" else name.strip('"')
