"""The examination of permissions finds what is missing and what is unused; test_on_permissions applies it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cloudformation import Stack, load
from permissions import (
    Call,
    Statement,
    examine,
    of_logical_ids,
    recorded_calls,
    service_calls,
    statements_of,
)

TEMPLATE = load(Path(__file__).parents[2] / "template.yaml")

READ = Statement("Role", "Read", ("dynamodb:GetItem", "dynamodb:Query"), ("arn:aws:dynamodb:::table/t",))
GET = Call("Role", "dynamodb:GetItem", "arn:aws:dynamodb:::table/t")
QUERY = replace(GET, action="dynamodb:Query")


def test_what_is_allowed_and_done_is_nothing_to_report():
    found = examine([READ], [GET, QUERY])
    assert (found.missing, found.unused) == ([], [])


@pytest.mark.parametrize(
    "call",
    [
        replace(GET, action="dynamodb:DeleteItem"),
        replace(GET, resource="arn:aws:dynamodb:::table/other"),
        replace(GET, resource="arn:aws:dynamodb:::table/t/index/runs"),
        replace(GET, principal="Another"),
    ],
    ids=["action", "resource", "index", "principal"],
)
def test_a_call_that_no_statement_allows_is_missing(call):
    assert examine([READ], [GET, QUERY, call]).missing == [call]


def test_an_action_and_a_resource_that_no_call_needs_are_unused():
    wide = replace(READ, resources=(*READ.resources, "arn:aws:dynamodb:::table/t/index/*"))
    assert examine([wide], [GET]).unused == [
        "Role: Read: action dynamodb:Query",
        "Role: Read: resource arn:aws:dynamodb:::table/t/index/*",
    ]


def test_a_condition_must_hold():
    limited = replace(READ, conditions={"StringEquals": {"iam:PassedToService": "scheduler"}})
    assert examine([limited], [GET]).missing == [GET]
    passed = replace(GET, context=(("iam:PassedToService", "scheduler"),))
    assert examine([limited], [passed]).missing == []


def test_a_star_in_an_arn_takes_any_path():
    objects = Statement("Role", "Objects", ("s3:*",), ("arn:aws:s3:::b/*",))
    assert examine([objects], [Call("Role", "s3:GetObject", "arn:aws:s3:::b/r/1")]).missing == []
    assert examine([objects], [Call("Role", "s3:ListBucket", "arn:aws:s3:::b")]).missing


# -- the template ----------------------------------------------------------------------------------------


def lines(*calls):
    for service, operation, params in calls:
        yield json.dumps(
            {"principal": "worker", "service": service, "operation": operation, "params": params}
        )


@pytest.mark.parametrize("bucket", ["", "uploads"])
def test_all_that_aws_does_by_itself_is_allowed(bucket):
    stack = Stack(TEMPLATE, parameters={"ObjectCreatedBucket": bucket})
    assert examine(statements_of(stack), service_calls(stack)).missing == []


def test_a_schedule_needs_the_role_that_is_passed_and_what_the_scheduler_sends():
    stack = Stack(TEMPLATE)
    target = {
        "Arn": stack.arn("ContinuationQueue"),
        "RoleArn": stack.arn("SchedulerRole"),
        "DeadLetterConfig": {"Arn": stack.arn("DeadLetterQueue")},
    }
    params = {"GroupName": "ScheduleGroup", "Name": "a1", "Target": target}
    calls = set(recorded_calls(stack, lines(("scheduler", "CreateSchedule", params))))
    assert {(call.principal, call.action) for call in calls} == {
        ("WorkerRole", "scheduler:CreateSchedule"),
        ("WorkerRole", "iam:PassRole"),
        ("SchedulerRole", "sqs:SendMessage"),
    }
    assert examine(statements_of(stack), calls).missing == []


@pytest.mark.parametrize(
    "call",
    [
        ("dynamodb", "Scan", {"TableName": "Table"}),
        ("dynamodb", "Query", {"TableName": "Table", "IndexName": "another"}),
        ("sqs", "SendMessage", {"QueueUrl": "http://localhost/000000000000/IngressQueue"}),
        ("s3", "PutObject", {"Bucket": "other", "Key": "k"}),
        ("scheduler", "DeleteSchedule", {"GroupName": "default", "Name": "x"}),
        ("events", "PutEvents", {"Entries": [{"EventBusName": "default"}]}),
    ],
    ids=lambda call: f"{call[0]}:{call[1]}",
)
def test_the_worker_may_not_do_what_it_never_does(call):
    stack = Stack(TEMPLATE)
    assert examine(statements_of(stack), recorded_calls(stack, lines(call))).missing


@pytest.mark.parametrize(("kind", "allowed"), [("Update", True), ("ConditionCheck", False)])
def test_a_transaction_needs_what_each_of_its_entries_does(kind, allowed):
    stack = Stack(TEMPLATE)
    entries = [{"Put": {"TableName": "Table"}}, {kind: {"TableName": "Table"}}]
    calls = set(recorded_calls(stack, lines(("dynamodb", "TransactWriteItems", {"TransactItems": entries}))))
    assert {call.action for call in calls} == {"dynamodb:PutItem", f"dynamodb:{kind}Item"}
    assert (examine(statements_of(stack), calls).missing == []) is allowed


def test_what_several_stacks_did_adds_up():
    stacks = [{"Table": "a-Table-1", "Bus": "a"}, {"Table": "b-Table-1", "Bus": "b"}]
    calls = lines(
        ("dynamodb", "GetItem", {"TableName": "a-Table-1"}), ("dynamodb", "Query", {"TableName": "b-Table-1"})
    )
    assert {str(call) for call in recorded_calls(Stack(TEMPLATE), of_logical_ids(calls, stacks))} == {
        "WorkerRole: dynamodb:GetItem on arn:aws:dynamodb:us-east-1:000000000000:table/Table",
        "WorkerRole: dynamodb:Query on arn:aws:dynamodb:us-east-1:000000000000:table/Table",
    }
