"""What Inngest has, row by row, and the test of each row: its meaning, shortly. More about a feature is in the modules
named after it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[3]
MODULES = ["triggers", "steps", "runs"]

FLOW_CONTROL = "issue 6: flow control"
OPERATING = "issue 7: operating"
SEEING = "issue 8: HTTP API, dashboard, metrics"

# The test of each row, or where else it is shown, or the issue that it belongs to.
ROWS = {
    "event triggers, several per function": "test_event_triggers_several_per_function",
    "cron": "test_cron",
    "delayed start": "test_delayed_start",
    "fan-out": "test_fan_out",
    "event id dedupe": "test_event_id_dedupe",
    "idempotency key": FLOW_CONTROL,
    "retries": "test_retries",
    "RetryAfterError, NonRetriableError": "test_retry_after_error_and_non_retriable_error",
    "StepError": "test_step_error",
    "on_failure": "test_on_failure",
    "step.run, memoized by id": "test_step_run_memoized_by_id",
    "step.sleep, sleep_until": "test_step_sleep_and_sleep_until",
    "step.wait_for_event": "test_step_wait_for_event",
    "wait_for_signal / send_signal": "test_wait_for_signal_and_send_signal",
    "step.invoke": "test_step_invoke",
    "step.send_event": "test_step_send_event",
    "step.fetch, ai.infer, ai.wrap": "test_step_fetch_and_ai",
    "parallel steps": "test_parallel_steps",
    "checkpointing": "test_checkpointing",
    "concurrency": FLOW_CONTROL,
    "throttle": FLOW_CONTROL,
    "rate_limit": FLOW_CONTROL,
    "debounce": FLOW_CONTROL,
    "batch": FLOW_CONTROL,
    "priority": FLOW_CONTROL,
    "singleton": FLOW_CONTROL,
    "cancel_on": "test_cancel_on",
    "timeouts": "test_timeouts",
    "cancel one / many": "test_cancel_one",  # many at once: issue 7
    "rerun, rerun from a step": OPERATING,
    "replay in bulk": OPERATING,
    "pause / resume a function": FLOW_CONTROL,
    "middleware": "test_middleware",
    "encryption": "test_encryption",
    "event history, run history, trace": "test_event_history_run_history_and_trace",
    "search runs": "test_search_runs",  # by an expression: issue 7
    "dashboard, dev server": SEEING,
    "REST API": SEEING,
    "metrics": SEEING,
    "realtime": SEEING,
    "environments": "tests/e2e/test_on_stacks.py",
    "webhooks": SEEING,
    "test library": "test_test_library",
}


def test_every_row_has_its_test():
    modules = [vars(import_module(f"tests.integration.features.test_features_of_{name}")) for name in MODULES]
    tests = {name for module in modules for name in module if name.startswith("test_")}
    assert tests == {shown for shown in ROWS.values() if shown.startswith("test_")}
    for row, shown in ROWS.items():
        assert shown in tests or shown.startswith("issue ") or (ROOT / shown).exists(), row
