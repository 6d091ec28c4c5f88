"""The Lambda handler, with AWS's own shapes of events, on moto."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    Client,
    ConfigurationError,
    Context,
    Durable,
    Event,
    Middleware,
    Retry,
    RunKeys,
    cron,
    on_event,
)
from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.table import table_definition
from lambda_durable.runtime.messages import Continuation, Start
from tests.loopback import answering

QUEUES = {
    "QUEUE": "continuations",
    "INGRESS_QUEUE": "ingress",
    "FAILED_QUEUE": "failed",
    "DEAD_LETTER": "dead",
}


class FakeContext:
    """What Lambda gives a handler beside the event."""

    def __init__(self, seconds: float = 59.99) -> None:
        self.aws_request_id = "request-1"
        self._deadline = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._deadline - time.monotonic()) * 1000)


class Cloud:
    """A stack's resources, and the event source mapping of the continuation queue."""

    def __init__(self, handler: Any = None) -> None:
        self.sqs, self.dynamodb = boto3.client("sqs"), boto3.client("dynamodb")
        self.scheduler, self.events = boto3.client("scheduler"), boto3.client("events")
        self.urls = {
            name: self.sqs.create_queue(QueueName=queue)["QueueUrl"] for name, queue in QUEUES.items()
        }
        self.dynamodb.create_table(**table_definition("table"))
        boto3.client("s3").create_bucket(Bucket="payloads")
        self.events.create_event_bus(Name="bus")
        self.events.put_rule(
            Name="all", EventBusName="bus", EventPattern=json.dumps({"account": ["123456789012"]})
        )
        self.events.put_targets(
            Rule="all", EventBusName="bus", Targets=[{"Id": "ingress", "Arn": self.arn("INGRESS_QUEUE")}]
        )
        self.scheduler.create_schedule_group(Name="group")

    def arn(self, name: str) -> str:
        return f"arn:aws:sqs:us-east-1:123456789012:{QUEUES[name]}"

    def settings(self) -> dict[str, str]:
        settings = {"TABLE": "table", "BUCKET": "payloads", "BUS": "bus", "SCHEDULE_GROUP": "group"}
        settings["SCHEDULER_ROLE_ARN"] = "arn:aws:iam::123456789012:role/scheduler"
        for name in QUEUES:
            settings |= {f"{name}_URL": self.urls[name], f"{name}_ARN": self.arn(name)}
        return {f"LAMBDA_DURABLE_{name}": value for name, value in settings.items()}

    def receive(self, name: str, *, delete: bool = True) -> list[dict[str, Any]]:
        """Messages as Lambda hands them to a function."""
        records = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self.urls[name], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            if not answer.get("Messages"):
                return records
            for message in answer["Messages"]:
                if delete:
                    self.sqs.delete_message(QueueUrl=self.urls[name], ReceiptHandle=message["ReceiptHandle"])
                records.append(record(message["Body"], message["MessageId"], queue=self.arn(name)))
                records[-1]["receiptHandle"] = message["ReceiptHandle"]
                records[-1]["messageAttributes"] = message.get("MessageAttributes", {})

    def next(self, name: str) -> str:
        """The body of the next message, which may be delayed."""
        answer = self.sqs.receive_message(QueueUrl=self.urls[name], WaitTimeSeconds=10)
        body: str = answer["Messages"][0]["Body"]
        return body

    def in_flight(self, name: str) -> int:
        """How many messages were received and not deleted."""
        return self.count(name, "ApproximateNumberOfMessagesNotVisible")

    def count(self, name: str, attribute: Any) -> int:
        found = self.sqs.get_queue_attributes(QueueUrl=self.urls[name], AttributeNames=[attribute])
        return int(found["Attributes"][attribute])

    def work(self, handler: Any) -> None:
        """Deliver all there is, until there is nothing."""
        while records := [*self.receive("INGRESS_QUEUE"), *self.receive("QUEUE")]:
            assert handler({"Records": records}, FakeContext()) == {"batchItemFailures": []}


def record(
    body: str, id: str = "message", *, queue: str = "arn:aws:sqs:us-east-1:1:q", receives: int = 1
) -> Any:
    return {
        "messageId": id,
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": queue,
    }


def eventbridge(name: str, detail: Any, **fields: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "event-1",
        "detail-type": name,
        "source": "test",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
        **fields,
    }


@pytest.fixture
def cloud(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        cloud = Cloud()
        for name, value in cloud.settings().items():
            monkeypatch.setenv(name, value)
        yield cloud


class Cart(BaseModel):
    sku: str


def shop() -> Durable:
    app = Durable("shop")

    @app.function("checkout", on_event("store/checkout", Cart))
    def checkout(ctx: Context[Cart]) -> str:
        claimed = ctx.step.run("claim", lambda: f"claimed {ctx.event.data.sku}")
        return ctx.step.run("confirm", lambda: f"{claimed}, confirmed")

    @app.function("sleeper")
    def sleeper(ctx: Context[Any]) -> None:
        ctx.step.sleep("long", "3d")

    return app


def test_an_event_on_the_bus_becomes_a_finished_run(cloud):
    app = shop()
    client = Client(app)
    client.send(Event("store/checkout", Cart(sku="beans")))
    cloud.work(app.handler)
    (summary,) = client.runs("checkout")
    assert client.get(summary.run_id).output == "claimed beans, confirmed"


def test_a_client_sends_more_events_than_one_call_takes(cloud):
    app = shop()
    client = Client(app)
    ids = client.send(*(Event("store/checkout", Cart(sku=str(number))) for number in range(23)))
    cloud.work(app.handler)
    assert len(ids) == len(set(ids)) == 23
    assert len({summary.run_id for summary in client.runs(status="completed")}) == 23


def test_an_eventbridge_event_given_directly_starts_runs_and_tells_their_ids(cloud):
    app = shop()
    event = eventbridge("store/checkout", {"sku": "beans"})
    answer = app.handler(event, FakeContext())
    assert answer["event"] == "event-1"
    (run_id,) = answer["runs"]
    cloud.work(app.handler)
    assert Client(app).get(run_id).output == "claimed beans, confirmed"


def test_an_eventbridge_event_given_again_tells_the_same_ids_and_starts_nothing(cloud):
    app = shop()
    event = eventbridge("store/checkout", {"sku": "beans"})
    first = app.handler(event, FakeContext())
    cloud.work(app.handler)
    assert app.handler(event, FakeContext()) == first
    assert len(list(Client(app).runs())) == 1


def test_an_event_that_nobody_wants_starts_nothing(cloud):
    assert shop().handler(eventbridge("other", {}), FakeContext()) == {"event": "event-1", "runs": []}


def test_an_eventbridge_event_that_is_broken_says_where(cloud):
    with pytest.raises(ConfigurationError, match="detail: expected a JSON object"):
        shop().handler(eventbridge("store/checkout", "no object"), FakeContext())


@pytest.mark.parametrize("event", [{}, {"some": 1, "thing": 2}, [], "text", None])
def test_any_other_event_is_refused_and_says_what_is_expected(cloud, event):
    with pytest.raises(ConfigurationError, match="SQS queues and EventBridge events"):
        shop().handler(event, FakeContext())


def test_one_bad_message_of_a_batch_comes_back_alone_and_is_logged_without_its_payload(cloud, caplog):
    app = shop()
    good = Start(function="checkout", run="good", event=_event_text({"sku": "beans"}))
    bad = Start(function="checkout", run="bad", event=_event_text({"sku": "secret"}))

    def refuse(params: Any, **_: Any) -> None:
        if b"bad" in params["body"]:
            raise ConnectionError("DynamoDB is not what it was")

    handler = app.handler
    handler(eventbridge("other", {}), FakeContext())  # connects
    client = handler._connected().store._client
    client.meta.events.register("before-call.dynamodb.PutItem", refuse)
    with caplog.at_level(logging.INFO):
        answer = handler(
            {"Records": [record(bad.body(), "m-bad", receives=3), record(good.body(), "m-good")]},
            FakeContext(),
        )
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-bad"}]}
    assert Client(app).get("good").status == "running"
    (line,) = [line for line in caplog.records if line.name == "lambda_durable.handler"]
    assert line.getMessage() == "message m-bad (delivery 3, run bad) comes back: ConnectionError"
    assert (line.run_id, line.message_id) == ("bad", "m-bad")
    assert "secret" not in caplog.text


def _event_text(data: Any) -> str:
    from lambda_durable.event_json import dump_event

    return dump_event(Event("lambda_durable/invoked", data, id="e", time=datetime(2026, 1, 1, tzinfo=UTC)))


def test_a_throttled_message_comes_back_with_a_warning_and_no_traceback(cloud, caplog):
    app = shop()
    handler = app.handler
    handler(eventbridge("other", {}), FakeContext())
    client = handler._connected().store._client

    def throttle(**_: Any) -> Any:
        from botocore.exceptions import ClientError

        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Slow down"}}, "Query")

    client.meta.events.register("before-call.dynamodb.Query", throttle)
    body = Continuation(run="r").body()
    assert handler({"Records": [record(body, "m")]}, FakeContext()) == {
        "batchItemFailures": [{"itemIdentifier": "m"}]
    }
    (line,) = [line for line in caplog.records if line.name == "lambda_durable.handler"]
    assert line.levelname == "WARNING"
    assert line.exc_info is None


@pytest.mark.parametrize(
    "body", ["", "no json", "[]", "{}", '{"kind":"continue"}', '{"kind":"continue","run":"x"}']
)
def test_garbage_goes_to_the_dead_letter_queue_with_a_reason_and_is_acknowledged(cloud, body):
    handler = shop().handler
    assert handler({"Records": [record(body or " ", "m-1")]}, FakeContext()) == {"batchItemFailures": []}
    (letter,) = cloud.receive("DEAD_LETTER")
    assert letter["body"] == body or " "
    assert letter["messageAttributes"]["reason"]["StringValue"]
    assert letter["messageAttributes"]["message_id"]["StringValue"] == "m-1"


def test_a_sleep_of_days_is_a_schedule_that_sends_to_the_continuation_queue(cloud):
    app = shop()
    begun = datetime.now(UTC)
    run = Client(app).start("sleeper", {})
    cloud.work(app.handler)
    (summary,) = cloud.scheduler.list_schedules(GroupName="group")["Schedules"]
    schedule = cloud.scheduler.get_schedule(Name=summary["Name"], GroupName="group")
    at = datetime.strptime(schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)
    assert begun + timedelta(days=3, minutes=-2) <= at <= datetime.now(UTC) + timedelta(days=3)
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["ActionAfterCompletion"] == "DELETE"
    target = schedule["Target"]
    assert (target["Arn"], target["DeadLetterConfig"]["Arn"]) == (
        cloud.arn("QUEUE"),
        cloud.arn("DEAD_LETTER"),
    )
    assert target["RoleArn"] == "arn:aws:iam::123456789012:role/scheduler"
    assert json.loads(target["Input"])["run"] == run.run_id


@pytest.fixture
def pass_time(monkeypatch):
    """Lets seconds pass for all that asks the clock."""
    passed = 0.0

    def pass_time(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(SystemClock, "monotonic", lambda _: time.monotonic() + passed)
    return pass_time


def test_messages_that_the_time_does_not_suffice_for_come_back_untouched(cloud, pass_time):
    app = Durable("shop")

    @app.function("slow")
    def slow(ctx: Context[Any]) -> None:
        ctx.step.run("work", pass_time, 55)

    Client(app).start("slow", {}, run_id="slow")
    (begins,) = cloud.receive("QUEUE")
    other = record(Continuation(run="never").body(), "m-other")
    answer = app.handler(
        {"Records": [{**begins, "attributes": {"ApproximateReceiveCount": "2"}}, other]}, FakeContext()
    )
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-other"}]}
    assert cloud.receive("DEAD_LETTER") == []
    assert Client(app).get("slow").steps["work"].status == "completed"


class Seconds(Middleware):
    """Writes down how many seconds were left at the end of invocations."""

    def __init__(self) -> None:
        self.left: list[float] = []

    def invocation_ended(self, seconds: float) -> None:
        self.left.append(seconds)


def test_middleware_is_told_once_when_an_invocation_ends_whatever_it_was_for(cloud):
    app = Durable("shop", middleware=(told := Seconds()))
    app.handler({"Records": [record("{}", "m-1"), record("{}", "m-2")]}, FakeContext(30))
    app.handler({"lambda_durable": "reconcile"}, FakeContext(30))
    with pytest.raises(ConfigurationError):
        app.handler({"neither": 1}, FakeContext(30))
    assert len(told.left) == 3
    assert all(0 < seconds <= 30 for seconds in told.left)


class Exited(BaseException):
    pass


@pytest.fixture
def exits(monkeypatch):
    """Exits of the process, by their status. They end an invocation, and nothing comes after."""
    statuses: list[int] = []

    def leave(status: int) -> None:
        statuses.append(status)
        raise Exited

    monkeypatch.setattr(os, "_exit", leave)
    return statuses


@pytest.fixture
def patient():
    """An app whose one step takes until it is let go, and what lets it."""
    app, let_go = Durable("shop", middleware=Seconds()), threading.Event()

    @app.function("f", retry=Retry.fixed("1s", 3))
    def f(ctx: Context[Any]) -> None:
        ctx.step.run("wait", lambda: let_go.wait(30))

    @app.function("g", retry=Retry.fixed("1s", 3))
    async def g(ctx: AsyncContext[Any]) -> None:
        await ctx.step.run("wait", asyncio.sleep, 30)

    yield app
    let_go.set()


def test_of_a_batch_the_last_message_goes_on_with_its_run_and_the_others_are_not_kept_waiting(cloud):
    app = shop()
    for id in ("a", "b", "c"):
        Client(app).start("checkout", Cart(sku=id), run_id=id)
    messages = cloud.receive("QUEUE")
    assert app.handler({"Records": messages}, FakeContext()) == {"batchItemFailures": []}
    done = {run: len(Client(app).get(run).steps) for run in ("a", "b", "c")}
    last = json.loads(messages[-1]["body"])["run"]
    assert {run for run, steps in done.items() if steps} == {last}
    cloud.work(app.handler)
    assert {Client(app).get(run).status for run in done} == {"completed"}


def test_an_event_given_directly_begins_at_once_and_leaves_a_message_that_would_go_on(cloud):
    app = shop()
    context = contextvars.Context()  # of its own: a test before may have left keys in this thread's
    answer = context.run(app.handler, eventbridge("store/checkout", {"sku": "beans"}), FakeContext())
    (run,) = answer["runs"]
    assert Client(app).get(run).steps
    assert cloud.count("QUEUE", "ApproximateNumberOfMessagesDelayed") == 1
    line = logging.makeLogRecord({})
    assert context.run(RunKeys().filter, line)
    assert not hasattr(line, "run_id")


def first_step(cloud, app, function) -> list[Any]:
    """The message whose invocation runs the first step of a run. That invocation's time is not spent on connecting."""
    app.handler({"lambda_durable": "reconcile"}, FakeContext(30))
    Client(app).start(function, {}, run_id="r")
    return cloud.receive("QUEUE", delete=False)


def test_a_thread_that_outlives_its_lambda_ends_the_process_once_the_next_message_is_sent(
    cloud, patient, exits, caplog
):
    records = first_step(cloud, patient, "f")
    with pytest.raises(Exited):
        patient.handler({"Records": records}, FakeContext(seconds=1.99))
    assert exits == [1]
    # Of the one that connects; of this one before the exit, and after it, since that is none here.
    assert len(patient.middleware[0].left) == 3
    step = Client(patient).get("r").steps["wait"]
    assert (step.status, step.attempts) == ("retrying", 1)
    assert "Lambda's time was up (2 seconds)" in step.error.message
    assert step.error.type == "lambda_durable.errors.StepInterruptedError"
    assert json.loads(cloud.next("QUEUE"))["due"]["path"] == "wait"
    assert cloud.in_flight("QUEUE") == 1  # that one; what is done with does not come back
    assert "outlived their Lambda's time: wait" in caplog.text


def test_a_coroutine_that_outlives_its_lambda_is_cancelled_and_the_process_lives_on(cloud, patient, exits):
    records = first_step(cloud, patient, "g")
    answer = patient.handler({"Records": records}, FakeContext(seconds=1.99))
    assert answer == {"batchItemFailures": []}
    assert exits == []
    step = Client(patient).get("r").steps["wait"]
    assert (step.status, step.attempts) == ("retrying", 1)
    assert json.loads(cloud.next("QUEUE"))["due"]["path"] == "wait"


def test_a_step_sees_the_time_that_its_lambda_has_left(cloud):
    app, seen = Durable("shop"), []

    @app.function("f")
    def f(ctx: Context[Any]) -> None:
        from lambda_durable import current_step

        ctx.step.run("look", lambda: seen.append(current_step().remaining_time))

    Client(app).start("f", {})
    cloud.work(app.handler)
    assert 55 < seen[0] <= 60


def test_a_message_of_the_failed_queue_is_sent_once_more_as_a_check(cloud):
    app = shop()
    lost = record(Continuation(run="r", generation=3).body(), queue=cloud.arn("FAILED_QUEUE"))
    assert app.handler({"Records": [lost]}, FakeContext()) == {"batchItemFailures": []}
    (again,) = cloud.receive("QUEUE")
    message = json.loads(again["body"])
    assert (message["run"], message["generation"], message["check"]) == ("r", 3, True)


def test_the_reconciler_brings_back_a_run_whose_message_was_lost(cloud, monkeypatch):
    app = shop()
    Client(app).start("checkout", {"sku": "beans"}, run_id="r")
    app.handler({"Records": cloud.receive("QUEUE")}, FakeContext())
    assert len(cloud.receive("QUEUE")) == 1  # purged
    assert app.handler({"lambda_durable": "reconcile"}, FakeContext()) == {"overdue": 0}
    clock = app.handler._connected().clock
    monkeypatch.setattr(type(clock), "now", lambda _: datetime.now(UTC) + timedelta(minutes=20))
    assert app.handler({"lambda_durable": "reconcile"}, FakeContext()) == {"overdue": 1}
    cloud.work(app.handler)
    assert Client(app).get("r").output == "claimed beans, confirmed"


@pytest.fixture
def answers():
    """Where CloudFormation takes answers: a list of them, and the URL."""
    taken: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield taken, f"{url}/answer"


def deployment(url: str, what: str = "Create", **fields: Any) -> dict[str, Any]:
    return {
        "RequestType": what,
        "ResponseURL": url,
        "StackId": "arn:aws:cloudformation:us-east-1:1:stack/shop/1",
        "RequestId": "request",
        "LogicalResourceId": "Registration",
        **fields,
    }


def test_a_deployment_registers_the_schedules_of_the_code_and_its_end_removes_them(
    cloud, answers, monkeypatch
):
    app = Durable("shop")

    @app.function("report", cron("0 9 * * *"))
    def report(ctx: Context[Any]) -> None: ...

    taken, url = answers
    list(app.handler._connected().scheduler.recurring("cron-"))  # its client is made, and goes on to moto
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    app.handler(deployment(url), FakeContext())
    (schedule,) = cloud.scheduler.list_schedules(GroupName="group")["Schedules"]
    assert schedule["Name"].startswith("cron-")
    assert schedule["Target"]["Arn"] == cloud.arn("INGRESS_QUEUE")
    app.handler(deployment(url, "Delete", PhysicalResourceId=taken[0]["PhysicalResourceId"]), FakeContext())
    assert cloud.scheduler.list_schedules(GroupName="group")["Schedules"] == []
    assert [answer["Status"] for answer in taken] == ["SUCCESS", "SUCCESS"]


def test_a_deployment_whose_settings_are_wrong_is_told_what_is(cloud, answers, monkeypatch):
    taken, url = answers
    monkeypatch.delenv("LAMBDA_DURABLE_TABLE")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    shop().handler(deployment(url), FakeContext())
    assert taken[0]["Status"] == "FAILED"
    assert "LAMBDA_DURABLE_TABLE" in taken[0]["Reason"]
