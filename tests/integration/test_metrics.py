"""Metrics: what runs count and measure, as lines that CloudWatch reads."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from aws_lambda_powertools import Metrics as PowertoolsMetrics
from moto import mock_aws

from lambda_durable import (
    Concurrency,
    ConfigurationError,
    Context,
    Durable,
    Event,
    RateLimit,
    Retry,
    StepError,
    on_event,
)
from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.emf import MetricLines
from lambda_durable.aws.table import table_definition
from lambda_durable.event_json import dump_event
from lambda_durable.metrics import METRICS, NAMESPACE, RUNS_FAILED, RUNS_STARTED, STEP_LATENCY
from lambda_durable.runtime.messages import Start
from lambda_durable.runtime.starting import invoked_event
from tests.measured import MeasuredRuntime, counted, metric_lines, names, values

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def app():
    return Durable("shop", retry=Retry.fixed("10s", 3))


@pytest.fixture
def measured(app):
    """A runtime, of which there is one in a test."""
    runtimes = []

    def make():
        runtimes.append(MeasuredRuntime(app))
        return runtimes[0]

    yield make
    for runtime in runtimes:
        runtime.close()


def fail():
    raise ValueError("no")


def test_a_run_and_its_steps_are_counted_and_measured(app, measured, capsys):
    @app.function("buy", steps_per_invocation="all")
    def buy(ctx: Context[dict]) -> None:
        ctx.step.run("pay", int)
        ctx.step.run("ship", int)

    rt = measured()
    rt.stub("pay", takes="2s")
    rt.run(buy)
    (line,) = rt.lines(capsys)
    assert line["service"] == "stack"
    assert line["function"] == "buy"
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == NAMESPACE
    assert described["Dimensions"] == [["service", "function"]]
    assert {metric["Name"]: metric["Unit"] for metric in described["Metrics"]} == {
        "QueueDelay": "Milliseconds",
        "RunsStarted": "Count",
        "RunsCompleted": "Count",
        "RunDuration": "Milliseconds",
        "StepLatency": "Milliseconds",
    }
    assert (line["RunsStarted"], line["RunsCompleted"]) == (1, 1)
    assert [round(each, -2) for each in line["StepLatency"]] == [2000, 0]
    assert 2000 <= line["RunDuration"] < 3000


def test_retries_failures_and_the_runs_that_fail_are_counted(app, measured, capsys):
    @app.function("buy")
    def buy(ctx: Context[dict]) -> None:
        try:
            ctx.step.run("caught", fail)
        except StepError:
            pass
        ctx.step.options(retry=Retry.never()).run("pay", fail)

    rt = measured()
    rt.run(buy)
    lines = rt.lines(capsys)
    found = counted(lines)
    assert (found["StepRetries", "buy"], found["StepFailures", "buy"]) == (2, 2)
    assert (found["RunsFailed", "buy"], found["RunsFailed", ""], found["RunsCompleted", "buy"]) == (1, 1, 0)
    (whole,) = (line for line in lines if "function" not in line)
    assert whole["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert names(whole) == ["RunsFailed"]


def test_an_attempt_that_is_cut_short_and_one_that_is_never_heard_of_count(app, measured, capsys):
    @app.function("buy")
    def buy(ctx: Context[dict]) -> None:
        ctx.step.options(timeout="5s", retry=Retry.fixed("1s", 2)).run("pay", int)

    rt = measured()
    rt.stub("pay", takes="8s")
    rt.run(buy)
    lines = rt.lines(capsys)
    found = counted(lines)
    assert (found["StepRetries", "buy"], found["StepFailures", "buy"]) == (1, 1)
    assert [
        round(each, -2) for line in lines if "StepLatency" in line for each in values(line, "StepLatency")
    ] == [
        5000,
        5000,
    ]


def test_runs_that_are_cancelled_skipped_delayed_or_overdue_are_counted(app, measured, capsys):
    @app.function(
        "f", on_event("job"), rate_limit=RateLimit(2, "1h"), concurrency=Concurrency(1, counts="runs")
    )
    def f(ctx: Context[dict]) -> None:
        ctx.step.wait_for_signal("go", f"go/{ctx.run_id}", timeout="3d")

    rt = measured()
    rt.send(*(Event("job") for _ in range(3)))
    rt.advance("1m")
    waits = next(run for run in rt.runs(f) if run.status == "running")
    rt.client.cancel(waits.run_id)
    rt.advance("1m")
    rt.advance("20m")
    rt.reconcile()
    found = rt.counted(capsys)
    assert (found["RunsStarted", "f"], found["RunsCancelled", "f"]) == (3, 1)
    assert (found["RunsSkipped", "f"], found["RunsDelayed", "f"]) == (1, 1)
    assert found["RunsOverdue", ""] == 1


def test_how_late_a_wake_is_is_measured(app, measured, capsys):
    @app.function("nap")
    def nap(ctx: Context[dict]) -> None:
        ctx.step.sleep("short", "1m")
        ctx.step.sleep("long", "3h")

    rt = measured()
    rt.run(nap)
    late = [
        each for line in rt.lines(capsys) if "WakeLateness" in line for each in values(line, "WakeLateness")
    ]
    assert len(late) == 2
    assert all(0 <= each < 1000 for each in late)


@pytest.mark.parametrize(("mode", "most"), [(1, 2300), ("all", 800)])
def test_what_five_steps_add_to_the_log(app, measured, capsys, mode, most):
    @app.function("checkout", steps_per_invocation=mode)
    def checkout(ctx: Context[dict]) -> None:
        for number in range(5):
            ctx.step.run(f"step-{number}", int)

    measured().run(checkout)
    written = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    bytes_of_a_line = 26  # CloudWatch bills so many beside the text
    assert sum(len(line) + bytes_of_a_line for line in written) <= most


def test_a_line_is_what_powertools_writes(capsys):
    lines = MetricLines("stack", SystemClock())
    lines.add(RUNS_STARTED, function_id="f")
    lines.add(STEP_LATENCY, 12.5, "f")
    lines.add(STEP_LATENCY, 14, "f")
    lines.write()
    theirs = PowertoolsMetrics(namespace=NAMESPACE, service="stack")
    theirs.add_dimension("function", "f")
    theirs.add_metric("RunsStarted", "Count", 1)
    theirs.add_metric("StepLatency", "Milliseconds", 12.5)
    theirs.add_metric("StepLatency", "Milliseconds", 14)
    theirs.flush_metrics()
    ours, theirs = metric_lines(capsys.readouterr().out)
    assert list(map(plain, (ours,))) == list(map(plain, (theirs,)))


def plain(line):
    """What a line says, whatever the order in which it does, and however it says one value."""
    described = line["_aws"]["CloudWatchMetrics"][0]
    return (
        line["service"],
        line["function"],
        described["Namespace"],
        [sorted(each) for each in described["Dimensions"]],
        sorted(
            (each["Name"], each["Unit"], tuple(values(line, each["Name"]))) for each in described["Metrics"]
        ),
        line["_aws"].keys(),
    )


def test_a_line_has_no_more_values_than_cloudwatch_takes(capsys):
    lines = MetricLines("stack", SystemClock())
    for number in range(250):
        lines.add(STEP_LATENCY, number, "f")
        lines.add(RUNS_FAILED, function_id="f")
    lines.write()
    lines.write()  # what was written is not written again
    written = metric_lines(capsys.readouterr().out)
    found = [each for line in written if "StepLatency" in line for each in values(line, "StepLatency")]
    assert found == list(range(250))
    assert max(len(values(line, name)) for line in written for name in names(line)) == 100
    assert counted(written)["RunsFailed", ""] == 250


# on Lambda


@pytest.fixture
def worker(app, monkeypatch):
    """The handler of a Lambda whose queue and table are there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "worker")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "shop-prod")
    with mock_aws():
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        boto3.client("dynamodb").create_table(**table_definition("table"))
        names = ("QUEUE", "INGRESS_QUEUE", "FAILED_QUEUE", "DEAD_LETTER")
        arns = {f"{name}_ARN": f"arn:aws:sqs:us-east-1:1:{name}" for name in names}
        settings = {"TABLE": "table", "BUCKET": "b", "BUS": "bus", "SCHEDULE_GROUP": "g", **arns}
        settings |= {"QUEUE_URL": url, "DEAD_LETTER_URL": url, "SCHEDULER_ROLE_ARN": "arn:aws:iam::1:role/s"}
        for name, value in settings.items():
            monkeypatch.setenv(f"LAMBDA_DURABLE_{name}", value)
        yield lambda *bodies: app.handler({"Records": list(map(record, bodies))}, context())


def record(body):
    now = round(time.time() * 1000)
    sent = {"SentTimestamp": str(now - 900), "ApproximateFirstReceiveTimestamp": str(now - 500)}
    return {
        "messageId": "m",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", **sent},
        "eventSourceARN": "arn:aws:sqs:us-east-1:1:QUEUE",
    }


def context():
    return SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 60_000)


def begin_of(run):
    """The message that starts a run of `buy`."""
    event = invoked_event({}, run, SystemClock().now())
    return Start(function="buy", run=run, event=dump_event(event)).body()


def test_the_worker_writes_what_its_invocation_counted_and_how_long_messages_waited(app, worker, capsys):
    @app.function("buy")
    def buy(ctx: Context[dict]) -> None:
        ctx.step.run("pay", int)

    worker(begin_of("r1"))
    (line,) = metric_lines(capsys.readouterr().out)
    assert line["service"] == "shop-prod"
    assert line["QueueDelay"] == 400
    assert (line["RunsStarted"], line["RunsCompleted"]) == (1, 1)
    worker()
    assert capsys.readouterr().out == ""


def test_a_message_that_comes_back_is_counted(app, worker, capsys, monkeypatch):
    @app.function("buy")
    def buy(ctx: Context[dict]) -> None:
        pass

    def broken(*args, **options):
        raise RuntimeError("no")

    worker()
    monkeypatch.setattr("lambda_durable.aws.dynamodb.DynamoStore.create_run", broken)
    assert worker(begin_of("r1")) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert counted(metric_lines(capsys.readouterr().out)) == {("MessagesFailed", ""): 1}


def test_metrics_can_be_switched_off(app, worker, capsys, monkeypatch):
    @app.function("buy")
    def buy(ctx: Context[dict]) -> None:
        pass

    monkeypatch.setenv("LAMBDA_DURABLE_METRICS", "off")
    worker(begin_of("r1"))
    assert metric_lines(capsys.readouterr().out) == []


def test_a_switch_that_is_neither_on_nor_off_is_an_error_that_names_it(app, worker, monkeypatch):
    monkeypatch.setenv("LAMBDA_DURABLE_METRICS", "yes")
    with pytest.raises(ConfigurationError, match="LAMBDA_DURABLE_METRICS is on or off, and this is 'yes'"):
        worker()


# what is said of them


def test_the_docs_name_each_metric_with_its_unit_and_dimensions():
    table = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]+) \|.*\|$", (DOCS / "observability.md").read_text(), re.MULTILINE
    )
    assert table == [(metric.name, metric.unit, dimensions(metric)) for metric in METRICS]


def dimensions(metric):
    return {
        (True, False): "function",
        (True, True): "function, stack",
        (False, True): "stack",
    }[metric.by_function, metric.whole]
