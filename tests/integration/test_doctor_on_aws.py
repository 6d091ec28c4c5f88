"""`lambda-durable doctor` on a stack's resources, on moto: how they are set up, and what was given up."""

from __future__ import annotations

import io
import json
import zipfile
from threading import Thread
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from lambda_durable import Client, Context, Durable
from lambda_durable.aws.clients import Clients
from lambda_durable.aws.dead_letters import SqsDeadLetters
from lambda_durable.aws.inspection import Inspection
from lambda_durable.aws.leftovers import Leftovers
from lambda_durable.aws.settings import Settings
from lambda_durable.aws.table import table_definition
from lambda_durable.cli.commands import commands
from lambda_durable.durations import from_millis
from lambda_durable.findings import Level
from lambda_durable.runtime.messages import Continuation

QUEUES = {
    "queue": "continuations",
    "ingress_queue": "ingress",
    "failed_queue": "failed",
    "dead_letter": "dead",
}
ACCOUNT = "arn:aws:{}:us-east-1:123456789012:{}"

app = Durable("shop")


@app.function("order")
def order(ctx: Context) -> None:
    ctx.step.sleep("long", "3d")


class Stack:
    """What the template makes, as far as moto has it: all but the worker."""

    def __init__(self) -> None:
        self.sqs, self.dynamodb, self.events = (boto3.client(name) for name in ("sqs", "dynamodb", "events"))
        self.scheduler: Any = boto3.client("scheduler")
        self.urls: dict[str, str] = {}
        for name, queue in reversed(QUEUES.items()):
            dead = {"deadLetterTargetArn": ACCOUNT.format("sqs", "dead"), "maxReceiveCount": 20}
            attributes = {"VisibilityTimeout": "120"} | (
                {} if name == "dead_letter" else {"RedrivePolicy": json.dumps(dead)}
            )
            self.urls[name] = self.sqs.create_queue(QueueName=queue, Attributes=attributes)["QueueUrl"]
        self.dynamodb.create_table(**table_definition("table"))
        self.dynamodb.update_time_to_live(
            TableName="table", TimeToLiveSpecification={"Enabled": True, "AttributeName": "x"}
        )
        boto3.client("s3").create_bucket(Bucket="payloads")
        self.events.create_event_bus(Name="bus")
        self.events.put_rule(Name="all", EventBusName="bus", EventPattern='{"account": ["123456789012"]}')
        ingress = {"Id": "ingress", "Arn": ACCOUNT.format("sqs", "ingress")}
        self.events.put_targets(Rule="all", EventBusName="bus", Targets=[ingress])
        self.scheduler.create_schedule_group(Name="group")

    def settings(self) -> dict[str, str]:
        found = {"table": "table", "bucket": "payloads", "bus": "bus", "schedule_group": "group"}
        found["scheduler_role_arn"] = "arn:aws:iam::123456789012:role/scheduler"
        for name, queue in QUEUES.items():
            found |= {f"{name}_url": self.urls[name], f"{name}_arn": ACCOUNT.format("sqs", queue)}
        return found

    def inspect(self, worker: str = "") -> list[Any]:
        known = {name: value for name, value in self.settings().items() if name in Settings.__slots__}
        settings = Settings(**known)
        return list(Inspection(Clients(settings), settings, worker)())


@pytest.fixture
def stack(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        stack = Stack()
        for name, value in stack.settings().items():
            monkeypatch.setenv(f"LAMBDA_DURABLE_{name.upper()}", value)
        yield stack


def doctor(*arguments: str) -> Any:
    return CliRunner().invoke(commands, ["doctor", *arguments])


def found(result: Any) -> list[dict[str, Any]]:
    return [each for each in json.loads(result.stdout) if each["level"] != "unseen"]


@pytest.mark.parametrize("options", [(), ("--json",), ("--deep",)])
def test_where_aws_cannot_be_asked_it_is_one_line_and_nothing_is_called_stuck(stack, monkeypatch, options):
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        result = doctor(*options)
        assert result.exit_code == 2
        assert "there are no AWS credentials" in result.stderr

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    result = doctor(*options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("lambda-durable doctor: http://127.0.0.1:1 can't be reached")
    assert result.stderr.count("\n") == 1


# -- how it is set up


def test_a_stack_as_the_template_makes_it_is_in_order(stack):
    assert [each for each in stack.inspect() if each.level is not Level.UNSEEN] == []


def test_what_is_missing_or_switched_off_is_told_with_the_way_out(stack):
    stack.events.disable_rule(Name="all", EventBusName="bus")
    stack.sqs.set_queue_attributes(QueueUrl=stack.urls["ingress_queue"], Attributes={"RedrivePolicy": ""})
    stack.dynamodb.update_table(
        TableName="table", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "due"}}]
    )
    stack.dynamodb.update_time_to_live(
        TableName="table", TimeToLiveSpecification={"Enabled": False, "AttributeName": "x"}
    )
    boto3.client("s3").delete_bucket(Bucket="payloads")

    told = {(each.kind, each.subject): each for each in stack.inspect()}
    rule = told["rule", "rule all"]
    assert (rule.open, rule.way_out) == (True, "aws events enable-rule --event-bus-name bus --name all")
    assert told["redrive", "queue ingress"].open
    assert "nobody finds runs that were lost" in told["index", "table table"].why
    assert told["time-to-live", "table table"].level is Level.LEFT
    assert told["missing", "bucket payloads"].open


def test_an_index_that_an_earlier_release_made_is_told_of(stack):
    (begun,) = (
        each for each in table_definition("t")["GlobalSecondaryIndexes"] if each["IndexName"] == "begun"
    )
    begun = {**begun, "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["u"]}}
    for change in ({"Delete": {"IndexName": "begun"}}, {"Create": begun}):
        stack.dynamodb.update_table(TableName="table", GlobalSecondaryIndexUpdates=[change])
    (told,) = (each for each in stack.inspect() if each.kind == "index")
    assert "has other attributes in its index 'begun': nobody finds runs that were lost" in told.why


def test_a_queue_and_a_table_that_are_gone_are_told_of_and_the_rest_is_looked_at(stack):
    stack.sqs.delete_queue(QueueUrl=stack.urls["failed_queue"])
    stack.dynamodb.delete_table(TableName="table")
    stack.events.remove_targets(Rule="all", EventBusName="bus", Ids=["ingress"])

    told = {(each.kind, each.subject) for each in stack.inspect() if each.open}
    assert told == {("missing", "table table"), ("missing", "queue failed"), ("rule", "event bus bus")}


@pytest.fixture
def worker(stack):
    """The worker's alias, its mappings and the reconciler's schedule."""
    iam, client = boto3.client("iam"), boto3.client("lambda")
    trust = {"Version": "2012-10-17", "Statement": []}
    role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    variables = {f"LAMBDA_DURABLE_{name.upper()}": value for name, value in stack.settings().items()}
    client.create_function(
        FunctionName="worker",
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=60,
        Publish=True,
        Environment={"Variables": variables},
    )
    client.create_alias(FunctionName="worker", Name="live", FunctionVersion="1")
    alias = ACCOUNT.format("lambda", "function:worker:live")
    for name in ("queue", "ingress_queue", "failed_queue"):
        client.create_event_source_mapping(
            EventSourceArn=ACCOUNT.format("sqs", QUEUES[name]),
            FunctionName=alias,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
    stack.scheduler.create_schedule(
        Name="reconcile",
        GroupName="group",
        ScheduleExpression="rate(5 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": alias, "RoleArn": role},
    )
    return alias


def of_worker(stack: Stack, alias: str) -> dict[str, Any]:
    return {each.kind: each for each in stack.inspect(alias) if each.open}


def test_a_worker_that_cannot_run_or_is_not_called_is_told_of(stack, worker):
    client = boto3.client("lambda")
    assert of_worker(stack, worker) == {}
    client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)
    stack.sqs.set_queue_attributes(QueueUrl=stack.urls["queue"], Attributes={"VisibilityTimeout": "30"})
    stack.scheduler.delete_schedule(Name="reconcile", GroupName="group")

    told = of_worker(stack, worker)
    assert set(told) == {"concurrency", "visibility", "schedule"}
    assert told["concurrency"].way_out.startswith("aws lambda delete-function-concurrency")
    assert "30 seconds, and the worker has 60" in told["visibility"].why
    assert "runs that were lost stay lost" in told["schedule"].why


def test_a_version_that_was_deleted_is_known_as_gone(stack, worker):
    inspection = Inspection(Clients(), Settings(table="t", bucket="b", queue_url="http://q", bus="b"), worker)
    assert (inspection.is_gone("1"), inspection.is_gone("7")) == (False, True)


# -- dead letters


def send(stack: Stack, body: str, **attributes: str) -> None:
    stack.sqs.send_message(
        QueueUrl=stack.urls["dead_letter"],
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )


def test_letters_are_taken_with_all_that_is_known_and_put_back_unless_removed(stack):
    for number in range(12):
        send(stack, f"body {number}", reason=f"reason {number}")
    letters = SqsDeadLetters(stack.sqs, stack.urls["dead_letter"])

    with letters.taken() as found:
        assert sorted(letter.body for letter in found) == sorted(f"body {n}" for n in range(12))
        assert {letter.attributes["reason"].replace("reason", "body") for letter in found} == {
            letter.body for letter in found
        }
        assert from_millis(found[0].sent).year >= 2025
        with SqsDeadLetters(stack.sqs, stack.urls["dead_letter"]).taken() as others:
            assert others == []  # nobody else acts on them meanwhile
        for letter in found[:5]:
            letters.remove(letter)
    with letters.taken() as found:
        assert len(found) == 7


def test_who_asks_for_letters_while_another_thread_looks_has_them_afterwards(stack):
    """The dashboard's page looks every ten seconds: what was to be sent again just then was told to be gone."""
    send(stack, "body", reason="reason")
    stack.sqs.meta.events.register(
        "provide-client-params.sqs.ReceiveMessage", lambda params, **_: params | {"WaitTimeSeconds": 0}
    )
    letters = SqsDeadLetters(stack.sqs, stack.urls["dead_letter"])
    asked = []

    def look():
        with letters.taken() as found:
            asked.append([letter.body for letter in found])

    other = Thread(target=look)
    with letters.taken():
        other.start()
        other.join(0.2)  # enough for who doesn't wait to find nothing
    other.join(10)
    assert asked == [["body"]]


def test_the_command_tells_what_is_dead_and_sends_it_again(stack):
    event = {
        "detail-type": "placed",
        "source": "web",
        "id": "e1",
        "time": "2025-01-01T00:00:00Z",
        "detail": {},
    }
    send(stack, json.dumps(event))
    send(stack, Continuation(run="nobody").body())
    send(stack, "{", reason="the message is no JSON")

    sick = doctor("--json")
    assert sick.exit_code == 1, sick.output
    assert sorted(each["level"] for each in found(sick)) == ["left over", "stuck", "stuck"]
    fixed = doctor("--fix", "--json")
    assert fixed.exit_code == 1  # one makes no sense, and is for people
    assert sorted(each["done"] for each in found(fixed)) == ["", "removed it", "sent it again"]
    (again,) = stack.sqs.receive_message(QueueUrl=stack.urls["queue"])["Messages"]
    assert json.loads(again["Body"]) == event

    shown = doctor()
    assert shown.exit_code == 1
    assert "nobody can make sense of it" in shown.stdout
    assert "the worker put it aside: the message is no JSON" in shown.stdout
    stack.sqs.purge_queue(QueueUrl=stack.urls["dead_letter"])
    well = doctor()
    assert well.exit_code == 0, well.output
    assert "nothing is stuck" in well.stderr


# -- what is left, one run, mistakes


def test_waiters_and_schedules_are_found_and_removed(stack):
    clients = Clients()
    left = Leftovers(clients.dynamodb, "table", clients.scheduler, "group")
    stack.dynamodb.put_item(
        TableName="table",
        Item={
            name: {"S": value}
            for name, value in {"pk": "w#n##", "sk": "r/p", "u": "r", "p": "p", "g": "{}"}.items()
        },
    )
    stack.dynamodb.put_item(
        TableName="table", Item={"pk": {"S": "w#n"}, "sk": {"S": "!"}, "p": {"SS": ["."]}}
    )
    for name, when in (("once", "at(2099-01-01T00:00:00)"), ("cron-x", "rate(5 minutes)")):
        stack.scheduler.create_schedule(
            Name=name,
            GroupName="group",
            ScheduleExpression=when,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:sqs:us-east-1:1:q", "RoleArn": "arn:aws:iam::1:role/r", "Input": "body"},
        )

    (found_waiter,), (schedule,) = left.scanned(), left.schedules()
    assert (found_waiter.run_id, found_waiter.path, schedule.name, schedule.body) == (
        "r",
        "p",
        "once",
        "body",
    )
    for _ in range(2):
        left.remove_waiter(found_waiter)
        left.remove_schedule(schedule)
    assert ([*left.scanned()], [*left.schedules()]) == ([], [])


def test_one_run_and_a_run_that_is_not_there(stack):
    run = Client(app).start(order, {}, run_id="r1")
    assert run.run_id == "r1"
    missing = doctor("r1")
    assert missing.exit_code == 1
    assert "there is no run 'r1'" in missing.stderr
    assert doctor("r1", "--deep").exit_code == 2
